"""How an account stands is said by what Redis has of it."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any, cast

import msgspec
import pytest
from redis.asyncio import Redis

from deploy.embedded import Valkey
from deploy.standing import PARTS, WORDS, counted, holding, known, standing
from executor.book import Link, Part, Pending
from shared import groups, streams
from tests.executor.rig import ACCOUNT, KEYS

PART = Part(ticket=1, identifier=1, volume=Decimal("0.3"), side="sell")
ORDER = Pending(ticket=2, type="limit", side="buy", volume=Decimal(1), price=Decimal(1))
LINK = Link(key="x", instrument="EURUSD", symbol="EURUSD", parts=(PART,), pendings={"o": ORDER})


STATE: Any = {"mode": "active", "reason": "r", "identity": "1@D", "stopped": "removed 5"}


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator[Redis]:
    client = streams.connect(valkey.url)
    yield client
    await client.aclose()


async def test_an_account_at_work(redis: Redis) -> None:
    await groups.join_orders(redis, KEYS, ACCOUNT)
    await redis.xadd(KEYS.orders, {"m": "x"})
    await redis.hset(KEYS.account("place", ACCOUNT), "seq:p", "7")
    await redis.hset(KEYS.account("state", ACCOUNT), mapping=STATE)
    await redis.hset(KEYS.account("links", ACCOUNT), "x", msgspec.json.encode(LINK))
    now = await standing(redis, KEYS, ACCOUNT)
    assert (now.group, now.lag, now.pending, now.words()) == ("attached", 1, 0, "reads")
    assert (now.mode, now.reason, now.identity, now.seqs) == ("active", "r", "1@D", {"p": 7})
    assert now.stopped == "removed"
    assert now.open == [LINK]


async def test_what_a_stranger_has_written_is_no_surprise(redis: Redis) -> None:
    """Whoever looks on, or restores it, goes on."""
    broken: Any = b"\xff"
    await redis.hset(KEYS.account("place", ACCOUNT), mapping={"seq:p": "many", "seq:q": "3"})
    for part in ("links", "debts", "state"):
        await redis.hset(KEYS.account(part, ACCOUNT), broken, broken)
        await redis.hset(KEYS.account(part, ACCOUNT), "x", "{}")
    await redis.hset(KEYS.account("links", ACCOUNT), "y", msgspec.json.encode(LINK))
    now = await standing(redis, KEYS, ACCOUNT)
    assert (now.links, now.debts, now.seqs) == ((LINK,), (), {"q": 3})
    assert now.strange == ("debts", "links")
    for name in (b"\xff", b"\n\x1b[2J", b"A b"):
        await redis.hset(cast(Any, KEYS.account("place", "").encode() + name), "entry", "0-0")
    assert await known(redis, KEYS) == [ACCOUNT]


async def test_what_stands_in_place_of_a_hash_is_named(redis: Redis) -> None:
    for part in PARTS:
        await redis.set(KEYS.account(part, ACCOUNT), "no hash")
    now = await standing(redis, KEYS, ACCOUNT)
    assert (now.group, now.strange) == ("lost", tuple(sorted(PARTS)))


@pytest.mark.parametrize("unread", [None, b"", b"\xff", b"x", b"-", b"9" * 30 + b"-0"])
async def test_a_place_to_come_back_to_that_is_none_wants_a_restore(redis: Redis, unread: bytes | None) -> None:
    await redis.xadd(KEYS.orders, {"m": "x"})
    kept = {"detached": b"then"} | ({} if unread is None else {"unread": unread})
    await redis.hset(KEYS.account("place", ACCOUNT), mapping=cast(Any, kept))
    assert (await standing(redis, KEYS, ACCOUNT)).group == "trimmed"


async def test_an_account_without_its_group(redis: Redis) -> None:
    assert (await standing(redis, KEYS, ACCOUNT)).group == "lost"
    entry: Any = await redis.xadd(KEYS.orders, {"m": "x"})
    kept: dict[Any, Any] = {"detached": "then", "unread": entry.decode(), "before": "0-0"}
    await redis.hset(KEYS.account("place", ACCOUNT), mapping=kept)
    assert (await standing(redis, KEYS, ACCOUNT)).group == "detached"
    await redis.xtrim(KEYS.orders, maxlen=0, approximate=False)
    assert (await standing(redis, KEYS, ACCOUNT)).group == "trimmed"
    await redis.hset(KEYS.account("state", ACCOUNT), "removed", "then")
    assert (await standing(redis, KEYS, ACCOUNT)).group == "removed"
    assert len(set(WORDS.values())) == 5


def test_what_is_held_in_words() -> None:
    assert holding([LINK]) == "EURUSD -0.3 lots, EURUSD 1 order"
    assert holding([]) == "nothing open"
    assert (counted(1, "fact"), counted(2000, "fact")) == ("1 fact", "2,000 facts")
