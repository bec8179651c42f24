"""The archiver's commands say what they did, and in one line what a user has to mend."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from archiver import cli
from archiver.migrate import migrations
from shared.process import UserError
from tests.conftest import Database


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "t.toml").write_text("")
    return tmp_path / "t.toml"


def call(config: Path, dsn: str, *arguments: str) -> Result:
    command = cli.journal if arguments[0] == "journal" else cli.cli
    given = arguments[1:] if arguments[0] == "journal" else arguments
    return CliRunner().invoke(command, given, obj=config, env={"TRADECOPIER_POSTGRES__DSN": dsn})


def test_migrate_says_what_it_applied_and_the_check_acts_on_nothing(config: Path, postgres: Database) -> None:
    behind = call(config, postgres.dsn, "migrate", "--check")
    assert isinstance(behind.exception, UserError)
    applied = call(config, postgres.dsn, "migrate")
    assert applied.output.splitlines() == [f"applied {m.name}" for m in migrations()]
    for arguments in (("migrate",), ("migrate", "--check")):
        assert call(config, postgres.dsn, *arguments).output == "the archive is up to date\n"


@pytest.mark.parametrize("arguments", [("migrate",), ("migrate", "--check"), ("journal",)])
def test_a_database_that_is_away_is_one_line(config: Path, arguments: tuple[str, ...]) -> None:
    failed = call(config, "postgresql://me:hush@127.0.0.1:1/x", *arguments)
    assert isinstance(failed.exception, UserError)
    assert str(failed.exception).startswith("postgres.dsn: ")
    assert "\n" not in str(failed.exception)
    assert "hush" not in str(failed.exception)


def test_run_refuses_without_a_redis(config: Path) -> None:
    assert "redis.url is not set" in str(call(config, "postgresql://x", "run").exception)


@pytest.mark.parametrize(
    ("options", "output"),
    [
        ([], "no trades"),
        (["--from", "2026-01-01", "--to", "2026-01-31", "--account", "one", "--instrument", "EURUSD"], "no trades"),
        (["--csv"], "captured,account"),
        (["--json"], ""),
    ],
)
def test_the_journal_takes_its_options(config: Path, archive: Database, options: list[str], output: str) -> None:
    result = call(config, archive.dsn, "journal", *options)
    assert result.exit_code == 0, result.output
    assert output in result.output
