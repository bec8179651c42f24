"""Entries that are forged, copied, removed, of another source or signed with a key that is not known yet."""

import asyncio
from typing import Any

from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor.states import OPERATOR
from shared import outcomes
from shared.wire import Codec, Keyring
from tests.executor.rig import (
    ACCOUNT,
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


async def test_an_entry_that_is_resolved_by_hand_holds_nothing_up_any_more(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        entry: Any = await redis.xadd(KEYS.orders, {"m": b"{}", "k": b"k9", "s": b"0"})
        await becomes(redis, b"close-only", b"unknown-key")
        await redis.xack(KEYS.orders, ACCOUNT, entry)
        await becomes(redis, b"active", b"")
        await source.buy("o1")
        assert results(await ended(redis, 1)) == [("filled", "")]


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
