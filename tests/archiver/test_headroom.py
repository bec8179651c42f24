"""How long Redis has room: from real sizes, and never a false alarm from a busy minute."""

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from archiver.headroom import DAY_MS, Usage, usage, words
from shared import streams
from tests.archiver.entries import fact, outcome, signed

KEYS = streams.Keys("main")


def used(**changes: int) -> Usage:
    fields = {"facts": 1000, "bytes": 2_000_000, "span_ms": 10 * DAY_MS, "used": 4_000_000, "limit": 24_000_000}
    return Usage(**{**fields, **changes})


def test_the_days_that_are_left_follow_from_bytes_and_facts() -> None:
    found = used()
    assert (found.per_fact, found.per_day, found.days) == (2000, 100, 100)
    assert words(found) == (
        "Redis: 1,000 facts, 2,000 bytes each with their outcomes, 100 a day: room for 100 days if nothing were trimmed"
    )


def test_the_first_minutes_count_as_a_day() -> None:
    assert used(span_ms=60_000).per_day == 1000


def test_nothing_has_no_size_and_no_end() -> None:
    found = used(facts=0, bytes=100, span_ms=0)
    assert (found.per_fact, found.days) == (None, None)
    assert words(found) == "Redis: no facts in the stream"


@given(st.integers(1, 10**9), st.integers(1, 10**12), st.integers(0, 10**12), st.integers(0, 10**13))
def test_days_are_never_below_zero(facts: int, size: int, taken: int, limit: int) -> None:
    days = used(facts=facts, bytes=size, used=taken, limit=limit).days
    assert days is not None
    assert days >= 0


async def test_streams_and_done_marks_are_measured(redis: Redis) -> None:
    assert (await usage(redis, KEYS)).per_fact is None
    async with redis.pipeline(transaction=True) as pipe:
        for seq in range(1, 501):
            pipe.xadd(KEYS.orders, cast(Any, signed(fact(seq))))
            pipe.xadd(KEYS.outcomes, cast(Any, signed(outcome(fact(seq)))))
        await pipe.execute()
    bare = await usage(redis, KEYS)
    for seq in range(500):
        await redis.hset(KEYS.account("done", "one"), f"demo/10001/order:{seq}/1#1", f"filled 1700000000000 {seq}-0")
    found = await usage(redis, KEYS)
    assert found.facts == 500
    assert bare.per_fact is not None
    assert found.per_fact is not None
    assert 500 < bare.per_fact < found.per_fact < 5000
    assert found.limit > found.used > 0
