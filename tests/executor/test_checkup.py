"""`executor check` against simulated terminals: what it prints, its exit code, and that it trades only when asked."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from deploy.cli import cli
from executor.mt5.simulator.remote import Remote
from tests.executor.mt5.simulated import SimulatorProcess

SETTINGS = """
[executor.accounts.{name}.terminal]
kind = "simulated"
address = "{address}"
login = {login}
server = "Demo"
[executor.accounts.{name}.symbols.map]
"OANDA:EURUSD" = "EURUSD"
"OANDA:US30USD" = "US30"
"""


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[SimulatorProcess]:
    process = SimulatorProcess(tmp_path / "terminal", login=7, server="Demo")
    yield process
    process.stop()


@pytest.fixture
def remote(terminal: SimulatorProcess) -> Iterator[Remote]:
    hand = Remote.at(terminal.address)
    yield hand
    hand.close()


@pytest.fixture
def check(tmp_path: Path, terminal: SimulatorProcess) -> Callable[..., Result]:
    def run(*words: str, login: int = 7, more: str = "") -> Result:
        config = tmp_path / "t.toml"
        config.write_text(SETTINGS.format(name="main", address=terminal.address, login=login) + more)
        return CliRunner().invoke(cli, ["--config", str(config), "executor", "check", *words])

    return run


def volumes(remote: Remote, terminal: SimulatorProcess) -> Any:
    from executor.mt5.simulator import client

    client.initialize(terminal.address)
    return client.positions_get(), client.orders_get(), [d for d in client.history_deals_get(0, 2**31 - 1) if d.symbol]


def test_it_shows_the_account_its_clock_and_its_symbols_as_a_table(check: Callable[..., Result]) -> None:
    result = check()

    assert result.exit_code == 0, result.output
    shown = [" ".join(line.split()) for line in result.output.splitlines()]
    assert shown[0] == "main"
    assert "account 7 at Demo (Simulated Broker), demo" in shown
    assert "margin mode hedging" in shown
    assert "algo trading on" in shown
    assert any(line.startswith(("clock UTC+2", "clock UTC+3")) for line in shown)
    assert "OANDA:EURUSD EURUSD market FOK+IOC 0.01 0.01 100 0" in shown
    assert "OANDA:US30USD US30 instant FOK 0.1 0.1 250 20" in shown
    assert "Nothing is in the way." in shown


def test_names_that_lead_nowhere_are_suggested_and_the_exit_code_says_so(check: Callable[..., Result]) -> None:
    result = check("--instrument", "FX:GBPUSD", "--instrument", "NYSE:KO")

    assert result.exit_code == 1
    assert 'write "FX:GBPUSD" = "GBPUSD" under [executor.accounts.main.symbols.map]' in result.output
    assert "NYSE:KO leads to NYSE:KO, which the terminal does not list" in result.output


OBSTACLES = {
    "the button": ({"settings": {"algo_trading": False}}, "press the Algo Trading button", "algo trading  OFF"),
    "the broker's robots": ({"account": {"trade_expert": False}}, "does not allow automated trading", "OFF"),
    "investor": ({"account": {"trade_allowed": False}}, "investor password", ""),
    "a symbol": ({"symbol": {"name": "US30", "trade_mode": 0}}, "switched trading of US30 off", "OFF"),
}


@pytest.mark.parametrize(("change", "line", "cell"), OBSTACLES.values(), ids=OBSTACLES)
def test_an_obstacle_is_told_in_a_traders_words(
    check: Callable[..., Result], remote: Remote, change: dict[str, dict[str, Any]], line: str, cell: str
) -> None:
    for command, rules in change.items():
        getattr(remote, command)(**rules)

    result = check()

    assert result.exit_code == 1
    assert f"! {line}" in result.output or line in result.output
    assert cell in result.output


def test_a_wrong_login_and_a_terminal_that_is_not_there_have_one_line_each(
    check: Callable[..., Result], terminal: SimulatorProcess
) -> None:
    wrong = check(login=8)
    assert (wrong.exit_code, wrong.output.count("\n")) == (1, 3)
    assert "check login, password and the exact server name" in wrong.output
    terminal.stop()
    gone = check()
    assert gone.exit_code == 1
    assert "There is no terminal at" in gone.output


def test_every_account_is_checked_unless_one_is_named(check: Callable[..., Result], tmp_path: Path) -> None:
    away = SETTINGS.format(name="away", address="127.0.0.1:9", login=1)
    both = check(more=away)
    assert both.exit_code == 1
    assert "main\n" in both.output
    assert "There is no terminal at 127.0.0.1:9" in both.output
    assert check("--account", "main", more=away).exit_code == 0
    unknown = check("--account", "nobody")
    assert unknown.exit_code == 2
    assert "there is no [executor.accounts.nobody]; there are: main" in unknown.output


def test_without_being_asked_it_trades_nothing(
    check: Callable[..., Result], remote: Remote, terminal: SimulatorProcess
) -> None:
    check()
    assert volumes(remote, terminal) == ((), (), [])


def test_a_trial_takes_every_kind_of_step_and_leaves_nothing_behind(
    check: Callable[..., Result], remote: Remote, terminal: SimulatorProcess
) -> None:
    result = check("--trade")

    assert result.exit_code == 0, result.output
    assert result.output.count("  ok\n") == 9
    positions, orders, deals = volumes(remote, terminal)
    assert (positions, orders) == ((), ())
    assert [d.volume for d in deals] == [0.02, 0.01, 0.01]
