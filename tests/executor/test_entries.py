"""Entries that are forged, copied, removed, of another source or signed with a key that is not known yet."""

import asyncio
from typing import Any

from redis.asyncio import Redis

from deploy.embedded import Valkey
from shared import outcomes
from tests.executor.rig import (
    ACCOUNT,
    KEYS,
    Simulator,
    Source,
    account,
    ended,
    running,
    told,
)


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


async def test_a_fact_of_another_source_is_passed_by(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator, account(sources=("other",))):
        await source.buy("o1")
        async with asyncio.timeout(10):
            while (await redis.hget(KEYS.account("place", ACCOUNT), "seq:rig")) != b"1":
                await asyncio.sleep(0.01)

    assert await told(redis) == []
    pending: Any = await redis.xpending(KEYS.orders, ACCOUNT)
    assert pending["pending"] == 0
