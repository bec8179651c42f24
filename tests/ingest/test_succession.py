import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from deploy.embedded import Valkey
from ingest.album import Album
from ingest.exchange import Exchange
from ingest.intake import Intake
from ingest.metrics import Metrics
from ingest.outbox import Outbox
from ingest.ownership import Ownership
from ingest.publishing import Courier
from ingest.source import Source
from ingest.succession import Succession
from shared import streams
from shared.facts import Fact
from shared.lease import Lease
from shared.process import cancelled
from shared.streams import Keys, Publisher
from shared.wire import Codec, Keyring
from tests.ingest.samples import BROKER, START, market_buy, request
from tests.ingest.story import PAPER, Story
from tests.ingest.test_paper import pushed

KEYS = Keys("test")
CODEC = Codec("test", Keyring(current="k", keys={"k": b"0123456789abcdef"}))
PATIENCE = 20
COUNTERS = iter(range(1, 1000))


class Ingest:
    """One ingest without its proxy, on a machine of its own; what it captures is handed to it."""

    def __init__(self, redis: Redis, path: Path, source: Source = BROKER) -> None:
        self.redis = redis
        self.now = START
        self.registry = CollectorRegistry()
        metrics = Metrics(self.registry)
        self.outbox = Outbox(path, ["demo"], fresh=lambda name: f"{path.name}.{next(COUNTERS)}")
        self.album = Album(self.outbox.pictures)
        self.intake = Intake([source], self.outbox, self.album, metrics, clock=self.clock)
        self.heir = Succession(redis, KEYS, CODEC, self.outbox, metrics, self.intake.adopt)
        self.lease = Lease(redis, KEYS.source("lease", "demo"), duration=60, owner=path.name)
        self.owner = Ownership("demo", self.lease, self.outbox, lambda: None, self.heir.settle)
        self.courier = Courier(self.owner, self.outbox, Publisher(redis, KEYS, CODEC), self.heir, metrics)

    def clock(self) -> datetime:
        return self.now

    @property
    def producer(self) -> str:
        return self.outbox.producers["demo"].id

    def answer(self, exchange: Exchange, said: Any) -> None:
        self.now += timedelta(seconds=1)
        exchange = replace(exchange, asked=self.now - timedelta(seconds=0.2))
        self.intake.asked(exchange)
        self.intake.answered(replace(exchange, status=200, answer=json.dumps(said).encode(), answered=self.now))

    def buy(self, order: str) -> None:
        self.answer(market_buy(f"buy{order}"), {"s": "ok", "d": {"orderId": order}})

    def close(self, position: str, amount: str = "") -> None:
        form = {"amount": amount} if amount else {}
        path = f"/accounts/10001/positions/{position}"
        self.answer(request("DELETE", path, form, flow=f"close{self.now}"), {"s": "ok"})

    def poll(self, *positions: tuple[str, float], rounds: int = 1) -> None:
        for _ in range(rounds):
            rows = [{"id": i, "instrument": "EURUSD", "qty": q, "side": "buy", "avgPrice": 1.08} for i, q in positions]
            for kind, said in (("orders", []), ("positions", rows)):
                self.now += timedelta(seconds=1)
                self.answer(request("GET", f"/accounts/10001/{kind}", flow=f"{kind}{self.now}"), {"s": "ok", "d": said})

    async def publish(self, rewinds: int = 0) -> None:
        """Publish what waits, once so often the stream was seen to have lost something."""
        task = asyncio.create_task(self.courier.run())
        try:
            async with asyncio.timeout(PATIENCE):
                while self.value("rewinds_total") < rewinds:
                    await asyncio.sleep(0.005)
                await self.outbox.producers["demo"].idle.wait()
        finally:
            await cancelled(task)

    async def remember(self) -> None:
        await self.heir.remember("demo", self.album.of("demo"))

    def value(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"tradecopier_ingest_{name}", {"source": "demo", **labels}) or 0


@contextmanager
def ingest(redis: Redis, path: Path, source: Source = BROKER) -> Iterator[Ingest]:
    found = Ingest(redis, path, source)
    try:
        yield found
    finally:
        found.outbox.close()


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator[Redis]:
    found = streams.connect(valkey.url)
    yield found
    await found.aclose()


async def stream(redis: Redis) -> list[Fact]:
    entries = cast(list[Any], await redis.xrange(KEYS.orders))
    facts = [CODEC.fact(fields) for _, fields in entries]
    assert all(isinstance(f, Fact) for f in facts)
    return cast(list[Fact], facts)


