"""`tradecopier prepare`: what services that run by themselves find in the servers."""

from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from deploy.cli import cli
from deploy.embedded import Valkey
from tests.conftest import Database
from tests.deploy.commands import EXAMPLE


def prepared(monkeypatch: pytest.MonkeyPatch, folder: Path, **told: str) -> tuple[int, str]:
    for name, value in told.items():
        monkeypatch.setenv(f"TRADECOPIER_{name}", value)
    (config := folder / "tradecopier.toml").write_text(EXAMPLE.read_text())
    result = CliRunner().invoke(cli, ["--config", str(config), "prepare"])
    return result.exit_code, result.output


def test_it_makes_groups_and_tables_and_leaves_what_is_there(
    valkey: Valkey, postgres: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (key := tmp_path / "signing.key").write_text("k1:" + "11" * 32)
    key.chmod(0o600)
    for _ in range(2):
        servers = {"REDIS__URL": valkey.url, "POSTGRES__DSN": postgres.dsn}
        code, said = prepared(monkeypatch, tmp_path, SECURITY__SIGNING_KEY_FILE=str(key), **servers)
        assert (code, said) == (0, "ready: the groups of main and of the archive, and the archive's tables\n")
    with psycopg.connect(postgres.dsn) as connection:
        assert connection.execute("SELECT count(*) FROM trades").fetchone() == (0,)


def test_without_the_key_that_seals_what_an_account_remembers_no_account_joins(
    valkey: Valkey, postgres: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key = str(tmp_path / "signing.key")
    servers = {"REDIS__URL": valkey.url, "POSTGRES__DSN": postgres.dsn}
    code, said = prepared(monkeypatch, tmp_path, SECURITY__SIGNING_KEY_FILE=key, **servers)
    assert (code, said) == (2, f"tradecopier: {key}: the signing key cannot be read (No such file or directory)\n")


def test_servers_that_nobody_named_are_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code, said = prepared(monkeypatch, tmp_path)
    assert code == 2
    assert said.startswith("tradecopier: redis.url is not set")
    assert said.count("\n") == 1
