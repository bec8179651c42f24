"""Other processes in tests: run a piece of Python beside us, wait for the end of a process that is not our child."""

import os
import select
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def python(source: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process that runs `source` with our packages; killed, if it still runs, when the context ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(source), *arguments],
        env=dict(os.environ, PYTHONPATH=str(ROOT)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def told(process: subprocess.Popen[str]) -> str:
    """The next line that the process prints; fails with what it complained about when it ends instead."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise AssertionError(process.communicate()[1])
    return line.strip()


def wait_until_gone(pid: int, seconds: float = 20) -> None:
    """Wait for the end of any process; fails when it outlives the deadline."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        assert poll.poll(seconds * 1000), f"process {pid} is still there after {seconds} s"
    finally:
        os.close(descriptor)
