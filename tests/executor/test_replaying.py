"""A fact that ended without effect is tried once more, as the source is now: one effect, whatever fails meanwhile."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace
from redis import Redis as Blocking
from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor.asked import Answer, Desk, Replay
from executor.lane import Lane
from executor.marks import candidates, meaning
from executor.mt5.simulator.faults import FaultKind
from executor.states import AccountState
from shared.facts import Fact, Levels
from shared.outcomes import Notice, Outcome, Pending
from shared.wire import Codec, Keyring
from tests.executor.rig import (
    ACCOUNT,
    CODEC,
    KEYS,
    NAMESPACE,
    PATIENCE_S,
    Simulator,
    Source,
    ended,
    running,
    told,
)
from tests.executor.seals import join, seal

STATE = KEYS.account("state", ACCOUNT)
ASKED = KEYS.account("replay", ACCOUNT)


@pytest.fixture
def desk(redis: Redis) -> Desk:
    """The operator's side of the desk."""
    return Desk(redis, KEYS, CODEC, ACCOUNT)


async def request(redis: Redis, fact: Fact, attempt: int = 2, **changes: Any) -> Replay:
    """A request for the original of a fact, as it stands in the orders stream."""
    raw: Any = await redis.xrange(KEYS.orders)
    for entry, fields in raw:
        read = CODEC.fact(fields)
        assert not isinstance(read, str)
        if getattr(read, "id", None) == fact.id:
            m, k, s = (fields[name].decode() for name in (b"m", b"k", b"s"))
            made = Replay(fact=fact.id, entry=entry.decode(), attempt=attempt, asked=datetime.now(UTC), m=m, k=k, s=s)
            return replace(made, **changes)
    raise AssertionError(f"{fact.id} is not in the stream")


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await holds():
            await asyncio.sleep(0.02)


async def denied(redis: Redis, source: Source, position: str = "o1", quantity: str = "0.1", **more: Any) -> Fact:
    """An order that is denied because the account is close-only; then it is active again."""
    before = len([m for m in await told(redis) if isinstance(m, Outcome)])
    await redis.hset(STATE, "mode", "close-only")
    fact = await source.buy(position, quantity, **more)
    assert (await ended(redis, before + 1))[-1].result == "denied"
    await redis.hset(STATE, "mode", "active")
    return fact


async def gone(redis: Redis) -> None:
    """Until every request has been answered."""

    async def empty() -> bool:
        return not await redis.hlen(ASKED)

    await until(empty)


async def test_a_denied_opening_is_tried_again_as_the_next_attempt(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, desk: Desk
) -> None:
    async with running(valkey.url, simulator):
        fact = await denied(redis, source)
        assert await desk.ask(await request(redis, fact)) == "asked"
        found = await ended(redis, 2)
        await source.close("o1")
        await ended(redis, 3)

    assert [(o.fact, o.attempt, o.result) for o in found] == [(fact.id, 1, "denied"), (fact.id, 2, "filled")]
    assert found[1].captured == fact.captured
    assert await redis.hlen(ASKED) == 0
    assert await simulator.volumes() == []
    assert len(await simulator.deals()) == 2


async def test_an_opening_acts_at_the_sources_present_size_and_levels(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, desk: Desk
) -> None:
    async with running(valkey.url, simulator), simulator.eyes() as eyes:
        fact = await denied(redis, source, quantity="0.4", levels=Levels(stop_loss=Decimal("0.5")))
        await source.close("o1", "0.1")
        await source.levels("o1", take_profit=Decimal(2))
        await ended(redis, 3)
        await desk.ask(await request(redis, fact))
        await ended(redis, 4)
        positions: Any = await eyes.positions()

    assert [(p.volume, p.sl, p.tp) for p in positions] == [(0.3, 0.5, 2.0)]


async def test_what_the_source_has_closed_is_not_opened_any_more(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, desk: Desk
) -> None:
    async with running(valkey.url, simulator):
        fact = await denied(redis, source)
        await source.close("o1")
        await ended(redis, 2)
        await desk.ask(await request(redis, fact))
        found = await ended(redis, 3)

    assert (found[2].attempt, found[2].result, found[2].reason) == (2, "ignored", "not-shown")
    assert await simulator.deals() == []


