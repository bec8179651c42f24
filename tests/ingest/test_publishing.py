import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from redis.exceptions import RedisError

from deploy.embedded import Valkey
from ingest.metrics import Metrics
from ingest.outbox import Outbox
from ingest.ownership import Ownership
from ingest.publishing import Courier
from ingest.succession import Succession
from shared import streams
from shared.lease import Lease
from shared.process import cancelled
from shared.streams import Keys, Publisher
from shared.wire import Codec, Keyring
from tests.ingest.samples import fact, journal

KEYS = Keys("test")
CODEC = Codec("test", Keyring(current="k", keys={"k": b"0123456789abcdef"}))
PATIENCE = 20


class Desk:
    """One ingest without its proxy: an outbox, an owner and a courier for each source."""

    def __init__(self, redis: Redis, path: Path, *sources: str) -> None:
        numbers = iter(range(1, 100))
        start = len(list(path.glob("*.journal")))
        self.redis = redis
        self.outbox = Outbox(path, sources or ("demo",), fresh=lambda name: f"{name}-{start}.{next(numbers)}")
        self.registry = CollectorRegistry()
        metrics = Metrics(self.registry)
        metrics.watch(self.outbox)
        publisher = Publisher(redis, KEYS, CODEC)
        self.heir = Succession(redis, KEYS, CODEC, self.outbox, metrics, lambda *_: {})
        self.owners = {name: self.owner(name) for name in sources or ("demo",)}
        owners = self.owners.values()
        self.couriers = [Courier(owner, self.outbox, publisher, self.heir, metrics) for owner in owners]
        self.tasks: list[asyncio.Task[None]] = []

    def owner(self, name: str) -> Ownership:
        lease = Lease(self.redis, KEYS.source("lease", name), duration=10, owner="test")
        return Ownership(name, lease, self.outbox, lambda: None, self.heir.settle)

    def add(self, count: int = 1, source: str = "demo") -> None:
        producer = self.outbox.producers[source]
        for _ in range(count):
            self.outbox.answer(source, facts=(fact(producer.next_seq, producer.id, source),))

    async def drained(self, source: str = "demo") -> None:
        async with asyncio.timeout(PATIENCE):
            await self.outbox.producers[source].idle.wait()

    async def published(self, source: str = "demo") -> list[tuple[str, int]]:
        entries = cast(list[Any], await self.redis.xrange(KEYS.orders))
        facts = [CODEC.fact(fields) for _, fields in entries]
        return [(f.producer, f.seq) for f in facts if getattr(f, "source", None) == source]  # type: ignore[union-attr]

    def value(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"tradecopier_ingest_{name}", labels) or 0


@asynccontextmanager
async def working(url: str, path: Path, *sources: str) -> AsyncIterator[Desk]:
    redis = streams.connect(url)
    desk = Desk(redis, path, *sources)
    desk.tasks = [asyncio.create_task(courier.run()) for courier in desk.couriers]
    try:
        yield desk
    finally:
        await cancelled(*desk.tasks)
        desk.outbox.close()
        await redis.aclose()


def numbered(count: int, producer: str = "demo-0.1") -> list[tuple[str, int]]:
    return [(producer, seq) for seq in range(1, count + 1)]


async def until(desk: Desk, what: str, **labels: str) -> None:
    """Wait until a metric is above 0."""
    async with asyncio.timeout(PATIENCE):
        while not desk.value(what, **labels):
            await asyncio.sleep(0.01)


async def test_facts_go_out_in_their_order_as_they_come(valkey: Valkey, tmp_path: Path) -> None:
    async with working(valkey.url, tmp_path) as desk:
        for count in (1, 30, 1):
            desk.add(count)
            await desk.drained()
        assert await desk.published() == numbered(32)
        assert desk.value("publish_seconds_count", source="demo") == 32
        assert desk.value("waiting_facts", source="demo") == 0


async def test_what_waited_goes_out_after_a_restart(valkey: Valkey, tmp_path: Path) -> None:
    redis = streams.connect(valkey.url)
    desk = Desk(redis, tmp_path)
    desk.add(3)
    desk.outbox.close()
    await redis.aclose()
    async with working(valkey.url, tmp_path) as desk:
        await desk.drained()
        assert await desk.published() == numbered(3)


def forget_publishing(path: Path) -> None:
    kept = [line for line in path.read_bytes().splitlines(keepends=True) if b'"record":"published"' not in line]
    path.write_bytes(b"".join(kept))


def lose_everything_from(path: Path, text: bytes) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"\n", 0, content.index(text)) + 1])


async def test_what_was_published_but_not_recorded_so_is_not_published_again(valkey: Valkey, tmp_path: Path) -> None:
    async with working(valkey.url, tmp_path) as desk:
        desk.add(5)
        await desk.drained()
    forget_publishing(journal(tmp_path))
    async with working(valkey.url, tmp_path) as desk:
        assert len(desk.outbox.producers["demo"].waiting) == 5
        await desk.drained()
        desk.add()
        await desk.drained()
        assert await desk.published() == numbered(6)


async def test_facts_that_the_stream_lost_are_published_again(valkey: Valkey, tmp_path: Path) -> None:
    async with working(valkey.url, tmp_path) as desk:
        desk.add(5)
        await desk.drained()
        entries = cast(list[Any], await desk.redis.xrange(KEYS.orders))
        last = await desk.redis.hget(KEYS.producers, "demo-0.1")
        desk.add(3)
        await desk.drained()
        lost = [i for i, _ in cast(list[Any], await desk.redis.xrange(KEYS.orders)) if i not in {e for e, _ in entries}]
        async with desk.redis.pipeline(transaction=True) as failover:
            failover.xdel(KEYS.orders, *lost)
            failover.hset(KEYS.producers, "demo-0.1", cast(bytes, last))
            await failover.execute()
        await until(desk, "rewinds_total", source="demo")
        await desk.drained()
        assert await desk.published() == numbered(8)


