"""The scripted source publishes a story's facts once and in order, through a crash at any of its points as well."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from deploy.chaos import evidence
from deploy.chaos.faults import SOURCE_POINTS
from deploy.chaos.pipeline import KEY
from deploy.chaos.source import stated
from deploy.chaos.story import Statement, story
from deploy.embedded import Valkey
from shared import streams
from shared.wire import Codec, Keyring
from tests.processes import ROOT

PATIENCE_S = 20
STORY = story(4, 20, opposed=True)
CODEC = Codec("told", Keyring(current="k", keys={"k": b"0123456789abcdef"}))


class Running:
    """A source as a process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def take(self, statements: Sequence[Statement]) -> None:
        """Tell it, and see that it says that it has each."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        for statement in statements:
            self.process.stdin.write(msgspec.json.encode(statement) + b"\n")
            async with asyncio.timeout(PATIENCE_S):
                assert await self.process.stdout.readline() == f"accepted {statement.number}\n".encode()

    async def end(self, number: signal.Signals) -> None:
        """End it and wait until it has ended."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(PATIENCE_S):
            await self.process.wait()


Start = Callable[..., Awaitable[Running]]


@pytest.fixture
async def start(valkey: Valkey, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts the source, each time on the same journal."""
    key, config = tmp_path / "signing.key", tmp_path / "tradecopier.toml"
    key.write_text(KEY)
    key.chmod(0o600)
    config.write_text(f'[redis]\nnamespace = "told"\n[security]\nsigning-key-file = "{key}"\n')
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TRADECOPIER_REDIS__URL": valkey.url}
    started: list[Running] = []

    async def go(*more: str) -> Running:
        argv = ["-m", "deploy.chaos.source", "--config", str(config), "--folder", str(tmp_path / "outbox"), *more]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(sys.executable, *argv, env=env, stdin=pipe, stdout=pipe)
        started.append(Running(process))
        return started[-1]

    yield go
    for each in started:
        await each.end(signal.SIGKILL)


async def published(url: str, count: int) -> tuple[str, ...]:
    """The ids in the stream, when there are so many."""
    redis = streams.connect(url)
    try:
        async with asyncio.timeout(PATIENCE_S):
            while len(found := (await evidence.streams(redis, "told", ()))["facts"]) < count:
                await asyncio.sleep(0.01)
    finally:
        await redis.aclose()
    ids: tuple[str, ...] = found
    return ids


def ids(statements: Sequence[Statement]) -> tuple[str, ...]:
    return tuple(f"chaos/1/position:{s.position}/{s.revision}" for s in statements)


async def test_a_story_is_in_the_stream_in_its_order(valkey: Valkey, start: Start) -> None:
    source = await start()

    await source.take(STORY)

    assert await published(valkey.url, len(STORY)) == ids(STORY)


async def test_what_is_told_again_after_a_kill_is_not_stated_again(valkey: Valkey, start: Start) -> None:
    source = await start()
    await source.take(STORY[:3])
    await source.end(signal.SIGKILL)

    again = await start()
    await again.take(STORY[:4])

    assert await published(valkey.url, 4) == ids(STORY[:4])


@pytest.mark.parametrize("point", SOURCE_POINTS)
async def test_nothing_is_lost_or_doubled_by_a_death_at_a_point(valkey: Valkey, start: Start, point: str) -> None:
    dying = await start("--die-at", f"{point}:2")
    assert dying.process.stdin is not None
    for statement in STORY[:4]:
        dying.process.stdin.write(msgspec.json.encode(statement) + b"\n")
    async with asyncio.timeout(PATIENCE_S):
        assert await dying.process.wait() == -signal.SIGKILL

    again = await start()
    await again.take(STORY[:4])

    assert await published(valkey.url, 4) == ids(STORY[:4])


@pytest.mark.parametrize("statement", STORY, ids=lambda s: f"{s.number} {s.kind}")
def test_a_fact_says_what_the_statement_says_and_passes_the_wire(statement: Statement) -> None:
    fact = stated(statement, "chaos-1", 3, datetime(2026, 9, 21, 12, tzinfo=UTC))

    assert fact.__struct_config__.tag == statement.kind
    assert (fact.exposure.before.total, fact.exposure.after.total) == (statement.before.total, statement.after.total)
    assert CODEC.fact(CODEC.entry("orders", fact)) == fact
