"""Following log files."""

import asyncio
from pathlib import Path

import pytest

from deploy.tail import Tail
from shared.process import cancelled


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "a.log"
    append(path, "old\n")
    return path


def test_only_whole_lines_that_came_since_are_shown(log: Path) -> None:
    tail = Tail([log])
    assert tail.lines() == []
    append(log, "one\ntw")
    assert tail.lines() == ["one"]
    append(log, "o\n")
    assert tail.lines() == ["two"]
    tail.close()


def test_a_log_that_is_set_aside_is_followed_into_the_next_one(log: Path) -> None:
    tail = Tail([log])
    append(log, "last\n")
    log.rename(log.with_suffix(".1"))
    assert tail.lines() == ["last"]
    append(log, "first\n")
    assert tail.lines() == ["first"]
    tail.close()


async def test_lines_are_shown_as_they_come(log: Path) -> None:
    tail, shown = Tail([log]), asyncio.Queue[str]()
    showing = asyncio.create_task(tail.show(shown.put_nowait))
    append(log, "one\n")
    assert await asyncio.wait_for(shown.get(), 10) == "one"
    await cancelled(showing)
    tail.close()
