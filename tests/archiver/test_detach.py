"""An account that nobody reads for is detached, so that it holds nothing up; it gets its group back where it was."""

from typing import Any, cast

import pytest
from redis.asyncio import Redis

from archiver.detach import WATCHED_S, Detacher
from archiver.trim import Trimmer
from executor.attachment import Unattached, attach, condition, line
from shared import groups, streams
from shared.streams import GroupLost

KEYS = streams.Keys("main")
OLD = ("1-0", "2-0", "3-0")


class Clock:
    """Moves when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def redis(redis: Redis) -> Redis:
    """A server with old entries that nobody has read."""
    await groups.join_orders(redis, KEYS, "one")
    await groups.join_archive(redis, KEYS.orders, "archiver")
    for entry in OLD:
        await redis.xadd(KEYS.orders, {"m": entry}, id=entry)
    return redis


async def read(redis: Redis, group: str, count: int, *, ack: int) -> list[str]:
    reply: Any = await redis.xreadgroup(group, "executor", {KEYS.orders: ">"}, count=count)
    found = [entry.decode() for _, entries in reply for entry, _ in entries]
    for entry in found[:ack]:
        await redis.xack(KEYS.orders, group, entry)
    return found


async def attached(redis: Redis) -> set[str]:
    found: Any = await redis.xinfo_groups(KEYS.orders)
    return {group["name"].decode() for group in found}


async def looked_twice(redis: Redis, after_ms: int = 0) -> tuple[list[str], list[str]]:
    """What is detached at the first look, and long after it."""
    clock = Clock()
    detacher = Detacher(redis, KEYS, "archiver", after_ms, clock)
    first = await detacher.detach()
    clock.now = WATCHED_S
    return first, await detacher.detach()


async def test_a_group_with_old_entries_unread_is_detached_once_it_was_watched_for_long(redis: Redis) -> None:
    assert await looked_twice(redis) == ([], ["one"])
    assert await attached(redis) == {"archiver"}
    detached = await Detacher(redis, KEYS, "archiver", 0).detached()
    assert [each.account for each in detached] == ["one"]


async def test_whoever_reads_in_the_meantime_stays(redis: Redis) -> None:
    clock = Clock()
    detacher = Detacher(redis, KEYS, "archiver", 0, clock)
    await detacher.detach()
    await read(redis, "one", 1, ack=1)
    clock.now = WATCHED_S
    assert await detacher.detach() == []
    assert await attached(redis) == {"archiver", "one"}


async def test_a_group_whose_reader_lives_stays_whatever_it_cannot_finish(redis: Redis) -> None:
    await read(redis, "one", 3, ack=0)
    assert await looked_twice(redis, after_ms=60_000) == ([], [])


async def test_a_group_that_has_read_everything_stays(redis: Redis) -> None:
    await read(redis, "one", 3, ack=3)
    assert await looked_twice(redis) == ([], [])


async def test_the_archive_is_never_detached(redis: Redis) -> None:
    await redis.xgroup_destroy(KEYS.orders, "one")
    assert await looked_twice(redis) == ([], [])


@pytest.mark.parametrize(("ack", "first"), [(0, "1-0"), (1, "2-0"), (2, "3-0")], ids=["all pending", "some", "unread"])
async def test_it_reads_on_where_it_was(redis: Redis, ack: int, first: str) -> None:
    await read(redis, "one", 2, ack=ack)
    await redis.hset(KEYS.account("place", "one"), mapping={"entry": "2-0", "seq:p": "2"})
    assert (await looked_twice(redis))[1] == ["one"]

    assert await attach(redis, KEYS, "one")

    assert (await read(redis, "one", 9, ack=0))[0] == first
    assert await redis.hgetall(KEYS.account("place", "one")) == {b"entry": b"2-0", b"seq:p": b"2"}
    assert not await attach(redis, KEYS, "one")


async def test_it_does_not_hold_up_the_trim_and_is_told_to_restore_when_it_comes_back_too_late(redis: Redis) -> None:
    await groups.join_archive(redis, KEYS.outcomes, "archiver")
    await read(redis, "archiver", 9, ack=9)
    await looked_twice(redis)

    cuts = await Trimmer(redis, KEYS, "archiver", retention_ms=0).trim()

    assert cuts["orders"].holder is None
    assert await redis.xlen(KEYS.orders) == 0
    with pytest.raises(Unattached, match=r"nobody read for it since .* `tradecopier restore --account one`"):
        await attach(redis, KEYS, "one")


PLACE = KEYS.account("place", "one")


async def test_an_account_whose_place_is_none_is_detached_all_the_same(
    redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """Or it would hold everybody else's entries for ever."""
    await redis.delete(PLACE)
    await redis.set(PLACE, "no hash")
    assert await looked_twice(redis) == ([], ["one"])
    assert await attached(redis) == {"archiver"}
    assert f"passed by: {PLACE} is no hash: its account is detached and keeps no place" in caplog.messages


async def test_others_are_detached_and_listed_whatever_a_stranger_has_written(
    redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    start = KEYS.account("place", "")
    await redis.xgroup_create(KEYS.orders, cast(Any, b"\xff"), id="0")
    await redis.xgroup_create(KEYS.orders, "end", id=f"{2**64 - 1}-{2**64 - 1}")
    await redis.hset(cast(Any, start.encode() + b"\xff"), "detached", "now")
    await redis.hset(f"{start}two", "detached", cast(Any, b"\xff\n"))
    await redis.set(f"{start}three", "no hash")
    assert await looked_twice(redis) == ([], ["one"])
    found = {each.account: each.since for each in await Detacher(redis, KEYS, "archiver", 0).detached()}
    assert set(found) == {"one", "two"}
    assert found["two"] == "\\xff\\x0a"
    assert len({message.split(" is ")[0] for message in caplog.messages}) == 3


async def test_a_group_that_is_gone_for_no_reason_is_not_made_anew(redis: Redis) -> None:
    await redis.flushall()
    with pytest.raises(Unattached, match=r"its consumer group is gone: .*`tradecopier restore --account one`"):
        await attach(redis, KEYS, "one")
    assert not await redis.exists(KEYS.orders)
    assert "restore" in line("one", GroupLost("NOGROUP"))


async def test_a_removed_account_says_so(redis: Redis) -> None:
    await redis.xgroup_destroy(KEYS.orders, "one")
    await redis.hset(KEYS.account("state", "one"), "removed", "now")
    with pytest.raises(Unattached, match=r"was removed: .*`tradecopier account add one`") as raised:
        await attach(redis, KEYS, "one")
    assert line("one", raised.value) == str(raised.value)
    assert (condition(raised.value), condition(GroupLost("NOGROUP"))) == ("removed", "lost")
    await groups.join_orders(redis, KEYS, "one")
    assert not await attach(redis, KEYS, "one")
