"""Trailing stops on a real (simulated) terminal: moved behind everything else, and again after a restart."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor.mt5.api import Unknown
from executor.mt5.simulator.faults import FaultKind
from executor.mt5.terminal import Terminal
from shared.facts import Levels
from tests.executor.rig import ACCOUNT, KEYS, PATIENCE_S, Simulator, Source, ended, running

DISTANCE = Levels(trailing=Decimal("0.0010"))


async def stop_is(eyes: Terminal, wanted: Callable[[float], bool]) -> float:
    """The stop of the one position, once it is as wanted."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            positions = await eyes.positions()
            assert not isinstance(positions, Unknown)
            if positions and wanted(positions[0].sl):
                return positions[0].sl
            await asyncio.sleep(0.05)


async def test_a_stop_trails_the_price_also_after_a_restart_and_is_never_moved_back(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with simulator.eyes() as eyes:
        async with running(valkey.url, simulator):
            await source.buy("o1", levels=DISTANCE)
            await ended(redis, 1)
            assert await stop_is(eyes, bool) == 1.08412  # behind what the buy costs
            simulator.price("EURUSD", "1.09000", "1.09008")
            assert await stop_is(eyes, lambda stop: stop > 1.085) == 1.089
            simulator.price("EURUSD", "1.08950", "1.08958")
        async with running(valkey.url, simulator):
            await source.levels("o1", take_profit=Decimal("1.2"))
            await ended(redis, 2)
            assert await stop_is(eyes, bool) == 1.089
            simulator.price("EURUSD", "1.09100", "1.09108")
            assert await stop_is(eyes, lambda stop: stop > 1.0891) == 1.09
        positions: Any = await eyes.positions()

    assert positions[0].tp == 1.2


async def test_a_stop_that_is_refused_is_tried_again_and_holds_nothing_up(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator), simulator.eyes() as eyes:
        await source.buy("o1", levels=DISTANCE)
        await ended(redis, 1)
        simulator.goes_wrong(FaultKind.RETCODE, code=10029)
        simulator.price("EURUSD", "1.09000", "1.09008")
        assert await stop_is(eyes, lambda stop: stop > 1.085) == 1.089
        await source.close("o1")
        found = await ended(redis, 2)

    assert [o.result for o in found] == ["filled", "closed"]


async def test_nothing_trails_on_an_account_that_is_halted(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(valkey.url, simulator), simulator.eyes() as eyes:
        await source.buy("o1", levels=DISTANCE)
        await ended(redis, 1)
        await redis.hset(KEYS.account("state", ACCOUNT), "mode", "halted")
        simulator.price("EURUSD", "1.09000", "1.09008")
        async with asyncio.timeout(PATIENCE_S):
            while "does not trail: the account is halted" not in caplog.text:
                await asyncio.sleep(0.05)
        assert await stop_is(eyes, bool) == 1.08412
        await redis.hset(KEYS.account("state", ACCOUNT), "mode", "active")
        assert await stop_is(eyes, lambda stop: stop > 1.085) == 1.089
