"""How full the streams are, as a real server tells it: what it cannot tell is unknown, never 0."""

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from deploy.embedded import Valkey
from shared import depth, groups, streams
from shared.streams import Keys, Reader

KEYS = Keys("depth")


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator[Redis]:
    client = streams.connect(valkey.url)
    yield client
    await client.aclose()


async def add(redis: Redis, count: int) -> list[bytes | str]:
    return [await redis.xadd(KEYS.orders, {"m": "x"}) for _ in range(count)]


async def test_an_empty_server_has_no_entries_and_no_groups(redis: Redis) -> None:
    found = await depth.measure(redis, KEYS)

    assert found.lengths == {"orders": 0, "outcomes": 0, "dead": 0}
    assert found.groups == ()
    assert 0 < found.used < found.limit


async def test_lag_counts_what_was_not_read_and_pending_what_was_not_acknowledged(redis: Redis) -> None:
    """Beside a group that somebody has made whose name is no text."""
    await groups.join_archive(redis, KEYS.orders, "archiver")
    await redis.xgroup_create(KEYS.orders, cast(Any, b"\xff"), "0")
    await add(redis, 5)
    await Reader(redis, KEYS.orders, "archiver", "a").read(2)
    await redis.xreadgroup(cast(Any, b"\xff"), "a", {KEYS.orders: ">"}, count=1)

    found = (await depth.measure(redis, KEYS)).group("orders", "archiver")

    assert found is not None
    assert (found.lag, found.pending) == (3, 2)
    assert 0 <= found.oldest < 10


async def test_lag_is_unknown_when_the_server_cannot_tell(redis: Redis) -> None:
    """An entry was removed by hand behind the group's place."""
    await groups.join_archive(redis, KEYS.orders, "archiver")
    ids = await add(redis, 5)
    await Reader(redis, KEYS.orders, "archiver", "a").read(1)
    await redis.xdel(KEYS.orders, ids[3])

    found = (await depth.measure(redis, KEYS)).group("orders", "archiver")

    assert found is not None
    assert found.lag is None
