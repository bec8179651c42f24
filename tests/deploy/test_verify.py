"""`journal verify` with a real simulated terminal: what it traded is compared with what the archive holds."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from archiver.migrate import migrate
from archiver.store import Store
from deploy.cli import cli
from deploy.verify import Journal, compared, history, journal, period
from executor.mt5 import api
from executor.mt5.terminal import Terminal
from executor.settings import Account, Simulated
from shared.outcomes import Deal
from shared.process import UserError
from tests.archiver.entries import rows, select
from tests.conftest import Database
from tests.executor.mt5.simulated import SimulatorProcess

BUY = api.TradeRequest(action=api.TradeAction.DEAL, symbol="EURUSD", volume=Decimal("0.1"), magic=42, comment="mark")
NOW = datetime.fromtimestamp(time.time(), UTC)
SINCE, UNTIL = NOW - timedelta(days=2), NOW + timedelta(days=2)


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    simulator = SimulatorProcess(tmp_path / "terminal", login=77, prices="still")
    try:
        yield Account(sources=("demo",), terminal=Simulated(address=simulator.address, login=77))
    finally:
        simulator.stop()


async def traded(account: Account) -> list[Deal]:
    """Two deals on the terminal, as its history tells them."""
    assert isinstance(account.terminal, Simulated)
    terminal = Terminal("executor.mt5.simulator.client")
    await terminal.start()
    try:
        credentials = api.Credentials(account.terminal.address or "", 77, "", account.terminal.server)
        assert isinstance(await terminal.connect(credentials), api.Connected)
        for _ in range(2):
            assert isinstance(await terminal.send(BUY, time.time_ns() + 5_000_000_000), api.Answered)
    finally:
        await terminal.stop()
    async with history("main", account) as told:
        return list(await told(SINCE, UNTIL))


async def test_an_archive_that_has_every_deal_agrees_and_one_that_has_not_is_told_which(
    account: Account, archive: Database
) -> None:
    first, second = await traded(account)
    async with Store(archive.dsn) as store:
        await store.save(rows([first]))
        (told,) = await compared("main", account, archive.dsn, "main", SINCE, UNTIL)
        assert told.startswith(f"main: deal {second.deal} not archived: buy in 0.1 EURUSD at {second.price}, ")
        await store.save(rows([second]))
    assert await compared("main", account, archive.dsn, "main", SINCE, UNTIL) == []
    assert await compared("main", account, archive.dsn, "other", SINCE, UNTIL) != []


async def test_only_the_period_is_compared(account: Account, archive: Database) -> None:
    await traded(account)
    later = UNTIL + timedelta(days=30)
    assert await compared("main", account, archive.dsn, "main", UNTIL, later) == []


async def test_a_terminal_that_is_away_is_one_line(tmp_path: Path) -> None:
    away = Account(sources=("demo",), terminal=Simulated(address="127.0.0.1:9", login=77))
    with pytest.raises(UserError, match="account main: the terminal cannot be asked"):
        async with history("main", away):
            pass


def test_a_period_is_whole_days_and_reaches_past_today() -> None:
    now = datetime(2026, 3, 5, 12, tzinfo=UTC)
    assert period(None, None, now) == (datetime(2026, 2, 3, tzinfo=UTC), datetime(2026, 3, 7, tzinfo=UTC))
    first, last = datetime(2026, 1, 1), datetime(2026, 1, 31)  # noqa: DTZ001  as the command line gives them
    assert period(first, last, now) == (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))


def call(folder: Path, dsn: str, *words: str) -> Result:
    config = folder / "t.toml"
    config.write_text(
        '[executor.accounts.main]\nsources = ["demo"]\n[executor.accounts.main.terminal]\nkind = "simulated"'
    )
    given = [*words, "--config", str(config)]
    return CliRunner().invoke(cli, given, env={"TRADECOPIER_POSTGRES__DSN": dsn})


@pytest.mark.parametrize("words", [["journal"], ["journal", "trades"], ["journal", "--account", "main"]])
def test_without_a_command_the_journal_shows_the_trades(archive: Database, tmp_path: Path, words: list[str]) -> None:
    result = call(tmp_path, archive.dsn, *words)
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "no trades")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["journal", "verify", "--account", "none"], "there is no [executor.accounts.none]; there are: main"),
        (["journal", "verify"], "executor.accounts.main.terminal.address is not set"),
    ],
)
def test_what_a_user_can_mend_is_one_line(archive: Database, tmp_path: Path, words: list[str], said: str) -> None:
    result = call(tmp_path, archive.dsn, *words)
    assert result.exit_code == 2
    assert said in result.output


def test_the_journal_lists_both_commands() -> None:
    assert isinstance(journal, Journal)
    assert sorted(journal.commands) == ["trades", "verify"]


@pytest.fixture
def archive(postgres: Database) -> Database:
    migrate(postgres.dsn)
    assert select(postgres.dsn, "select count(*) from observations") == [(0,)]
    return postgres
