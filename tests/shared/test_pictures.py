"""What a successor reads of a source is what somebody of ours has signed."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from redis.asyncio import Redis

from deploy.embedded import Valkey
from shared import streams
from shared.facts import PositionClosed
from shared.pictures import SourcePicture, source_picture
from shared.streams import Keys, Publisher
from shared.wire import Codec, Keyring
from tests.shared.samples import amount, exposure, header, order, placed

KEYS = Keys("t")
CODEC = Codec("t", Keyring(current="k1", keys={"k1": b"1" * 32}))
OWNER = "ingest:1"


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator[Redis]:
    client = streams.connect(valkey.url)
    await client.set(KEYS.source("lease", "demo"), OWNER)
    yield client
    await client.aclose()


def numbered(seq: int, **changes: Any) -> Any:
    return placed(seq=seq, id=f"demo/10001/order:{seq}/1", **changes)


async def picture(redis: Redis) -> SourcePicture:
    return await source_picture(redis, KEYS, CODEC, "demo")


async def test_a_source_of_which_nothing_was_published_has_no_writer(redis: Redis) -> None:
    assert await picture(redis) == SourcePicture("", ())


async def test_the_last_writer_and_the_newest_fact_of_what_lives_each_once(redis: Redis) -> None:
    publisher = Publisher(redis, KEYS, CODEC)
    await publisher.publish(numbered(1), OWNER)
    assert await picture(redis) == SourcePicture("outbox-1", (numbered(1),), positions=(numbered(1),))
    await publisher.publish(numbered(1, producer="outbox-2"), OWNER)
    assert (await picture(redis)).writer == "outbox-2"


async def test_who_wrote_last_is_known_when_nothing_lives_any_more(redis: Redis) -> None:
    publisher = Publisher(redis, KEYS, CODEC)
    order = numbered(1).order
    done = type(order)(id=order.id, type="market", side="buy", quantity=order.quantity, filled=order.quantity)
    over = numbered(1, order=done, exposure=exposure(amount(coming="0.1"), amount(), revision=2))
    await publisher.publish(over, OWNER)
    assert await picture(redis) == SourcePicture("outbox-1", ())


@pytest.mark.parametrize(
    "forge",
    [
        lambda kept: kept.replace(b'"buy"', b'"sell"'),
        lambda kept: kept.replace(b"k1 ", b"k2 ", 1),
        lambda _: b"",
        lambda _: b"k1 abc",
        lambda _: b"\xff\x00 \xff \xff",
    ],
    ids=["another message", "another key", "nothing", "no message", "garbage"],
)
async def test_what_is_not_soundly_signed_is_named_and_not_believed(redis: Redis, forge: Any) -> None:
    await Publisher(redis, KEYS, CODEC).publish(numbered(1), OWNER)
    kept: Any = await redis.hgetall(KEYS.source("picture", "demo"))
    for name in (b"10001/order:1", b"10001/position:o1"):
        await redis.hset(KEYS.source("picture", "demo"), name, forge(kept[name]))
    found = await picture(redis)
    assert (found.facts, set(found.refused)) == ((), {"10001/order:1", "10001/position:o1"})


async def test_a_fact_of_another_source_has_no_place_in_it(redis: Redis) -> None:
    await Publisher(redis, KEYS, CODEC).publish(numbered(1), OWNER)
    kept: Any = await redis.hgetall(KEYS.source("picture", "demo"))
    await redis.hset(KEYS.source("picture", "other"), mapping=kept)
    found = await source_picture(redis, KEYS, CODEC, "other")
    assert (found.facts, len(found.refused)) == ((), 2)


async def test_a_resting_order_says_nothing_of_a_position_that_is_over(redis: Redis) -> None:
    publisher = Publisher(redis, KEYS, CODEC)
    limit = order(type="limit", limit_price=Decimal(1))
    resting = numbered(1, order=limit, exposure=exposure(amount(held="1"), amount(held="1"), revision=2))
    closed = exposure(amount(held="1"), amount(), revision=3)
    await publisher.publish(resting, OWNER)
    assert (await picture(redis)).positions == (resting,)
    await publisher.publish(PositionClosed(**header(id="demo/10001/position:o1/3", seq=2, exposure=closed)), OWNER)
    found = await picture(redis)
    assert (found.facts, found.positions) == ((resting,), ())


async def test_a_fact_in_the_place_of_another_object_is_not_believed(redis: Redis) -> None:
    await Publisher(redis, KEYS, CODEC).publish(numbered(1), OWNER)
    kept: Any = await redis.hget(KEYS.source("picture", "demo"), "10001/position:o1")
    await redis.hset(KEYS.source("picture", "demo"), "10001/position:o2", kept)
    assert (await picture(redis)).refused == ("10001/position:o2",)
