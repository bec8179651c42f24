"""What passes between a stand-in's face and whoever calls it: requests, and the ways in which a server can answer."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from http.cookies import SimpleCookie
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from msgspec import Struct


class Request(Struct, frozen=True, kw_only=True):
    """One request; header names are in lower case, `path` is as it came (percent-encoded, without the query)."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """The body as a form; a DELETE may have one, too."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))

    @property
    def json(self) -> Any:
        """The body as JSON, whatever its content type says. Raises ValueError."""
        return json.loads(self.body)

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies by name."""
        return {name: morsel.value for name, morsel in SimpleCookie(self.headers.get("cookie", "")).items()}


class Response(Struct, frozen=True, kw_only=True):
    """A whole answer; `cookies` are set in the browser for as long as it runs."""

    status: int = 200
    headers: Mapping[str, str] = {}
    body: bytes = b""
    cookies: Mapping[str, str] = {}

    @property
    def fields(self) -> list[tuple[str, str]]:
        """The header as it goes on the wire."""
        cookies = (f"{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax" for name, value in self.cookies.items())
        return [*self.headers.items(), *(("Set-Cookie", cookie) for cookie in cookies)]


class Stream(Struct, frozen=True, kw_only=True):
    """An answer without a length: each piece is sent as it comes, and it ends when the pieces do, if ever."""

    headers: Mapping[str, str] = {}
    pieces: AsyncIterator[bytes]


class Hangup(Struct, frozen=True):
    """No answer: the connection is cut, as happens when a server or the way to it fails."""


class Socket(Protocol):
    """A websocket as the stand-in's side uses it."""

    async def send(self, text: str) -> None:
        """Send a text message. Raises ConnectionError."""

    async def receive(self) -> str:
        """The next text message. Cancelled when the other side leaves."""


class Upgrade(Struct, frozen=True, kw_only=True):
    """The connection becomes a websocket; `serve` runs for as long as it is open."""

    serve: Callable[[Socket], Awaitable[None]]


Answer = Response | Stream | Hangup | Upgrade
Handler = Callable[[Request], Answer]


def request(method: str, target: str, headers: Mapping[str, str], body: bytes) -> Request:
    """A request from what was on the wire; `target` is path and query."""
    parts = urlsplit(target)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    return Request(method=method, path=parts.path, query=query, headers=headers, body=body)
