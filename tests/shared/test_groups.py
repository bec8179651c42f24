"""A group begins where its account's place says, however fast the stream grows meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from deploy.embedded import Valkey
from shared import groups, streams
from shared.process import UserError
from shared.streams import Published, Publisher, Reader
from shared.wire import Place
from tests.shared.test_streams import CODEC, KEYS, OWNER, numbered


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator[Redis]:
    client = streams.connect(valkey.url)
    await client.set(KEYS.source("lease", "demo"), OWNER)
    yield client
    await client.aclose()


@pytest.fixture
def publisher(redis: Redis) -> Publisher:
    return Publisher(redis, KEYS, CODEC)


async def test_a_group_starts_after_what_was_there_when_it_was_made(redis: Redis, publisher: Publisher) -> None:
    first = await publisher.publish(numbered(1), OWNER)
    assert await groups.join_orders(redis, KEYS, "a")
    await publisher.publish(numbered(2), OWNER)

    reader = Reader(redis, KEYS.orders, "a", "executor")
    (entry,) = await reader.read()

    assert CODEC.fact(entry.fields) == numbered(2)
    assert isinstance(first, Published)
    place: Any = await redis.hgetall(KEYS.account("place", "a"))
    assert place == {b"entry": first.entry.encode(), b"seq:outbox-1": b"1"}


async def test_making_a_group_again_moves_nothing(redis: Redis, publisher: Publisher) -> None:
    await groups.join_orders(redis, KEYS, "a")
    await publisher.publish(numbered(1), OWNER)

    assert not await groups.join_orders(redis, KEYS, "a")

    assert len(await Reader(redis, KEYS.orders, "a", "executor").read()) == 1


async def test_what_comes_between_the_look_at_the_end_and_the_group_is_read(redis: Redis, publisher: Publisher) -> None:
    def seal(place: Place) -> bytes:
        coming.append(asyncio.create_task(publisher.publish(numbered(2), OWNER)))
        return f"{place.entry} {place.seqs}".encode()

    coming: list[asyncio.Task[Any]] = []
    first = await publisher.publish(numbered(1), OWNER)
    await groups.join_orders(redis, KEYS, "a", seal)
    await asyncio.gather(*coming)

    assert isinstance(first, Published)
    place: Any = await redis.hgetall(KEYS.account("place", "a"))
    assert place[b"seal"].decode() == f"{first.entry} {{'outbox-1': 1}}"
    (entry,) = await Reader(redis, KEYS.orders, "a", "executor").read()
    assert CODEC.fact(entry.fields) == numbered(2)


async def test_a_stream_that_was_emptied_meanwhile_is_looked_at_again(
    redis: Redis, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Place] = []
    look = groups.end

    async def emptied(client: Redis, keys: streams.Keys) -> Place:
        seen.append(await look(client, keys))
        if len(seen) == 1:
            await redis.flushall()
            await redis.set(KEYS.source("lease", "demo"), OWNER)
            await publisher.publish(numbered(1), OWNER)
        return seen[-1]

    for seq in (1, 2):
        await publisher.publish(numbered(seq), OWNER)
    monkeypatch.setattr(groups, "end", emptied)
    assert await groups.join_orders(redis, KEYS, "a")

    assert [place.seqs for place in seen] == [{"outbox-1": 2}, {"outbox-1": 1}]
    assert await redis.hget(KEYS.account("place", "a"), "entry") == seen[-1].entry.encode()


async def test_a_stream_that_is_emptied_again_and_again_is_one_line(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone_by(_redis: Redis, _keys: streams.Keys) -> Place:
        return Place(entry="1-0", seqs={"p": 1})

    monkeypatch.setattr(groups, "end", gone_by)

    with pytest.raises(UserError, match="emptied meanwhile; try again"):
        await groups.join_orders(redis, KEYS, "a")
    assert not await redis.exists(KEYS.orders)


async def test_what_a_stranger_has_written_of_a_producer_keeps_nobody_out(redis: Redis, publisher: Publisher) -> None:
    await publisher.publish(numbered(1), OWNER)
    await redis.hset(KEYS.producers, mapping={"x": "no number", "y": "9" * 40 + " 1-0 s", "z": b"\xff"})

    assert await groups.join_orders(redis, KEYS, "a")

    assert (await groups.end(redis, KEYS)).seqs == {"outbox-1": 1}


async def test_joining_leaves_the_state_that_it_is_told_and_forgets_what_is_named(redis: Redis) -> None:
    for part in ("links", "debts"):
        await redis.hset(KEYS.account(part, "a"), "x", "{}")
    await redis.hset(KEYS.account("state", "a"), mapping={"peak": "1", "removed": "then", "mode": "active"})

    await groups.join_orders(redis, KEYS, "a", state={"flattened": "5"}, forgotten=["peak"])

    state: Any = await redis.hgetall(KEYS.account("state", "a"))
    assert {name: state[name] for name in state if name != b"server"} == {b"flattened": b"5", b"mode": b"active"}
    assert not await redis.exists(KEYS.account("links", "a"), KEYS.account("debts", "a"))


async def test_what_is_no_stream_is_said_as_it_is(redis: Redis) -> None:
    await redis.set(KEYS.orders, "x")

    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await groups.end(redis, KEYS)
