"""What a lane does about its group is shown with the archive's part of it, in tests/archiver/test_detach.py; here a
lane itself comes back.
"""

import asyncio

import pytest
from redis.asyncio import Redis

from archiver.detach import Detacher
from deploy.embedded import Valkey
from tests.executor.rig import ACCOUNT, KEYS, Simulator, Source, ended, running


async def test_a_lane_that_comes_back_follows_what_it_had_not_read(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(valkey.url, simulator):
        await source.buy("a")
        await ended(redis, 1)
    monkeypatch.setattr("archiver.detach.WATCHED_S", 0.0)
    await source.buy("b")
    await source.close("a")
    await asyncio.sleep(0.01)  # so that both are older than nothing
    assert await Detacher(redis, KEYS, "archiver", after_ms=0).detach() == [ACCOUNT]

    async with running(valkey.url, simulator):
        found = await ended(redis, 3)

    assert [outcome.result for outcome in found] == ["filled", "filled", "closed"]
    assert len(await simulator.deals()) == 3