def followed(facts: list[Fact]) -> dict[str, tuple[int, str]]:
    """Revision and total of each position for a reader that takes no lower revision than it has; it never goes back."""
    found: dict[str, tuple[int, str]] = {}
    for fact in facts:
        revision, total = fact.exposure.revision, str(fact.exposure.after.total)
        known = found.get(fact.exposure.position, (0, "0"))
        assert revision != known[0] or total == known[1], f"{fact} says otherwise than what was followed, {known}"
        if revision >= known[0]:
            found[fact.exposure.position] = revision, total
    return found


@asynccontextmanager
async def failover(redis: Redis) -> AsyncIterator[None]:
    """What is written inside is lost, for all keys at once, but the group of readers went on reading it."""
    names = cast(list[bytes], await redis.keys("*"))
    kept = {name: await redis.dump(name) for name in names if await redis.type(name) != b"none"}
    yield
    await redis.flushall()
    for name, content in kept.items():
        await redis.restore(name, 0, cast(bytes, content))


async def opened(ours: Ingest) -> None:
    """The trader has bought 0.1, and the panel shows it as position 5."""
    await ours.owner.claim()
    ours.poll()
    ours.buy("77")
    ours.poll(("5", 0.1), rounds=2)


async def test_what_a_former_owner_did_not_publish_is_overtaken_when_another_has_written_since(
    redis: Redis, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ingest(redis, tmp_path / "first") as first, ingest(redis, tmp_path / "second") as second:
        await opened(first)
        await first.publish()
        await first.remember()
        first.close("5", "0.04")  # never published: total 0.06
        await first.owner.release()

        assert await second.owner.claim()
        second.now = first.now
        second.poll(("5", 0.06), rounds=3)
        second.close("5")
        second.poll(rounds=3)
        await second.publish()
        await second.owner.release()

        old = first.producer
        first.now = second.now
        assert await first.owner.claim()
        await first.publish()
        first.poll(rounds=3)
        await first.publish()
        assert first.producer != old
        assert first.value("overtaken_facts_total") == 1
        assert first.value("new_producers_total", reason="taken-over") == 1
        assert "1 facts of demo are overtaken, they are not published: ['demo/10001/position:o77/" in caplog.text
        facts = await stream(redis)
        revision, total = followed(facts)["o77"]
        assert total == "0"
        assert revision == max(f.exposure.revision for f in facts)


@pytest.mark.parametrize("dies", [False, True], ids=["lets go", "dies"])
async def test_a_position_that_gets_another_id_as_another_ingest_takes_over_is_closed_in_part_and_not_opened_again(
    redis: Redis, tmp_path: Path, dies: bool
) -> None:
    with ingest(redis, tmp_path / "first") as first, ingest(redis, tmp_path / "second") as second:
        await opened(first)
        await first.remember()
        await first.publish()
        count = len(await stream(redis))
        await (redis.delete(KEYS.source("lease", "demo")) if dies else first.owner.release())

        second.now = first.now + timedelta(seconds=11)
        assert await second.owner.claim()
        second.poll(("6", 0.06), rounds=4)
        await second.publish()
        second.close("6")
        second.poll(rounds=3)
        await second.publish()
        told = [f for f in (await stream(redis))[count:] if f.captured > first.now]
        after = [(f.exposure.position, f.exposure.position_id, float(f.exposure.after.total)) for f in told]
        assert after == [("o77", "6", 0.06), ("o77", "6", 0), ("o77", "6", 0)]


async def test_a_new_owner_can_publish_again_what_a_failover_has_lost(redis: Redis, tmp_path: Path) -> None:
    with ingest(redis, tmp_path / "first") as first, ingest(redis, tmp_path / "second") as second:
        await opened(first)
        await first.publish()
        await first.remember()
        async with failover(redis):
            first.close("5")
            first.poll(rounds=3)
            await first.publish()
            read = await stream(redis)
            await first.owner.release()
            assert await second.owner.claim()
            second.now = first.now
            await second.publish()
        await redis.delete(KEYS.source("lease", "demo"))  # the first one's is back, and would lapse
        await second.owner.claim()
        second.poll(rounds=3)
        await second.publish(rewinds=1)
        after = followed(await stream(redis))
        assert after["o77"] == followed(read)["o77"]
        assert after["o77"][1] == "0"


async def test_what_is_stated_again_is_the_same_fact_for_every_reader(redis: Redis, tmp_path: Path) -> None:
    with ingest(redis, tmp_path / "first") as first, ingest(redis, tmp_path / "second") as second:
        await opened(first)
        first.buy("78")
        await first.publish()
        before = await stream(redis)
        await first.owner.release()
        await second.owner.claim()
        await second.publish()
        again = (await stream(redis))[len(before) :]
        assert [f.seq for f in again] == list(range(1, len(again) + 1))
        assert {f.producer for f in again} == {second.producer}
        by_id = {f.id: f for f in before}
        for fact in again:
            assert fact == replace(by_id[fact.id], producer=fact.producer, seq=fact.seq, evidence="poll")
        assert followed(again) == followed(before)


async def test_who_comes_back_with_nobody_in_between_goes_on_where_it_was(redis: Redis, tmp_path: Path) -> None:
    with ingest(redis, tmp_path / "first") as first:
        await opened(first)
        await first.publish()
        first.buy("78")
        producer = first.producer
        await first.owner.release()
    with ingest(redis, tmp_path / "first") as first:
        assert await first.owner.claim()
        await first.publish()
        assert first.producer == producer
        facts = await stream(redis)
        assert [f.seq for f in facts] == list(range(1, len(facts) + 1))
        assert facts[-1].exposure.position == "o78"


async def test_a_producer_of_our_own_that_was_renewed_is_not_taken_for_another(redis: Redis, tmp_path: Path) -> None:
    with ingest(redis, tmp_path / "first") as first:
        await opened(first)
        await first.publish()
        first.buy("78")
        first.outbox.renew("demo")
        first.outbox.renew("demo")
        producer = first.producer
        await first.owner.release()
    with ingest(redis, tmp_path / "first") as first:
        await first.owner.claim()
        assert first.producer == producer
        await first.publish()
        assert (await stream(redis))[-1].exposure.position == "o78"


async def test_an_outbox_that_was_lost_whole_is_said_and_the_picture_in_redis_is_where_it_goes_on(
    redis: Redis, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ingest(redis, tmp_path / "first") as first:
        await opened(first)
        await first.publish()
        await first.remember()
        await first.owner.release()
        now = first.now
    with ingest(redis, tmp_path / "anew") as anew:
        anew.now = now
        await anew.owner.claim()
        assert "an outbox was lost with what waited in it" in caplog.text
        assert anew.value("new_producers_total", reason="no-outbox") == 1
        anew.poll(("5", 0.1), rounds=3)
        await anew.publish()
        before = len(await stream(redis))
        anew.poll(("6", 0.3), rounds=3)
        await anew.publish()
        news = (await stream(redis))[before:]
        assert {(f.exposure.position, str(f.exposure.after.total)) for f in news} == {("o77", "0"), ("p6", "0.3")}


async def test_the_first_ingest_of_a_source_has_nothing_to_take_over(redis: Redis, tmp_path: Path) -> None:
    with ingest(redis, tmp_path / "first") as first:
        producer = first.producer
        await first.owner.claim()
        assert (first.producer, first.value("overtaken_facts_total")) == (producer, 0)


async def test_what_nobody_of_ours_has_signed_is_not_stated_again(
    redis: Redis, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ingest(redis, tmp_path / "first") as first, ingest(redis, tmp_path / "second") as second:
        await opened(first)
        await first.publish()
        await first.remember()
        kept = cast(dict[bytes, bytes], await redis.hgetall(KEYS.source("picture", "demo")))
        forged = kept[b"10001/position:o77"].replace(b'"0.1"', b'"9.9"')
        await redis.hset(KEYS.source("picture", "demo"), "10001/position:o77", forged)
        memory = cast(bytes, await redis.hget(KEYS.source("memory", "demo"), "10001"))
        await redis.hset(KEYS.source("memory", "demo"), "10001", memory.replace(b"0.1", b"9.9"))
        await first.owner.release()
        await second.owner.claim()
        await second.publish()
        assert all("9.9" not in str(f) for f in await stream(redis))
        assert "10001/position:o77" in caplog.text
        assert "what was remembered of demo/10001 cannot be read" in caplog.text


async def test_only_the_owner_is_remembered_and_only_what_is_new(redis: Redis, tmp_path: Path) -> None:
    memory = KEYS.source("memory", "demo")
    with ingest(redis, tmp_path / "first") as first, ingest(redis, tmp_path / "second") as second:
        await opened(first)
        await first.remember()
        kept = cast(dict[bytes, bytes], await redis.hgetall(memory))
        assert set(kept) == {b"10001", b"10001/instruments"}
        await redis.delete(memory)
        first.poll(("5", 0.1), rounds=2)
        await first.remember()
        assert not await redis.exists(memory), "the times of polls are no news"
        second.album.put(first.album.of("demo")[0])
        await second.remember()
        assert not await redis.exists(memory)
        first.close("5")
        await first.remember()
        assert await redis.exists(memory)


async def test_an_outbox_without_its_tail_still_publishes_what_redis_knows_nothing_of(
    redis: Redis, tmp_path: Path
) -> None:
    with ingest(redis, tmp_path / "first") as first:
        await opened(first)
        await first.publish()
        await first.remember()
        first.close("5")
        first.buy("78")
        waiting = [f.exposure.position for f in first.outbox.producers["demo"].waiting]
        await first.heir.torn("demo", "ahead")
        await first.publish()
        assert waiting == ["o77", "o78"]
        assert first.value("overtaken_facts_total") == 1
        assert followed(await stream(redis))["o78"][1] == "0.1"
        assert "o78" in first.album.of("demo")[0].positions


class Page(Story):
    """TradingView's page on Paper Trading, before whichever ingest owns the source."""

    def __init__(self) -> None:
        super().__init__(replace(PAPER, name="demo", quantity_unit="units"), "1234567")

    def balance(self, ours: Ingest, *positions: dict[str, object]) -> None:
        self.wait(2)
        ours.now = self.now
        said = {"balance": 100000, "positions": list(positions)}
        ours.intake.answered(self.exchange("POST", "/trading/account/1234567", b"{}", said))

    def ask(self, ours: Ingest, **body: object) -> None:
        """An order whose reply does not come."""
        self.wait(1)
        ours.now = self.now
        text = json.dumps(body).encode()
        ours.intake.asked(self.exchange("POST", "/trading/place/1234567", text, status=None, left=0))

    def push(self, ours: Ingest, name: str, **said: object) -> None:
        self.wait(0.1)
        ours.now = self.now
        ours.intake.seen(pushed(name, self, said))


GOLD: dict[str, object] = {"symbol": "OANDA:XAUUSD", "side": "buy", "qty": 3}
OTHER: dict[str, object] = {"symbol": "OANDA:EURUSD", "side": "buy", "qty": 1000}
LIMIT = GOLD | {"type": "limit", "price": 2000}


def waiting(ours: Ingest) -> int:
    (picture,) = ours.album.of("demo")
    return len(picture.waiting)


async def test_frames_that_wait_for_a_reply_are_handed_over_with_the_source(redis: Redis, tmp_path: Path) -> None:
    """A frame is pushed once, and no poll of Paper Trading lists orders."""
    page = Page()
    with ingest(redis, tmp_path / "one", page.source) as one, ingest(redis, tmp_path / "two", page.source) as two:
        await one.owner.claim()
        page.balance(one, OTHER)
        await one.publish()
        page.ask(one, **LIMIT)
        page.push(one, "order_update", id=7, status="working", **LIMIT)
        page.push(one, "order_update", id=7, status="filled", avg_price=2000, **LIMIT)
        page.push(one, "position_update", avg_price=2000, **GOLD)
        assert (waiting(one), one.outbox.producers["demo"].line.seq) == (3, 1)
        await one.remember()
        await one.owner.release()

        two.now = one.now
        assert await two.owner.claim()
        two.intake.look()
        for _ in range(4):
            page.wait(5)
            page.balance(two, OTHER, GOLD)
        await two.publish()
        told = [f for f in await stream(redis) if f.instrument == GOLD["symbol"]]
        assert [f.exposure.after.held for f in told] == [0, 3], "placed, and filled; once"
        assert waiting(two) == 0


async def test_frames_that_waited_too_long_are_left_to_the_polls(redis: Redis, tmp_path: Path) -> None:
    page = Page()
    with ingest(redis, tmp_path / "one", page.source) as one, ingest(redis, tmp_path / "two", page.source) as two:
        await one.owner.claim()
        page.balance(one, OTHER)
        await one.publish()
        page.ask(one, **LIMIT)
        page.push(one, "position_update", avg_price=2000, **GOLD)
        await one.remember()
        await one.owner.release()

        page.wait(3600)
        two.now = page.now
        assert await two.owner.claim()
        two.intake.look()
        for _ in range(4):
            page.wait(5)
            page.balance(two, OTHER)
        await two.publish()
        assert {f.instrument for f in await stream(redis)} == {OTHER["symbol"]}, "it was closed long since"
