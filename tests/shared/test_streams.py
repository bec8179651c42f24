"""Publishing is exactly once and in order; a group's pending entries are never out of reach."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, cast

import msgspec
import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from deploy.embedded import Valkey
from shared import groups, streams
from shared.facts import Fact
from shared.streams import Conflict, Duplicate, Entry, Gap, Keys, NotOwner, Published, Publisher, Reader
from shared.wire import Codec, Keyring
from tests.shared.samples import MOMENT, amount, exposure, placed

KEYS = Keys("t")
CODEC = Codec("t", Keyring(current="k1", keys={"k1": b"1" * 32}))
OWNER = "ingest:1"


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator[Redis]:
    client = streams.connect(valkey.url)
    await client.set(KEYS.source("lease", "demo"), OWNER)
    yield client
    await client.aclose()


@pytest.fixture
def publisher(redis: Redis) -> Publisher:
    return Publisher(redis, KEYS, CODEC)


def numbered(seq: int, **changes: Any) -> Fact:
    return placed(seq=seq, id=f"demo/10001/order:{seq}/1", **changes)


async def test_facts_are_published_in_order_and_readable(redis: Redis, publisher: Publisher) -> None:
    answers = [await publisher.publish(numbered(seq), OWNER) for seq in (1, 2)]

    assert all(isinstance(a, Published) for a in answers)
    entries: Any = await redis.xrange(KEYS.orders)
    assert [msgspec.json.decode(fields[b"m"])["seq"] for _, fields in entries] == [1, 2]
    assert await publisher.last("outbox-1") == 2


async def test_the_same_fact_again_is_a_duplicate_and_adds_nothing(redis: Redis, publisher: Publisher) -> None:
    first = await publisher.publish(numbered(1), OWNER)

    again = await publisher.publish(numbered(1), OWNER)

    assert isinstance(first, Published)
    assert again == Duplicate(first.entry)
    assert await redis.xlen(KEYS.orders) == 1


async def test_a_fact_that_was_published_before_the_key_changed_is_a_duplicate_and_another_is_not(
    redis: Redis, publisher: Publisher
) -> None:
    first = await publisher.publish(numbered(1), OWNER)
    assert isinstance(first, Published)
    rotated = Publisher(redis, KEYS, Codec("t", Keyring(current="k2", keys={"k2": b"2" * 32, "k1": b"1" * 32})))

    assert await rotated.publish(numbered(1), OWNER) == Duplicate(first.entry)
    other = numbered(1, captured=MOMENT + timedelta(seconds=1))
    assert await rotated.publish(other, OWNER) == Conflict(1)
    assert isinstance(await rotated.publish(numbered(2), OWNER), Published)
    entries: Any = await redis.xrange(KEYS.orders)
    assert [fields[b"k"] for _, fields in entries] == [b"k1", b"k2"]


async def test_another_fact_under_a_published_sequence_is_refused(redis: Redis, publisher: Publisher) -> None:
    await publisher.publish(numbered(1), OWNER)

    other = numbered(1, captured=MOMENT + timedelta(seconds=1))

    assert await publisher.publish(other, OWNER) == Conflict(1)
    assert await redis.xlen(KEYS.orders) == 1


async def test_a_sequence_that_was_passed_long_ago_is_refused(publisher: Publisher) -> None:
    for seq in (1, 2, 3):
        await publisher.publish(numbered(seq), OWNER)

    assert await publisher.publish(numbered(1), OWNER) == Conflict(3)


async def test_a_hole_is_refused(redis: Redis, publisher: Publisher) -> None:
    await publisher.publish(numbered(1), OWNER)

    assert await publisher.publish(numbered(3), OWNER) == Gap(1)
    assert await redis.xlen(KEYS.orders) == 1


async def test_who_does_not_own_the_source_publishes_nothing(redis: Redis, publisher: Publisher) -> None:
    assert await publisher.publish(numbered(1), "ingest:2") == NotOwner(OWNER)
    assert await redis.xlen(KEYS.orders) == 0


async def test_the_picture_has_the_newest_fact_of_what_lives(redis: Redis, publisher: Publisher) -> None:
    await publisher.publish(numbered(1), OWNER)
    picture: Any = await redis.hgetall(KEYS.source("picture", "demo"))
    assert set(picture) == {b"10001/position:o1", b"10001/order:1", b"writer"}

    closed = exposure(amount(coming="0.1"), amount(), revision=2)
    await publisher.publish(numbered(2, exposure=closed), OWNER)

    assert set(await redis.hgetall(KEYS.source("picture", "demo"))) == {b"10001/order:1", b"writer"}


async def test_everything_pending_is_claimed_lowest_first_whoever_had_it(redis: Redis, publisher: Publisher) -> None:
    await groups.join_orders(redis, KEYS, "a")
    for seq in range(1, 13):
        await publisher.publish(numbered(seq), OWNER)
    await Reader(redis, KEYS.orders, "a", "one").read(count=7)
    await Reader(redis, KEYS.orders, "a", "two").read(count=5)

    claimed = await Reader(redis, KEYS.orders, "a", "executor").claim()

    assert [CODEC.fact(e.fields) for e in claimed] == [numbered(seq) for seq in range(1, 13)]


async def test_what_is_pending_is_known_by_its_ids_and_read_again_by_them(redis: Redis, publisher: Publisher) -> None:
    await groups.join_orders(redis, KEYS, "a")
    await publisher.publish(numbered(1), OWNER)
    reader = Reader(redis, KEYS.orders, "a", "executor")
    (entry,) = await reader.read()

    assert await reader.pending() == [entry.id]
    assert await reader.entry(entry.id) == entry
    await reader.ack(entry.id)
    assert await reader.pending() == []
    await redis.xdel(KEYS.orders, entry.id)
    assert await reader.entry(entry.id) == Entry(entry.id, {})


async def test_what_was_acknowledged_and_not_passed_is_taken_back(redis: Redis, publisher: Publisher) -> None:
    """Of what was delivered alone, and what is pending stays with who has it."""
    await groups.join_orders(redis, KEYS, "a")
    for seq in range(1, 7):
        await publisher.publish(numbered(seq), OWNER)
    reader = Reader(redis, KEYS.orders, "a", "executor")
    ids = [entry.id for entry in await reader.read(count=5)]
    await reader.ack(*ids[:4])

    assert await reader.take_back(ids[1]) == ids[2:4]

    assert [entry.id for entry in await reader.claim()] == ids[2:]
    assert await reader.take_back(ids[1]) == []
    assert await reader.take_back(ids[4]) == []


async def test_what_waits_and_was_acknowledged_is_taken_back_also_below_the_place(
    redis: Redis, publisher: Publisher
) -> None:
    """What the stream has no more is named and pending no more; what is delivered in its turn is left to that."""
    await groups.join_orders(redis, KEYS, "a")
    for seq in range(1, 5):
        await publisher.publish(numbered(seq), OWNER)
    reader = Reader(redis, KEYS.orders, "a", "executor")
    ids = [entry.id for entry in await reader.read(count=3)]
    await reader.ack(*ids)
    await redis.xdel(KEYS.orders, ids[1])
    ((unread, _),) = cast(Any, await redis.xrevrange(KEYS.orders, count=1))

    assert await reader.take_back(ids[2], [ids[0], ids[1], unread.decode()]) == ids[:2]
    assert await reader.pending() == ids[:1]


async def test_what_somebody_has_claimed_before_its_turn_is_left_to_its_turn(
    redis: Redis, publisher: Publisher
) -> None:
    await groups.join_orders(redis, KEYS, "a")
    for seq in (1, 2):
        await publisher.publish(numbered(seq), OWNER)
    reader = Reader(redis, KEYS.orders, "a", "executor")
    (first,) = await reader.read()
    ((last, _),) = cast(Any, await redis.xrevrange(KEYS.orders, count=1))
    await redis.xclaim(KEYS.orders, "a", "another", 0, [last], force=True)

    assert [entry.id for entry in await reader.claim()] == [first.id]
    assert [entry.id for entry in await reader.read()] == [last.decode()]


async def test_nothing_is_taken_back_of_what_nobody_has_read(redis: Redis, publisher: Publisher) -> None:
    await groups.join_orders(redis, KEYS, "a")
    await publisher.publish(numbered(1), OWNER)

    assert await Reader(redis, KEYS.orders, "a", "executor").take_back("0-0") == []


async def test_nothing_new_within_the_block_time_is_an_empty_read(redis: Redis) -> None:
    await groups.join_orders(redis, KEYS, "a")

    assert await Reader(redis, KEYS.orders, "a", "executor").read(block_ms=1) == []


async def test_a_lost_group_is_an_error_of_its_own(redis: Redis) -> None:
    await groups.join_orders(redis, KEYS, "a")
    await redis.flushall()
    reader = Reader(redis, KEYS.orders, "a", "executor")

    with pytest.raises(streams.GroupLost):
        await reader.read(block_ms=1)
    with pytest.raises(streams.GroupLost):
        await reader.claim()
    with pytest.raises(streams.GroupLost):
        await reader.take_back("0-0")
    with pytest.raises(streams.GroupLost):
        await reader.waiting()


async def test_a_dead_letter_keeps_the_bytes_and_says_who_and_why(redis: Redis) -> None:
    await streams.bury(redis, KEYS, Entry("1-1", {b"m": b"\xff"}), reader="a", reason="malformed", text="x" * 600)

    dead: Any = await redis.xrange(KEYS.dead)
    ((_, fields),) = dead
    assert fields[b"m"] == b"\xff"
    assert (fields[b"reader"], fields[b"entry"], fields[b"reason"]) == (b"a", b"1-1", b"malformed")
    assert len(fields[b"text"]) == streams.DEAD_TEXT_LIMIT


async def test_a_client_never_repeats_a_command_by_itself(redis: Redis) -> None:
    retries = redis.connection_pool.connection_kwargs["retry"]

    assert retries.get_retries() == 0


async def test_an_error_that_is_not_about_the_group_stays_itself(redis: Redis) -> None:
    await redis.set(KEYS.orders, "not a stream")

    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await Reader(redis, KEYS.orders, "a", "executor").read(block_ms=1)


async def test_an_error_of_the_server_is_not_its_own_cause(redis: Redis) -> None:
    """Whoever looks for the cause behind an error would look for ever."""
    await redis.set(KEYS.orders, "no stream")
    reader = Reader(redis, KEYS.orders, "main", "c1")

    for asked in (reader.read(block_ms=None), reader.pending()):
        with pytest.raises(ResponseError) as found:
            await asked
        assert found.value.__cause__ is not found.value
