"""What is read of an account's memory is believed whole or not at all, and what cannot be read is one line."""

from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest
from redis.asyncio import Redis

from executor.book import Debt, Link
from executor.recalling import Unsealed, stored
from shared.wire import Place
from tests.executor.rig import ACCOUNT, CODEC, KEYS
from tests.executor.seals import seal

NOW = datetime(2026, 11, 25, tzinfo=UTC)
LINK = Link(key="demo/1/a", instrument="EURUSD", symbol="EURUSD")
DEBT = Debt(link=LINK.key, fact="f", entry="1-1", target=Decimal(0), since=NOW, captured=NOW)


async def written(redis: Redis) -> None:
    for part, value in (("links", LINK), ("debts", DEBT)):
        await redis.hset(KEYS.account(part, ACCOUNT), LINK.key, msgspec.json.encode(value).decode())
    await redis.hset(KEYS.account("place", ACCOUNT), mapping={"entry": "5-0", "seq:p": "7", "version": "3"})
    await redis.hset(KEYS.account("state", ACCOUNT), mapping={"mode": "active", "joined": "{}"})


async def test_what_is_sealed_is_what_a_lane_begins_with(redis: Redis) -> None:
    await written(redis)
    await seal(redis)

    found = await stored(redis, KEYS, ACCOUNT)

    assert found.flaw(CODEC, ACCOUNT) is None
    assert found.require(CODEC, ACCOUNT) == found.contents
    memory = found.memory("1000000", "2000000")
    assert (memory.links, memory.debts) == ({LINK.key: LINK}, {LINK.key: DEBT})
    assert (memory.place, memory.state["joined"]) == (Place(entry="5-0", seqs={"p": 7}), "{}")
    assert memory.suspect_before == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert memory.began == datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        ("links", "x", "{}"),
        ("debts", LINK.key, "{}"),
        ("links", b"\xff", b"\xff"),
        ("state", "peak", "1"),
        ("place", "entry", "4-0"),
        ("place", "seq:p", "6"),
        ("place", "seq:q", "0"),
        ("state", "stopped", ""),
    ],
)
async def test_what_was_added_or_changed_since_is_refused(
    redis: Redis, part: str, field: str | bytes, value: str | bytes
) -> None:
    await written(redis)
    await seal(redis)
    await redis.hset(KEYS.account(part, ACCOUNT), field, value)

    with pytest.raises(Unsealed, match="is not what was sealed"):
        (await stored(redis, KEYS, ACCOUNT)).require(CODEC, ACCOUNT)


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [("links", "x", "{}"), ("debts", "x", "no"), ("place", "seq:p", "x"), ("place", "entry", b"\xff")]
    + [("place", f"parked:{entry}", "1") for entry in ("", "x", "1-0\n")]
    + [("place", "entry", entry) for entry in ("abc", "1-x", "-1-1", "9" * 5000 + "-1")]
    + [("place", "version", version) for version in ("x", b"\xff", "9" * 14)],
)
async def test_what_cannot_be_read_is_one_line(redis: Redis, part: str, field: str, value: str) -> None:
    await written(redis)
    await redis.hset(KEYS.account(part, ACCOUNT), field, value)

    with pytest.raises(Unsealed, match="cannot be read"):
        (await stored(redis, KEYS, ACCOUNT)).memory()


@pytest.mark.parametrize("suspect", ["x", "9" * 40])
async def test_a_time_that_is_none_is_one_line(redis: Redis, suspect: str) -> None:
    with pytest.raises(Unsealed, match="cannot be read"):
        (await stored(redis, KEYS, ACCOUNT)).memory(suspect)
