"""`tradecopier simulator` serves one account until it is told to stop, and keeps it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.cli import cli
from executor.mt5.simulator.remote import Remote
from executor.mt5.simulator.surface import LinkFailed
from shared import process
from tests.processes import ROOT


@contextmanager
def simulator(folder: Path, *words: str) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """The command at work, and the address that it told."""
    command = [sys.executable, "-m", "deploy", "simulator", "--listen", "127.0.0.1:0", "--state", str(folder), *words]
    environment = {**os.environ, "SIMULATOR_PASSWORD": "secret"}
    child = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env=environment)
    try:
        assert child.stdout is not None
        lines = [child.stdout.readline().decode() for _ in range(7)]
        yield child, lines[4].split('"')[1]
    finally:
        assert process.end(child, [signal.SIGTERM]) == 0
        assert child.stdout is not None
        child.stdout.close()


def test_it_tells_how_to_reach_it_and_the_account_is_there_again_after_a_restart(tmp_path: Path) -> None:
    from executor.mt5.simulator import client

    with simulator(tmp_path / "s", "--login", "5", "--suffix", ".raw", "--balance", "250") as (_, address):
        assert client.initialize(address, login=5, password="secret")
        assert not client.initialize(address, login=5, password="guess")
        assert client.initialize(address, login=5, password="secret")
        assert "EURUSD.raw" in {s.name for s in client.symbols_get()}
        remote = Remote.at(address)
        remote.deposit(50)
        remote.close()
        client.shutdown()
    with pytest.raises(LinkFailed):
        Remote.at(address)
    with simulator(tmp_path / "s") as (_, address):
        assert client.initialize(address, login=5, password="secret")
        assert client.account_info().balance == 300.0
        client.shutdown()


def test_the_password_comes_from_a_file_of_ours_alone_and_from_no_argument(tmp_path: Path) -> None:
    from executor.mt5.simulator import client

    file = tmp_path / "password"
    file.write_text("from the file\n")
    file.chmod(0o600)
    with simulator(tmp_path / "s", "--login", "5", "--password-file", str(file)) as (_, address):
        assert client.initialize(address, login=5, password="from the file")
        client.shutdown()
    file.chmod(0o640)
    for words, line in ((["--password-file", str(file)], "chmod 600"), (["--password", "hush"], "No such option")):
        result = CliRunner().invoke(cli, ["simulator", "--state", str(tmp_path / "t"), *words])
        assert result.exit_code == 2
        assert line in result.output
        assert "hush" not in result.output
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--balance", "much"], "balance"),
        (["--margin-mode", "both"], "hedging"),
        (["--login", "0"], "login"),
        (["--currency", "XYZ"], "currency"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_started(tmp_path: Path, words: list[str], line: str) -> None:
    result = CliRunner().invoke(cli, ["simulator", "--state", str(tmp_path / "s"), *words])

    assert result.exit_code == 2
    assert line in result.output
    assert not (tmp_path / "s").exists()


def test_stopping_it_under_connected_clients_says_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with simulator(tmp_path / "s", "--login", "5") as (_, address):
        remote = Remote.at(address)
        remote.deposit(1)
    remote.close()

    assert capfd.readouterr().err == ""


def test_an_address_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with simulator(tmp_path / "a") as (_, address):
        second = subprocess.run(
            [sys.executable, "-m", "deploy", "simulator", "--listen", address, "--state", str(tmp_path / "b")],
            cwd=ROOT, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip

    assert second.returncode == 2
    assert second.stderr.startswith("simulator: ")
    assert second.stderr.count("\n") == 1
