"""Whoever worked for an account is out at once, and back as soon as the account is given up."""

import asyncio
from collections.abc import AsyncIterator
from time import monotonic

import pytest
from redis.asyncio import Redis

from deploy.custody import custody
from deploy.embedded import Valkey
from shared import streams
from shared.lease import Lease
from tests.executor.rig import ACCOUNT, KEYS

LEASE = KEYS.account("lease", ACCOUNT)


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator[Redis]:
    client = streams.connect(valkey.url)
    yield client
    await client.aclose()


async def test_the_holder_is_out_at_once_and_we_wait_for_as_long_as_it_could_have_acted(redis: Redis) -> None:
    lane = Lease(redis, LEASE, duration=1.0, owner="lane")
    await lane.acquire()
    began = monotonic()
    async with custody(redis, KEYS, [ACCOUNT, "other"], "restore") as tokens:
        assert monotonic() - began > 0.8
        assert not await lane.renew()
        assert await lane.acquire() == tokens[ACCOUNT]
        assert tokens["other"] != tokens[ACCOUNT]
    assert await lane.acquire() is None


async def test_nothing_is_waited_for_where_nobody_held_the_account(redis: Redis) -> None:
    began = monotonic()
    async with custody(redis, KEYS, [ACCOUNT], "restore"):
        assert await redis.pttl(LEASE) > 0
    assert monotonic() - began < 5
    assert not await redis.exists(LEASE)


async def test_it_is_renewed_for_as_long_as_it_takes_and_given_up_after_a_failure(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:

    monkeypatch.setattr("deploy.custody.RENEW_S", 0.02)
    monkeypatch.setattr("deploy.custody.LASTS_S", 1)

    async def failing() -> None:
        async with custody(redis, KEYS, [ACCOUNT], "restore") as tokens:
            await asyncio.sleep(1.2)
            assert await redis.get(LEASE) == tokens[ACCOUNT].encode()
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await failing()
    assert not await redis.exists(LEASE)


async def test_of_two_commands_the_later_one_has_the_account(redis: Redis) -> None:
    async with custody(redis, KEYS, [ACCOUNT], "one"), custody(redis, KEYS, [ACCOUNT], "two") as second:
        assert await redis.get(LEASE) == second[ACCOUNT].encode()
