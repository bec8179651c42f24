"""The archive's commands find the servers of `up`, and only when the settings name none."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from deploy.cli import cli
from deploy.nearby import archiver, at_hand, executor
from shared.process import UserError
from tests.conftest import Database
from tests.executor.mt5.simulated import SimulatorProcess

SETTINGS = """
[ingest.sources.demo]
protocol = "broker-rest"
host = "broker.example"
account = "*"
[executor.accounts.main]
sources = ["demo"]
[executor.accounts.main.terminal]
kind = "simulated"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "t.toml").write_text(SETTINGS)
    return tmp_path / "t.toml"


def was_up(folder: Path) -> None:
    """The files that `up` leaves in its data folder."""
    files = {"valkey/port": "6001", "valkey/password": "v", "postgres/port": "6002", "postgres/password": "p"}
    for name, text in {**files, "terminals/main/address": "127.0.0.1:6003\n"}.items():
        (folder / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "data" / name).write_text(text)


def test_what_up_brought_is_at_hand(config: Path, tmp_path: Path) -> None:
    was_up(tmp_path)
    found = at_hand(config, {})
    assert found["TRADECOPIER_POSTGRES__DSN"] == "postgresql://tradecopier:p@127.0.0.1:6002/tradecopier"
    assert found["TRADECOPIER_REDIS__URL"] == "redis://:v@127.0.0.1:6001/0"
    assert found["TRADECOPIER_EXECUTOR__ACCOUNTS__MAIN__TERMINAL__ADDRESS"] == "127.0.0.1:6003"


def test_before_its_first_run_it_is_said_in_one_line(config: Path) -> None:
    with pytest.raises(UserError, match="`tradecopier up` has not run"):
        at_hand(config, {})


def test_a_postgres_that_is_named_is_the_one(config: Path, tmp_path: Path) -> None:
    was_up(tmp_path)
    assert at_hand(config, {"TRADECOPIER_POSTGRES__DSN": "postgresql://other"}) == {}


def test_a_command_is_told(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, archive: Database) -> None:
    was_up(tmp_path)
    monkeypatch.setattr("deploy.surroundings.Surroundings.dsn", lambda _: archive.dsn)
    monkeypatch.setattr("os.environ", {})
    for words in (["journal"], ["journal", "trades", "--summary"]):
        result = CliRunner().invoke(cli, [*words, "--config", str(config)])
        assert (result.exit_code, result.output.splitlines()[-1]) == (0, "no trades"), result.output


def test_no_command_is_missing() -> None:
    assert sorted(archiver.commands) == ["migrate", "run", "status", "verify"]
    assert sorted(executor.commands) == ["check", "run"]


ALONE = SETTINGS[SETTINGS.index("[executor") :]
"""As on a machine that has an executor alone."""


@pytest.mark.parametrize("text", [SETTINGS, ALONE])
def test_a_simulated_terminal_that_up_has_started_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr("os.environ", dict(os.environ))
    config = tmp_path / "t.toml"
    config.write_text(text)

    def checked() -> Result:
        return CliRunner().invoke(cli, ["executor", "check", "--config", str(config)])

    before = checked()
    assert before.exit_code == 2
    assert "terminal.address is not set: name a running simulator, or let `tradecopier up` start one" in before.output

    terminal = SimulatorProcess(tmp_path / "data" / "terminals" / "main", login=7, server="Demo")
    try:
        during = checked()
    finally:
        terminal.stop()
    assert during.exit_code == 0, during.output
    assert "account 7 at Demo" in " ".join(during.output.split())

    (tmp_path / "data" / "terminals" / "main" / "address").write_text(terminal.address)
    after = checked()
    assert after.exit_code == 1
    assert f"There is no terminal at {terminal.address}" in after.output
    assert "`tradecopier up` starts simulated terminals" in after.output


@pytest.fixture
def archive(postgres: Database) -> Database:
    from archiver.migrate import migrate

    migrate(postgres.dsn)
    return postgres
