"""The archive's commands find the servers of `up`, and only when the settings name none."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.cli import cli
from deploy.nearby import at_hand
from shared.process import UserError
from tests.conftest import Database

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


@pytest.fixture
def archive(postgres: Database) -> Database:
    from archiver.migrate import migrate

    migrate(postgres.dsn)
    return postgres
