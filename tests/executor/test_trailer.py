"""Trailing stops on a real (simulated) terminal: moved behind everything else, and again after a restart."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor.attempt import Attempt
from executor.mt5.api import Unknown
from executor.mt5.simulator.faults import FaultKind
from executor.mt5.terminal import Terminal
from executor.parking import Parking
from executor.trailer import Trailer
from shared.facts import Levels
from tests.executor import accounts
from tests.executor.rig import ACCOUNT, KEYS, PATIENCE_S, Simulator, Source, ended, running
from tests.executor.test_trailing import book, link

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


class Recording:
    """Stands in for bookkeeper, follower and runner: a book, what is under way, and the steps that were asked."""

    def __init__(self) -> None:
        ours = link()
        self.book = book(ours, "1.1050", "1.1000")
        self.debts: dict[str, object] = {}
        self.parking = Parking()
        self.asked: list[str] = []

    async def reread(self) -> None:
        """The terminal shows what is in the book."""

    async def run(self, attempt: Attempt, _blocked: object) -> bool:
        self.asked += [step.name for step in attempt.steps]
        return True


async def test_the_levels_of_a_position_with_an_exit_that_is_owed_are_left_to_that() -> None:
    world = Recording()
    stub: Any = world
    trailer = Trailer("main", accounts.settings(), stub, stub, stub, lambda: accounts.NOW)
    world.debts = {"k": object()}
    await trailer.attend()
    assert world.asked == []
    world.debts = {}
    await trailer.attend()
    await trailer.attend()  # its turn has not come again
    assert world.asked == ["trail:1"]
