"""Lanes that compare themselves with their source: what is told, what is kept, and what is mended on request."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from deploy.control import order
from deploy.custody import custody
from deploy.embedded import Valkey
from deploy.membership import repoint
from executor import joining, reconciler, steady
from executor.asked import Desk, Mend
from executor.book import Link
from executor.lane import Lane
from executor.mt5.simulator.faults import FaultKind
from executor.settings import Account
from shared import outcomes, streams, vitals
from shared.facts import Levels
from shared.vitals import SourceVitals
from tests.executor.rig import ACCOUNT, CODEC, KEYS, PATIENCE_S, Simulator, Source, account, ended, running, told
from tests.executor.seals import join

D = Decimal
DRIFT, STATE, PICTURE = KEYS.account("drift", ACCOUNT), KEYS.account("state", ACCOUNT), KEYS.source("picture", "demo")
MARKED = 0x95 << 45 | 7
"""A mark of ours that no step of a test bears."""


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lasts for a while lasts for less than a second."""
    monkeypatch.setattr(steady, "STEADY", timedelta(seconds=0.3))
    monkeypatch.setattr(reconciler, "AGAIN_S", 0.1)


def looking(**changes: Any) -> Account:
    """An account that looks often."""
    return account(reconcile_every=0.2, **changes)


async def until(there: Callable[[], Any]) -> Any:
    """What `there` gives, once it gives something."""
    async with asyncio.timeout(PATIENCE_S):
        while not (found := await there()):
            await asyncio.sleep(0.02)
    return found


async def drifts(redis: Redis) -> list[outcomes.Drift]:
    return [m for m in await told(redis) if isinstance(m, outcomes.Drift)]


async def drifting(redis: Redis, count: int = 1) -> list[outcomes.Drift]:
    """The disagreements that were told, once there are so many."""
    async with asyncio.timeout(PATIENCE_S):
        while len(found := await drifts(redis)) < count:
            await asyncio.sleep(0.02)
    return found


async def notices(redis: Redis) -> list[str]:
    return [m.text for m in await told(redis) if isinstance(m, outcomes.Notice)]


async def mend(redis: Redis) -> None:
    """Ask for everything to be mended that is kept, as the command does, and wait until that was looked after."""
    kept: Any = await redis.hkeys(DRIFT)
    names = tuple(sorted(name.decode() for name in kept))
    desk = Desk(redis, KEYS, CODEC, ACCOUNT)
    assert names
    assert await desk.ask(Mend(names=names, asked=datetime.now(UTC))) == "asked"
    async with asyncio.timeout(PATIENCE_S):
        while await desk.requests():
            await asyncio.sleep(0.02)


async def seen_now(redis: Redis) -> None:
    """Somebody looks at the source."""
    now = datetime.now(UTC)
    await vitals.tell_source(redis, KEYS, "demo", SourceVitals(at=now, owned=True, polled=now))


def stray(simulator: Simulator, magic: int = MARKED) -> int:
    """A position that bears a mark of ours, or another number, and that no lane has opened; returns its ticket."""
    answer = simulator.trade(action=1, symbol="EURUSD", volume=0.3, type=0, magic=magic)
    return int(answer["order"])


# -- told once


async def test_what_the_source_has_closed_is_told_once_kept_and_told_again_when_it_is_over(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator, looking()) as lane:
        await source.buy("o1")
        await ended(redis, 1)
        kept = await redis.hget(PICTURE, "10001/position:o1")
        await redis.hdel(PICTURE, "10001/position:o1")
        (begun,) = await drifting(redis)
        await until(lambda: _shown(lane))
        shown = [each.text for each in lane.meter.drifting]
        await redis.hset(PICTURE, "10001/position:o1", kept)
        _, over = await drifting(redis, 2)
        await until(lambda: _gone(lane))

    assert (begun.finding, begun.expected, begun.actual, begun.ended) == ("left-open", D(0), D("0.1"), None)
    assert shown == ["EURUSD: +0 lots expected, +0.1 there (the source has none)"]
    assert (over.identity, over.since) == (begun.identity, begun.since)
    assert over.ended is not None
    assert await redis.hlen(DRIFT) == 0


