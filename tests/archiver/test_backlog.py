"""What was delivered and not acknowledged is found again, by the one that had it or, after a while, by another."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from archiver.backlog import Backlog
from deploy.embedded import Valkey
from shared import groups, streams
from shared.streams import Reader

STREAM = streams.Keys("main").orders


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator[Redis]:
    client = streams.connect(valkey.url)
    await groups.join_archive(client, STREAM, "archiver")
    for number in range(1, 6):
        await client.xadd(STREAM, {"m": str(number)}, id=f"{number}-0")
    yield client
    await client.aclose()


def numbers(entries: list[streams.Entry]) -> list[str]:
    return [entry.id for entry in entries]


async def test_ours_comes_in_pages_in_its_order(redis: Redis) -> None:
    await Reader(redis, STREAM, "archiver", "a").read(5)
    ours = Backlog(redis, STREAM, "archiver", "a")
    assert numbers(await ours.ours("0-0", 3)) == ["1-0", "2-0", "3-0"]
    assert numbers(await ours.ours("3-0", 3)) == ["4-0", "5-0"]
    assert await ours.ours("5-0", 3) == []


async def test_an_entry_that_was_removed_is_still_there_but_empty(redis: Redis) -> None:
    await Reader(redis, STREAM, "archiver", "a").read(1)
    await redis.xdel(STREAM, "1-0")
    assert await Backlog(redis, STREAM, "archiver", "a").ours("0-0", 3) == [streams.Entry("1-0", {})]


async def test_what_another_works_on_is_left_to_it_until_it_is_idle(redis: Redis) -> None:
    await Reader(redis, STREAM, "archiver", "a").read(2)
    mine = Backlog(redis, STREAM, "archiver", "b")
    assert await mine.adopt(10) == []
    assert numbers(await mine.adopt(10, idle_ms=0)) == ["1-0", "2-0"]
    assert numbers(await mine.ours("0-0", 10)) == ["1-0", "2-0"]


async def test_what_is_never_acknowledged_does_not_hide_the_rest(redis: Redis) -> None:
    await Reader(redis, STREAM, "archiver", "a").read(5)
    mine = Backlog(redis, STREAM, "archiver", "b")
    seen = [number for _ in range(3) for number in numbers(await mine.adopt(2, idle_ms=0))]
    assert seen == ["1-0", "2-0", "3-0", "4-0", "5-0"]


async def test_what_is_ours_and_idle_comes_again_as_a_held_entry_has_to_when_its_key_is_there(redis: Redis) -> None:
    await Reader(redis, STREAM, "archiver", "a").read(2)
    ours = Backlog(redis, STREAM, "archiver", "a")
    assert numbers(await ours.adopt(10, idle_ms=0)) == ["1-0", "2-0"]
    assert numbers(await ours.adopt(10, idle_ms=0)) == ["1-0", "2-0"]
