"""What a service shows of itself: Prometheus metrics on `/metrics` and its state of health on `/healthz`, one port
for both.

The registry is handed in, never global, so that a test or a second service in one process starts from zero. All names
begin with `tradecopier_`; durations are in seconds and share one set of buckets, so that stages of one journey can be
compared.
"""

import asyncio
import logging
import platform
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Literal

from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from shared.listening import is_loopback
from shared.process import UserError
from shared.version import VERSION

log = logging.getLogger(__name__)

PREFIX = "tradecopier"
BUCKETS = (
    *(0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
"""Seconds: from one Redis round trip to the longest that an order may take."""
STAGES = ("observe", "publish", "queue", "decide", "terminal", "commit", "archive", "end_to_end")
"""The parts of a trade's way, in order, and the whole from capture to the commit; each service shows those it sees."""
REQUEST_LIMIT = 5.0
"""Seconds that a reader of our metrics may take to ask."""

Health = Callable[[], Sequence[str]]
"""What is wrong now, one line each; nothing when all is well."""


class Definition(Struct, frozen=True, kw_only=True):
    """What a metric is: its name as Prometheus sees it (a histogram's without `_bucket`), kind, labels and meaning."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    text: str
    buckets: tuple[float, ...] = ()

    @property
    def series(self) -> tuple[str, ...]:
        """The names of the series that Prometheus stores of it."""
        if self.kind == "histogram":
            return tuple(f"{self.name}_{part}" for part in ("bucket", "count", "sum"))
        return (self.name,)


class Registry(CollectorRegistry):
    """A registry that also knows what was defined in it, for the catalogue and for the check of the dashboards."""

    def __init__(self) -> None:
        super().__init__(auto_describe=True)
        self.definitions: list[Definition] = []


def new_registry(service: str) -> Registry:
    """A registry with what all services export: their build, and their use of processor, memory and files."""
    registry = Registry()
    ProcessCollector(registry=registry)
    build = gauge(registry, "build_info", "Which TradeCopier this is; always 1.", ("service", "version", "python"))
    build.labels(service, VERSION, platform.python_version()).set(1)
    return registry


def counter(registry: CollectorRegistry, name: str, text: str, labels: Sequence[str] = ()) -> Counter:
    """A count of things that happened, as `tradecopier_NAME_total`."""
    _define(registry, f"{name}_total", "counter", text, labels)
    return Counter(name, text, labels, namespace=PREFIX, registry=registry)


def gauge(registry: CollectorRegistry, name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
    """A value that goes up and down, as `tradecopier_NAME`."""
    _define(registry, name, "gauge", text, labels)
    return Gauge(name, text, labels, namespace=PREFIX, registry=registry)


def histogram(
    registry: CollectorRegistry,
    name: str,
    text: str,
    labels: Sequence[str] = (),
    buckets: Sequence[float] = BUCKETS,
) -> Histogram:
    """A distribution, as `tradecopier_NAME`; of durations in seconds unless it has buckets of its own."""
    _define(registry, name, "histogram", text, labels, buckets)
    return Histogram(name, text, labels, namespace=PREFIX, registry=registry, buckets=buckets)


def stage_seconds(registry: CollectorRegistry, of: Sequence[str] = ()) -> Histogram:
    """The histogram of a trade's stages (see STAGES), which every service has, with the labels `of` beside `stage`."""
    text = "Time that a stage of a trade's way took."
    return histogram(registry, "stage_seconds", text, ("stage", *of))


def _define(
    registry: CollectorRegistry,
    name: str,
    kind: Literal["counter", "gauge", "histogram"],
    text: str,
    labels: Sequence[str],
    buckets: Sequence[float] = (),
) -> None:
    if isinstance(registry, Registry):
        found = Definition(name=f"{PREFIX}_{name}", kind=kind, labels=tuple(labels), text=text, buckets=tuple(buckets))
        registry.definitions.append(found)


@asynccontextmanager
async def served(registry: CollectorRegistry, listen: str, health: Health = tuple) -> AsyncIterator[str]:
    """Serve `/metrics` and `/healthz` on `listen` ("host:port", port 0 for a free one) while the context lasts.

    Yields the address that was bound. `/healthz` answers 200 or, with what is wrong, 503.
    Raises UserError when the address cannot be had.
    """
    host, _, port = listen.rpartition(":")
    if not is_loopback(host):
        log.warning("metrics at %s can be read by everyone who reaches it: account names, sizes of trades", listen)
    try:
        server = await asyncio.start_server(lambda r, w: _answer(r, w, registry, health), host.strip("[]"), int(port))
    except OSError as error:
        raise UserError(
            f"metrics cannot listen on {listen}: {error.strerror}; free it or set another address"
        ) from error
    bound_host, bound_port = server.sockets[0].getsockname()[:2]
    async with server:
        yield f"{bound_host}:{bound_port}"


async def _answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, registry: CollectorRegistry, health: Health
) -> None:
    """One request, one reply, then the connection ends; whoever asks nothing sensible gets nothing."""
    try:
        async with asyncio.timeout(REQUEST_LIMIT):
            head = await reader.readuntil(b"\r\n\r\n")
        writer.write(_reply(head.split(b" ", 2)[:2], registry, health))
        await writer.drain()
    except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
        pass
    finally:
        writer.close()


def _reply(request: list[bytes], registry: CollectorRegistry, health: Health) -> bytes:
    method, path = request if len(request) == 2 else (b"", b"")
    if method != b"GET":
        return _http("405 Method Not Allowed", "text/plain", b"only GET\n")
    match path.partition(b"?")[0]:
        case b"/metrics":
            return _http("200 OK", CONTENT_TYPE_LATEST, generate_latest(registry))
        case b"/healthz":
            problems = list(health())
            status = "503 Service Unavailable" if problems else "200 OK"
            return _http(status, "text/plain; charset=utf-8", ("\n".join(problems or ["ok"]) + "\n").encode())
        case _:
            return _http("404 Not Found", "text/plain", b"/metrics or /healthz\n")


def _http(status: str, kind: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body
