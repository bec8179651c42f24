"""What an account found missing, or was about to follow again, is followed after a restore, however often it began."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from shared.facts import Fact
from shared.outcomes import Kept, Notice
from shared.streams import Publisher
from tests.conftest import Database
from tests.deploy.archived import PATIENCE_S, archive, brought_back, ends_of
from tests.executor.rig import ACCOUNT, CODEC, KEYS, OWNER, Simulator, Source, ended, running, told
from tests.executor.test_operator import say

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
async def source(redis: Redis) -> Source:
    """A source that owns its name."""
    await redis.set(KEYS.source("lease", "demo"), OWNER)
    return Source(redis)


async def wholes(redis: Redis) -> int:
    """How often an executor has begun."""
    return sum(isinstance(message, Kept) and message.whole for message in await told(redis))


async def removed(source: Source, redis: Redis, dsn: str) -> Fact:
    """A fact that is archived, and leaves the stream before its account reads it."""
    fact = await source.buy("b", "0.2")
    await archive(redis, dsn)
    newest: Any = await redis.xrevrange(KEYS.orders, count=1)
    await redis.xdel(KEYS.orders, newest[0][0])
    return fact


async def test_a_fact_that_was_removed_is_followed_though_its_executor_has_begun_anew_since(
    valkey: Any, archive_of_rig: Database, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        await source.buy("a", "0.1")
        await ended(redis, 1)
    lost = await removed(source, redis, archive_of_rig.dsn)
    async with running(valkey.url, simulator):
        await source.buy("c", "0.3")
        await ended(redis, 2)
    async with running(valkey.url, simulator):
        await source.close("a")
        await ended(redis, 3)
    await archive(redis, archive_of_rig.dsn)

    lines = await brought_back(valkey.url, archive_of_rig.dsn)
    await say(redis, "resume")
    async with running(valkey.url, simulator):
        became = await ends_of(redis, lost)

    assert "1 fact followed again" in lines[-1]
    assert became == {lost.id: "filled"}
    assert await simulator.volumes() == [("EURUSD", 0, 0.2)]
    notice = next(m for m in await told(redis) if isinstance(m, Notice) and m.reason == "removed")
    assert "restore" in notice.text
    assert await brought_back(valkey.url, archive_of_rig.dsn) == []


async def test_what_was_to_be_followed_again_is_not_forgotten_by_the_next_loss(
    valkey: Any, archive_of_rig: Database, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        await source.buy("a", "0.1")
        await ended(redis, 1)
    waiting = await source.buy("b", "0.2")
    await archive(redis, archive_of_rig.dsn)
    await redis.flushall()
    await brought_back(valkey.url, archive_of_rig.dsn, ACCOUNT)

    def dies(_point: str) -> None:
        raise RuntimeError("dies")

    async with running(valkey.url, simulator, reach=dies, wait=False), asyncio.timeout(PATIENCE_S):
        while not await wholes(redis):
            await asyncio.sleep(0.05)
    await archive(redis, archive_of_rig.dsn, streams=["outcomes"])
    await redis.flushall()
    await redis.set(KEYS.source("lease", "demo"), OWNER)

    lines = await brought_back(valkey.url, archive_of_rig.dsn, ACCOUNT)
    await say(redis, "resume")
    async with running(valkey.url, simulator):
        became = await ends_of(redis, waiting)

    assert "1 fact followed again" in lines[-1]
    assert became == {waiting.id: "filled"}
    assert len(await simulator.deals()) == 2
    assert await Publisher(redis, KEYS, CODEC).last("rig") == 2
