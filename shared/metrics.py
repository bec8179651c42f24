"""What a service shows of itself: Prometheus metrics on `/metrics` and its state of health on `/healthz`, one port
for both.

The registry is handed in, never global, so that a test or a second service in one process starts from zero. All names
begin with `tradecopier_`; durations are in seconds and share one set of buckets, so that stages of one journey can be
compared.
"""

import asyncio
import platform
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from shared.process import UserError
from shared.version import VERSION

PREFIX = "tradecopier"
BUCKETS = (
    *(0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
"""Seconds: from one Redis round trip to the longest that an order may take."""
REQUEST_LIMIT = 5.0
"""Seconds that a reader of our metrics may take to ask."""

Health = Callable[[], Sequence[str]]
"""What is wrong now, one line each; nothing when all is well."""


def new_registry(service: str) -> CollectorRegistry:
    """A registry with what all services export: their build, and their use of processor, memory and files."""
    registry = CollectorRegistry(auto_describe=True)
    ProcessCollector(registry=registry)
    build = gauge(registry, "build_info", "Which TradeCopier this is; always 1.", ("service", "version", "python"))
    build.labels(service, VERSION, platform.python_version()).set(1)
    return registry


def counter(registry: CollectorRegistry, name: str, text: str, labels: Sequence[str] = ()) -> Counter:
    """A count of things that happened, as `tradecopier_NAME_total`."""
    return Counter(name, text, labels, namespace=PREFIX, registry=registry)


def gauge(registry: CollectorRegistry, name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
    """A value that goes up and down, as `tradecopier_NAME`."""
    return Gauge(name, text, labels, namespace=PREFIX, registry=registry)


def histogram(registry: CollectorRegistry, name: str, text: str, labels: Sequence[str] = ()) -> Histogram:
    """A distribution of durations in seconds, as `tradecopier_NAME`; `name` ends in `_seconds`."""
    return Histogram(name, text, labels, namespace=PREFIX, registry=registry, buckets=BUCKETS)


@asynccontextmanager
async def served(registry: CollectorRegistry, listen: str, health: Health = tuple) -> AsyncIterator[str]:
    """Serve `/metrics` and `/healthz` on `listen` ("host:port", port 0 for a free one) while the context lasts.

    Yields the address that was bound. `/healthz` answers 200 or, with what is wrong, 503.
    Raises UserError when the address cannot be had.
    """
    host, _, port = listen.rpartition(":")
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
