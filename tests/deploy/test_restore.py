"""The command as it is typed; what it does is in test_rebuilding.py."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.cli import cli
from deploy.embedded import Valkey
from tests.deploy.archived import configured


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--account", "nobody"], "there is no account nobody; there are: main"),
        ([], "postgres.dsn: the archive does not answer: "),
    ],
)
def test_what_cannot_be_done_is_one_line(valkey: Valkey, tmp_path: Path, words: list[str], line: str) -> None:
    config = configured(tmp_path, valkey.url, "postgresql://127.0.0.1:1/x")
    done = CliRunner().invoke(cli, ["--config", str(config), "restore", *words])
    assert done.exit_code == 2
    assert done.output.startswith(f"tradecopier: {line}")
    assert done.output.count("\n") == 1


def test_without_redis_nothing_is_done(tmp_path: Path) -> None:
    config = configured(tmp_path, "redis://127.0.0.1:1/0", "postgresql://127.0.0.1:1/x")
    done = CliRunner().invoke(cli, ["--config", str(config), "restore"])
    assert (done.exit_code, done.output.startswith("tradecopier: redis.url: the server does not answer")) == (2, True)
