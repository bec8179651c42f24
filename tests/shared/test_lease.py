"""A lease has one holder, and what was lost comes back under another token."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from deploy.embedded import Valkey
from shared.lease import Lease
from shared.streams import connect

KEY = "tradecopier:{t}:lease:main"


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator[Redis]:
    client = connect(valkey.url)
    yield client
    await client.aclose()


def lease(redis: Redis, owner: str, duration: float = 30.0) -> Lease:
    return Lease(redis, KEY, duration=duration, owner=owner)


async def test_a_second_one_is_told_who_holds_it(redis: Redis) -> None:
    first, second = lease(redis, "first"), lease(redis, "second")
    assert await first.acquire() is None

    assert await second.acquire() == first.token

    assert first.held
    assert not second.held
    await redis.set(KEY, b"\xff")
    assert await second.acquire() == "\N{REPLACEMENT CHARACTER}"


async def test_it_is_free_once_it_is_given_up(redis: Redis) -> None:
    first, second = lease(redis, "first"), lease(redis, "second")
    await first.acquire()
    await first.release()

    assert await second.acquire() is None


async def test_renewing_keeps_the_token(redis: Redis) -> None:
    held = lease(redis, "first")
    await held.acquire()
    token = held.token

    assert await held.acquire() is None
    assert held.token == token


async def test_a_lost_lease_is_not_renewed_and_comes_back_under_another_token(redis: Redis) -> None:
    held = lease(redis, "first")
    await held.acquire()
    token = held.token
    await redis.delete(KEY)

    assert not await held.renew()
    assert not held.held
    assert await held.acquire() is None
    assert held.token != token


async def test_giving_up_leaves_the_next_holder_alone(redis: Redis) -> None:
    first, second = lease(redis, "first"), lease(redis, "second")
    await first.acquire()
    await redis.delete(KEY)
    await second.acquire()

    await first.release()

    assert await second.renew()


async def test_it_expires_by_itself(redis: Redis) -> None:
    first, second = lease(redis, "first", duration=0.05), lease(redis, "second")
    await first.acquire()

    async with asyncio.timeout(5):
        while await second.acquire() is not None:
            await asyncio.sleep(0.01)

    assert not first.held
