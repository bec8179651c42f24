import asyncio
import gzip
import http.client
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard
from mitmproxy import http as http_flow
from mitmproxy.test import tflow
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from ingest.album import Album
from ingest.exchange import Exchange, Frame
from ingest.intake import Intake
from ingest.metrics import Metrics
from ingest.outbox import Outbox
from ingest.proxy import Proxy
from ingest.scope import Host
from ingest.tap import Tap, recorded
from shared.facts import Fact
from shared.process import UserError
from tests.ingest import http2
from tests.ingest.samples import BROKER, laid_open
from tests.ingest.wire import (
    CHUNKED,
    Asked,
    Authority,
    Origin,
    accept,
    browser,
    chunk,
    fetch,
    new_authority,
    through,
    trusting,
    whole,
)  # fmt: skip

PATH = "/accounts/10001/orders"
BUY = urlencode({"instrument": "EURUSD", "qty": "0.1", "side": "buy", "type": "market", "digitalSignature": "sIgNed"})
ACCEPTED = json.dumps({"s": "ok", "d": {"orderId": "77"}}).encode()
PAGE = {"origin": "https://www.tradingview.com", "authorization": "Bearer tOkEn", "cookie": "sEsSion=1"}


class Ear(Intake):
    """An intake that also remembers what it was given."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.heard: list[Exchange | Frame] = []
        self.arrived = asyncio.Condition()

    def answered(self, exchange: Exchange) -> None:
        self.heard.append(exchange)
        super().answered(exchange)

    def seen(self, frame: Frame) -> None:
        self.heard.append(frame)
        super().seen(frame)


class Scene:
    """A browser, the proxy with its tap, and a broker."""

    def __init__(self, origin: Origin, confdir: Path, outbox: Path) -> None:
        self.origin = origin
        source = replace(BROKER, host="localhost", port=origin.port)
        self.registry = CollectorRegistry()
        metrics = Metrics(self.registry)
        self.outbox = Outbox(outbox, ["demo"], fresh=lambda name: f"{name}-1")
        self.outbox.own("demo", "token")
        self.ear = Ear([source], self.outbox, Album({}), metrics, clock=lambda: datetime.now(UTC))
        self.proxy = Proxy(("127.0.0.1", 0), confdir, Tap(self.ear, metrics), upstream_ca=origin.ca)
        self.confdir = confdir
        self.at: Host = ("", 0)

    @property
    def to(self) -> Host:
        return "localhost", self.origin.port

    @property
    def facts(self) -> list[Fact]:
        return list(self.outbox.producers["demo"].waiting)

    def browser(self) -> http.client.HTTPSConnection:
        return browser(self.at, self.to, trusting(self.confdir / "mitmproxy-ca-cert.pem"))

    async def fetch(self, method: str, path: str, body: str = "", **headers: str) -> tuple[int, bytes]:
        context = trusting(self.confdir / "mitmproxy-ca-cert.pem")
        return await asyncio.to_thread(
            fetch, self.at, self.to, context, method, path, body.encode(), **(PAGE | headers)
        )  # fmt: skip

    async def until_heard(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.ear.heard) < count:
                await asyncio.sleep(0.005)

    def failures(self) -> float:
        name = "tradecopier_ingest_hook_failures_total"
        return sum(s.value for m in self.registry.collect() for s in m.samples if s.name == name)


@pytest.fixture(scope="module")
def confdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("confdir") / "proxy"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return new_authority(tmp_path_factory.mktemp("authority"))


@asynccontextmanager
async def playing(authority: Authority, confdir: Path, outbox: Path) -> AsyncIterator[Scene]:
    origin = Origin(authority)
    async with await origin.serve():
        scene = Scene(origin, confdir, outbox)
        async with through(scene.proxy, [scene.to]) as scene.at:
            yield scene
        scene.outbox.close()


@pytest.fixture
async def scene(authority: Authority, confdir: Path, tmp_path: Path) -> AsyncIterator[Scene]:
    async with playing(authority, confdir, tmp_path / "outbox") as found:
        yield found


async def test_an_accepted_order_is_a_fact_before_the_browser_has_the_reply(scene: Scene) -> None:
    scene.origin.replies[PATH] = whole(ACCEPTED)
    assert await scene.fetch("POST", f"{PATH}?locale=en", BUY) == (200, ACCEPTED)
    (fact,) = scene.facts
    assert (fact.__struct_config__.tag, fact.instrument, fact.seq) == ("order.placed", "EURUSD", 1)
    assert scene.origin.asked[0].body == BUY.encode()
    assert scene.failures() == 0


async def test_the_request_is_on_disk_before_the_broker_has_it(scene: Scene) -> None:
    journal = next(iter(scene.outbox.directory.segments()))
    on_disk: list[bytes] = []

    async def look_then_accept(asked: Asked, writer: asyncio.StreamWriter) -> None:
        on_disk.append(journal.read_bytes())
        await whole(ACCEPTED)(asked, writer)

    scene.origin.replies[PATH] = look_then_accept
    await scene.fetch("POST", PATH, BUY)
    assert b'"record":"asked"' in on_disk[0]
    assert b"order.placed" not in on_disk[0]


async def test_no_secret_reaches_the_disk(scene: Scene) -> None:
    reply = json.dumps({"s": "ok", "d": {"orderId": "77", "access_token": "tOkEn2"}}).encode()
    scene.origin.replies[PATH] = whole(reply, set_cookie="sEsSion=2")
    await scene.fetch("POST", f"{PATH}?code=cOdE", BUY)
    scene.origin.replies["/authorize"] = whole(b'{"s":"ok","d":{"access_token":"tOkEn3"}}')
    await scene.fetch("POST", "/authorize", "login=me&password=pAsSwOrD")
    scene.ear.keep()
    segments = b"".join(path.read_bytes() for path in scene.outbox.directory.segments())
    written = laid_open(segments) + repr(scene.ear.heard).encode()
    assert b"instrument=EURUSD" in laid_open(segments), "the body is there, without the secret in it"
    for secret in (b"tOkEn", b"sEsSion", b"sIgNed", b"cOdE", b"pAsSwOrD"):
        assert secret not in written
    assert scene.origin.asked[0].headers["authorization"] == "Bearer tOkEn", "the broker gets all of it"


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [("gzip", gzip.compress), ("br", brotli.compress), ("zstd", zstandard.ZstdCompressor().compress)],
)
async def test_compressed_replies_are_read_and_pass_as_they_are(scene: Scene, encoding: str, encode: Any) -> None:
    packed = encode(ACCEPTED)
    scene.origin.replies[PATH] = whole(packed, content_encoding=encoding)
    assert await scene.fetch("POST", PATH, BUY) == (200, packed)
    assert len(scene.facts) == 1


async def test_a_cut_connection_leaves_the_request_unanswered_and_not_a_fact(scene: Scene) -> None:
    async def hang_up(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    scene.origin.replies[PATH] = hang_up
    status, _ = await scene.fetch("POST", PATH, BUY)
    assert status == 502
    assert (scene.facts, scene.outbox.asked) == ([], {})
    (heard,) = scene.ear.heard
    assert isinstance(heard, Exchange)
    assert heard.error
    assert heard.status is None


async def test_a_closed_tab_leaves_the_request_unanswered(scene: Scene) -> None:
    asked = asyncio.Event()

    async def wait(_asked: Asked, _writer: asyncio.StreamWriter) -> None:
        asked.set()
        await asyncio.Event().wait()

    scene.origin.replies[PATH] = wait
    tab = scene.browser()
    await asyncio.to_thread(tab.request, "POST", PATH, BUY, PAGE)
    await asked.wait()
    assert list(scene.outbox.asked)
    tab.close()
    await scene.until_heard(1)
    assert (scene.facts, scene.outbox.asked) == ([], {})


async def test_a_question_without_a_length_passes_chunk_by_chunk_and_is_read_at_its_end(scene: Scene) -> None:
    more = asyncio.Event()

    async def in_two(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED % b"application/json" + chunk(b'{"s":"ok",'))
        await writer.drain()
        await more.wait()
        writer.write(chunk(b'"d":[]}') + chunk(b""))

    scene.origin.replies[PATH] = in_two
    tab = scene.browser()
    await asyncio.to_thread(tab.request, "GET", PATH, None, PAGE)
    reply = await asyncio.to_thread(tab.getresponse)
    assert await asyncio.to_thread(reply.read, 10) == b'{"s":"ok",', "the first half is there before the second exists"
    assert scene.ear.heard == []
    more.set()
    assert await asyncio.to_thread(reply.read) == b'"d":[]}'
    await scene.until_heard(1)
    (heard,) = scene.ear.heard
    assert isinstance(heard, Exchange)
    assert (heard.status, heard.answer) == (200, b'{"s":"ok","d":[]}')
    tab.close()


async def test_an_endless_reply_is_read_line_by_line(scene: Scene) -> None:
    async def endless(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED % b"application/x-ndjson" + chunk(b'{"a":1}\n{"b"') + chunk(b":2}\n"))
        await writer.drain()
        await asyncio.Event().wait()

    scene.origin.replies["/accounts/10001/stream/orders"] = endless
    tab = scene.browser()
    await asyncio.to_thread(tab.request, "GET", "/accounts/10001/stream/orders", None, PAGE)
    await scene.until_heard(2)
    assert [e.answer for e in scene.ear.heard if isinstance(e, Exchange)] == [b'{"a":1}', b'{"b":2}']
    tab.close()


async def test_a_poll_that_was_cut_off_is_not_taken_for_a_whole_one(scene: Scene) -> None:
    async def half(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED % b"application/json" + chunk(b'{"s":"ok","d":[]}'))
        await writer.drain()
        writer.transport.abort()

    scene.origin.replies["/accounts/10001/positions"] = half
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        await scene.fetch("GET", "/accounts/10001/positions")
    await scene.until_heard(1)
    (heard,) = scene.ear.heard
    assert isinstance(heard, Exchange)
    assert (heard.answer, bool(heard.error)) == (None, True)


@pytest.mark.parametrize("tunnel", [True, False], ids=["in a tunnel", "as a proxy request"])
async def test_a_trading_host_without_tls_is_refused(scene: Scene, tunnel: bool) -> None:
    def ask() -> int:
        connection = http.client.HTTPConnection(*scene.at, timeout=20)
        if tunnel:
            connection.set_tunnel(*scene.to)
        connection.request("POST", PATH if tunnel else f"http://localhost:{scene.to[1]}{PATH}", BUY, PAGE)
        status = connection.getresponse().status
        connection.close()
        return status

    assert await asyncio.to_thread(ask) == 403
    assert (scene.origin.asked, scene.facts, scene.ear.heard) == ([], [], [])


async def test_a_surprise_in_the_tap_is_counted_and_the_trader_gets_the_reply(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def surprise(_exchange: Exchange) -> None:
        raise RuntimeError("a surprise")

    for name in ("journal", "answered", "follow"):
        monkeypatch.setattr(scene.ear, name, surprise)
    scene.origin.replies[PATH] = whole(ACCEPTED)
    assert await scene.fetch("POST", PATH, BUY) == (200, ACCEPTED)
    assert await scene.fetch("GET", PATH) == (200, ACCEPTED)
    assert scene.failures() == 3
    assert "the trader's call is not affected" in caplog.text


async def test_a_full_disk_does_not_keep_the_reply_from_the_trader(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_record: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(scene.outbox._segment, "append", full)
    scene.origin.replies[PATH] = whole(ACCEPTED)
    assert await scene.fetch("POST", PATH, BUY) == (200, ACCEPTED)
    assert len(scene.facts) == 1
    assert scene.outbox.unwritten
    monkeypatch.undo()
    scene.outbox.tend(0)
    assert not scene.outbox.unwritten


async def test_a_poll_holds_up_nobody_and_is_looked_at_before_whatever_passes_next(tmp_path: Path) -> None:
    put_off: list[Callable[[], None]] = []
    outbox, metrics = Outbox(tmp_path, ["demo"], fresh=lambda name: f"{name}-1"), Metrics(CollectorRegistry())
    outbox.own("demo", "token")
    source = replace(BROKER, host="address", port=22)
    ear = Ear([source], outbox, Album({}), metrics, clock=lambda: datetime.now(UTC))
    tap = Tap(ear, metrics, put_off.append)

    def flow(method: str, name: str) -> http_flow.HTTPFlow:
        found = tflow.tflow(resp=True)
        found.id, found.request.method, found.request.scheme = name, method, "https"
        found.request.path, found.request.content = PATH, BUY.encode()
        assert found.response is not None
        found.response.content = ACCEPTED if method == "POST" else b'{"s":"ok","d":[]}'
        return found

    poll, call = flow("GET", "1"), flow("POST", "2")
    tap.request(poll)
    await tap.response(poll)
    assert (ear.heard, len(put_off)) == ([], 1)
    tap.request(call)
    assert [exchange.flow for exchange in ear.heard if isinstance(exchange, Exchange)] == ["1"]
    assert ear.awaits("2")
    await tap.response(call)
    assert [fact.instrument for fact in outbox.producers["demo"].waiting] == ["EURUSD"]
    outbox.close()


async def test_who_waits_for_a_fact_has_it_before_the_browser_has_its_reply(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox, metrics = Outbox(tmp_path, ["demo"], fresh=lambda name: f"{name}-1"), Metrics(CollectorRegistry())
    intake, wake, told = Intake([], outbox, Album({}), metrics, clock=lambda: datetime.now(UTC)), asyncio.Event(), []

    async def publish() -> None:
        await wake.wait()
        told.append("published")

    monkeypatch.setattr(intake, "awaits", lambda _: True)
    monkeypatch.setattr(intake, "answered", lambda _: wake.set())
    monkeypatch.setattr(Tap, "_is_captured", lambda *_: True)
    publisher, flow = asyncio.create_task(publish()), tflow.tflow(resp=True)
    flow.metadata["tradecopier.asked"] = datetime.now(UTC)
    await asyncio.sleep(0)
    await Tap(intake, metrics).response(flow)
    assert told == ["published"]
    await publisher
    outbox.close()


def test_websocket_messages_do_not_pile_up_on_a_connection_that_lives_for_days(tmp_path: Path) -> None:
    outbox, metrics = Outbox(tmp_path, ["demo"], fresh=lambda name: f"{name}-1"), Metrics(CollectorRegistry())
    tap = Tap(Intake([BROKER], outbox, Album({}), metrics, clock=lambda: datetime.now(UTC)), metrics)
    flow = tflow.twebsocketflow()
    assert flow.websocket is not None
    assert flow.websocket.messages
    tap.websocket_message(flow)
    assert flow.websocket.messages == []
    outbox.close()


async def test_websocket_messages_are_heard_in_their_order(scene: Scene) -> None:
    async def feed(asked: Asked, writer: asyncio.StreamWriter) -> None:
        key = accept(asked.headers["sec-websocket-key"])
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
            b"sec-websocket-accept: %s\r\n\r\n" % key.encode()
        )
        for number in range(50):
            writer.write(bytes([0x81, 13]) + b'{"n":%7d}' % number)
        await writer.drain()
        await asyncio.Event().wait()

    scene.origin.replies["/feed"] = feed
    upgrade = {
        "upgrade": "websocket", "connection": "upgrade", "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    }  # fmt: skip
    tab = scene.browser()
    await asyncio.to_thread(tab.request, "GET", "/feed", None, PAGE | upgrade)
    frames = await _heard_frames(scene, 50)
    assert [json.loads(frame.text) for frame in frames] == [{"n": number} for number in range(50)]
    assert len({frame.flow for frame in frames}) == 50
    tab.close()


async def _heard_frames(scene: Scene, count: int) -> list[Frame]:
    async with asyncio.timeout(20):
        while len(frames := [f for f in scene.ear.heard if isinstance(f, Frame)]) < count:
            await asyncio.sleep(0.005)
    return frames


def har(path: Path) -> Path:
    """A recording as a browser saves one: a market buy."""
    entry = {
        "startedDateTime": "2026-03-02T09:30:00.000Z",
        "time": 120,
        "request": {
            "method": "POST", "url": f"https://broker.example{PATH}", "httpVersion": "HTTP/1.1", "cookies": [],
            "headers": [{"name": k, "value": v} for k, v in PAGE.items()], "queryString": [], "headersSize": -1,
            "bodySize": len(BUY), "postData": {"mimeType": "application/x-www-form-urlencoded", "text": BUY},
        },
        "response": {
            "status": 200, "statusText": "OK", "httpVersion": "HTTP/1.1", "cookies": [], "headers": [],
            "redirectURL": "", "headersSize": -1, "bodySize": -1,
            "content": {"size": len(ACCEPTED), "mimeType": "application/json", "text": ACCEPTED.decode()},
        },
        "cache": {}, "timings": {"send": 0, "wait": 120, "receive": 0}, "serverIPAddress": "127.0.0.1",
    }  # fmt: skip
    path.write_text(
        json.dumps({"log": {"version": "1.2", "creator": {"name": "x", "version": "1"}, "entries": [entry]}})
    )
    return path


def test_a_recording_gives_the_request_and_then_its_reply_without_secrets(tmp_path: Path) -> None:
    (_, asked), (_, answered) = recorded(har(tmp_path / "trades.har"))
    assert isinstance(asked, Exchange)
    assert isinstance(answered, Exchange)
    assert (asked.status, asked.method, asked.host) == (None, "POST", "broker.example")
    assert (answered.status, answered.answer, answered.flow) == (200, ACCEPTED, asked.flow)
    assert "tOkEn" not in repr((asked, answered))


@pytest.mark.parametrize("content", [b"", b"not a recording", b"{}"])
def test_a_file_that_is_no_recording_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "trades"
    path.write_bytes(content)
    if content:
        with pytest.raises(UserError, match="neither a flow file of mitmproxy nor a HAR file"):
            list(recorded(path))
    else:
        assert list(recorded(path)) == []


async def test_http2_is_spoken_on_both_sides_and_read(tmp_path: Path) -> None:
    authority = new_authority(tmp_path)
    authority[1].set_alpn_protocols(["h2"])
    async with await asyncio.start_server(
        lambda reader, writer: http2.answer(reader, writer, ACCEPTED), "127.0.0.1", 0, ssl=authority[1]
    ) as server:
        origin = Origin(authority)
        origin.port = server.sockets[0].getsockname()[1]
        scene = Scene(origin, confdir := tmp_path / "proxy", tmp_path / "outbox")
        async with through(scene.proxy, [scene.to]) as at:
            head = [(":method", "POST"), (":path", PATH), *PAGE.items()]
            trusted = trusting(confdir / "mitmproxy-ca-cert.pem")
            assert await http2.ask(at, scene.to, trusted, head, BUY.encode()) == ACCEPTED
        assert [fact.instrument for fact in scene.facts] == ["EURUSD"]
        scene.outbox.close()
