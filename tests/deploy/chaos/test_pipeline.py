"""A process that ends is started again, and a real crash is noted."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from itertools import count
from pathlib import Path

import pytest

from deploy.chaos.part import Part
from deploy.chaos.pipeline import HEDGING, Pipeline, Servers
from deploy.chaos.timing import SCALE, shipped
from shared.process import MENDABLE

PATIENCE_S = 30
numbers = count(1)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():
            await asyncio.sleep(0.01)


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
