import array
import asyncio
import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.client import HTTPException
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from deploy.embedded import Valkey
from ingest import recording, service
from ingest.exchange import Exchange
from ingest.plan import Plan, plan
from ingest.scope import Host
from shared import streams
from shared.facts import Fact
from shared.lease import Lease
from shared.process import Stop, UserError
from shared.streams import Keys
from shared.wire import Codec, Keyring
from tests.ingest.samples import laid_open
from tests.ingest.wire import PATIENCE, Asked, Authority, Origin, fetch, new_authority, trusting, whole
from tests.processes import ROOT

KEY = bytes(range(32))
CODEC = Codec("main", Keyring(current="k1", keys={"k1": KEY}))
ORDERS, POSITIONS = "/accounts/10001/orders", "/accounts/10001/positions"
BUY = urlencode({"instrument": "EURUSD", "qty": "0.1", "side": "buy", "type": "market"}).encode()


class Scene:
    """A broker, a settings file, and a place for ingest's files."""

    def __init__(self, origin: Origin, directory: Path, url: str) -> None:
        self.origin = origin
        self.directory = directory
        self.config = directory / "tradecopier.toml"
        self.ready = directory / "ready"
        self.url = url
        key = directory / "key"
        key.write_text(f"k1:{KEY.hex()}\n")
        key.chmod(0o600)
        self.config.write_text(
            f"""
            [security]
            signing-key-file = "{key}"
            [ingest]
            listen = "127.0.0.1:0"
            metrics = "127.0.0.1:0"
            upstream-ca-file = "{origin.ca}"
            [ingest.sources.demo]
            host = "localhost:{origin.port}"
            account = "10001"
            quantity-unit = "lots"
            positions = "hedging"
            """
        )

    @property
    def environment(self) -> dict[str, str]:
        return {"TRADECOPIER_REDIS__URL": self.url}

    def plan(self) -> Plan:
        return plan(self.config, self.environment, ready_file=self.ready)

    async def fetch(self, method: str, path: str, body: bytes = b"") -> int:
        host, _, port = self.ready.read_text().strip().rpartition(":")
        at: Host = (host, int(port))
        trusted = trusting(self.directory / "data/proxy/mitmproxy-ca-cert.pem")
        to = ("localhost", self.origin.port)
        page = {"origin": "https://www.tradingview.com"}
        return (await asyncio.to_thread(fetch, at, to, trusted, method, path, body, **page))[0]

    async def buy(self) -> None:
        self.origin.replies[ORDERS] = whole(
            json.dumps({"s": "ok", "d": {"orderId": str(len(self.origin.asked))}}).encode()
        )
        assert await self.fetch("POST", ORDERS, BUY) == 200

    def shows(self, orders: list[dict[str, Any]], positions: list[dict[str, Any]]) -> None:
        self.origin.replies[ORDERS] = whole(json.dumps({"s": "ok", "d": orders}).encode())
        self.origin.replies[POSITIONS] = whole(json.dumps({"s": "ok", "d": positions}).encode())

    async def look(self) -> None:
        assert await self.fetch("GET", ORDERS) == 200
        assert await self.fetch("GET", POSITIONS) == 200


async def until_ready(scene: Scene) -> None:
    async with asyncio.timeout(PATIENCE):
        while not scene.ready.exists() or not scene.ready.read_text():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def serving(scene: Scene) -> AsyncIterator[Stop]:
    stop = Stop()
    running = asyncio.create_task(service.serve(stop, scene.plan()))
    waiting = asyncio.create_task(until_ready(scene))
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        if not running.done():
            yield stop
    finally:
        stop.request()
        await running
        await stop.end_tasks()
        scene.ready.unlink(missing_ok=True)


async def published(redis: Redis, count: int) -> list[Fact]:
    """The first facts in the stream, as soon as there are so many."""
    async with asyncio.timeout(PATIENCE):
        while await redis.xlen(Keys("main").orders) < count:
            await asyncio.sleep(0.01)
    entries = cast(list[Any], await redis.xrange(Keys("main").orders))
    facts = [CODEC.fact(fields) for _, fields in entries]
    assert all(isinstance(fact, Fact) for fact in facts)
    return cast(list[Fact], facts)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return new_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
