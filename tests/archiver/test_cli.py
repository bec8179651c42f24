"""The archiver's commands say what they did, and in one line what a user has to mend."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from archiver import cli
from archiver.migrate import migrations
from archiver.store import Store
from deploy.embedded import Valkey
from shared.process import UserError
from tests.archiver.entries import KEYRING, fact, rows, select
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


@pytest.mark.parametrize("arguments", [("migrate",), ("migrate", "--check"), ("journal",), ("status",)])
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


PASSED = "every row is as it was signed, and no fact and no end of one is missing\n"


@pytest.fixture
def signed_config(tmp_path: Path) -> Path:
    """Settings with the key that the tests' entries are signed with."""
    (tmp_path / "key").write_text("k1:" + KEYRING.keys["k1"].hex())
    (tmp_path / "key").chmod(0o600)
    (tmp_path / "t.toml").write_text(f'[security]\nsigning-key-file = "{tmp_path / "key"}"')
    return tmp_path / "t.toml"


async def test_verify_passes_or_names_what_is_wrong_and_says_so_in_its_exit_code(
    signed_config: Path, archive: Database
) -> None:
    async with Store(archive.dsn) as store:
        await store.save(rows([fact(n) for n in range(1, 6)]))
    passed = call(signed_config, archive.dsn, "verify")
    assert (passed.exit_code, passed.output) == (0, PASSED)
    select(archive.dsn, "alter table facts_2026_11 disable trigger append_only")
    select(archive.dsn, "delete from facts where seq = 3")
    failed = call(signed_config, archive.dsn, "verify", "--from", "2026-01-01")
    assert failed.exit_code == 1
    assert failed.output.splitlines() == ["missing: facts outbox-1 3: this fact is not in the archive", "1 finding"]


def test_status_says_how_large_everything_is(config: Path, archive: Database, valkey: Valkey) -> None:
    config.write_text(f'[redis]\nurl = "{valkey.url}"')
    config.chmod(0o600)
    told = call(config, archive.dsn, "status")
    assert told.exit_code == 0
    assert told.output.splitlines()[-2:] == ["PostgreSQL: no facts yet", "Redis: no facts in the stream"]


def test_a_page_is_written_where_it_is_wanted(config: Path, archive: Database, tmp_path: Path) -> None:
    told = call(config, archive.dsn, "journal", "--html", str(tmp_path / "journal.html"))
    assert told.output == f"{tmp_path / 'journal.html'} is written\n"
    assert "no trades" in (tmp_path / "journal.html").read_text()


@pytest.mark.parametrize(("options", "output"), [([], "no trades\n"), (["--json"], "{}\n")])
def test_a_summary_of_nothing(config: Path, archive: Database, options: list[str], output: str) -> None:
    assert call(config, archive.dsn, "journal", "--summary", *options).output == output