async def test_asking_twice_or_by_two_operators_gives_one_attempt(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, desk: Desk
) -> None:
    async with running(valkey.url, simulator):
        fact = await denied(redis, source)
        asked = await request(redis, fact)
        other = Desk(redis, KEYS, CODEC, ACCOUNT)
        answers = await asyncio.gather(desk.ask(asked), other.ask(asked), desk.ask(asked))
        await ended(redis, 2)
        late = [await desk.ask(asked), await desk.ask(replace(asked, attempt=3))]

    assert sorted(answers) == ["asked", "there", "there"]
    assert late == ["ended", "effect"]
    assert len(await simulator.deals()) == 1


@pytest.mark.parametrize(("attempt", "answer"), [(2, "effect"), (3, "effect"), (1, "ended")])
async def test_a_fact_that_had_its_effect_cannot_be_asked_for(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, desk: Desk, attempt: int, answer: Answer
) -> None:
    async with running(valkey.url, simulator):
        fact = await source.buy("o1")
        await ended(redis, 1)
        assert await desk.ask(await request(redis, fact, attempt)) == answer


async def test_a_lane_refuses_what_a_script_did_not_check(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, desk: Desk
) -> None:
    """Written past the script, as somebody could who may write to Redis: the lane looks for itself."""
    async with running(valkey.url, simulator):
        fact = await source.buy("o1")
        await ended(redis, 1)
        sound = await request(redis, fact, attempt=2)
        forged = Desk(redis, KEYS, Codec(NAMESPACE, Keyring(current="k1", keys={"k1": b"2" * 32})), ACCOUNT)
        elsewhere = Desk(redis, KEYS, CODEC, "other")
        for each in (desk._sealed(sound), forged._sealed(sound), elsewhere._sealed(sound), b"nonsense"):
            await redis.hset(ASKED, sound.field, each)
            await gone(redis)

    notices = [m.text for m in await told(redis) if isinstance(m, Notice)]
    assert [n.partition(": ")[0] for n in notices] == ["asked by the operator and not done"] * 4
    assert "ended: filled" in notices[0]
    assert len(await simulator.deals()) == 1


async def test_a_request_about_another_fact_than_the_signed_one_is_refused(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, desk: Desk
) -> None:
    async with running(valkey.url, simulator):
        fact = await denied(redis, source)
        asked = await request(redis, fact)
        await desk.ask(replace(asked, m=asked.m.replace('"0.1"', '"9.9"')))
        await gone(redis)

    assert await simulator.deals() == []
    assert any(isinstance(m, Notice) and "no sound signature" in m.text for m in await told(redis))


async def test_nothing_is_kept_while_nobody_works_for_the_account(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, desk: Desk
) -> None:
    async with running(valkey.url, simulator):
        fact = await denied(redis, source)
    assert await desk.ask(await request(redis, fact)) == "idle"
    assert await redis.hlen(ASKED) == 0


async def test_a_paused_account_denies_it_and_it_can_be_asked_for_again(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, desk: Desk
) -> None:
    async with running(valkey.url, simulator):
        fact = await denied(redis, source)
        await redis.hset(STATE, "mode", str(AccountState.HALTED))
        await desk.ask(await request(redis, fact))
        assert [(o.result, o.reason) for o in await ended(redis, 2)] == [("denied", "state")] * 2
        await redis.hset(STATE, "mode", "active")
        await desk.ask(await request(redis, fact, attempt=3))
        assert [(o.attempt, o.result) for o in (await ended(redis, 3))[2:]] == [(3, "filled")]


class Cut(Exception):
    """The executor ends at a point of the protocol."""


POINTS = [("what is to be sent is noted", "committed", 1), ("fenced", "fenced", 1), ("called", "called", 1)]
POINTS += [("committed", "committed", 2)]


