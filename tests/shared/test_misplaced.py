"""What stands in place of a key of ours is nothing; whatever else is wrong is said."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from deploy.embedded import Valkey
from shared import streams
from shared.misplaced import unless_misplaced


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator[Redis]:
    client = streams.connect(valkey.url)
    yield client
    await client.aclose()


async def test_what_is_there_is_answered_and_what_is_something_else_is_not(redis: Redis) -> None:
    await redis.hset("a", "x", "1")
    await redis.set("b", "1")
    assert await unless_misplaced(redis.hgetall("a"), {}) == {b"x": b"1"}
    assert await unless_misplaced(redis.hgetall("b"), {}) == {}
    assert await unless_misplaced(redis.hgetall("c"), {}) == {}


async def test_another_error_is_raised(redis: Redis) -> None:
    with pytest.raises(ResponseError, match="no such key"):
        await unless_misplaced(redis.xinfo_groups("none"), [])
