"""Entries leave when every group has acknowledged them, the archive included, and they are old; never before."""

from collections.abc import Mapping
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from archiver.standing import Standing
from archiver.trim import Cut, Trimmer, after, cut, outlived
from shared import groups, streams
from shared.wire import entry_order

KEYS = streams.Keys("main")
DAY = 24 * 3600 * 1000
NOW = 100 * DAY
AGED = f"{93 * DAY}-0"
ARCHIVE = Standing(group="archiver", delivered=f"{NOW}-0")


def cut_of(*groups: Standing) -> Cut | None:
    return cut(groups, "archiver", AGED)


OLD = f"{90 * DAY}-3"


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ([ARCHIVE], Cut(f"{93 * DAY}-0")),
        ([], None),
        ([Standing(group="one", delivered=f"{NOW}-0")], None),
        ([ARCHIVE, Standing(group="one", delivered=OLD)], Cut(f"{90 * DAY}-4", "one")),
        ([ARCHIVE, Standing(group="one", delivered=f"{NOW}-0", pending=OLD)], Cut(OLD, "one")),
        ([Standing(group="archiver", delivered=f"{NOW}-0", pending=OLD)], Cut(OLD, "archiver")),
        ([ARCHIVE, Standing(group="one", delivered=f"{99 * DAY}-0")], Cut(f"{93 * DAY}-0")),
    ],
    ids=["all read", "no group", "no archive", "one stopped", "one is stuck", "the archive waits", "one is recent"],
)
def test_where_the_cut_is(groups: list[Standing], expected: Cut | None) -> None:
    assert cut_of(*groups) == expected


@pytest.mark.parametrize(
    ("oldest", "holder"), [(OLD, "one"), (f"{95 * DAY}-0", None), (None, None)], ids=["old", "young", "nothing"]
)
def test_a_group_is_only_named_when_something_old_is_left_for_it(oldest: str | None, holder: str | None) -> None:
    assert after(Cut(OLD, "one"), oldest, AGED) == Cut(OLD, holder)


ids = st.builds(lambda ms, n: f"{ms}-{n}", st.integers(80 * DAY, NOW), st.integers(0, 3))
standings = st.lists(
    st.builds(Standing, group=st.sampled_from("abc"), delivered=ids, pending=st.none() | ids), max_size=4
)


@given(standings, ids)
def test_nothing_leaves_that_a_group_may_want_or_that_is_young(others: list[Standing], entry: str) -> None:
    decided = cut_of(ARCHIVE, *others)
    assert decided is not None
    if entry_order(entry) < entry_order(decided.before):
        assert entry_order(entry) < (93 * DAY, 0)
        for group in others:
            assert entry_order(entry) <= entry_order(group.delivered)
            assert group.pending is None or entry_order(entry) < entry_order(group.pending)


@pytest.mark.parametrize(
    ("mark", "gone"),
    [
        ("filled 5 100-0", True),
        ("filled 5 200-0", False),
        ("owed 5 100-0", False),
        ("filled 5 ", False),
        ("filled 5 x", False),
        ("filled 5 1-\u00b2", False),
        (f"filled 5 {'9' * 5000}-0", False),
        ("filled", False),
        ("", False),
    ],
)
def test_a_mark_is_kept_unless_it_is_surely_that_of_an_end_that_left(mark: str, gone: bool) -> None:
    try:
        assert outlived(mark, "200-0") is gone
    except ValueError:
        pytest.fail("a mark that cannot be read must be kept")


async def kept(redis: Redis, stream: str) -> list[str]:
    found: Any = await redis.xrange(stream)
    return [entry.decode() for entry, _ in found]


async def fill(redis: Redis, stream: str, *entries: str) -> None:
    for entry in entries:
        await redis.xadd(stream, {"m": "x"}, id=entry)


async def read(redis: Redis, stream: str, group: str, *, ack: int = 100) -> None:
    reply: Any = await redis.xreadgroup(group, "c", {stream: ">"})
    for entry, _ in reply[0][1][:ack]:
        await redis.xack(stream, group, entry)


