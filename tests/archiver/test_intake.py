"""A batch goes from the stream into the archive and is acknowledged only then; trouble of any kind loses nothing."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from archiver.backlog import Backlog
from archiver.intake import Intake, Pace, Stream
from archiver.metrics import Metrics
from archiver.patience import Away
from archiver.rows import record
from archiver.store import Poisoned, Store
from archiver.tables import Row
from deploy.embedded import Valkey
from shared import groups, streams
from shared.process import Stop
from shared.streams import Entry, Keys, Reader
from tests.archiver.entries import CODEC, fact, select, signed
from tests.conftest import Database
from tests.shared.samples import MOMENT

KEYS = Keys("main")
IN_TIME = 20


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator[Redis]:
    client = streams.connect(valkey.url)
    await groups.join_archive(client, KEYS.orders, "archiver")
    yield client
    await client.aclose()


class Watched(Store):
    """The real store, which tells of each batch; `away` times it says that PostgreSQL does not answer."""

    def __init__(self, dsn: str) -> None:
        super().__init__(dsn)
        self.batches: asyncio.Queue[int] = asyncio.Queue()
        self.away = 0

    async def save(self, rows: Sequence[Row]) -> list[Poisoned]:
        if rows and self.away > 0:
            self.away -= 1
            raise Away("gone to lunch")
        poisoned = await super().save(rows)
        if rows:
            self.batches.put_nowait(len(rows))
        return poisoned


@asynccontextmanager
async def running(
    valkey: Valkey, archive: Database, *, consumer: str = "a", size: int = 500, linger: float = 0.02, away: int = 0
) -> AsyncIterator[Watched]:
    client, stop = streams.connect(valkey.url), Stop()

    async def bury(entry: Entry, reason: str, text: str) -> None:
        await streams.bury(client, KEYS, entry, reader="archiver", reason=reason, text=text)

    async def join() -> None:
        await groups.join_archive(client, KEYS.orders, "archiver")

    async with Watched(archive.dsn) as store:
        store.away = away
        stream = Stream(
            name="orders",
            reader=Reader(client, KEYS.orders, "archiver", consumer),
            backlog=Backlog(client, KEYS.orders, "archiver", consumer),
            judge=lambda entry: record("main", entry.id, entry.fields, CODEC.fact(entry.fields)),
            bury=bury,
            join=join,
        )
        intake = Intake(stream, store, Pace(size=size, linger=linger), Metrics(CollectorRegistry(), lambda: MOMENT))
        task = asyncio.create_task(intake.run(stop))
        try:
            yield store
        finally:
            stop.request()
            await asyncio.wait_for(task, IN_TIME)
            await client.aclose()


async def add(redis: Redis, *seqs: int) -> None:
    async with redis.pipeline(transaction=True) as pipe:
        for seq in seqs:
            pipe.xadd(KEYS.orders, signed(fact(seq)))
        await pipe.execute()


async def taken(store: Watched, count: int) -> list[int]:
    """The sizes of the batches in which `count` rows arrive."""
    batches: list[int] = []
    async with asyncio.timeout(IN_TIME):
        while sum(batches) < count:
            batches.append(await store.batches.get())
    return batches


async def pending(redis: Redis) -> int:
    return int((await redis.xpending(KEYS.orders, "archiver"))["pending"])


async def until_acknowledged(redis: Redis, left: int = 0) -> None:
    async with asyncio.timeout(IN_TIME):
        while await pending(redis) != left:
            await asyncio.sleep(0.005)


def seqs(archive: Database) -> list[int]:
    return [seq for (seq,) in select(archive.dsn, "select seq from facts order by seq")]


async def test_a_burst_is_taken_in_batches_of_the_size_that_was_set(
    valkey: Valkey, archive: Database, redis: Redis
) -> None:
    await add(redis, *range(1, 26))
    async with running(valkey, archive, size=10) as store:
        assert await taken(store, 25) == [10, 10, 5]
        await until_acknowledged(redis)
    assert seqs(archive) == list(range(1, 26))


async def test_what_comes_within_the_linger_shares_a_batch(valkey: Valkey, archive: Database, redis: Redis) -> None:
    async with running(valkey, archive, size=3, linger=10) as store:
        for seq in (1, 2, 3):
            await add(redis, seq)
        assert await taken(store, 3) == [3]


async def test_nothing_is_acknowledged_before_postgres_has_it(valkey: Valkey, archive: Database, redis: Redis) -> None:
    await add(redis, 1, 2, 3)
    async with running(valkey, archive, away=3) as store:
        async with asyncio.timeout(IN_TIME):
            while store.away > 0:
                assert await pending(redis) in (0, 3)
                assert seqs(archive) == []
                await asyncio.sleep(0.005)
        await taken(store, 3)
        await until_acknowledged(redis)
    assert seqs(archive) == [1, 2, 3]


async def test_no_more_than_the_next_batch_is_read_while_postgres_is_away(
    valkey: Valkey, archive: Database, redis: Redis
) -> None:
    await add(redis, *range(1, 21))
    async with running(valkey, archive, size=4, away=4) as store:
        async with asyncio.timeout(IN_TIME):
            while store.away > 0:
                assert await pending(redis) in (0, 4, 8)
                await asyncio.sleep(0.005)
        await taken(store, 20)
    assert seqs(archive) == list(range(1, 21))


async def test_what_an_archiver_had_in_hand_when_it_died_is_taken_up_by_its_successor(
    valkey: Valkey, archive: Database, redis: Redis
) -> None:
    await add(redis, *range(1, 8))
    await Reader(redis, KEYS.orders, "archiver", "a").read(5)
    async with running(valkey, archive, size=2) as store:
        assert sum(await taken(store, 7)) == 7
        await until_acknowledged(redis)
    assert seqs(archive) == list(range(1, 8))


async def test_what_was_stored_but_not_acknowledged_is_still_one_row(
    valkey: Valkey, archive: Database, redis: Redis
) -> None:
    await add(redis, 1)
    async with running(valkey, archive) as store:
        await taken(store, 1)
        await until_acknowledged(redis)
    await redis.xgroup_setid(KEYS.orders, "archiver", "0")
    async with running(valkey, archive) as store:
        await taken(store, 1)
    assert seqs(archive) == [1]


async def dead(redis: Redis) -> list[tuple[str, str]]:
    found: Any = await redis.xrange(KEYS.dead)
    return [(fields[b"reason"].decode(), fields[b"text"].decode()) for _, fields in found]


async def test_forged_broken_and_poisonous_entries_are_dead_letters_and_the_rest_is_stored(
    valkey: Valkey, archive: Database, redis: Redis
) -> None:
    await add(redis, 1)
    await redis.xadd(KEYS.orders, {**signed(fact(2)), b"s": b"0" * 64})
    await redis.xadd(KEYS.orders, {"hello": "world"})
    await redis.xadd(KEYS.orders, signed(fact(3, instrument="EUR\x00USD")))
    await add(redis, 4)
    async with running(valkey, archive):
        await asyncio.wait_for(_until(lambda: seqs(archive) == [1, 4]), IN_TIME)
        await until_acknowledged(redis)
    assert [reason for reason, _ in await dead(redis)] == ["bad-signature", "malformed", "refused-by-postgres"]
    assert "NUL" in (await dead(redis))[-1][1]


async def test_an_entry_signed_with_a_key_to_come_waits_for_it(valkey: Valkey, archive: Database, redis: Redis) -> None:
    await redis.xadd(KEYS.orders, {**signed(fact(1)), b"k": b"k2"})
    await add(redis, 2)
    async with running(valkey, archive):
        await asyncio.wait_for(_until(lambda: seqs(archive) == [2]), IN_TIME)
        await until_acknowledged(redis, left=1)
    assert await dead(redis) == []


async def test_a_lost_group_is_made_again_from_the_beginning(valkey: Valkey, archive: Database, redis: Redis) -> None:
    async with running(valkey, archive) as store:
        await add(redis, 1)
        await taken(store, 1)
        await redis.xgroup_destroy(KEYS.orders, "archiver")
        await add(redis, 2)
        await taken(store, 2)
    assert seqs(archive) == [1, 2]


async def test_a_connection_that_redis_cut_is_made_again(valkey: Valkey, archive: Database, redis: Redis) -> None:
    async with running(valkey, archive) as store:
        await add(redis, 1)
        await taken(store, 1)
        await until_acknowledged(redis)
        await redis.client_kill_filter(_type="normal", skipme=True)
        await add(redis, 2)
        await taken(store, 1)
    assert seqs(archive) == [1, 2]


async def _until(holds: Any) -> None:
    while not holds():
        await asyncio.sleep(0.005)
