"""Entries that are forged, copied, removed, of another source or signed with a key that is not known yet."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor.mt5.simulator.faults import FaultKind
from executor.recalling import stored
from executor.states import OPERATOR
from shared import facts, outcomes
from shared.wire import Codec, Keyring, entry_before
from tests.executor.rig import (
    ACCOUNT,
    CODEC,
    KEYS,
    NAMESPACE,
    PATIENCE_S,
    Simulator,
    Source,
    account,
    ended,
    running,
    told,
)
from tests.executor.test_operator import say
from tests.shared.test_streams import numbered

OLD, NEW = {"k1": b"1" * 32}, {"k2": b"2" * 32}
INGEST = Codec(NAMESPACE, Keyring(current="k2", keys=OLD | NEW))
"""Signs with the new key, before the executors were told of it."""


def executor_keys() -> Keyring:
    return Keyring(current="k1", keys=OLD)


def key_comes(ring: Keyring) -> None:
    ring.become(Keyring(current="k1", keys=OLD | NEW))


async def becomes(redis: Redis, *wanted: bytes) -> None:
    """Wait until the account's mode and its reason are these."""
    async with asyncio.timeout(PATIENCE_S):
        while [*await redis.hmget(KEYS.account("state", ACCOUNT), ["mode", "reason"])] != [*wanted]:
            await asyncio.sleep(0.01)


async def notices(redis: Redis) -> list[str]:
    return [m.reason for m in await told(redis) if isinstance(m, outcomes.Notice)]


def results(found: list[outcomes.Outcome]) -> list[tuple[str, str]]:
    return [(o.result, o.reason) for o in found]