async def test_both_streams_and_the_done_marks_shrink_together(redis: Redis) -> None:
    trimmer = Trimmer(redis, KEYS, "archiver", retention_ms=0)
    await groups.join_orders(redis, KEYS, "one")
    for stream in (KEYS.orders, KEYS.outcomes):
        await groups.join_archive(redis, stream, "archiver")
        await fill(redis, stream, "1-0", "2-0", "3-0")
        await read(redis, stream, "archiver")
    await redis.hset(
        KEYS.account("done", "one"), mapping={"f1#1": "filled 1 1-0", "f2#1": "denied 2 2-0", "f3#1": "owed"}
    )
    await read(redis, KEYS.orders, "one", ack=1)

    cuts = await trimmer.trim()

    assert cuts["orders"] == Cut("2-0", "one")
    assert await kept(redis, KEYS.orders) == ["2-0", "3-0"]
    assert await kept(redis, KEYS.outcomes) == []
    assert set(await redis.hkeys(KEYS.account("done", "one"))) == {b"f2#1", b"f3#1"}


async def test_without_the_archives_group_nothing_leaves(redis: Redis) -> None:
    await groups.join_orders(redis, KEYS, "one")
    await fill(redis, KEYS.orders, "1-0")
    await read(redis, KEYS.orders, "one")
    assert await Trimmer(redis, KEYS, "archiver", retention_ms=0).trim() == {}
    assert await kept(redis, KEYS.orders) == ["1-0"]


async def test_young_entries_stay_although_all_have_read_them(redis: Redis) -> None:
    await groups.join_archive(redis, KEYS.orders, "archiver")
    await redis.xadd(KEYS.orders, {"m": "x"})
    await read(redis, KEYS.orders, "archiver")
    await Trimmer(redis, KEYS, "archiver", retention_ms=DAY).trim()
    assert len(await kept(redis, KEYS.orders)) == 1


async def test_the_done_marks_of_an_account_that_left_are_pruned_too(redis: Redis) -> None:
    await groups.join_archive(redis, KEYS.orders, "archiver")
    await groups.join_archive(redis, KEYS.outcomes, "archiver")
    await redis.hset(KEYS.account("done", "left"), mapping={"f1#1": "filled 1 1-0"})
    await redis.hset(KEYS.account("links", "left"), mapping={"p1": "{}"})
    trimmer = Trimmer(redis, KEYS, "archiver", retention_ms=0)
    await fill(redis, KEYS.orders, "2-0")
    await fill(redis, KEYS.outcomes, "2-0")
    for stream in (KEYS.orders, KEYS.outcomes):
        await read(redis, stream, "archiver")
    await trimmer.trim()
    assert not await redis.exists(KEYS.account("done", "left"))
    assert await redis.exists(KEYS.account("links", "left")), "what an account holds is the executor's to forget"
    assert (await trimmer.usage()).facts == 0


HOSTILE_MARKS: Mapping[bytes, bytes] = {
    b"\xff#1": b"filled 1 1-0",
    b"f2#1": b"\xff 1 1-0",
    b"f3#1": b"filled 1 \xff",
    b"f4#1": b"filled 1 -",
    b"f5#1": b"filled 1 " + b"9" * 5000 + b"-0",
    b"f6#1": b"",
}


async def test_what_a_stranger_has_written_ends_nothing_and_keeps_nothing_from_leaving(
    redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """Into the names of groups and keys, under the names of keys, and into marks."""
    for stream in (KEYS.orders, KEYS.outcomes):
        await groups.join_archive(redis, stream, "archiver")
        await fill(redis, stream, "1-0", "2-0")
        await read(redis, stream, "archiver")
        await redis.xgroup_create(stream, cast(Any, b"\xff"), id="0")
    start = KEYS.account("done", "")
    await redis.hset(f"{start}one", mapping={"f1#1": "filled 1 1-0"})
    await redis.hset(f"{start}two", mapping=cast(Any, dict(HOSTILE_MARKS)))
    await redis.hset(cast(Any, f"{start}".encode() + b"\xff"), mapping={"f1#1": "filled 1 1-0"})
    await redis.set(f"{start}three", "no hash")
    trimmer = Trimmer(redis, KEYS, "archiver", retention_ms=0)
    for _ in range(2):
        assert {cut.holder for cut in (await trimmer.trim()).values()} == {None}
        assert (await trimmer.usage()).facts == 0
    assert not await redis.exists(f"{start}one")
    assert set(await redis.hkeys(f"{start}two")) == {*HOSTILE_MARKS} - {b"\xff#1"}
    assert sorted(message.split(" is ")[0] for message in caplog.messages) == [
        "passed by: \\xff",
        "passed by: \\xff",
        f"passed by: {start}three",
    ]
