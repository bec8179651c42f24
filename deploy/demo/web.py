"""HTTPS for the stand-in broker: HTTP/1.1 with kept connections on asyncio; h11 reads and writes the protocol."""

import asyncio
import gzip
import logging
import ssl
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, urlsplit

import h11
from msgspec import Struct

log = logging.getLogger(__name__)

COMPRESS_ABOVE = 256
"""Bytes; a shorter body is not worth it."""


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


class Response(Struct, frozen=True, kw_only=True):
    """One answer."""

    status: int = 200
    headers: Mapping[str, str] = {}
    body: bytes = b""


Handler = Callable[[Request], Response]


async def serve(handler: Handler, context: ssl.SSLContext, host: str, port: int) -> asyncio.Server:
    """Answer requests with `handler` until the server is closed; port 0 takes a free one."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _Connection(reader, writer, handler).run()
        except (ConnectionError, ssl.SSLError, h11.RemoteProtocolError) as error:
            log.debug("a client went away: %s", error)
        finally:
            writer.close()

    return await asyncio.start_server(connected, host, port, ssl=context)


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler) -> None:
        self._reader = reader
        self._writer = writer
        self._handler = handler
        self._protocol = h11.Connection(h11.SERVER)

    async def run(self) -> None:
        """Answer one request after the other until the client leaves."""
        while (request := await self._request()) is not None:
            self._send(request, self._handler(request))
            await self._writer.drain()
            if self._protocol.our_state is h11.MUST_CLOSE:
                return
            self._protocol.start_next_cycle()

    async def _request(self) -> Request | None:
        head: h11.Request | None = None
        body = b""
        while True:
            match event := await self._event():
                case h11.Request():
                    head = event
                case h11.Data():
                    body += event.data
                case h11.EndOfMessage() if head is not None:
                    return _request(head, body)
                case _:
                    return None

    async def _event(self) -> h11.Event | None:
        """What the client sends next; None when it has no more to say for now."""
        while (event := self._protocol.next_event()) is h11.NEED_DATA:
            self._protocol.receive_data(await self._reader.read(65536))
        return event if isinstance(event, h11.Event) else None

    def _send(self, request: Request, response: Response) -> None:
        headers, body = dict(response.headers), response.body
        if len(body) > COMPRESS_ABOVE and "gzip" in request.headers.get("accept-encoding", ""):
            headers, body = {**headers, "Content-Encoding": "gzip"}, gzip.compress(body, 1)
        headers["Content-Length"] = str(len(body))
        parts = (
            h11.Response(status_code=response.status, headers=list(headers.items())),
            h11.Data(data=body),
            h11.EndOfMessage(),
        )
        # One write: the proxy sees the whole answer at once.
        self._writer.write(b"".join(self._protocol.send(part) or b"" for part in parts))


def _request(head: h11.Request, body: bytes) -> Request:
    target = urlsplit(head.target.decode("ascii"))
    return Request(
        method=head.method.decode("ascii"),
        path=target.path,
        query=dict(parse_qsl(target.query, keep_blank_values=True)),
        headers={name.decode("ascii"): value.decode("latin-1") for name, value in head.headers},
        body=body,
    )