async def origin(authority: Authority) -> AsyncIterator[Origin]:
    found = Origin(authority)
    async with await found.serve():
        yield found


@pytest.fixture
async def scene(origin: Origin, valkey: Valkey, tmp_path: Path) -> Scene:
    return Scene(origin, tmp_path, valkey.url)


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator[Redis]:
    found = streams.connect(valkey.url)
    yield found
    await found.aclose()


async def test_what_the_trader_does_is_in_the_stream_and_the_source_is_free_at_the_end(
    scene: Scene, redis: Redis
) -> None:
    async with serving(scene):
        async with asyncio.timeout(PATIENCE):  # on a machine that stood still it ran out, and is taken again
            while not await redis.exists(Keys("main").source("lease", "demo")):
                await asyncio.sleep(0.02)
        await scene.buy()
        await scene.buy()
        facts = await published(redis, 2)
        assert [(f.__struct_config__.tag, f.seq) for f in facts] == [("order.placed", 1), ("order.placed", 2)]
        assert 0 < facts[0].uncertainty < 1
    assert not await redis.exists(Keys("main").source("lease", "demo"))


async def test_its_health_and_metrics_can_be_asked(scene: Scene) -> None:
    stop = Stop()
    ours = service.Service(stop, scene.plan())
    await ours.start()
    assert ours.problems() == []
    await scene.buy()
    assert ours.metrics.registry.get_sample_value(
        "tradecopier_ingest_facts_total", {"source": "demo", "kind": "order.placed"}
    )
    await ours.finish()
    await ours.close()


async def test_a_source_whose_position_model_nobody_knows_makes_it_ill(scene: Scene) -> None:
    scene.config.write_text(scene.config.read_text().replace('positions = "hedging"', 'positions = "auto"'))
    ours = service.Service(Stop(), scene.plan())
    await ours.start()
    scene.shows([], [])
    await scene.look()
    (problem,) = ours.problems()
    assert "reload the TradingView page" in problem
    assert (ours._vitals("demo").held_back, held_back(ours)) == ((problem,), 1)
    row = {"id": "10001", "config": {"supportMultiposition": True}}
    scene.origin.replies["/accounts"] = whole(json.dumps({"s": "ok", "d": [row]}).encode())
    assert await scene.fetch("GET", "/accounts") == 200
    assert ours.problems() == []
    await ours.finish()
    await ours.close()


def held_back(ours: service.Service) -> float | None:
    return ours.metrics.registry.get_sample_value("tradecopier_ingest_held_back", {"source": "demo"})


