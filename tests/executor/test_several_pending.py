"""Several facts of one position without an end: each does what is left of it when its turn comes, and nothing twice."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor.asked import Desk, Resolve
from executor.change import Change
from executor.ledger import Ledger
from executor.mt5.simulator.faults import FaultKind
from shared import facts
from shared.outcomes import Outcome, Pending
from tests.executor.rig import ACCOUNT, CODEC, KEYS, PATIENCE_S, Simulator, Source, account, ended, running, told


async def test_facts_that_were_pending_at_a_crash_are_not_each_sent_by_the_same_old_picture(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    """The increase is followed by the second fact; what comes after it states the same total."""
    await source.buy("o1")
    await source.buy("o1")
    await source.levels("o1", stop_loss=Decimal("0.5"))
    await source.levels("o1", stop_loss=Decimal("0.6"))
    await redis.xreadgroup(ACCOUNT, "executor", {KEYS.orders: ">"}, count=10)

    async with running(valkey.url, simulator), simulator.eyes() as eyes:
        found = await ended(redis, 4)
        positions: Any = await eyes.positions()

    opened = [step.volume for o in found for step in o.steps if step.action == "open" and step.result == "done"]
    assert opened == [Decimal("0.1"), Decimal("0.1")]
    assert [(p.volume, p.sl) for p in positions] == [(0.1, 0.6), (0.1, 0.6)]


async def test_an_increase_that_still_waits_is_not_made_after_the_reversal_behind_it(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    """The reversal's exit acts at once; what was to be added before it must not come on top afterwards."""
    async with running(valkey.url, simulator):
        await source.buy("o1")
        await ended(redis, 1)
        simulator.goes_wrong(FaultKind.NONE, code=-1)
        await source.buy("o2", "0.3")
        await source.buy("o1")
        await source.tell(facts.PositionReversed, "o1", Decimal("-0.3"))
        found = await ended(redis, 4)
        await source.close("o1")
        await source.close("o2")
        await ended(redis, 6)

    outcomes = {o.fact.rpartition(":")[2]: o.result for o in found}
    assert outcomes == {"o1/1": "filled", "o2/1": "filled", "o1/2": "ignored", "o1/3": "filled"}
    assert await simulator.volumes() == []