async def test_a_forged_entry_is_a_dead_letter_and_the_next_fact_is_followed(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        await redis.xadd(KEYS.orders, {"m": b"{}", "k": b"k1", "s": b"0"})
        await source.buy("o1")
        (outcome,) = await ended(redis, 1)

    dead: Any = await redis.xrange(KEYS.dead)
    assert [fields[b"reason"] for _, fields in dead] == [b"bad-signature"]
    assert outcome.result == "filled"


async def test_a_fact_that_another_process_took_when_it_woke_up_is_followed_though_no_other_comes(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    """It stood still for longer than its lease, and read once more before it learned of that."""
    fact = numbered(1, captured=datetime.now(UTC))
    async with running(valkey.url, simulator):
        await source.buy("o1")
        await ended(redis, 1)
        async with redis.pipeline(transaction=True) as pipe:
            pipe.xadd(KEYS.orders, cast(Any, CODEC.entry("orders", fact)))
            pipe.xreadgroup(ACCOUNT, "executor", {KEYS.orders: ">"})
            _, taken = await pipe.execute()
        found = await ended(redis, 2)

    assert len(taken) == 1
    assert found[-1].fact == fact.id
    assert (await redis.xpending(KEYS.orders, ACCOUNT))["pending"] == 0


async def test_a_fact_that_is_copied_under_a_new_id_trades_nothing(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        await source.buy("o1")
        entries: Any = await redis.xrange(KEYS.orders)
        ((_, fields),) = entries
        await redis.xadd(KEYS.orders, fields)
        await source.buy("o2")
        await ended(redis, 2)

    dead: Any = await redis.xrange(KEYS.dead)
    assert [fields[b"reason"] for _, fields in dead] == [b"replayed"]
    assert len(await simulator.deals()) == 2


async def test_facts_that_were_removed_stop_openings_with_a_notice(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        await source.buy("o1")
        await ended(redis, 1)
    removed = await source.buy("o2")
    raw: Any = await redis.xrevrange(KEYS.orders, count=1)
    await redis.xdel(KEYS.orders, raw[0][0])
    assert removed.seq == 2

    async with running(valkey.url, simulator):
        await source.buy("o3")
        await source.close("o1")
        found = await ended(redis, 3)

    assert results(found)[1:] == [("denied", "state"), ("closed", "")]
    assert [m.reason for m in await told(redis) if isinstance(m, outcomes.Notice)] == ["removed"]


async def test_a_key_that_is_not_known_yet_holds_the_entry_and_stops_openings(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        await redis.xadd(KEYS.orders, {"m": b"{}", "k": b"k9", "s": b"0"})
        await source.buy("o1")
        (outcome,) = await ended(redis, 1)

    assert (outcome.result, outcome.reason) == ("denied", "state")
    pending: Any = await redis.xpending(KEYS.orders, ACCOUNT)
    assert pending["pending"] == 1
    assert await redis.xlen(KEYS.dead) == 0


async def test_facts_whose_key_comes_later_are_followed_then_and_openings_go_on(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    ring = executor_keys()
    async with running(valkey.url, simulator, codec=Codec(NAMESPACE, ring)):
        await source.buy("o1")
        await ended(redis, 1)
        source.signs_with(INGEST)
        await source.buy("o2")
        await source.close("o1")
        await becomes(redis, b"close-only", b"unknown-key")
        assert len(await simulator.deals()) == 1
        key_comes(ring)
        assert sorted(results(await ended(redis, 3))) == [("closed", ""), ("filled", ""), ("filled", "")]
        await becomes(redis, b"active", b"")
        await source.buy("o3")
        assert results(await ended(redis, 4))[3] == ("filled", "")

    assert len(await simulator.deals()) == 4
    assert await redis.xlen(KEYS.dead) == 0
    assert (await notices(redis))[-1] == "readable"


async def test_while_one_fact_is_held_others_are_followed_and_none_counts_as_removed(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    ring = executor_keys()
    async with running(valkey.url, simulator, codec=Codec(NAMESPACE, ring)):
        await source.buy("o1")
        await ended(redis, 1)
        source.signs_with(INGEST)
        await source.buy("o2")
        source.signs_with(Codec(NAMESPACE, executor_keys()))
        await source.close("o1")
        assert results(await ended(redis, 2))[1] == ("closed", "")
        key_comes(ring)
        assert results(await ended(redis, 3))[2] == ("filled", "")
        await becomes(redis, b"active", b"")

    assert set(await notices(redis)) == {"unknown-key", "readable"}
    assert await simulator.volumes() == [("EURUSD", 0, 0.1)]


@pytest.mark.parametrize("there", [True, False])
async def test_what_was_closed_meanwhile_is_not_opened_by_what_was_held(
    there: bool, valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    ring = executor_keys()
    async with running(valkey.url, simulator, codec=Codec(NAMESPACE, ring)):
        if there:
            await source.buy("o1")
            await ended(redis, 1)
        source.signs_with(INGEST)
        await source.buy("o1", "0.2")
        source.signs_with(Codec(NAMESPACE, executor_keys()))
        await source.close("o1")
        closed = results(await ended(redis, 1 + there))[-1]
        key_comes(ring)
        late = results(await ended(redis, 2 + there))[-1]
        await becomes(redis, b"active", b"")
        await source.buy("o2")
        await ended(redis, 3 + there)

    assert closed == (("closed", "") if there else ("ignored", "nothing-here"))
    assert late == ("ignored", "superseded")
    assert await simulator.volumes() == [("EURUSD", 0, 0.1)]


async def test_what_was_closed_is_not_opened_by_what_waits_and_comes_again_with_the_group(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    """The close is paid before the group, which was detached, delivers what waits."""
    async with running(valkey.url, simulator, account(grace=600.0)):
        await source.buy("o1")
        await ended(redis, 1)
        simulator.goes_wrong(FaultKind.NONE, code=-1)
        await source.buy("o1", "0.2")
        await unresolved(redis)
        simulator.goes_wrong(FaultKind.RETCODE, code=10018, times=1000)
        await source.close("o1")
        async with asyncio.timeout(PATIENCE_S):
            while not any(isinstance(m, outcomes.Pending) and m.state == "owed" for m in await told(redis)):
                await asyncio.sleep(0.01)
    simulator.heal()
    (waits,) = (await stored(redis, KEYS, ACCOUNT)).parked()
    detached: Any = {"detached": "2026-11-20", "unread": waits, "before": entry_before(waits)}
    await redis.hset(KEYS.account("place", ACCOUNT), mapping=detached)
    await redis.xgroup_destroy(KEYS.orders, ACCOUNT)
    async with running(valkey.url, simulator):
        await ended(redis, 3)

    assert await simulator.volumes() == []


async def test_a_fact_that_is_missing_beside_a_held_one_is_said_when_the_key_comes(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    ring = executor_keys()
    async with running(valkey.url, simulator):
        pass
    source.signs_with(INGEST)
    await source.buy("o1")
    source.signs_with(Codec(NAMESPACE, executor_keys()))
    await source.buy("o2")
    removed: Any = await redis.xrevrange(KEYS.orders, count=1)
    await redis.xdel(KEYS.orders, removed[0][0])
    await source.buy("o3")

    async with running(valkey.url, simulator, codec=Codec(NAMESPACE, ring)):
        await ended(redis, 1)
        key_comes(ring)
        await becomes(redis, b"close-only", b"removed")

    assert await redis.xlen(KEYS.dead) == 0


async def test_a_key_that_comes_while_nobody_works_is_enough(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    source.signs_with(INGEST)
    async with running(valkey.url, simulator):
        await source.buy("o1")
        await becomes(redis, b"close-only", b"unknown-key")
    ring = executor_keys()
    key_comes(ring)
    async with running(valkey.url, simulator, codec=Codec(NAMESPACE, ring)):
        assert results(await ended(redis, 1)) == [("filled", "")]
        await becomes(redis, b"active", b"")


async def test_what_an_operator_has_stopped_stays_stopped_when_the_key_comes(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    ring = executor_keys()
    async with running(valkey.url, simulator, codec=Codec(NAMESPACE, ring)):
        source.signs_with(INGEST)
        await source.buy("o1")
        await becomes(redis, b"close-only", b"unknown-key")
        state = KEYS.account("state", ACCOUNT)
        await redis.hset(state, mapping={"mode": "close-only", "reason": OPERATOR})
        key_comes(ring)
        assert results(await ended(redis, 1)) == [("denied", "state")]
        await becomes(redis, b"close-only", b"operator")


@pytest.mark.parametrize("is_acknowledged", [False, True])
async def test_a_fact_that_was_held_while_later_ones_were_followed_is_followed_by_the_lane_that_has_the_key(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, *, is_acknowledged: bool
) -> None:
    """Also where somebody has acknowledged it who is none of us."""
    async with running(valkey.url, simulator):
        source.signs_with(INGEST)
        held = await source.buy("o1")
        await becomes(redis, b"close-only", b"unknown-key")
        source.signs_with(CODEC)
        await source.buy("o2")
        await ended(redis, 1)
        async with asyncio.timeout(PATIENCE_S):
            place = KEYS.account("place", ACCOUNT)
            while not any(name.startswith(b"parked:") for name in cast(Any, await redis.hgetall(place))):
                await asyncio.sleep(0.02)
        if is_acknowledged:
            ((entry, _), *_) = cast(Any, await redis.xrange(KEYS.orders))
            await redis.xack(KEYS.orders, ACCOUNT, entry)
    async with running(valkey.url, simulator, codec=Codec(NAMESPACE, Keyring(current="k1", keys=OLD | NEW))):
        (_, found) = await ended(redis, 2)
    assert (found.fact, found.result) == (held.id, "filled")


async def test_many_entries_of_unknown_keys_are_told_once_and_delay_no_exit(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        await source.buy("o1")
        await ended(redis, 1)
        async with redis.pipeline(transaction=False) as pipe:
            for number in range(300):
                pipe.xadd(KEYS.orders, {"m": b"{}", "k": f"x{number}".encode(), "s": b"0"})
            await pipe.execute()
        await source.close("o1")
        assert results(await ended(redis, 2))[1] == ("closed", "")

    assert await notices(redis) == ["unknown-key"]
    pending: Any = await redis.xpending(KEYS.orders, ACCOUNT)
    assert pending["pending"] == 300


async def test_facts_of_a_retired_key_and_of_a_stranger_s_under_our_id_are_dead_letters(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    ring = Keyring(current="k1", keys=OLD, retired=NEW)
    async with running(valkey.url, simulator, codec=Codec(NAMESPACE, ring)):
        for stranger in (INGEST, Codec(NAMESPACE, Keyring(current="k1", keys={"k1": b"x" * 32}))):
            source.signs_with(stranger)
            await source.buy("o1")
        async with asyncio.timeout(PATIENCE_S):
            while await redis.xlen(KEYS.dead) < 2:
                await asyncio.sleep(0.01)

    dead: Any = await redis.xrange(KEYS.dead)
    assert [fields[b"reason"] for _, fields in dead] == [b"retired-key", b"bad-signature"]
    assert await simulator.deals() == []


async def test_facts_that_were_put_in_another_order_trade_each_at_most_once_and_stop_openings(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    """Somebody who may write to Redis takes two facts out and puts them back the other way round."""
    async with running(valkey.url, simulator):
        await source.buy("o1")
        await ended(redis, 1)
    await source.buy("o2")
    await source.close("o1")
    all_of_them: Any = await redis.xrange(KEYS.orders)
    moved = all_of_them[1:]
    for entry, _ in moved:
        await redis.xdel(KEYS.orders, entry)
    for _, fields in reversed(moved):
        await redis.xadd(KEYS.orders, fields)

    async with running(valkey.url, simulator):
        found = await ended(redis, 2)
        async with asyncio.timeout(PATIENCE_S):
            while not await redis.xlen(KEYS.dead):
                await asyncio.sleep(0.01)

    assert results(found)[1] == ("closed", "")
    dead: Any = await redis.xrange(KEYS.dead)
    assert [fields[b"reason"] for _, fields in dead] == [b"replayed"]
    assert await notices(redis) == ["removed"]
    assert await simulator.volumes() == []


async def test_a_fact_of_another_source_is_passed_by(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator, account(sources=("other",))):
        await source.buy("o1")
        async with asyncio.timeout(10):
            while (await redis.hget(KEYS.account("place", ACCOUNT), "seq:rig")) != b"1":
                await asyncio.sleep(0.01)

    assert not any(isinstance(message, outcomes.Outcome) for message in await told(redis))
    pending: Any = await redis.xpending(KEYS.orders, ACCOUNT)
    assert pending["pending"] == 0


async def test_a_change_that_a_poll_shows_is_followed_though_a_stranger_has_made_up_its_end(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    """What a new owner states again may have ended before; what the account has not followed yet has not."""
    done = KEYS.account("done", ACCOUNT)
    async with running(valkey.url, simulator):
        await source.buy("a", "0.1")
        await ended(redis, 1)
    shown = await source.tell(facts.PositionClosed, "a", Decimal("-0.1"), evidence="poll")
    await redis.hset(done, f"{shown.id}#1", "closed 1 1-1")
    async with running(valkey.url, simulator):
        assert [outcome.result for outcome in await ended(redis, 2)] == ["filled", "closed"]
    assert await simulator.volumes() == []


async def test_what_was_followed_and_is_stated_again_ends_once_also_after_a_crash(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        fact = await source.buy("a", "0.1")
        await ended(redis, 1)
    successor = Source(redis, producer="another").succeeding(source)
    successor.seq = 1
    await successor.publish(replace(fact, evidence="poll", producer="another", seq=1, captured=datetime.now(UTC)))
    await redis.xreadgroup(ACCOUNT, "executor", {KEYS.orders: ">"})
    async with running(valkey.url, simulator):
        await successor.close("a")
        assert [outcome.result for outcome in await ended(redis, 2)] == ["filled", "closed"]
    assert len(await simulator.deals()) == 2


async def test_what_waited_and_is_gone_stops_openings_once_and_a_resume_holds_for_the_next_lane_too(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    simulator.goes_wrong(FaultKind.NONE, code=-1)
    settings = account(grace=600.0)
    async with running(valkey.url, simulator, settings):
        await source.buy("o1")
        await unresolved(redis)
    entries: Any = await redis.xrange(KEYS.orders)
    await redis.xdel(KEYS.orders, entries[0][0])
    async with running(valkey.url, simulator, settings):
        await becomes(redis, b"close-only", b"removed")
        await nothing_waits(redis)
        await say(redis, "resume")
        await becomes(redis, b"active", OPERATOR.encode())
    async with running(valkey.url, simulator, settings):
        await source.buy("o2")
        (outcome,) = await ended(redis, 1)

    assert outcome.result == "filled"
    assert [reason for reason in await notices(redis) if reason != OPERATOR] == ["acknowledged", "removed"]


async def unresolved(redis: Redis) -> None:
    """Wait until a fact has been told as one that nobody knows the end of."""
    async with asyncio.timeout(PATIENCE_S):
        while not any(isinstance(m, outcomes.Pending) for m in await told(redis)):
            await asyncio.sleep(0.01)


async def nothing_waits(redis: Redis) -> None:
    """Wait until no entry is remembered as one that waits."""
    async with asyncio.timeout(PATIENCE_S):
        while (await stored(redis, KEYS, ACCOUNT)).parked():
            await asyncio.sleep(0.01)


async def test_what_was_in_work_when_a_stranger_set_the_group_back_may_have_been_sent(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    """It is delivered once more, and waits for its grace: whoever had it may be in the middle of the call."""
    await source.buy("a", "0.1")
    await redis.xreadgroup(ACCOUNT, "executor", {KEYS.orders: ">"})
    await redis.xgroup_setid(KEYS.orders, ACCOUNT, "0")
    async with running(valkey.url, simulator):
        (outcome,) = await ended(redis, 1)
    waited = [message.state for message in await told(redis) if isinstance(message, outcomes.Pending)]
    assert (outcome.result, waited) == ("filled", ["unresolved"])