async def _shown(lane: Lane) -> bool:
    return bool(lane.meter.drifting)


async def _gone(lane: Lane) -> bool:
    return not lane.meter.drifting


async def test_a_lane_that_begins_anew_neither_tells_it_again_nor_forgets_that_it_is_over(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    ticket = stray(simulator)
    async with running(valkey.url, simulator, looking()):
        (begun,) = await drifting(redis)
    async with running(valkey.url, simulator, looking()) as lane:
        await until(lambda: _looked(redis))
        assert [each.since for each in lane.meter.drifting] == [begun.since]
        simulator.trade(action=1, symbol="EURUSD", volume=0.3, type=1, position=ticket)
        _, over = await drifting(redis, 2)

    assert len(await drifts(redis)) == 2
    assert over.identity == begun.identity == f"stray:{ticket}"


async def _looked(redis: Redis) -> bool:
    return bool(await redis.hget(STATE, joining.FIELD))


async def test_a_reading_that_fails_concludes_nothing(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator, looking()):
        await source.buy("o1", levels=Levels(stop_loss=D("1.08")))
        await ended(redis, 1)
        for _ in range(3):
            simulator.goes_wrong(FaultKind.NONE, function="positions_get", times=2)
            await asyncio.sleep(0.2)
        await source.close("o1")
        found = await ended(redis, 2)

    assert [o.result for o in found] == ["filled", "closed"]
    assert await drifts(redis) == []


# -- what is not to be followed


async def test_what_is_closed_on_the_operators_word_is_no_drift_and_what_is_refused_is(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator, looking()):
        await source.buy("o1")
        await ended(redis, 1)
        await order(redis, KEYS, lambda: CODEC, "flatten", {ACCOUNT: True})
        await until(lambda: _flat(simulator))
        await source.buy("o2", "0.2")
        await ended(redis, 2)
        (found,) = await drifting(redis)

    assert (found.finding, found.position, found.expected) == ("not-followed", "demo/10001/o2", D("0.2"))


async def _flat(simulator: Simulator) -> bool:
    return not await simulator.volumes()


@asynccontextmanager
async def held_before(valkey: Valkey) -> AsyncIterator[tuple[Redis, Source]]:
    """A source that holds o1 (0.1), o2 (0.3 less 0.1, with a stop) and a limit order before the account is there."""
    redis = streams.connect(valkey.url)
    source = Source(redis)
    await source.open()
    await source.buy("o1")
    await source.buy("o2", "0.3")
    await source.close("o2", "0.1")
    await source.levels("o2", stop_loss=D("1.05"))
    await source.limit("o3", "0.1", "1.05")
    await join(redis)
    try:
        yield redis, source
    finally:
        await redis.aclose()


@asynccontextmanager
async def joining_late(valkey: Valkey, simulator: Simulator, **changes: Any) -> AsyncIterator[tuple[Redis, Source]]:
    """An account that begins when its source holds something."""
    async with held_before(valkey) as found, running(valkey.url, simulator, looking(**changes)):
        yield found


async def test_what_was_there_before_the_account_is_left_alone(valkey: Valkey, simulator: Simulator) -> None:
    async with joining_late(valkey, simulator) as (redis, source):
        await seen_now(redis)
        await until(lambda: _looked(redis))
        await source.buy("o4", "0.2")
        await ended(redis, 1)
        await source.close("o1")
        await ended(redis, 2)
        await until(lambda: _left(redis, 2))
        told_of = await drifts(redis)

    assert await simulator.volumes() == [("EURUSD", 0, 0.2)]
    assert told_of == []


async def _left(redis: Redis, count: int) -> bool:
    kept: Any = await redis.hget(STATE, joining.FIELD)
    return len(joining.read(kept.decode()).left) == count


async def test_or_is_opened_once_as_it_is_now_where_the_settings_say_so(valkey: Valkey, simulator: Simulator) -> None:
    async with joining_late(valkey, simulator, join="adopt") as (redis, source):
        await asyncio.sleep(0.5)
        assert await simulator.volumes() == [], "nobody has looked at the source yet"
        await seen_now(redis)
        found = await ended(redis, 3)
        await source.close("o2")
        found = await ended(redis, 4)

    assert sorted(o.result for o in found[:3]) == ["accepted", "filled", "filled"]
    assert {step.volume for o in found[:3] for step in o.steps if step.action == "open"} == {D("0.1"), D("0.2")}
    assert [step.stop_loss for o in found[:3] for step in o.steps if step.volume == D("0.2")] == [D("1.05")]
    assert await simulator.volumes() == [("EURUSD", 0, 0.1)]
    assert len(await simulator.orders()) == 1


@pytest.mark.parametrize("join", ["new", "adopt"])
async def test_what_a_source_held_before_anybody_looked_is_left_alone_or_opened_once(
    join: Any, valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator, looking(join=join)):
        await seen_now(redis)
        await until(lambda: _looked(redis))
        await source.held("o1", "0.3")
        await source.buy("o2", "0.2")
        await ended(redis, 3 if join == "adopt" else 2)
        await source.close("o1", "0.1")
        found = await ended(redis, 4 if join == "adopt" else 3)

    adopted = [("EURUSD", 0, 0.2)] if join == "adopt" else []
    assert sorted(await simulator.volumes()) == [*adopted, ("EURUSD", 0, 0.2)]
    assert found[0].result == "ignored"
    assert await drifts(redis) == []


async def test_what_was_adopted_is_not_adopted_again_by_the_next_lane(valkey: Valkey, simulator: Simulator) -> None:
    async with joining_late(valkey, simulator, join="adopt") as (redis, _):
        await seen_now(redis)
        await ended(redis, 3)
    async with running(valkey.url, simulator, looking(join="adopt")):
        await asyncio.sleep(1)

    assert len(await simulator.deals()) == 2
    assert len(await simulator.orders()) == 1


async def test_an_account_that_is_to_adopt_begins_when_it_is_live(valkey: Valkey, simulator: Simulator) -> None:
    async with held_before(valkey) as (redis, source):
        await seen_now(redis)
        async with running(valkey.url, simulator, looking(join="adopt", mode="shadow")):
            await until(lambda: _looked(redis))
            await source.buy("o4", "0.4")
            await ended(redis, 1)
            await asyncio.sleep(0.5)
        assert await simulator.volumes() == []
        async with running(valkey.url, simulator, looking(join="adopt")):
            found = await ended(redis, 5)

    assert sorted(o.result for o in found) == ["accepted", "filled", "filled", "filled", "ignored"]
    assert sorted(lots for _, _, lots in await simulator.volumes()) == [0.1, 0.2, 0.4]


class Cut(Exception):
    """The executor ends at a point of the protocol."""


@pytest.mark.parametrize("point", ["fenced", "called", "committed"])
async def test_a_crash_while_it_adopts_leads_to_each_position_once(
    point: str, valkey: Valkey, simulator: Simulator
) -> None:
    reached = asyncio.Event()

    def reach(now: str) -> None:
        if now == point:
            reached.set()
            raise Cut(point)

    async with held_before(valkey) as (redis, _):
        await seen_now(redis)
        async with running(valkey.url, simulator, looking(join="adopt"), reach=reach, lease_s=1.0):
            await asyncio.wait_for(reached.wait(), PATIENCE_S)
        async with running(valkey.url, simulator, looking(join="adopt")):
            found = await ended(redis, 3)
            await asyncio.sleep(0.5)

    assert sorted(o.result for o in found) == ["accepted", "filled", "filled"]
    assert sorted(await simulator.volumes()) == [("EURUSD", 0, 0.1), ("EURUSD", 0, 0.2)]
    assert len(await simulator.deals()) == 2
    assert len(await simulator.orders()) == 1


async def test_what_an_account_has_abandoned_is_adopted_by_the_login_that_comes_next(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, tmp_path: Path
) -> None:
    """What was done about it under the old login has no effect under the new one."""
    async with running(valkey.url, simulator, looking()):
        await source.buy("o1", "0.2")
        await ended(redis, 1)
    async with custody(redis, KEYS, [ACCOUNT], "repoint") as tokens:
        await repoint(redis, KEYS, CODEC, tokens[ACCOUNT], ACCOUNT, "", abandon=True)
    other = Simulator(tmp_path / "other")
    await other.start()
    try:
        other.price("EURUSD", "1.08504", "1.08512")
        async with running(valkey.url, other, looking(join="adopt")):
            await seen_now(redis)
            found = await ended(redis, 2)
        volumes = await other.volumes()
    finally:
        other.stop()

    assert [(o.attempt, o.result) for o in found] == [(1, "filled"), (2, "filled")]
    assert volumes == [("EURUSD", 0, 0.2)]


@pytest.mark.parametrize("guard", [{"max_drift_percent": D("0.0001")}, {"max_lots": D("0.05")}])
async def test_guards_of_openings_hold_for_what_is_adopted(
    guard: dict[str, Any], valkey: Valkey, simulator: Simulator
) -> None:
    limits = msgspec.structs.replace(account().limits, max_age=D(1), **guard)
    simulator.price("EURUSD", "1.1", "1.1001")
    async with joining_late(valkey, simulator, join="adopt", limits=limits) as (redis, _):
        await asyncio.sleep(1.2)  # longer than the age at which an opening is refused: that alone does not count here
        await seen_now(redis)
        found = await ended(redis, 3)

    assert {o.reason for o in found if o.result == "denied"} <= {"price-ran-away", "lots"}
    assert await simulator.volumes() == []


# -- mended


async def test_what_an_operator_wants_mended_is_mended_and_what_is_not_ours_stays(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    stray(simulator)
    stray(simulator, magic=12345)
    async with running(valkey.url, simulator, looking()):
        await source.buy("o1", levels=Levels(stop_loss=D("1.08")))
        ((filled,),) = [o.steps for o in await ended(redis, 1)]
        simulator.trade(action=6, symbol="EURUSD", position=filled.ticket, sl=0.0, tp=0.0)
        await redis.hdel(PICTURE, "10001/position:o1")
        begun = await drifting(redis, 3)
        await mend(redis)
        await until(lambda: _nothing_kept(redis))
        said = await notices(redis)

    assert sorted(d.finding for d in begun) == ["left-open", "levels", "stray"]
    assert await simulator.volumes() == [("EURUSD", 0, 0.3)]
    assert len(said) == 2, "of one position one thing at a time: what is closed needs no levels"
    assert sum(d.ended is not None for d in await drifts(redis)) == 3


async def _nothing_kept(redis: Redis) -> bool:
    return await redis.hlen(DRIFT) == 0


async def test_what_was_refused_is_opened_when_it_is_asked_for_at_its_present_size(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator, looking()):
        await redis.hset(STATE, mapping={"mode": "close-only", "reason": "operator"})
        await source.buy("o1", "0.3")
        await source.close("o1", "0.1")
        await drifting(redis)
        await redis.hset(STATE, mapping={"mode": "active", "reason": "operator"})
        await mend(redis)
        assert any("nobody has looked" in text for text in await notices(redis))
        await seen_now(redis)
        await mend(redis)
        found = await ended(redis, 3)
        await until(lambda: _nothing_kept(redis))

    assert found[-1].result == "filled"
    assert await simulator.volumes() == [("EURUSD", 0, 0.2)]


async def test_a_reversal_that_was_only_closed_is_opened_when_it_is_asked_for(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator, looking()):
        await source.buy("o1", "0.2")
        await ended(redis, 1)
        await redis.hset(STATE, "mode", "close-only")
        await source.buy("o1", "-0.3")
        assert (await ended(redis, 2))[-1].result == "closed"
        await redis.hset(STATE, "mode", "active")
        await drifting(redis)
        await seen_now(redis)
        await mend(redis)
        again = (await ended(redis, 3))[-1]

    assert (again.result, await simulator.volumes()) == ("filled", [("EURUSD", 1, 0.1)])


async def test_levels_that_somebody_removed_are_set_again(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator, looking()):
        await source.buy("o1", levels=Levels(stop_loss=D("1.08")))
        ((filled,),) = [o.steps for o in await ended(redis, 1)]
        simulator.trade(action=6, symbol="EURUSD", position=filled.ticket, sl=0.0, tp=0.0)
        (found,) = await drifting(redis)
        await mend(redis)
        await until(lambda: _nothing_kept(redis))
        async with simulator.eyes() as eyes:
            positions: Any = await eyes.positions()

    assert found.finding == "levels"
    assert [p.sl for p in positions] == [1.08]


# -- doubles


async def again(simulator: Simulator, outcome: outcomes.Outcome) -> None:
    """The terminal executes an opening once more, of which it had said nothing before."""
    (step,) = outcome.steps
    simulator.trade(action=1, symbol="EURUSD", volume=0.1, type=0, magic=step.mark)


async def test_an_opening_that_the_terminal_executes_after_the_grace_is_told_and_left(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator, looking()):
        simulator.goes_wrong(FaultKind.LATE, delay=8000)
        await source.buy("o1")
        (outcome,) = await ended(redis, 1)
        (found,) = await drifting(redis)
        await asyncio.sleep(0.5)

    assert (outcome.result, found.finding, found.position) == ("filled", "double", "demo/10001/o1")
    assert await simulator.volumes() == [("EURUSD", 0, 0.1)] * 2


@pytest.mark.parametrize("margin", ["hedging", "netting"])
async def test_a_double_is_closed_by_itself_where_the_settings_say_so(
    margin: str, valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, netting: Simulator
) -> None:
    simulator = netting if margin == "netting" else simulator
    async with running(valkey.url, simulator, looking(doubles="close")):
        await source.buy("o1")
        (opened,) = await ended(redis, 1)
        await again(simulator, opened)
        begun, over = await drifting(redis, 2)
        assert await simulator.volumes() == [("EURUSD", 0, 0.1)]
        await source.close("o1")
        found = await ended(redis, 2)

    assert (begun.finding, begun.ended, over.identity) == ("double", None, begun.identity)
    assert [o.result for o in found] == ["filled", "closed"]
    assert await simulator.volumes() == []
    assert len(await simulator.deals()) == 4


async def test_what_somebody_adds_to_a_netting_position_is_never_taken_for_a_double(
    valkey: Valkey, redis: Redis, source: Source, netting: Simulator
) -> None:
    async with running(valkey.url, netting, looking(doubles="close")):
        await source.buy("o1", "0.3")
        (opened,) = await ended(redis, 1)
        netting.trade(action=1, symbol="EURUSD", volume=0.2, type=1)  # by hand: 0.1 of ours is left
        await until(lambda: _own(redis, "0.1"))
        netting.trade(action=1, symbol="EURUSD", volume=0.2, type=0)
        stray(netting)
        (begun, _) = await drifting(redis, 2)

    assert opened.result == "filled"
    assert (begun.finding, begun.actual) == ("double", D("0.3"))
    assert await netting.volumes() == [("EURUSD", 0, 0.3)]


async def _own(redis: Redis, lots: str) -> bool:
    kept: Any = await redis.hget(KEYS.account("links", ACCOUNT), "demo/10001/o1")
    return msgspec.json.decode(kept, type=Link).own == D(lots)


async def test_a_double_of_which_the_first_is_closed_already_is_known_by_the_history(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator, looking(doubles="close")):
        await source.buy("o1")
        (opened,) = await ended(redis, 1)
        await source.close("o1")
        await ended(redis, 2)
        await again(simulator, opened)
        begun, _ = await drifting(redis, 2)

    assert (begun.finding, begun.position) == ("double", "")
    assert await simulator.volumes() == []
