"""What is owed is done, once, however often it was refused and whoever goes on with it."""

import asyncio
from contextlib import closing
from decimal import Decimal
from typing import Any

import pytest
from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor import payer
from executor.mt5.simulator.faults import FaultKind
from executor.mt5.simulator.remote import Remote
from executor.payer import Payer
from shared import facts, outcomes
from tests.executor.rig import ACCOUNT, KEYS, PATIENCE_S, Simulator, Source, ended, running, told


async def owed(redis: Redis, count: int) -> None:
    """Wait until so many facts are owed."""
    while len([m for m in await told(redis) if isinstance(m, outcomes.Pending) and m.state == "owed"]) < count:
        await redis.xread({KEYS.outcomes: "$"}, block=50)


async def test_another_lane_goes_on_with_what_is_owed(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        await source.buy("o1", "1")
        await ended(redis, 1)
        simulator.goes_wrong(FaultKind.RETCODE, code=10018, times=0)
        await source.close("o1", "0.4")
        await owed(redis, 1)
    simulator.heal()

    async with running(valkey.url, simulator):
        found = await ended(redis, 2)

    assert found[1].result == "closed"
    assert await simulator.volumes() == [("EURUSD", 0, 0.6)]
    assert len(await simulator.deals()) == 2


async def test_what_is_owed_though_its_end_was_told_before_is_closed_without_another_end(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    """A failover has forgotten the end, and what was put back since remembers it."""
    async with running(valkey.url, simulator):
        await source.buy("o1", "1")
        await ended(redis, 1)
        simulator.goes_wrong(FaultKind.RETCODE, code=10018, times=0)
        exit_ = await source.close("o1")
        await owed(redis, 1)
    simulator.heal()
    await redis.hset(KEYS.account("done", ACCOUNT), f"{exit_.id}#1", "closed 0 0-0")

    async with running(valkey.url, simulator):
        await source.buy("o2", "0.1")
        found = await ended(redis, 2)
        async with asyncio.timeout(PATIENCE_S):
            while await redis.exists(KEYS.account("debts", ACCOUNT)):
                await asyncio.sleep(0.02)

    assert [outcome.result for outcome in found] == ["filled", "filled"]
    assert await simulator.volumes() == [("EURUSD", 0, 0.1)]
    assert len(await simulator.deals()) == 3


async def test_what_the_broker_takes_in_no_order_any_more_ends_and_is_said(
    valkey: Valkey, redis: Redis, source: Source, netting: Simulator
) -> None:
    """The broker has raised the least volume; beside ours is somebody else's, so ours is not the whole position."""
    async with running(valkey.url, netting):
        await source.buy("o1", "0.1")
        await ended(redis, 1)
    netting.trade(action=1, symbol="EURUSD", volume=0.3, type=0)
    with closing(Remote.at(netting.address)) as remote:
        remote.symbol("EURUSD", volume_min="0.2")
    async with running(valkey.url, netting):
        await source.close("o1")
        (_, found) = await ended(redis, 2)

    assert (found.result, found.reason) == ("rejected", "invalid-volume")
    assert "0.1 lots of EURUSD stay open: the broker takes no order below 0.2" in found.text
    assert any(isinstance(m, outcomes.Notice) and "stay open" in m.text for m in await told(redis))
    assert await netting.volumes() == [("EURUSD", 0, 0.4)]
    assert not await redis.hlen(KEYS.account("debts", ACCOUNT))


async def test_facts_that_wait_for_one_debt_end_together(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        await source.buy("o1", "1")
        await ended(redis, 1)
        simulator.goes_wrong(FaultKind.RETCODE, code=10018, times=0)
        for part in ("0.5", "0.25", None):
            await source.close("o1", part)
        await owed(redis, 3)
        simulator.heal()
        found = await ended(redis, 4)

    assert [(o.fact[-1], o.result) for o in found] == [
        ("1", "filled"),
        ("2", "closed"),
        ("3", "closed"),
        ("4", "closed"),
    ]
    assert await simulator.volumes() == []
    assert await redis.hgetall(KEYS.account("debts", ACCOUNT)) == {}


async def test_an_exit_that_a_person_does_meanwhile_is_no_longer_owed(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        await source.buy("o1", "1")
        await ended(redis, 1)
        simulator.goes_wrong(FaultKind.RETCODE, code=10018, times=0)
        await source.close("o1")
        await owed(redis, 1)
        simulator.heal()
        await simulator.close_by_hand()
        found = await ended(redis, 2)

    assert found[1].fact[-1] == "2"
    assert len(await simulator.deals()) == 2
    assert await redis.hgetall(KEYS.account("links", ACCOUNT)) == {}


async def test_an_opening_waits_for_what_is_owed_on_its_position(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        await source.buy("o1", "1")
        await ended(redis, 1)
        simulator.goes_wrong(FaultKind.RETCODE, code=10018, times=0)
        await source.close("o1", "0.5")
        await owed(redis, 1)
        await source.buy("o1", "0.2")
        simulator.heal()
        found = await ended(redis, 3)

    assert {o.fact[-1]: o.result for o in found} == {"1": "filled", "2": "closed", "3": "filled"}
    assert sum(volume for _, _, volume in await simulator.volumes()) == 0.7


@pytest.mark.parametrize("first", ["", "0.4"])
@pytest.mark.parametrize("back", ["whole", "half"])
async def test_a_position_that_turns_twice_while_its_exit_is_owed_ends_as_the_source_holds_it(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, first: str, back: str
) -> None:
    """What it turns back to is the total that was followed last; but what had that is to be closed."""
    async with running(valkey.url, simulator):
        await source.buy("o1", "1")
        await ended(redis, 1)
        simulator.goes_wrong(FaultKind.RETCODE, code=10018, times=0)
        if first:
            await source.close("o1", first)
        had = Decimal(1) - Decimal(first or 0)
        await source.tell(facts.PositionReversed, "o1", -2 * had)
        last = await source.tell(facts.PositionReversed, "o1", 2 * had if back == "whole" else had * 3 / 2)
        while all(getattr(m, "fact", "") != last.id for m in await told(redis)):
            await redis.xread({KEYS.outcomes: "$"}, block=50)
        simulator.heal()
        found = await ended(redis, 4 if first else 3)

    assert {o.result for o in found} <= {"filled", "closed"}
    assert await simulator.volumes() == [("EURUSD", 0, float(last.exposure.after.total))]


async def test_levels_that_come_to_a_debt_are_tried_at_once(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They protect what is there, and do not wait for when the exit is due again."""
    tried, settle = asyncio.Event(), Payer._settle

    async def settled(self: Payer, *how: Any) -> None:
        await settle(self, *how)
        tried.set()

    monkeypatch.setattr(Payer, "_settle", settled)
    monkeypatch.setattr(payer, "FIRST_TRY_S", 1000.0)
    monkeypatch.setattr(payer, "LONGEST_WAIT_S", 1000.0)
    async with running(valkey.url, simulator):
        await source.buy("o1", "1")
        await ended(redis, 1)
        simulator.goes_wrong(FaultKind.RETCODE, code=10018, times=0)
        await source.close("o1", "0.5")
        async with asyncio.timeout(PATIENCE_S):
            await tried.wait()
        simulator.heal()
        await source.buy("o1", "0.2", levels=facts.Levels(stop_loss=Decimal("1.05")))
        found = await ended(redis, 3)

    assert {o.result for o in found[1:]} == {"closed", "filled"}
    assert sorted(await simulator.volumes()) == [("EURUSD", 0, 0.2), ("EURUSD", 0, 0.5)]
