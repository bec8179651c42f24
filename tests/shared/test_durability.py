"""A server that would lose or throw away trades is named, with what to set."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from deploy.embedded import Valkey
from shared import streams
from shared.durability import unsafe


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator[Redis]:
    client = streams.connect(valkey.url)
    yield client
    await client.aclose()


async def test_the_embedded_server_is_safe(redis: Redis) -> None:
    assert await unsafe(redis) == []


async def test_a_server_without_aof_or_with_eviction_is_named(redis: Redis) -> None:
    await redis.config_set("appendonly", "no")
    await redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        found = await unsafe(redis)
    finally:
        await redis.config_set("maxmemory-policy", "noeviction")
        await redis.config_set("appendonly", "yes")

    assert [("appendonly yes" in line, "noeviction" in line) for line in found] == [(True, False), (False, True)]