@pytest.mark.parametrize(("point", "times"), [row[1:] for row in POINTS], ids=[row[0] for row in POINTS])
async def test_a_crash_anywhere_in_it_leads_to_one_effect(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, desk: Desk, point: str, times: int
) -> None:
    """The lane dies there while it works at the request; another one takes over."""
    armed, cut, reached = asyncio.Event(), asyncio.Event(), list[str]()

    def reach(now: str) -> None:
        if armed.is_set() and now == point:
            reached.append(now)
            if len(reached) == times:
                cut.set()
                raise Cut(point)

    async with running(valkey.url, simulator, reach=reach, lease_s=1.0):
        fact = await denied(redis, source)
        armed.set()
        await desk.ask(await request(redis, fact))
        async with asyncio.timeout(PATIENCE_S):
            await cut.wait()
    async with running(valkey.url, simulator):
        found = await ended(redis, 2)
        await gone(redis)

    assert [(o.attempt, o.result) for o in found] == [(1, "denied"), (2, "filled")]
    assert [(d.volume, d.entry) for d in await simulator.deals()] == [(0.1, 0)]
    assert await simulator.volumes() == [("EURUSD", 0, 0.1)]


async def test_a_standby_that_takes_over_in_the_middle_finds_what_was_sent(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, desk: Desk
) -> None:
    """The first dies right after the call; its lease has to lapse."""
    armed = asyncio.Event()

    def reach(now: str) -> None:
        if armed.is_set() and now == "called":
            raise Cut(now)

    async with (
        running(valkey.url, simulator, reach=reach, lease_s=1.0),
        running(valkey.url, simulator, lease_s=1.0, wait=False),
    ):
        fact = await denied(redis, source)
        armed.set()
        await desk.ask(await request(redis, fact))
        found = await ended(redis, 2)

    assert [(o.attempt, o.result) for o in found] == [(1, "denied"), (2, "filled")]
    assert len(await simulator.deals()) == 1


async def test_what_a_failover_forgot_is_found_when_it_is_asked_for_again(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, desk: Desk
) -> None:
    """The server has lost the request and all that came of it: done again it would be a double."""
    async with running(valkey.url, simulator):
        fact = await denied(redis, source)
        asked = await request(redis, fact)
        await desk.ask(asked)
        await ended(redis, 2)
    await redis.hdel(KEYS.account("done", ACCOUNT), asked.work.key)
    await redis.delete(KEYS.account("links", ACCOUNT))
    await seal(redis)

    async with running(valkey.url, simulator):
        assert await desk.ask(asked) == "asked"
        await ended(redis, 3)
        await source.close("o1")
        await ended(redis, 4)

    assert await simulator.volumes() == []
    assert len(await simulator.deals()) == 2


async def test_a_late_effect_of_an_earlier_attempt_that_is_open_is_not_doubled(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, desk: Desk
) -> None:
    async with running(valkey.url, simulator) as lane:
        fact = await denied(redis, source)
        identity = lane._keeper.book.identity
        mark = candidates(identity, meaning(fact), "open")[0]
        simulator.trade(action=1, symbol="EURUSD", volume=0.1, type=0, magic=mark)
        await desk.ask(await request(redis, fact))
        found = await ended(redis, 2)

    assert (found[1].result, found[1].reason) == ("ignored", "already-there")
    assert len(await simulator.deals()) == 1


@pytest.mark.parametrize(("closed", "lots"), [(False, 0.4), (True, 0.5)], ids=["that is open", "that was closed"])
async def test_a_late_effect_of_an_earlier_attempt_is_known_in_a_shared_position(
    valkey: Valkey, redis: Redis, source: Source, netting: Simulator, desk: Desk, closed: bool, lots: float
) -> None:
    """The position bears the mark of what opened it first."""
    async with running(valkey.url, netting) as lane:
        await source.buy("o0", "0.2")
        await ended(redis, 1)
        fact = await denied(redis, source, quantity="0.1" if not closed else "0.3")
        mark = candidates(lane._keeper.book.identity, meaning(fact), "open")[0]
        netting.trade(action=1, symbol="EURUSD", volume=0.2, type=0, magic=mark)
        if closed:
            netting.trade(action=1, symbol="EURUSD", volume=0.2, type=1)
        await until(lambda: _holds(lane, 0.2 if closed else 0.4))
        await desk.ask(await request(redis, fact))
        found = await ended(redis, 3)

    assert (found[2].attempt, found[2].result) == (2, "filled" if closed else "ignored")
    assert [volume for _, _, volume in await netting.volumes()] == [pytest.approx(lots)]


async def _holds(lane: Lane, lots: float) -> bool:
    return [float(held.volume) for held in lane._keeper.book.holdings.values()] == [lots]


