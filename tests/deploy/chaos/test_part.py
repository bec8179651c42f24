"""A process can be armed for one start, stand still, and be asked to end, once, however it stands."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from deploy.chaos.part import Part

PATIENCE_S = 30
WAITS = ["-c", "import sys; print(*sys.argv[1:], flush=True); sys.stdin.read()"]
"""A process that prints its arguments and waits for the end of its input."""


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():
            await asyncio.sleep(0.01)


@pytest.fixture
async def part(tmp_path: Path) -> AsyncIterator[Part]:
    """A process of which the input and the output are ours."""
    found = Part("part", WAITS, {}, tmp_path / "log", piped=True)
    yield found
    await found.end()


async def printed(part: Part) -> bytes:
    assert part.running is not None
    assert part.running.stdout is not None
    return await asyncio.to_thread(part.running.stdout.readline)


async def test_what_a_part_is_armed_with_is_given_to_its_next_start_only(part: Part) -> None:
    part.armed = ("--die-at", "called:1")
    part.start()
    assert await printed(part) == b"--die-at called:1\n"
    part.signal(signal.SIGKILL)
    await until(lambda: not part.alive)

    part.start()

    assert await printed(part) == b"\n"
    assert part.under == ()


async def test_a_part_that_stands_still_lives_and_has_reached_its_point(part: Part) -> None:
    part.start()
    await printed(part)
    assert (part.alive, part.standing, part.reached) == (True, False, False)

    part.signal(signal.SIGSTOP)
    await until(lambda: part.standing)
    assert (part.alive, part.reached) == (True, True)

    part.signal(signal.SIGCONT)
    await until(lambda: not part.standing)
    assert not part.reached


async def test_a_part_that_stands_still_can_be_ended(part: Part) -> None:
    part.start()
    await printed(part)
    part.signal(signal.SIGSTOP)
    await until(lambda: part.standing)

    await part.end()

    assert not part.alive


async def test_asked_twice_it_is_signalled_once_since_a_second_time_would_end_it_at_once(tmp_path: Path) -> None:
    counts = "import os, signal, sys; signal.signal(15, lambda *_: os.write(1, b'asked\\n')); print('here', flush=True)"
    part = Part("part", ["-c", f"{counts}; sys.stdin.read(); print('end')"], {}, tmp_path / "log", piped=True)
    part.start()
    assert await printed(part) == b"here\n"
    assert part.running is not None
    assert part.running.stdin is not None

    part.ask()
    assert await printed(part) == b"asked\n"
    part.ask()
    part.running.stdin.close()

    assert await printed(part) == b"end\n"
    await part.end()
