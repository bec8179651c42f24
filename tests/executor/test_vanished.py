"""What was delivered beyond an account's place and is in the stream no more is named; what anybody can still read, or
has passed, is not.
"""

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor.vanished import vanished
from shared import streams
from shared.wire import Place
from tests.executor.rig import KEYS, Source


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator[Redis]:
    client = streams.connect(valkey.url)
    yield client
    await client.aclose()


async def published(redis: Redis, *producers: str) -> list[str]:
    """Facts of these producers, one after the other; their entries."""
    sources = {name: Source(redis, producer=name) for name in producers}
    await sources[producers[0]].open()
    for number, name in enumerate(producers):
        await sources[name].buy(f"o{number}")
    return [entry.decode() for entry, _ in cast(list[Any], await redis.xrange(KEYS.orders))]


async def test_facts_of_which_the_stream_has_none_any_more_are_named(redis: Redis) -> None:
    one, _, three, four = await published(redis, "p", "p", "p", "q")
    place = Place(entry=one, seqs={"p": 1, "q": 0})
    assert await vanished(redis, KEYS, place, four) == []
    await redis.xtrim(KEYS.orders, minid=four, approximate=False)
    assert await vanished(redis, KEYS, place, four) == [("p", 2, 3)]
    assert await vanished(redis, KEYS, place, three) == [("p", 2, 3)]


async def test_what_was_passed_or_never_delivered_is_not(redis: Redis) -> None:
    one, two, three = await published(redis, "p", "q", "p")
    await redis.xtrim(KEYS.orders, maxlen=0, approximate=False)
    assert await vanished(redis, KEYS, Place(entry=three, seqs={"p": 2, "q": 1}), three) == []
    assert await vanished(redis, KEYS, Place(entry=three, seqs={"p": 1}), three) == [], "nobody could read its last"
    assert await vanished(redis, KEYS, Place(entry=one, seqs={"p": 1}), two) == []


@pytest.mark.parametrize("kept", ["", "x", "-1 1-1 s", "2 1 s", "99999999999999999999 1-1 s"])
async def test_what_a_stranger_has_written_of_a_producer_says_nothing(redis: Redis, kept: str) -> None:
    await redis.hset(KEYS.producers, "p", kept)
    assert await vanished(redis, KEYS, Place(entry="0-1", seqs={"p": 1}), "9-9") == []
