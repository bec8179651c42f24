"""An HTTPS origin, and a browser that reaches it through the proxy: real sockets, real TLS, small enough to see
through.
"""

import asyncio
import base64
import hashlib
import http.client
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from deploy.demo.authority import issue
from ingest.proxy import Proxy
from ingest.scope import Host

PATIENCE = 60
"""Seconds that a browser waits for anything: how long things take under load is not what is tested here."""

Reply = Callable[["Asked", asyncio.StreamWriter], Awaitable[None]]


Authority = tuple[Path, ssl.SSLContext]
"""The file of a CA, and a server's side of TLS with a certificate that it has signed."""


def new_authority(directory: Path) -> Authority:
    """An authority for an origin on localhost. mitmproxy remembers a CA file's content, so a file never changes."""
    return issue(directory, "localhost", datetime.now(UTC))


class Asked(NamedTuple):
    """A request as the origin got it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Origin:
    """An HTTPS server on loopback; `replies` are looked up by path, `asked` is what came in."""

    def __init__(self, authority: Authority) -> None:
        self.ca, self._context = authority
        self.replies: dict[str, Reply] = {}
        self.asked: list[Asked] = []
        self.port = 0

    async def serve(self, host: str = "127.0.0.1") -> asyncio.Server:
        server = await asyncio.start_server(self._talk, host, 0, ssl=self._context)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                method, path, _ = head[0].split(" ")
                headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in head[1:] if line)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.asked.append(Asked(method, path, headers, body))
                await self.replies[path.partition("?")[0]](self.asked[-1], writer)
                await writer.drain()
        writer.close()


def whole(body: bytes, status: str = "200 OK", **headers: str) -> Reply:
    """A reply with a length."""

    async def reply(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{more}\r\n".encode() + body)

    return reply


def chunk(content: bytes) -> bytes:
    """A piece of a reply without a length."""
    return b"%x\r\n%s\r\n" % (len(content), content)


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-type: %s\r\n\r\n"


def accept(key: str) -> str:
    """What a websocket server answers to a key."""
    return base64.b64encode(hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()  # noqa: S324


@asynccontextmanager
async def through(proxy: Proxy, opened: list[Host]) -> AsyncIterator[Host]:
    """The proxy at work; gives its address."""
    proxy.prepare(opened)
    running = asyncio.create_task(proxy.run())
    try:
        yield await proxy.started()
    finally:
        proxy.stop()
        await running


def trusting(*files: Path) -> ssl.SSLContext:
    """A browser's side of TLS that trusts these authorities and nobody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for file in files:
        context.load_verify_locations(file)
    return context


def browser(proxy: Host, to: Host, context: ssl.SSLContext) -> http.client.HTTPSConnection:
    """A connection to `to` through the proxy; nothing is sent before the first request."""
    connection = http.client.HTTPSConnection(*proxy, context=context, timeout=PATIENCE)
    connection.set_tunnel(*to)
    return connection


def fetch(
    proxy: Host, to: Host, context: ssl.SSLContext, method: str, path: str, body: bytes = b"", **headers: str
) -> tuple[int, bytes]:
    """One request on a connection of its own; to be run in a thread."""
    connection = browser(proxy, to, context)
    try:
        connection.request(method, path, body or None, headers)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()
