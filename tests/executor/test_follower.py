"""Facts about a position with an unknown opening lead to the newest total, whatever shows up and when."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor.mt5.simulator.faults import FaultKind
from shared import outcomes
from tests.executor.rig import ACCOUNT, KEYS, PATIENCE_S, Simulator, Source, account, ended, running, told

SLOW = account(grace=3.0)


async def test_an_exit_acts_on_what_is_known_while_an_addition_is_not(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator, SLOW):
        await source.buy("o1", "0.1")
        await ended(redis, 1)
        simulator.goes_wrong(FaultKind.NONE, code=-1)
        await source.buy("o1", "0.2")
        await source.close("o1")
        (_, closed) = await ended(redis, 2)
        at_once = await simulator.volumes()
        found = await ended(redis, 3)

    assert (closed.fact[-1], closed.result) == ("3", "closed")
    assert at_once == []
    assert (found[2].fact[-1], found[2].result, found[2].reason) == ("2", "ignored", "superseded")
    assert await simulator.volumes() == []


async def test_an_addition_that_waited_while_all_of_it_was_taken_back_is_not_made(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    """Nobody knows of any of the three when another lane comes; made late, it would be closed at once, at a cost."""
    async with running(valkey.url, simulator, SLOW):
        simulator.goes_wrong(FaultKind.NONE, code=-1)
        await source.buy("o1", "0.1")
        await source.buy("o1", "0.2")
        await source.close("o1", "0.2")
        async with asyncio.timeout(PATIENCE_S):
            while await redis.xlen(KEYS.outcomes) < 3:
                await redis.xread({KEYS.outcomes: "$"}, block=50)
    async with running(valkey.url, simulator, SLOW):
        found = await ended(redis, 3)

    became = {o.fact[-1]: o.reason or o.result for o in found}
    assert became == {"1": "filled", "2": "superseded", "3": "already-there"}
    assert await simulator.volumes() == [("EURUSD", 0, 0.1)]


async def test_an_addition_that_shows_up_after_the_exit_is_closed(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator, SLOW):
        await source.buy("o1", "0.1")
        await ended(redis, 1)
        simulator.goes_wrong(FaultKind.LATE, delay=800)
        await source.buy("o1", "0.2")
        await source.close("o1")
        found = await ended(redis, 3)

    became = {o.fact[-1]: o.result for o in found}
    assert (became["1"], became["3"]) == ("filled", "closed")
    assert became["2"] in {"filled", "closed"}  # seen before the exit was followed, or after it
    assert await simulator.volumes() == []
    assert await redis.hgetall(KEYS.account("links", ACCOUNT)) == {}


async def test_an_opening_that_a_dead_lane_sent_is_found_after_newer_facts_were_followed(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    """The addition was sent and the answer lost; its exit was followed; then the lane died and another one came."""
    async with running(valkey.url, simulator, SLOW):
        await source.buy("o1", "0.1")
        await ended(redis, 1)
        simulator.goes_wrong(FaultKind.NONE, code=-1)
        await source.buy("o1", "0.2")
        await source.close("o1")
        await ended(redis, 2)
    mark: Any = next(m for m in await told(redis) if isinstance(m, outcomes.Pending)).steps[0].mark
    simulator.trade(action=1, symbol="EURUSD", volume=0.2, type=0, magic=mark)

    async with running(valkey.url, simulator, SLOW):
        found = await ended(redis, 3)

    assert (found[2].fact[-1], found[2].result) == ("2", "closed")
    assert await simulator.volumes() == []


async def test_openings_of_an_instrument_keep_their_order(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    simulator.goes_wrong(FaultKind.NONE, code=-1)

    async with running(valkey.url, simulator):
        for name in ("o1", "o2", "o3"):
            await source.buy(name)
        found = await ended(redis, 3)

    assert [o.fact for o in found] == [f"demo/10001/position:{name}/1" for name in ("o1", "o2", "o3")]
    deals = await simulator.deals()
    assert [d.volume for d in deals] == [0.1] * 3


async def test_a_parked_fact_is_told_once(valkey: Valkey, redis: Redis, source: Source, simulator: Simulator) -> None:
    simulator.goes_wrong(FaultKind.NONE, code=-1)

    async with running(valkey.url, simulator):
        await source.buy("o1")
        await ended(redis, 1)

    states = [m for m in await told(redis) if isinstance(m, outcomes.Pending)]
    assert [(m.state, m.steps[0].result) for m in states] == [("unresolved", "unresolved")]
    assert states[0].steps[0].volume == Decimal("0.1")


async def test_an_exit_waits_for_the_opening_that_waits(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        simulator.goes_wrong(FaultKind.NONE, code=-1)
        await source.buy("o2")
        await source.buy("o3", "0.3")
        await source.close("o3", "0.1")
        found = await ended(redis, 3)

    assert [(o.fact[-4:], o.result) for o in found] == [("o2/1", "filled"), ("o3/1", "filled"), ("o3/2", "closed")]
    assert sorted(await simulator.volumes()) == [("EURUSD", 0, 0.1), ("EURUSD", 0, 0.2)]


async def test_an_opening_that_waits_is_not_made_when_the_exit_behind_it_takes_all_of_it_back(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    """Made late, it would be closed at once, at a cost."""
    async with running(valkey.url, simulator):
        simulator.goes_wrong(FaultKind.NONE, code=-1)
        await source.buy("o2")
        await source.buy("o3")
        await source.close("o3")
        found = await ended(redis, 3)

    became = [(o.fact[-4:], o.reason or o.result) for o in found]
    assert became == [("o2/1", "filled"), ("o3/1", "superseded"), ("o3/2", "nothing-here")]
    assert await simulator.volumes() == [("EURUSD", 0, 0.1)]


async def test_a_fact_that_a_new_owner_states_again_needs_nothing_and_interrupts_nobody(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(valkey.url, simulator):
        fact = await source.buy("o1")
        await ended(redis, 1)
        source.seq += 1
        await source.publish(replace(fact, seq=source.seq, evidence="poll"))
        await source.buy("o2")
        await ended(redis, 2)

    assert len(await simulator.deals()) == 2
    assert "another lane" not in caplog.text
