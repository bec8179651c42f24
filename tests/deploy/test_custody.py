"""Whoever worked for an account is out at once, and back as soon as the account is given up."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic

import pytest
from redis.asyncio import Redis

from deploy.custody import custody
from deploy.embedded import Valkey
from shared import streams
from shared.lease import Lease
from tests.executor.rig import ACCOUNT, KEYS, PATIENCE_S

ROOT = Path(__file__).parents[2]
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


COMMAND = """
import asyncio
from deploy.custody import custody
from shared import streams
from tests.executor.rig import ACCOUNT, KEYS

async def hold():
    async with custody(streams.connect({url!r}), KEYS, [ACCOUNT], "restore"):
        print("held", flush=True)
        await asyncio.sleep(600)

asyncio.run(hold())
"""


async def test_a_command_that_is_killed_holds_the_account_up_for_seconds(valkey: Valkey, redis: Redis) -> None:
    command = await asyncio.create_subprocess_exec(
        sys.executable, "-c", COMMAND.format(url=valkey.url), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    lane = Lease(redis, LEASE, duration=5.0, owner="lane")
    try:
        assert command.stdout is not None
        assert await command.stdout.readline() == b"held\n"
        assert await lane.acquire() is not None
    finally:
        command.kill()
        await command.communicate()
    async with asyncio.timeout(PATIENCE_S):
        while await lane.acquire() is not None:
            await asyncio.sleep(0.05)


async def test_of_two_commands_the_later_one_has_the_account(redis: Redis) -> None:
    async with custody(redis, KEYS, [ACCOUNT], "one"), custody(redis, KEYS, [ACCOUNT], "two") as second:
        assert await redis.get(LEASE) == second[ACCOUNT].encode()
