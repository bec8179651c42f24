"""Running `tradecopier` as a user does, and finding every process that belongs to one run."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deploy.fleet import ROOT

PATIENCE_S = 60.0


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "deploy", *arguments]


def environment() -> Mapping[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run to the end."""
    return subprocess.run(
        command(*arguments), env=environment(), capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )


class Running:
    """A command that runs; `until` reads what it prints."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.printed: list[str] = []

    def until(self, text: str) -> str:
        """The first line with `text` in it. AssertionError when the command ends without it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.printed.append(line)
            if text in line:
                return line
        raise AssertionError("".join(self.printed))


@contextmanager
def running(*arguments: str) -> Iterator[Running]:
    """Start a command; it is killed at the end if it still runs."""
    process = subprocess.Popen(
        command(*arguments), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield Running(process)
    finally:
        process.kill()
        process.communicate()


def belonging_to(folder: Path) -> dict[int, str]:
    """The processes that were started for a folder: it is in their arguments, environment or working directory."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            words = _read(entry / "cmdline").replace("\0", " ")
            if str(folder) in words + _read(entry / "environ") + _cwd(entry):
                found[int(entry.name)] = words
    return found


def wait_until_gone(folder: Path) -> None:
    """Return when no process belongs to the folder any more. AssertionError names those that stay."""
    deadline = time.monotonic() + PATIENCE_S
    while left := belonging_to(folder):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _cwd(entry: Path) -> str:
    try:
        return str((entry / "cwd").readlink())
    except OSError:
        return ""
