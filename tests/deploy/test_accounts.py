"""The commands as they are typed; what they do is in test_reception.py."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.cli import cli
from tests.deploy.archived import configured


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["add", "nobody"], "write [executor.accounts.nobody] into the settings file first, then add it"),
        (["repoint", "nobody"], "there is no account nobody; there are: main"),
        (["list"], "redis.url: the server does not answer: "),
        (["remove", "main", "--yes", "main"], "redis.url: the server does not answer: "),
    ],
)
def test_what_cannot_be_done_is_one_line(tmp_path: Path, words: list[str], line: str) -> None:
    config = configured(tmp_path, "redis://127.0.0.1:1/0", "postgresql://127.0.0.1:1/x")
    done = CliRunner().invoke(cli, ["--config", str(config), "account", *words])
    assert done.exit_code == 2
    assert done.output.startswith(f"tradecopier: {line}")
    assert done.output.count("\n") == 1