async def test_a_source_with_something_open_that_nobody_polls_makes_it_ill(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = Stop()
    ours = service.Service(stop, scene.plan())
    await ours.start()
    scene.shows([], [])
    await scene.look()
    await scene.buy()
    assert ours.problems() == []
    monkeypatch.setattr("ingest.blindness.AFTER", timedelta(seconds=0.5))
    await asyncio.sleep(0.6)
    (problem,) = ours.problems()
    assert problem.startswith("demo/10001 is blind: something is open and the last good poll is")
    age, blind = (
        ours.metrics.registry.get_sample_value(f"tradecopier_ingest_{name}", {"source": "demo"})
        for name in ("poll_age_seconds", "blind")
    )
    assert (age or 0) >= 0.6
    assert blind == 1
    assert ours._vitals("demo").blind
    await ours.finish()
    await ours.close()


async def test_a_running_proxy_records_when_it_is_asked_to(scene: Scene, tmp_path: Path) -> None:
    async with serving(scene):
        file = tmp_path / "out.jsonl"
        until = datetime.now(UTC) + timedelta(minutes=5)
        wish = recording.ask(scene.plan().places.outbox, recording.Wish(file=str(file), until=until))
        async with asyncio.timeout(PATIENCE):
            while not file.exists() or not file.stat().st_size:
                await asyncio.sleep(0.02)
        scene.origin.replies["/novelty"] = whole(b'{"xsrfToken":"hush","news":1}')
        scene.shows([], [])
        await scene.look()
        assert await scene.fetch("GET", "/novelty") == 200
        _, reply = recording.recorded(file)
        assert isinstance(reply[1], Exchange)
        assert reply[1].answer == b'{"xsrfToken":"(4 characters)","news":1}'
        wish.unlink()


async def test_a_stand_by_takes_over_what_the_first_has_told_and_goes_on(
    scene: Scene, origin: Origin, valkey: Valkey, redis: Redis, tmp_path: Path
) -> None:
    (tmp_path / "second").mkdir()
    stand_by = Scene(origin, tmp_path / "second", valkey.url)
    async with serving(scene) as first:
        scene.shows([], [])
        await scene.look()
        await scene.buy()
        (told,) = await published(redis, 1)
        async with serving(stand_by):
            first.request()
            again = (await published(redis, 2))[1]
            assert again == replace(told, producer=again.producer, seq=1, evidence="poll")
            assert again.producer != told.producer
            order = {"id": "2", "instrument": "EURUSD", "qty": 0.1, "side": "buy", "type": "market", "status": "filled"}
            held = {"id": "5", "instrument": "EURUSD", "qty": 0.1, "side": "buy", "avgPrice": 1.085}
            stand_by.shows([order | {"filledQty": 0.1, "avgPrice": 1.085}], [held])
            await stand_by.look()
            filled = (await published(redis, 3))[2]
            assert filled.exposure.position == told.exposure.position
            assert (filled.seq, str(filled.exposure.after.held)) == (2, "0.1")


async def test_a_server_that_would_lose_trades_is_refused_in_one_line(origin: Origin, tmp_path: Path) -> None:
    server = Valkey(tmp_path / "valkey")
    server.start()
    redis = streams.connect(server.url)
    await redis.config_set("maxmemory-policy", "allkeys-lru")
    await redis.aclose()
    with pytest.raises(UserError, match=r"may evict keys .*set `maxmemory-policy noeviction`"):
        async with serving(Scene(origin, tmp_path, server.url)):
            pass
    server.stop()


async def test_a_second_ingest_on_the_same_outbox_is_one_line(scene: Scene) -> None:
    async with serving(scene):
        with pytest.raises(UserError, match="another ingest uses this outbox"):
            await service.serve(Stop(), scene.plan())


async def test_a_source_that_another_ingest_owns_passes_unopened_until_it_is_free(
    scene: Scene, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    elsewhere = Lease(redis, Keys("main").source("lease", "demo"), duration=60, owner="elsewhere")
    await elsewhere.acquire()
    scene.shows([], [])
    async with serving(scene):
        host, to = ("127.0.0.1", int(scene.ready.read_text().rpartition(":")[2])), ("localhost", scene.origin.port)
        theirs = trusting(scene.origin.ca)
        assert (await asyncio.to_thread(fetch, host, to, theirs, "GET", ORDERS))[0] == 200
        assert "source demo belongs to elsewhere: its traffic passes unopened here" in caplog.text
        await elsewhere.release()
        async with asyncio.timeout(PATIENCE):
            while not await redis.exists(Keys("main").source("lease", "demo")):
                await asyncio.sleep(0.02)
        await scene.buy()
        await published(redis, 1)


async def test_while_the_server_is_away_capturing_goes_on_also_over_a_restart(origin: Origin, tmp_path: Path) -> None:
    server = Valkey(tmp_path / "valkey")
    server.start()
    scene = Scene(origin, tmp_path, server.url)
    async with serving(scene):
        await scene.buy()
    server.stop()
    async with serving(scene):
        await scene.buy()
    async with serving(scene):
        await scene.buy()
        await server.started()
        redis = streams.connect(server.url)
        assert [fact.seq for fact in await published(redis, 3)] == [1, 2, 3]
        await redis.aclose()
    server.stop()


def start(scene: Scene, *more: str) -> subprocess.Popen[bytes]:
    """A proxy process; `more` is said to `ingest run`."""
    scene.ready.unlink(missing_ok=True)
    command = [
        sys.executable,
        "-m",
        "deploy",
        "--config",
        str(scene.config),
        "ingest",
        "run",
        "--ready-file",
        str(scene.ready),
        *more,
    ]
    return subprocess.Popen(command, cwd=ROOT, env=dict(os.environ) | scene.environment, stderr=subprocess.PIPE)


async def test_an_ingest_killed_between_request_and_reply_tells_the_order_once_when_it_is_back(
    scene: Scene, redis: Redis
) -> None:
    killed = asyncio.Event()
    first = start(scene)
    await until_ready(scene)
    scene.shows([], [])
    await scene.look()

    async def kill_then_execute(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        first.send_signal(signal.SIGKILL)
        await asyncio.to_thread(first.communicate)
        killed.set()
        writer.close()

    scene.origin.replies[ORDERS] = kill_then_execute
    with pytest.raises((ConnectionError, OSError)):
        await scene.fetch("POST", ORDERS, BUY)
    await killed.wait()
    second = start(scene)
    await until_ready(scene)
    order = {"id": "77", "instrument": "EURUSD", "qty": 0.1, "side": "buy", "type": "market", "status": "filled"}
    position = {"id": "5", "instrument": "EURUSD", "qty": 0.1, "side": "buy", "avgPrice": 1.085}
    scene.shows([order | {"filledQty": 0.1, "avgPrice": 1.085}], [position])
    for _ in range(4):
        await scene.look()
    facts = await published(redis, 1)
    assert {fact.exposure.position for fact in facts} == {facts[0].exposure.position}
    assert str(facts[-1].exposure.after.total) == "0.1"
    second.send_signal(signal.SIGTERM)
    assert (await asyncio.to_thread(second.communicate), second.returncode)[1] == 0
    assert len(await published(redis, 1)) == len(facts)


async def test_a_log_that_nobody_reads_holds_up_no_call(scene: Scene, redis: Redis) -> None:
    process = start(scene)
    assert process.stderr is not None
    fcntl.fcntl(process.stderr, fcntl.F_SETPIPE_SZ, 4096)
    await until_ready(scene)
    for _ in range(30):
        await scene.buy()
    assert len(await published(redis, 30)) == 30
    waiting = array.array("i", [0])
    fcntl.ioctl(process.stderr, termios.FIONREAD, waiting)
    assert waiting[0] > 4096 - 500, "the pipe is as good as full"
    process.send_signal(signal.SIGTERM)
    _, logs = await asyncio.to_thread(process.communicate)
    assert logs.count(b'"published"') == 30


SECRETS = ("tOkEn", "sEsSion", "sIgNed", "pAsSwOrD", "oAuThCoDe")


async def say_secrets(scene: Scene) -> None:
    """Whatever a browser and a broker tell each other that opens an account, wherever it can stand."""
    host, _, port = scene.ready.read_text().strip().rpartition(":")
    at, to = (host, int(port)), ("localhost", scene.origin.port)
    trusted = trusting(scene.directory / "data/proxy/mitmproxy-ca-cert.pem")
    headers = {
        "origin": "https://www.tradingview.com", "authorization": "Bearer tOkEn1", "cookie": "sessionid=sEsSion1",
        "referer": "https://www.tradingview.com/?code=oAuThCoDe1",
    }  # fmt: skip
    told = {"s": "ok", "d": {"orderId": "77", "access_token": "tOkEn2", "deep": [{"digitalSignature": "sIgNed2"}]}}
    reply = whole(json.dumps(told).encode(), set_cookie="sessionid=sEsSion2", authorization="Bearer tOkEn3")
    form = urlencode({"digitalSignature": "sIgNed1", "password": "pAsSwOrD1"}).encode()
    novelty = json.dumps({"xsrfToken": "tOkEn4", "userPassword": "pAsSwOrD2"}).encode()
    for method, path, body in (
        ("POST", f"{ORDERS}?code=oAuThCoDe2", BUY + b"&" + form),
        ("POST", "/authorize", b"login=me&password=pAsSwOrD3"),
        ("GET", "/accounts?access_token=tOkEn5", b""),
        ("POST", "/novelty?token=tOkEn6", novelty),
        ("POST", "/novelty", b"<xml>tOkEn7 sEsSion3 sIgNed3</xml>"),
        ("PUT", ORDERS, b"digitalSignature=sIgNed4"),
        ("DELETE", f"{POSITIONS}/5?token=tOkEn8", form),
    ):
        scene.origin.replies[path.partition("?")[0]] = reply
        await asyncio.to_thread(fetch, at, to, trusted, method, path, body, **headers)


async def everything_in(redis: Redis) -> bytes:
    found = []
    for name in cast(list[bytes], await redis.keys("*")):
        kind = await redis.type(name)
        if kind == b"stream":
            found.append(repr(await redis.xrange(name)))
        elif kind == b"hash":
            found.append(repr(await redis.hgetall(name)))
        else:
            found.append(repr(await redis.get(name)))
    return "\n".join(found).encode()


async def test_no_secret_is_in_the_stream_the_outbox_the_logs_or_a_recording(
    scene: Scene, redis: Redis, tmp_path: Path
) -> None:
    process = start(scene)
    await until_ready(scene)
    file = tmp_path / "out.jsonl"
    wish = recording.Wish(file=str(file), until=datetime.now(UTC) + timedelta(minutes=5), everything=True)
    recording.ask(scene.plan().places.outbox, wish)
    async with asyncio.timeout(PATIENCE):
        while not file.exists() or not file.stat().st_size:
            await asyncio.sleep(0.02)
    scene.shows([], [])
    await scene.look()
    await say_secrets(scene)
    await published(redis, 1)
    process.send_signal(signal.SIGTERM)
    _, logs = await asyncio.to_thread(process.communicate)
    outbox = b"".join(path.read_bytes() for path in scene.plan().places.outbox.iterdir() if path.is_file())
    places = {
        "Redis": await everything_in(redis), "outbox": laid_open(outbox), "logs": logs,
        "recording": laid_open(file.read_bytes()) + repr(list(recording.recorded(file))).encode(),
    }  # fmt: skip
    assert {name: b"EURUSD" in found for name, found in places.items()} == dict.fromkeys(places, True) | {"logs": False}
    assert b"traffic that nobody knows: POST /novelty" in logs
    assert b"xsrfToken" in places["recording"]
    leaks = [(name, secret) for name, found in places.items() for secret in SECRETS if secret.encode() in found]
    assert leaks == []


class Book:
    """A broker that executes every order it gets and shows orders and positions when asked."""

    def __init__(self) -> None:
        self.sizes: list[str] = []

    async def orders(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.method == "POST":
            self.sizes.append(dict(parse_qsl(asked.body.decode()))["qty"])
            await whole(json.dumps({"s": "ok", "d": {"orderId": str(1000 + len(self.sizes))}}).encode())(asked, writer)
            return
        rows = [
            {"id": str(1001 + i), "instrument": "EURUSD", "qty": float(size), "side": "buy", "type": "market"}
            | {"status": "filled", "filledQty": float(size), "avgPrice": 1.085}
            for i, size in enumerate(self.sizes)
        ]
        await whole(json.dumps({"s": "ok", "d": rows}).encode())(asked, writer)

    async def positions(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        rows = [
            {"id": f"P{i}", "instrument": "EURUSD", "qty": float(size), "side": "buy", "avgPrice": 1.085}
            for i, size in enumerate(self.sizes)
        ]
        await whole(json.dumps({"s": "ok", "d": rows}).encode())(asked, writer)


async def place(scene: Scene, size: str) -> None:
    body = urlencode({"instrument": "EURUSD", "qty": size, "side": "buy", "type": "market"}).encode()
    with suppress(OSError, HTTPException):
        await scene.fetch("POST", ORDERS, body)


async def test_an_ingest_killed_again_and_again_amid_orders_tells_each_executed_one_once(
    scene: Scene, redis: Redis
) -> None:
    book, moment = Book(), random.Random(7)
    scene.origin.replies |= {ORDERS: book.orders, POSITIONS: book.positions}
    sizes = iter(f"0.{n:03}" for n in range(1, 1000))
    process = start(scene)
    await until_ready(scene)
    await scene.look()
    for _ in range(3):
        for _ in range(10):
            await place(scene, next(sizes))
        last = asyncio.create_task(place(scene, next(sizes)))
        await asyncio.sleep(moment.uniform(0, 0.02))
        process.kill()
        await asyncio.to_thread(process.communicate)
        await last
        process = start(scene)
        await until_ready(scene)
        for _ in range(4):
            await scene.look()
    process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(process.communicate)

    facts = await published(redis, 1)
    totals = {fact.exposure.position: fact.exposure.after.total for fact in facts}
    assert sorted(totals.values()) == sorted(Decimal(size) for size in book.sizes)
    assert len({fact.id for fact in facts}) == len(facts)
    assert [fact.seq for fact in facts] == list(range(1, len(facts) + 1))
    assert len({fact.producer for fact in facts}) == 1
