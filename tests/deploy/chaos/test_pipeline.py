"""A process that ends is started again, what it is armed with holds for one start, and a real crash is noted."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from itertools import count
from pathlib import Path

import pytest

from deploy.chaos.pipeline import HEDGING, Part, Pipeline, Servers
from deploy.chaos.timing import SCALE, shipped
from shared.process import MENDABLE

PATIENCE_S = 30
numbers = count(1)
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


@pytest.fixture
async def pipeline(pair: Servers, tmp_path: Path) -> AsyncIterator[Pipeline]:
    """Everything of a trial, started."""
    found = Pipeline(tmp_path / "trial", pair, f"pipeline-{next(numbers)}", shipped().over(SCALE), HEDGING)
    try:
        await found.start()
        yield found
    finally:
        await found.stop()


async def test_a_pipeline_starts_again_what_was_killed_and_leaves_what_is_held(pipeline: Pipeline) -> None:
    killed, held = pipeline.parts["archiver"], pipeline.parts["standby"]
    first = killed.running
    pipeline.held.add("standby")
    held.signal(signal.SIGKILL)
    await until(lambda: not held.alive)

    killed.signal(signal.SIGKILL)

    await until(lambda: killed.running is not first and killed.alive)
    assert not held.alive
    pipeline.held.clear()
    await until(lambda: held.alive)
    assert pipeline.crashes == [], "we killed them"


async def test_what_ends_by_itself_with_an_error_is_a_crash_but_not_what_an_operator_can_mend(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    for name, code in (("mendable", MENDABLE), ("broken", 3)):
        pipeline.parts[name] = part = Part(name, ["-c", f"raise SystemExit({code})"], {}, tmp_path / name)
        part.start()
    mended = pipeline.parts["mendable"].running

    await until(lambda: bool(pipeline.crashes) and pipeline.parts["mendable"].running is not mended)

    assert set(pipeline.crashes) == {"broken ended with exit code 3"}


async def test_nothing_of_a_pipeline_is_left_when_it_has_stopped_but_its_servers(
    pipeline: Pipeline, pair: Servers
) -> None:
    assert set(pipeline.parts) == {"ingest", "executor", "standby", "archiver", *HEDGING}
    assert all(part.alive for part in pipeline.parts.values())

    await pipeline.stop()

    assert [name for name, part in pipeline.parts.items() if part.alive] == []
    assert pair.valkey.pid is not None
    assert pair.postgres.pid is not None