async def test_a_reversal_whose_opening_waits_does_not_open_with_the_stop_of_what_it_closed(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    """On the other side it would be invalid, and be owed for ever."""
    async with running(valkey.url, simulator), simulator.eyes() as eyes:
        await source.buy("o1", levels=facts.Levels(stop_loss=Decimal("0.5")))
        await ended(redis, 1)
        simulator.goes_wrong(FaultKind.NONE, code=-1)
        await source.buy("o2", "0.3")
        await source.tell(facts.PositionReversed, "o1", Decimal("-0.3"))
        found = await ended(redis, 3)
        positions: Any = await eyes.positions()

    assert [o.result for o in found] == ["filled", "filled", "filled"]
    assert sorted((p.type, p.volume, p.sl) for p in positions) == [(0, 0.3, 0.0), (1, 0.2, 0.0)]


async def test_a_close_waits_for_the_opening_that_was_denied_while_nobody_knew_what_is_whose(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        simulator.goes_wrong(FaultKind.NONE, code=-1)
        await source.buy("o1", "0.3")
        await source.buy("o2", "-0.1")
        await source.close("o2")
        await ended(redis, 3)

    volumes: Any = await simulator.volumes()
    assert volumes == [("EURUSD", 0, 0.3)]


async def test_a_fact_that_is_told_again_while_its_exit_is_owed_does_not_end_it(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    """Its one outcome is the debt's; an `already there` in its place would leave a debt that can never end."""
    async with running(valkey.url, simulator):
        await source.buy("o1")
        await ended(redis, 1)
        simulator.goes_wrong(FaultKind.RETCODE, code=10018, times=4)
        part = await source.close("o1", "0.04")
        source.seq += 1
        await source.publish(replace(part, seq=source.seq))
        found = await ended(redis, 2)
        await source.close("o1")
        found = await ended(redis, 3)

    assert [o.result for o in found] == ["filled", "closed", "closed"]
    assert await simulator.volumes() == []


async def test_levels_that_waited_behind_an_increase_open_nothing_when_newer_ones_were_followed(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    """They were read while the increase was unknown, so that they would have made up for it."""
    patient = account(grace=12.0)
    async with running(valkey.url, simulator, patient):
        await source.buy("o1")
        await ended(redis, 1)
        simulator.goes_wrong(FaultKind.LATE, delay=5000)
        await source.buy("o1")
        waiting = await source.levels("o1", stop_loss=Decimal("0.5"))
        source.seq += 1
        await source.publish(replace(waiting, seq=source.seq))
        await parked(redis, waiting.id, 2)
    async with running(valkey.url, simulator, patient):
        await ended(redis, 2)
        await source.levels("o1", stop_loss=Decimal("0.6"))
        await ended(redis, 4)
        await acknowledged(redis)
        async with simulator.eyes() as eyes:
            positions: Any = await eyes.positions()
        opened = [deal.volume for deal in await simulator.deals() if deal.entry == 0]
        await source.close("o1")
        found = await ended(redis, 5)

    assert sorted(o.fact.rpartition(":")[2] for o in found) == [f"o1/{n}" for n in range(1, 6)]
    assert opened == [0.1, 0.1]
    assert [p.sl for p in positions] == [0.6, 0.6]
    assert await simulator.volumes() == []


async def test_a_stop_is_moved_at_once_although_an_increase_before_it_is_unknown(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    """What nobody knows holds back openings, and not the stop of what is there."""
    async with running(valkey.url, simulator, account(grace=PATIENCE_S)), simulator.eyes() as eyes:
        await source.buy("o1", levels=facts.Levels(stop_loss=Decimal("0.5")))
        await ended(redis, 1)
        simulator.goes_wrong(FaultKind.NONE, code=-1)
        await source.buy("o1")
        await source.levels("o1", stop_loss=Decimal("0.6"))
        async with asyncio.timeout(PATIENCE_S):
            while True:
                positions: Any = await eyes.positions()
                if [p.sl for p in positions] == [0.6]:
                    break
                await asyncio.sleep(0.05)
        ends = [m for m in await told(redis) if isinstance(m, Outcome)]

    assert len(ends) == 1, "the increase has its end already"


async def test_an_increase_that_was_unknown_is_made_when_the_stop_has_moved_meanwhile(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator), simulator.eyes() as eyes:
        await source.buy("o1", levels=facts.Levels(stop_loss=Decimal("0.5")))
        await ended(redis, 1)
        simulator.goes_wrong(FaultKind.NONE, code=-1)
        await source.buy("o1")
        await source.levels("o1", stop_loss=Decimal("0.6"))
        found = await ended(redis, 3)
        await acknowledged(redis)
        positions: Any = await eyes.positions()
        await source.close("o1")
        await ended(redis, 4)

    ends = {o.fact.rpartition(":")[2]: (o.result, o.reason) for o in found}
    assert ends == {"o1/1": ("filled", ""), "o1/2": ("filled", ""), "o1/3": ("ignored", "already-there")}
    assert [(p.volume, p.sl) for p in positions] == [(0.1, 0.6), (0.1, 0.6)]
    assert await simulator.volumes() == []


async def acknowledged(redis: Redis) -> None:
    """Wait until nothing is pending."""
    async with asyncio.timeout(PATIENCE_S):
        while (await redis.xpending(KEYS.orders, ACCOUNT))["pending"]:
            await redis.xread({KEYS.outcomes: "$"}, block=50)


async def parked(redis: Redis, fact: str, times: int) -> None:
    """Wait until a fact was said to be unknown so often."""
    async with asyncio.timeout(PATIENCE_S):
        while sum(isinstance(m, Pending) and m.fact == fact for m in await told(redis)) < times:
            await redis.xread({KEYS.outcomes: "$"}, block=50)


async def test_a_stop_that_is_owed_holds_up_neither_an_increase_nor_a_newer_stop(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    """Only exits that are owed come before an opening; what was opened beside the debt is not closed by it."""
    async with running(valkey.url, simulator), simulator.eyes() as eyes:
        await source.buy("o1", levels=facts.Levels(stop_loss=Decimal("1.08")))
        await ended(redis, 1)
        impossible = await source.levels("o1", stop_loss=Decimal("1.09"))
        await parked(redis, impossible.id, 1)
        await parked(redis, (await source.buy("o1")).id, 1)
        await source.levels("o1", stop_loss=Decimal("1.07"))
        found = await ended(redis, 4)
        await acknowledged(redis)
        positions: Any = await eyes.positions()

    assert {o.fact.rpartition(":")[2]: o.result for o in found} == {
        "o1/1": "filled",
        "o1/2": "modified",
        "o1/3": "filled",
        "o1/4": "modified",
    }
    assert [(p.volume, p.sl) for p in positions] == [(0.1, 1.07), (0.1, 1.07)]


class Died(Exception):
    """The lane ends here, as a process that is killed."""


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Once there is something in it, the lane ends as soon as it has written an outcome."""
    wanted: list[None] = []
    commit = Ledger.commit

    async def commits(self: Ledger, change: Change, now: datetime) -> None:
        await commit(self, change, now)
        if wanted and any(end.work for end in change.ends):
            wanted.clear()
            raise Died

    monkeypatch.setattr(Ledger, "commit", commits)
    return wanted


async def test_a_fact_that_stands_in_two_entries_is_over_with_both_also_where_the_lane_ends_with_its_outcome(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, dying: list[None]
) -> None:
    """Else the next lane would find the other one without an end."""
    patient = account(grace=600.0)
    async with running(valkey.url, simulator, patient):
        simulator.goes_wrong(FaultKind.NONE, code=-1)
        fact = await source.buy("o1")
        await parked(redis, fact.id, 1)
        source.seq += 1
        await source.publish(replace(fact, seq=source.seq))
        await parked(redis, fact.id, 2)
        dying.append(None)
        sent = next(m for m in await told(redis) if isinstance(m, Pending)).steps[0]
        simulator.trade(action=1, symbol="EURUSD", volume=0.1, type=0, magic=sent.mark)
        await ended(redis, 1)
    assert await waiting(redis) == 0

    async with running(valkey.url, simulator, patient):
        await source.buy("o2")
        found = await ended(redis, 2)

    assert [(o.fact[-4:], o.result) for o in found] == [("o1/1", "filled"), ("o2/1", "filled")]
    assert len(await simulator.deals()) == 2


async def test_a_fact_that_was_ended_by_hand_just_before_the_lane_ended_is_over_for_the_next_one(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, dying: list[None]
) -> None:
    """The end by hand takes the entry with it, so that nothing is left to do."""
    patient = account(grace=600.0)
    async with running(valkey.url, simulator, patient):
        simulator.goes_wrong(FaultKind.NONE, code=-1)
        fact = await source.buy("o1")
        await parked(redis, fact.id, 1)
        await asyncio.sleep(patient.window + patient.deadline + 0.1)
        dying.append(None)
        asked = Resolve(target="fact", name=fact.id, result="denied", asked=datetime.now(UTC))
        assert await Desk(redis, KEYS, CODEC, ACCOUNT).ask(asked) == "asked"
        await ended(redis, 1)
    assert await waiting(redis) == 0

    async with running(valkey.url, simulator, patient):
        await source.buy("o2")
        found = await ended(redis, 2)

    assert [(o.fact[-4:], o.result) for o in found] == [("o1/1", "denied"), ("o2/1", "filled")]


async def waiting(redis: Redis) -> int:
    """How many entries are pending."""
    groups: Any = await redis.xinfo_groups(KEYS.orders)
    return int(groups[0]["pending"])
