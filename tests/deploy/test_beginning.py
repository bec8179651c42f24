"""What is being started is told apart from what is ready, from what was ready once, and from what never will be."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy import beginning
from deploy.beginning import starting
from deploy.worker import START_PATIENCE_S

BEGAN = datetime(2026, 1, 5, 12, tzinfo=UTC)
SOON = BEGAN + timedelta(seconds=2)


def written(path: Path, at: datetime) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, (at.timestamp(), at.timestamp()))


@pytest.fixture
def begun(tmp_path: Path) -> Iterator[Path]:
    """Where a supervisor has begun."""
    with beginning.begun(tmp_path):
        written(tmp_path / "run" / "starting", BEGAN)
        yield tmp_path


def test_all_of_it_is_starting_until_each_says_that_it_is_ready(begun: Path) -> None:
    assert starting(begun, SOON) == {"ingest", "executor", "archiver"}

    written(begun / "run" / "ingest.ready", SOON)

    assert starting(begun, SOON) == {"executor", "archiver"}


def test_what_was_ready_under_an_earlier_supervisor_is_not_ready_now(begun: Path) -> None:
    written(begun / "run" / "executor.ready", BEGAN - timedelta(days=1))

    assert "executor" in starting(begun, SOON)


def test_what_does_not_come_up_is_not_starting_for_ever(begun: Path) -> None:
    assert starting(begun, BEGAN + timedelta(seconds=START_PATIENCE_S + 1)) == frozenset()


KILLED = """
import os, signal, sys
from pathlib import Path
from deploy.beginning import begun

with begun(Path(sys.argv[1])):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="files have no such locks there")
def test_what_a_supervisor_has_left_that_was_killed_is_not_starting(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)

    assert (tmp_path / "run" / "starting").exists()
    assert starting(tmp_path, datetime.now(UTC)) == frozenset()

    with beginning.begun(tmp_path):
        assert starting(tmp_path, datetime.now(UTC)) == {*beginning.SERVICES}


def test_nothing_starts_where_nobody_has_begun_or_all_is_over(tmp_path: Path) -> None:
    assert starting(tmp_path, SOON) == frozenset()
    now = datetime.now(UTC)
    with beginning.begun(tmp_path):
        assert starting(tmp_path, now) == {*beginning.SERVICES}
    assert starting(tmp_path, now) == frozenset()
