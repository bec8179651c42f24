"""The command says what it can do, refuses what makes no sense, and ends with 1 when something was wrong.

Stopped, it says so in a line and leaves nothing behind.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from click.testing import CliRunner

from deploy.chaos.cli import chaos
from deploy.chaos.suite import Suite
from deploy.chaos.trial import Result, broken

PATIENCE_S = 90.0

GOOD = Result(seed=0, findings=(), faults={}, reached={}, actions=20, ends={}, seconds=1.0)


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The command takes our settings out of the environment and makes a folder."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def finds(monkeypatch: pytest.MonkeyPatch, *results: Result) -> list[tuple[list[int], int]]:
    """Let the suite find this, and tell which seeds and what width it was given."""
    asked: list[tuple[list[int], int]] = []

    async def run(_self: Any, seeds: list[int], width: int) -> list[Result]:
        asked.append((seeds, width))
        return list(results)

    monkeypatch.setattr(Suite, "run", run)
    return asked


def test_help_names_every_option() -> None:
    shown = CliRunner().invoke(chaos, ["--help"])

    assert shown.exit_code == 0
    for option in ("--seeds", "--seed", "--first", "--width", "--actions", "--rolling", "--keep"):
        assert f"{option} " in shown.output


@pytest.mark.parametrize(
    "words",
    [["--seeds", "0"], ["--seed", "-1"], ["--first", "-1"], ["--width", "0"], ["--actions", "19"], ["--seed", "x"]],
    ids=" ".join,
)
def test_a_number_without_sense_is_refused_by_its_option(words: list[str]) -> None:
    refused = CliRunner().invoke(chaos, words)

    assert refused.exit_code == 2
    assert words[0] in refused.output


def test_seeds_are_counted_from_the_first_and_a_single_one_runs_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = finds(monkeypatch, GOOD)

    CliRunner().invoke(chaos, ["--seeds", "3", "--first", "5", "--width", "2"])
    CliRunner().invoke(chaos, ["--seed", "8"])

    assert asked == [([5, 6, 7], 2), ([8], 4)]


def test_a_rolling_restart_is_one_long_day(monkeypatch: pytest.MonkeyPatch) -> None:
    rolled: list[int] = []

    async def rolling(suite: Any, seed: int) -> list[Result]:
        rolled.extend((seed, suite._actions))
        return [GOOD]

    monkeypatch.setattr(Suite, "rolling", rolling)

    assert CliRunner().invoke(chaos, ["--rolling"]).exit_code == 0
    assert CliRunner().invoke(chaos, ["--rolling", "--seed", "4", "--actions", "60"]).exit_code == 0
    assert rolled == [0, 500, 4, 60]


@pytest.mark.parametrize(
    ("results", "code"),
    [((GOOD,), 0), ((broken(0, "no end"),), 1), ((), 1)],
    ids=["all is well", "something is wrong", "a trial is missing"],
)
def test_the_exit_code_says_whether_all_is_well(
    monkeypatch: pytest.MonkeyPatch, results: tuple[Result, ...], code: int
) -> None:
    finds(monkeypatch, *results)

    assert CliRunner().invoke(chaos, ["--seed", "0"]).exit_code == code


def test_what_a_failed_run_left_is_kept_only_when_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    finds(monkeypatch, broken(0, "no end"))

    CliRunner().invoke(chaos, ["--seed", "0"])
    assert list(tmp_path.glob("tradecopier-chaos-*")) == []

    kept = CliRunner().invoke(chaos, ["--seed", "0", "--keep"])
    (folder,) = tmp_path.glob("tradecopier-chaos-*")
    assert str(folder) in kept.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_stopped_by_a_signal_it_lets_the_trials_end_and_says_how_many_were_done(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: signal.Signals
) -> None:
    ended: list[bool] = []

    async def run(suite: Any, *_: Any) -> list[Result]:
        suite._results.append(GOOD)
        os.kill(os.getpid(), number)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(True)
        return []

    monkeypatch.setattr(Suite, "run", run)
    stopped = CliRunner().invoke(chaos, ["--seeds", "3"])

    assert stopped.exit_code == 130
    assert stopped.stderr == "chaos: stopped; 1 of 3 seeds were done, 0 failed\n"
    assert ended == [True]
    assert list(tmp_path.glob("tradecopier-chaos-*")) == []


def processes_of(folder: Path) -> list[bytes]:
    """The commands of all that runs there."""
    return [command for command in commands() if str(folder).encode() in command]


def commands() -> Iterator[bytes]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            yield (process / "cmdline").read_bytes()
        except OSError:
            continue


@pytest.mark.timeout(4 * PATIENCE_S)
def test_interrupted_in_the_middle_of_its_trials_it_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "deploy", "chaos", "--seeds", "2"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    tmp_path.chmod(0o711)  # PostgreSQL, which may run as somebody else, passes through
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        try:
            until = monotonic() + PATIENCE_S
            while not any(b"executor\0run" in command for command in processes_of(tmp_path)):
                assert monotonic() < until
                assert running.poll() is None
                sleep(0.05)
            running.send_signal(signal.SIGINT)
            _, said = running.communicate(timeout=PATIENCE_S)
        finally:
            running.kill()

    assert running.returncode == 130
    assert said.decode() == "chaos: stopped; 0 of 2 seeds were done, 0 failed\n"
    assert list(tmp_path.glob("tradecopier-chaos-*")) == []
    until = monotonic() + PATIENCE_S
    while processes_of(tmp_path):
        assert monotonic() < until, processes_of(tmp_path)
        sleep(0.05)