async def test_what_an_earlier_attempt_left_in_the_history_is_not_this_ones_effect(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, desk: Desk
) -> None:
    """It came late and somebody has closed it: the next attempt opens anew."""
    async with running(valkey.url, simulator) as lane:
        fact = await denied(redis, source)
        mark = candidates(lane._keeper.book.identity, meaning(fact), "open")[0]
        simulator.trade(action=1, symbol="EURUSD", volume=0.1, type=0, magic=mark)
        await simulator.close_by_hand()
        await desk.ask(await request(redis, fact))
        found = await ended(redis, 2)

    assert (found[1].attempt, found[1].result) == (2, "filled")
    assert await simulator.volumes() == [("EURUSD", 0, 0.1)]


class Dying:
    """A lane's `reach`: once armed it ends the executor right after a call."""

    def __init__(self, *, armed: bool = False) -> None:
        self.armed = armed
        self.died = asyncio.Event()

    def __call__(self, point: str) -> None:
        if self.armed and point == "called":
            self.died.set()
            raise Cut(point)

    async def dead(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self.died.wait()


@pytest.mark.parametrize("comes", [True, False], ids=["and lists them later", "and never lists them"])
async def test_what_was_sent_is_found_by_a_lane_whose_terminal_lists_no_symbols(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, desk: Desk, comes: bool
) -> None:
    """A refusal written over the effect could be asked for again, and done again."""
    reach = Dying()
    async with running(valkey.url, simulator, reach=reach, lease_s=1.0):
        fact = await denied(redis, source)
        reach.armed = True
        await desk.ask(await request(redis, fact))
        await reach.dead()
    simulator.goes_wrong(FaultKind.EMPTY, function="symbols_get", times=4 if comes else 0)
    async with running(valkey.url, simulator):
        found = await ended(redis, 2)
        await gone(redis)

    assert [(o.attempt, o.result) for o in found] == [(1, "denied"), (2, "filled")]
    assert len(await simulator.deals()) == 1


async def test_what_was_sent_is_found_where_it_would_be_denied_now_though_the_source_reduced(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, desk: Desk
) -> None:
    """Facts were passed unread, so that one opens by its totals though the source closes a part; it is sent, the lane
    dies, and the terminal of the next one does not tell the symbol's rules.
    """
    async with running(valkey.url, simulator):
        await source.buy("o1", "0.1")
        await ended(redis, 1)
    await redis.xgroup_destroy(KEYS.orders, ACCOUNT)
    await source.buy("o1", "0.3")
    fact = await source.close("o1", "0.1")
    await join(redis)
    await seal(redis)
    reach = Dying(armed=True)
    async with running(valkey.url, simulator, reach=reach, lease_s=1.0):
        assert await desk.ask(await request(redis, fact, attempt=1)) == "asked"
        await reach.dead()
    simulator.goes_wrong(FaultKind.NONE, function="symbol_info", code=-4, times=0)
    async with running(valkey.url, simulator):
        found = await ended(redis, 2)
        await gone(redis)

    assert [(o.attempt, o.result) for o in found] == [(1, "filled")] * 2
    assert sorted(d.volume for d in await simulator.deals()) == [0.1, 0.2]


@pytest.mark.parametrize("executed", [True, False])
async def test_while_nobody_knows_its_end_a_close_of_the_source_waits_for_it(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, desk: Desk, executed: bool
) -> None:
    async with running(valkey.url, simulator):
        fact = await denied(redis, source)
        simulator.goes_wrong(FaultKind.NONE, execute=executed)
        simulator.goes_wrong(FaultKind.NONE, function="history_deals_get", times=2)
        await desk.ask(await request(redis, fact))
        await source.close("o1")
        await ended(redis, 3)
        await gone(redis)

    assert await simulator.volumes() == []
    assert len(await simulator.deals()) in (0, 2)


async def test_a_resting_order_is_placed_while_the_source_shows_it(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, desk: Desk
) -> None:
    async with running(valkey.url, simulator):
        await redis.hset(STATE, "mode", "close-only")
        kept, over = await source.limit("L1", "0.1", "1.01"), await source.limit("L2", "0.1", "1.02")
        assert [o.result for o in await ended(redis, 2)] == ["denied"] * 2
        await redis.hset(STATE, "mode", "active")
        await source.end(over, "canceled")
        await ended(redis, 3)
        for fact in (kept, over):
            await desk.ask(await request(redis, fact))
        found = (await ended(redis, 5))[3:]

    assert {(o.fact, o.result) for o in found} == {(kept.id, "accepted"), (over.id, "ignored")}
    assert len(await simulator.orders()) == 1


async def test_a_fact_that_was_passed_without_an_answer_is_tried_as_its_first_attempt(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, desk: Desk
) -> None:
    """The group was lost and joined again at the stream's end: nobody ever read what came before."""
    await redis.xgroup_destroy(KEYS.orders, ACCOUNT)
    fact = await source.buy("o1")
    await join(redis)

    async with running(valkey.url, simulator):
        assert await desk.ask(await request(redis, fact, attempt=1)) == "asked"
        found = await ended(redis, 1)

    assert [(o.attempt, o.result) for o in found] == [(1, "filled")]
    assert len(await simulator.deals()) == 1


async def test_what_is_still_to_be_read_is_not_tried_beside_that(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, desk: Desk
) -> None:
    async with running(valkey.url, simulator) as lane:
        fact = await source.buy("o1")
        await ended(redis, 1)
        await redis.hdel(KEYS.account("done", ACCOUNT), f"{fact.id}#1")
        asked = await request(redis, fact, attempt=1, entry="9999999999999-0")
        await desk.ask(asked)
        await gone(redis)
        assert lane.name == ACCOUNT

    assert any(isinstance(m, Notice) and "by itself" in m.text for m in await told(redis))
    assert len(await simulator.deals()) == 1


async def test_one_that_was_asked_for_too_long_ago_is_denied(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, desk: Desk
) -> None:
    async with running(valkey.url, simulator):
        fact = await denied(redis, source)
        await desk.ask(await request(redis, fact, asked=datetime.now(UTC) - timedelta(minutes=10)))
        found = await ended(redis, 2)

    assert (found[1].result, found[1].reason) == ("denied", "too-old")
    assert await simulator.deals() == []


async def test_while_the_position_owes_an_exit_it_waits(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, desk: Desk
) -> None:
    async with running(valkey.url, simulator):
        await source.buy("o1", "0.2")
        await ended(redis, 1)
        more = await denied(redis, source, "o1", "0.2")
        simulator.goes_wrong(FaultKind.RETCODE, code=10018, times=0)
        await source.close("o1", "0.2")
        await until(lambda: redis.hlen(KEYS.account("debts", ACCOUNT)))
        await desk.ask(await request(redis, more))
        await until(lambda: _seen(redis))
        assert await redis.hlen(ASKED) == 1
        simulator.heal()
        found = await ended(redis, 4)

    assert [o.result for o in found] == ["filled", "denied", "closed", "filled"]
    assert sum(volume for _, _, volume in await simulator.volumes()) == pytest.approx(0.2)


async def _seen(redis: Redis) -> bool:
    """Whether the lane has had time to look at what was asked: it has told of the debt again by then."""
    return bool([m for m in await told(redis) if isinstance(m, Pending)])


async def test_a_server_that_forgets_the_request_in_the_middle_has_it_back_from_the_lane(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, desk: Desk
) -> None:
    """Else the position would be nobody's: no entry is pending for it."""

    def reach(now: str) -> None:
        if now == "called" and len(told_of) == 1:
            told_of.append(now)
            forget()

    told_of: list[str] = []
    before: dict[str, Any] = {}
    wire = Blocking.from_url(valkey.url)

    def forget() -> None:
        """The server has what it had before the request was made."""
        wire.delete(ASKED)
        wire.hset(KEYS.account("place", ACCOUNT), "version", before["version"])

    async with running(valkey.url, simulator, reach=reach):
        fact = await denied(redis, source)
        before["version"] = await redis.hget(KEYS.account("place", ACCOUNT), "version")
        told_of.append("armed")
        await desk.ask(await request(redis, fact))
        found = await ended(redis, 2)
        await source.close("o1")
        await ended(redis, 3)

    wire.close()
    assert told_of == ["armed", "called"]
    assert [(o.attempt, o.result) for o in found] == [(1, "denied"), (2, "filled")]
    assert await simulator.volumes() == []
    assert len(await simulator.deals()) == 2