async def test_what_is_older_than_the_outbox_is_waited_for_until_it_is_restored(
    valkey: Valkey, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with working(valkey.url, tmp_path) as desk:
        desk.add(4)
        await desk.drained()
    async with working(valkey.url, tmp_path):
        pass
    journal(tmp_path).unlink()
    async with working(valkey.url, tmp_path) as desk:
        restored = cast(bytes, await desk.redis.hget(KEYS.producers, "demo-0.1"))
        await desk.redis.delete(KEYS.orders, KEYS.producers)
        desk.add(2)
        async with asyncio.timeout(PATIENCE):
            while "`tradecopier restore` gets them from the archive" not in caplog.text:
                await asyncio.sleep(0.02)
        assert await desk.published() == []
        assert desk.value("redis_up", source="demo") == 0

        await desk.redis.hset(KEYS.producers, "demo-0.1", restored)
        await desk.drained()
        await until(desk, "redis_up", source="demo")
        assert await desk.published() == numbered(6)[4:]
    assert caplog.text.count("`tradecopier restore`") == 1


async def test_a_stream_that_is_ahead_means_a_new_producer_and_a_loud_word(
    valkey: Valkey, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with working(valkey.url, tmp_path) as desk:
        desk.add(4)
        await desk.drained()
    lose_everything_from(journal(tmp_path), b'"seq":3')
    async with working(valkey.url, tmp_path) as desk:
        await desk.redis.delete(KEYS.source("lease", "demo"))  # its token was in the tail that is lost
        await until(desk, "new_producers_total", source="demo", reason="ahead")
        desk.add()
        await desk.drained()
        new = desk.outbox.producers["demo"].id
        assert new != "demo-0.1"
        published = await desk.published()
        assert published[:4] == numbered(4)
        assert published[4:] == numbered(len(published) - 4, new)
    assert "the outbox, which has lost its tail" in caplog.text


async def test_another_fact_under_our_sequence_means_a_new_producer(valkey: Valkey, tmp_path: Path) -> None:
    async with working(valkey.url, tmp_path) as desk:
        await desk.owners["demo"].claim()
        stranger = fact(1, "demo-0.1")
        stranger = type(stranger)(
            **{f: getattr(stranger, f) for f in stranger.__struct_fields__} | {"instrument": "GBPUSD"}
        )
        await Publisher(desk.redis, KEYS, CODEC).publish(stranger, desk.owners["demo"].token)
        desk.add(2)
        await desk.drained()
        assert desk.value("new_producers_total", source="demo", reason="conflict") == 1
        assert await desk.published() == [("demo-0.1", 1), *numbered(2, desk.outbox.producers["demo"].id)]


async def test_a_source_that_another_owns_waits_and_holds_up_no_other(valkey: Valkey, tmp_path: Path) -> None:
    async with working(valkey.url, tmp_path, "demo", "other") as desk:
        stranger = Lease(desk.redis, KEYS.source("lease", "demo"), duration=60, owner="elsewhere")
        await stranger.acquire()
        desk.add(2, "demo")
        desk.add(2, "other")
        await desk.drained("other")
        assert await desk.published("other") == numbered(2, "other-0.2")
        assert await desk.published("demo") == []
        await stranger.release()
        await desk.drained("demo")
        assert await desk.published("demo") == numbered(2)


@contextmanager
def server(path: Path) -> Iterator[Valkey]:
    own = Valkey(path)
    own.start()
    try:
        yield own
    finally:
        own.stop()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
async def test_a_server_that_dies_amid_500_facts_gets_each_once_and_in_order(
    tmp_path: Path, how: signal.Signals
) -> None:
    with server(tmp_path / "valkey") as valkey:
        async with working(valkey.url, tmp_path / "outbox") as desk:
            for number in range(500):
                desk.add()
                if number == 250:
                    os.kill(cast(int, valkey.pid), how)
                    await asyncio.sleep(0)
                if number == 400:
                    await until(desk, "waiting_facts", source="demo")
                    await asyncio.to_thread(valkey.stop)
                    await valkey.started()
                if number % 10 == 0:
                    await asyncio.sleep(0.001)
            await desk.drained()
            assert await desk.published() == numbered(500)


@pytest.mark.parametrize(
    ("trouble", "remedy"),
    [
        (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
        (("CLIENT", "PAUSE", "700", "ALL"), ("PING",)),
    ],
    ids=["out of memory", "read-only", "slow"],
)
async def test_facts_wait_while_the_server_takes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: tuple[str, ...], remedy: tuple[str, ...]
) -> None:
    monkeypatch.setattr(streams, "SOCKET_TIMEOUT_S", 0.2)
    with server(tmp_path / "valkey") as valkey:
        async with working(valkey.url, tmp_path / "outbox") as desk:
            desk.add()
            await desk.drained()
            await desk.redis.execute_command(*trouble)  # type: ignore[no-untyped-call]
            desk.add(3)
            async with asyncio.timeout(PATIENCE):
                while not desk.couriers[0].holding:
                    await asyncio.sleep(0.005)
            assert desk.value("redis_up", source="demo") == 0
            assert desk.value("waiting_facts", source="demo") == 3
            async with asyncio.timeout(PATIENCE):
                while True:
                    try:
                        await desk.redis.execute_command(*remedy)  # type: ignore[no-untyped-call]
                        break
                    except RedisError:
                        await asyncio.sleep(0.05)
            await desk.drained()
            assert await desk.published() == numbered(4)
            await until(desk, "redis_up", source="demo")
