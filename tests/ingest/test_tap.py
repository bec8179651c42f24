import asyncio
import gzip
import http.client
import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
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

from ingest import slate
from ingest.album import Album
from ingest.exchange import Exchange, Frame
from ingest.intake import Intake
from ingest.metrics import Metrics
from ingest.outbox import Outbox
from ingest.proxy import Proxy
from ingest.recollection import recollect
from ingest.scope import Host
from ingest.tap import UNCOUNTED, Tap
from shared.facts import Fact
from tests.ingest import http2
from tests.ingest.samples import BROKER, laid_open
from tests.ingest.stuck import stuck
from tests.ingest.wire import (
    CHUNKED,
    PATIENCE,
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
NOTHING = b'{"s":"ok","d":[]}'
PAGE = {"origin": "https://www.tradingview.com", "authorization": "Bearer tOkEn", "cookie": "sEsSion=1"}


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not is_so():
            await asyncio.sleep(0.005)


class Ear(Intake):
    """An intake that also remembers what it was given."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.heard: list[Exchange | Frame] = []

    @property
    def awaits_any(self) -> bool:
        """Whether a trading call has come in and has no reply."""
        return bool(self._outbox.asked)

    def answered(self, exchange: Exchange) -> None:
        self.heard.append(exchange)
        super().answered(exchange)

    def seen(self, frame: Frame) -> None:
        self.heard.append(frame)
        super().seen(frame)


class Scene:
    """A browser, the proxy with its tap, and a broker with some of its accounts, by the names of their sources."""

    def __init__(self, origin: Origin, confdir: Path, outbox: Path, **accounts: str) -> None:
        self.origin = origin
        accounts = accounts or {"demo": "10001"}
        place = replace(BROKER, host="localhost", port=origin.port)
        sources = [replace(place, name=name, account=account) for name, account in accounts.items()]
        self.registry = CollectorRegistry()
        metrics = Metrics(self.registry)
        self.outbox = Outbox(outbox, accounts, fresh=lambda name: f"{name}-1")
        for name in accounts:
            self.outbox.own(name, "token")
        self.ear = Ear(sources, self.outbox, Album({}), metrics, clock=lambda: datetime.now(UTC))
        metrics.watch(self.outbox)
        self.proxy = Proxy(("127.0.0.1", 0), confdir, Tap(self.ear, metrics), upstream_ca=origin.ca)
        self.confdir = confdir
        self.at: Host = ("", 0)

    @property
    def to(self) -> Host:
        return "localhost", self.origin.port

    @property
    def facts(self) -> list[Fact]:
        return [fact for producer in self.outbox.producers.values() for fact in producer.waiting]

    def browser(self) -> http.client.HTTPSConnection:
        return browser(self.at, self.to, trusting(self.confdir / "mitmproxy-ca-cert.pem"))

    async def fetch(self, method: str, path: str, body: str = "", **headers: str) -> tuple[int, bytes]:
        context = trusting(self.confdir / "mitmproxy-ca-cert.pem")
        return await asyncio.to_thread(
            fetch, self.at, self.to, context, method, path, body.encode(), **(PAGE | headers)
        )  # fmt: skip

    async def until_heard(self, count: int) -> None:
        await until(lambda: len(self.ear.heard) >= count)

    async def until_told(self, count: int = 1) -> list[Fact]:
        """The facts, once there are so many: a reply is read when it has passed."""
        await until(lambda: len(self.facts) >= count)
        return self.facts

    def kept(self) -> bytes:
        """What outlives the process by now: on the slate if there is one, else on disk."""
        slates = list(slate.MEMORY.glob("*.slate")) if slate.MEMORY.is_dir() else []
        return b"".join(path.read_bytes() for path in slates or self.outbox.directory.segments())

    def unjournaled(self) -> dict[str, float]:
        """How many calls went on without being on disk, by hook."""
        name = "tradecopier_ingest_unjournaled_calls_total"
        return {s.labels["hook"]: s.value for m in self.registry.collect() for s in m.samples if s.name == name}

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


@pytest.fixture(params=["slate", "no slate"])
def memory(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the slate is, if there is one."""
    found = tmp_path / "memory"
    if request.param == "slate":
        found.mkdir()
    monkeypatch.setattr(slate, "MEMORY", found)
    return found


@pytest.fixture
async def scene(authority: Authority, confdir: Path, tmp_path: Path, memory: Path) -> AsyncIterator[Scene]:
    async with playing(authority, confdir, tmp_path / "outbox") as found:
        yield found


async def test_an_accepted_order_is_a_fact_and_its_reply_is_safe_before_the_browser_has_it(scene: Scene) -> None:
    scene.origin.replies[PATH] = whole(ACCEPTED)
    context = trusting(scene.confdir / "mitmproxy-ca-cert.pem")

    def buy_and_look() -> tuple[int, bytes, bytes]:
        at, to = scene.at, scene.to
        status, said = fetch(at, to, context, "POST", f"{PATH}?locale=en", BUY.encode(), **PAGE)
        return status, said, scene.kept()

    status, said, on_disk = await asyncio.to_thread(buy_and_look)
    assert (status, said) == (200, ACCEPTED)
    assert b'"record":"replied"' in on_disk
    assert ACCEPTED in laid_open(on_disk)
    (fact,) = await scene.until_told()
    assert (fact.__struct_config__.tag, fact.instrument, fact.seq) == ("order.placed", "EURUSD", 1)
    assert scene.origin.asked[0].body == BUY.encode()
    assert scene.failures() == 0


async def test_the_request_is_safe_before_the_broker_has_it(scene: Scene) -> None:
    on_disk: list[bytes] = []

    async def look_then_accept(asked: Asked, writer: asyncio.StreamWriter) -> None:
        on_disk.append(scene.kept())
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


def deflated(content: bytes) -> bytes:
    """The bare format, without zlib's header, as some servers send it."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


ENCODINGS = [
    ("gzip", gzip.compress), ("br", brotli.compress), ("zstd", zstandard.ZstdCompressor().compress),
    ("deflate", zlib.compress), ("deflate", deflated),
]  # fmt: skip
NAMES = ["gzip", "br", "zstd", "deflate", "bare deflate"]


@pytest.mark.parametrize(("encoding", "encode"), ENCODINGS, ids=NAMES)
async def test_compressed_questions_without_a_length_are_read_as_they_pass(
    scene: Scene, encoding: str, encode: Any
) -> None:
    packed = encode(b'{"s":"ok","d":[]}')
    half = len(packed) // 2

    async def in_two(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        head = CHUNKED % b"application/json"
        writer.write(head[:-2] + b"content-encoding: %s\r\n\r\n" % encoding.encode() + chunk(packed[:half]))
        await writer.drain()
        writer.write(chunk(packed[half:]) + chunk(b""))

    scene.origin.replies[PATH] = in_two
    assert await scene.fetch("GET", PATH) == (200, packed)
    await scene.until_heard(1)
    assert [e.answer for e in scene.ear.heard if isinstance(e, Exchange)] == [b'{"s":"ok","d":[]}']


@pytest.mark.parametrize(("encoding", "encode"), ENCODINGS, ids=NAMES)
async def test_compressed_replies_are_read_and_pass_as_they_are(scene: Scene, encoding: str, encode: Any) -> None:
    packed = encode(ACCEPTED)
    scene.origin.replies[PATH] = whole(packed, content_encoding=encoding)
    assert await scene.fetch("POST", PATH, BUY) == (200, packed)
    assert len(await scene.until_told()) == 1


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


async def test_an_endless_reply_in_an_encoding_that_nobody_knows_passes_unread(scene: Scene) -> None:
    async def endless(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        head = CHUNKED % b"application/x-ndjson"
        writer.write(head.replace(b"\r\n\r\n", b"\r\ncontent-encoding: dcb\r\n\r\n") + chunk(b"???"))
        await writer.drain()
        await asyncio.Event().wait()

    scene.origin.replies["/accounts/10001/stream/orders"] = endless
    tab = scene.browser()
    await asyncio.to_thread(tab.request, "GET", "/accounts/10001/stream/orders", None, PAGE)
    reply = await asyncio.to_thread(tab.getresponse)
    assert await asyncio.to_thread(reply.read, 3) == b"???"
    assert scene.failures() == 0
    tab.close()


async def test_a_poll_is_answered_whole_even_if_the_browser_has_the_answer_already(scene: Scene) -> None:
    """A position that one poll no longer shows is closed when a second agrees; "not modified" would not say so."""

    async def express(asked: Asked, writer: asyncio.StreamWriter) -> None:
        unchanged = "if-none-match" in asked.headers or "if-modified-since" in asked.headers
        await whole(b"" if unchanged else NOTHING, "304 Not Modified" if unchanged else "200 OK")(asked, writer)

    scene.origin.replies["/accounts/10001/positions"] = express
    known = {"If-None-Match": 'W/"2f-x"', "If-Modified-Since": "Mon, 02 Mar 2026 09:30:00 GMT"}
    assert await scene.fetch("GET", "/accounts/10001/positions", **known) == (200, NOTHING)
    scene.origin.replies[PATH] = whole(ACCEPTED)
    await scene.fetch("POST", PATH, BUY, **known)
    assert "if-none-match" in scene.origin.asked[-1].headers, "what is no question passes as it is"
    await scene.until_heard(2)


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


async def test_broker_and_trader_have_what_is_said_before_it_is_read(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def noting(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **more: Any) -> Any:
            said.append(name)
            return work(*args, **more)

        return noted

    def write(writer: asyncio.StreamWriter, content: bytes) -> None:
        peer, own = (writer.get_extra_info(name)[1] for name in ("peername", "sockname"))
        said.extend(["to the broker"] * (peer == scene.origin.port) + ["to the trader"] * (own == scene.at[1]))
        passing(writer, content)

    scene.origin.replies[PATH] = whole(ACCEPTED)
    await scene.fetch("POST", PATH, BUY)
    await scene.until_told()
    passing = asyncio.StreamWriter.write
    monkeypatch.setattr(asyncio.StreamWriter, "write", write)
    for name in ("journal", "follow", "reply", "answered"):
        monkeypatch.setattr(scene.ear, name, noting(name, getattr(scene.ear, name)))
    await scene.fetch("POST", PATH, BUY)
    await scene.until_heard(2)
    asked, replied = said.index("journal"), said.index("reply")
    assert "to the broker" in said[asked : said.index("follow")]
    assert "to the trader" in said[replied : said.index("answered")]
    assert asked < said.index("follow") < replied < said.index("answered")


async def test_the_time_in_the_hooks_and_beside_them_is_counted(scene: Scene) -> None:
    scene.origin.replies[PATH] = whole(ACCEPTED)
    await scene.fetch("POST", PATH, BUY)
    await scene.until_told()

    def count(name: str, **labels: str) -> float:
        return scene.registry.get_sample_value(f"tradecopier_ingest_{name}", labels) or 0.0

    await until(lambda: count("hook_seconds_count", hook="response") == 1)
    assert count("hook_seconds_count", hook="request") == 1
    assert 0 < count("hook_seconds_sum", hook="request") + count("hook_seconds_sum", hook="response") < PATIENCE
    assert count("beside_seconds_count") >= 2
    assert count("beside_seconds_sum") > 0


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
    await until(lambda: scene.failures() == 3)
    assert "the trader's call is not affected" in caplog.text


async def test_a_reply_that_cannot_be_put_down_is_read_all_the_same(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def surprise(_flow: str, **_: object) -> None:
        raise RuntimeError("a surprise")

    monkeypatch.setattr(scene.ear, "reply", surprise)
    scene.origin.replies[PATH] = whole(ACCEPTED)
    assert await scene.fetch("POST", PATH, BUY) == (200, ACCEPTED)
    assert len(await scene.until_told()) == 1
    assert scene.failures() == 1


async def test_a_full_disk_does_not_keep_the_reply_from_the_trader(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_record: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(scene.outbox.journal.segment, "append", full)
    scene.origin.replies[PATH] = whole(ACCEPTED)
    assert await scene.fetch("POST", PATH, BUY) == (200, ACCEPTED)
    assert len(await scene.until_told()) == 1
    assert scene.outbox.journal.held
    assert scene.unjournaled() == {"request": 0, "response": 0}, "nobody waits for a disk that has said no"
    monkeypatch.undo()
    scene.outbox.tend(0)
    await until(lambda: not scene.outbox.journal.held)


@pytest.mark.parametrize("memory", ["slate"], indirect=True)
async def test_with_a_slate_a_disk_that_hangs_holds_up_no_trading_call(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.journal.PATIENCE_S", 0.0)
    scene.origin.replies[PATH] = whole(ACCEPTED)
    with stuck(scene.outbox.journal.segment) as disk:
        assert await scene.fetch("POST", PATH, BUY) == (200, ACCEPTED)
        assert len(await scene.until_told()) == 1
        assert scene.unjournaled() == {"request": 0, "response": 0}
        assert "the disk hangs" in "".join(scene.outbox.journal.problems())
        for said in (b'"record":"asked"', b'"record":"replied"', b'"kind":"order.placed"'):
            assert said in scene.kept()
        disk.release()
        await until(lambda: scene.outbox.journal.is_settled)
    assert recollect(scene.outbox.directory.segments()).lines["demo"].seq == 1


@pytest.mark.parametrize("memory", ["no slate"], indirect=True)
async def test_while_the_disk_hangs_a_trading_call_waits_for_it_and_nobody_else(
    scene: Scene, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.journal.PATIENCE_S", 3600.0)
    scene.origin.replies |= {PATH: whole(ACCEPTED), "/accounts/10001/positions": whole(b'{"s":"ok","d":[]}')}
    elsewhere = Origin(authority)
    elsewhere.replies["/"] = whole(b"hello")
    async with await elsewhere.serve():
        with stuck(scene.outbox.journal.segment) as disk:
            buying = asyncio.create_task(scene.fetch("POST", PATH, BUY))
            await until(lambda: scene.ear.awaits_any)
            for _ in range(3):
                assert (await scene.fetch("GET", "/accounts/10001/positions"))[0] == 200
            other = ("localhost", elsewhere.port)
            assert await asyncio.to_thread(fetch, scene.at, other, trusting(authority[0]), "GET", "/") == (
                200,
                b"hello",
            )
            assert [asked.method for asked in scene.origin.asked] == ["GET", "GET", "GET"], "the call waits"
            assert not buying.done()
            disk.release()
            assert await buying == (200, ACCEPTED)
            assert len(await scene.until_told()) == 1
            await until(lambda: scene.outbox.journal.is_settled)
    assert set(scene.unjournaled().values()) == {0}


@pytest.mark.parametrize("memory", ["no slate"], indirect=True)
async def test_a_disk_that_goes_on_hanging_is_told_of_and_lets_the_trading_call_go(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("ingest.journal.PATIENCE_S", 0.2)
    scene.origin.replies[PATH] = whole(ACCEPTED)
    with stuck(scene.outbox.journal.segment) as disk:
        assert await scene.fetch("POST", PATH, BUY) == (200, ACCEPTED)
        assert len(await scene.until_told()) == 1
        assert scene.unjournaled() == {"request": 1, "response": 1}
        assert caplog.text.count("the disk of the outbox does not answer") == 1
        assert "the disk hangs" in "".join(scene.outbox.journal.problems())
        disk.release()
        await until(lambda: scene.outbox.journal.is_settled)
    assert "the disk of the outbox answers again" in caplog.text
    assert scene.outbox.journal.held == 0
    kept = recollect(scene.outbox.directory.segments())
    assert (kept.lines["demo"].seq, kept.asked) == (1, ())


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

    async def passed(waiting: Awaitable[None] | None) -> None:
        if waiting is not None:
            await waiting

    await passed(tap.request(poll))
    await passed(tap.response(poll))
    assert (ear.heard, len(put_off)) == ([], 1)
    await passed(tap.request(call))
    assert [exchange.flow for exchange in ear.heard if isinstance(exchange, Exchange)] == ["1"]
    assert ear.awaits("2")
    await passed(tap.response(call))
    assert not outbox.producers["demo"].waiting
    assert outbox.journal.flushed(PATIENCE)
    (asked,) = recollect(outbox.directory.segments()).asked
    assert asked.exchange.answer == ACCEPTED, "on disk, and not read yet"
    put_off[-1]()
    assert [fact.instrument for fact in outbox.producers["demo"].waiting] == ["EURUSD"]
    outbox.close()


def test_the_time_of_hooks_that_put_nothing_off_is_counted_now_and_then(tmp_path: Path) -> None:
    put_off: list[Callable[[], None]] = []
    outbox, registry = Outbox(tmp_path, ["demo"], fresh=lambda name: f"{name}-1"), CollectorRegistry()
    outbox.own("demo", "token")
    source, metrics = replace(BROKER, host="address", port=22), Metrics(registry)
    tap = Tap(Intake([source], outbox, Album({}), metrics, clock=lambda: datetime.now(UTC)), metrics, put_off.append)
    put_off.clear()
    for number in range(UNCOUNTED + 1):
        assert len(put_off) == (number == UNCOUNTED)
        flow = tflow.tflow()
        flow.request.scheme = "https"
        tap.request(flow)
    put_off[0]()
    assert registry.get_sample_value("tradecopier_ingest_hook_seconds_count", {"hook": "request"}) == UNCOUNTED + 1
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


POSITIONS = "/accounts/10001/positions"
SAID = {PATH: ACCEPTED, POSITIONS: b'{"s":"ok","d":[]}'}


@asynccontextmanager
async def speaking_http2(path: Path) -> AsyncIterator[tuple[Scene, http2.Page]]:
    """A scene at both ends of which HTTP/2 is spoken; the proxy offers a browser what the broker speaks."""
    authority = new_authority(path)
    authority[1].set_alpn_protocols(["h2"])
    origin = Origin(authority)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await http2.answer(reader, writer, SAID)

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=authority[1]) as server:
        origin.port = server.sockets[0].getsockname()[1]
        scene = Scene(origin, confdir := path / "proxy", path / "outbox")
        async with through(scene.proxy, [scene.to]) as scene.at:
            trusted = trusting(confdir / "mitmproxy-ca-cert.pem")
            async with http2.connected(scene.at, scene.to, trusted, PAGE) as page:
                yield scene, page
        scene.outbox.close()


async def test_http2_is_spoken_on_both_sides_and_read(tmp_path: Path) -> None:
    async with speaking_http2(tmp_path) as (scene, page):
        assert await page.ask("GET", POSITIONS) == (200, SAID[POSITIONS])
        assert await page.ask("POST", PATH, BUY.encode()) == (200, ACCEPTED)
        assert [fact.instrument for fact in await scene.until_told()] == ["EURUSD"]
        await scene.until_heard(2)
        assert [e.answer for e in scene.ear.heard if isinstance(e, Exchange)] == [SAID[POSITIONS], ACCEPTED]
        assert scene.failures() == 0


async def test_many_calls_on_one_http2_connection_are_told_apart(tmp_path: Path) -> None:
    async with speaking_http2(tmp_path) as (scene, page):
        buys = [BUY.replace("0.1", f"0.{number}") for number in range(11, 31)]
        calls = [page.ask("POST", PATH, buy.encode()) for buy in buys]
        polls = [page.ask("GET", POSITIONS) for _ in buys]
        answers = await asyncio.gather(*(call for pair in zip(calls, polls, strict=True) for call in pair))
        assert [status for status, _ in answers] == [200] * 40
        await scene.until_heard(40)
        calls_heard = [e for e in scene.ear.heard if isinstance(e, Exchange) and e.method == "POST"]
        assert len({e.flow for e in calls_heard}) == 20
        assert {e.body for e in calls_heard} == {buy.partition("&digitalSignature")[0].encode() for buy in buys}
        assert (scene.failures(), scene.outbox.asked) == (0, {})


async def test_on_one_http2_connection_only_the_trading_call_waits_for_a_hung_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slate, "MEMORY", tmp_path / "nowhere")
    monkeypatch.setattr("ingest.journal.PATIENCE_S", 3600.0)
    async with speaking_http2(tmp_path) as (scene, page):
        with stuck(scene.outbox.journal.segment) as disk:
            buying = asyncio.create_task(page.ask("POST", PATH, BUY.encode()))
            await until(lambda: scene.ear.awaits_any)
            assert await page.ask("GET", POSITIONS) == (200, SAID[POSITIONS])
            assert not buying.done()
            disk.release()
            assert await buying == (200, ACCEPTED)
            await scene.until_told()
            await until(lambda: scene.outbox.journal.is_settled)


async def test_two_accounts_of_one_host_that_trade_at_once_are_told_apart(
    authority: Authority, confdir: Path, tmp_path: Path
) -> None:
    origin = Origin(authority)
    accounts = {"first": "10001", "second": "D.2%2F0"}
    paths = [f"/accounts/{account}/orders" for account in (*accounts.values(), "30003")]
    for number, path in enumerate(paths):
        origin.replies[path] = whole(json.dumps({"s": "ok", "d": {"orderId": f"7{number}"}}).encode())
    async with await origin.serve():
        scene = Scene(origin, confdir, tmp_path / "outbox", first="10001", second="D.2/0")
        async with through(scene.proxy, [scene.to]) as scene.at:
            for _ in range(5):
                answers = await asyncio.gather(*(scene.fetch("POST", path, BUY) for path in paths))
                assert [status for status, _ in answers] == [200] * 3
            await until(lambda: not scene.outbox.asked)
            await scene.until_heard(15)
        told = {name: {f.account for f in p.waiting} for name, p in scene.outbox.producers.items()}
        assert told == {"first": {"10001"}, "second": {"D.2/0"}}, "and the third account is nobody's"
        assert [f.seq for f in scene.outbox.producers["first"].waiting] == list(
            range(1, len(scene.outbox.producers["first"].waiting) + 1)
        )
        assert scene.failures() == 0
        scene.outbox.close()
