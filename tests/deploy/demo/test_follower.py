"""Following both streams beside the groups."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import cast

import pytest
from redis.asyncio import Redis

from deploy.demo.follower import Follower
from deploy.embedded import Valkey
from shared import streams
from shared.facts import Amount, Evidence, Exposure, PositionClosed
from shared.outcomes import Notice, Outcome, Result
from shared.process import cancelled
from shared.streams import Keys
from shared.wire import Codec, Keyring

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
KEYS = Keys("main")
CODEC = Codec("main", Keyring(current="k1", keys={"k1": b"0" * 32}))


def fact(seq: int, evidence: Evidence = "call") -> PositionClosed:
    return PositionClosed(
        id=f"f{seq}", source="demo", account="1", instrument="EURUSD", model="hedging", producer="p", seq=seq,
        captured=NOW, evidence=evidence,
        exposure=Exposure(position="o1", revision=seq, before=Amount(), after=Amount()),
    )  # fmt: skip


def outcome(fact_id: str, result: Result = "closed") -> Outcome:
    return Outcome(fact=fact_id, account="one", result=result, captured=NOW, read=NOW, committed=NOW)


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator[Redis]:
    client = streams.connect(valkey.url)
    yield client
    await client.aclose()


async def add(redis: Redis, stream: str, message: PositionClosed | Outcome | Notice) -> None:
    name = "orders" if stream == KEYS.orders else "outcomes"
    await redis.xadd(stream, cast(dict, CODEC.entry(name, message)))  # type: ignore[type-arg]


@pytest.fixture
async def follower(redis: Redis, valkey: Valkey) -> AsyncIterator[Follower]:
    await add(redis, KEYS.orders, fact(1))
    own = streams.connect(valkey.url)
    follower = Follower(own, KEYS, CODEC)
    await follower.begin()
    task = asyncio.create_task(follower.follow())
    yield follower
    await cancelled(task)
    await own.aclose()


async def test_calls_are_counted_from_where_it_began_and_polls_are_left_out(redis: Redis, follower: Follower) -> None:
    waiting = asyncio.create_task(follower.call(2, 5))
    for each in (fact(2), fact(3, "poll"), fact(4)):
        await add(redis, KEYS.orders, each)
    assert (await waiting).id == "f4"
    assert [f.id for f in follower.facts] == ["f2", "f3", "f4"]


async def test_an_outcome_is_found_by_its_fact_and_account(redis: Redis, follower: Follower) -> None:
    waiting = asyncio.create_task(follower.outcome(fact(2), "one", 5))
    await add(redis, KEYS.outcomes, Notice(account="one", reason="x", text="x", seen=NOW))
    await add(redis, KEYS.outcomes, outcome("f9"))
    await add(redis, KEYS.outcomes, outcome("f2", "filled"))
    assert (await waiting).result == "filled"
    assert follower.unreadable == 0


async def test_what_never_comes_is_a_timeout(follower: Follower) -> None:
    with pytest.raises(TimeoutError):
        await follower.call(1, 0.05)


async def test_an_entry_that_cannot_be_read_is_counted(redis: Redis, follower: Follower) -> None:
    await redis.xadd(KEYS.orders, {"m": "{}", "k": "k1", "s": "forged"})
    await add(redis, KEYS.orders, fact(2))
    await follower.call(1, 5)
    assert follower.unreadable == 1
