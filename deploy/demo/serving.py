"""HTTPS for the stand-ins: a server on loopback that speaks HTTP/2 or HTTP/1.1, as the client chooses.

What time brings about is done twenty times a second, so that it happens without anybody asking.
"""

import asyncio
import logging
import ssl
from abc import ABC, abstractmethod

import h11
from h2.exceptions import ProtocolError as Http2Error  # type: ignore[import-untyped]
from wsproto.utilities import RemoteProtocolError as WebsocketError

from deploy.demo.http1 import Http1
from deploy.demo.http2 import Http2
from deploy.demo.web import Answer, Handler, Request
from shared.process import cancelled

log = logging.getLogger(__name__)

TICK_S = 0.05
PROTOCOLS = ("h2", "http/1.1")
"""What is offered in the TLS handshake, the best one first."""


async def serve(handler: Handler, context: ssl.SSLContext, host: str, port: int) -> asyncio.Server:
    """Answer requests with `handler` until the server is closed; port 0 takes a free one."""
    context.set_alpn_protocols(PROTOCOLS)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        chosen = writer.get_extra_info("ssl_object").selected_alpn_protocol()
        protocol = Http2 if chosen == "h2" else Http1
        try:
            await protocol(reader, writer, handler).run()
        except (ConnectionError, ssl.SSLError, h11.ProtocolError, Http2Error, WebsocketError) as error:
            log.debug("a client went away: %s", error)
        except asyncio.CancelledError:
            log.debug("a connection ends with us")  # raised on, it would be reported as a failure on Python 3.11
        finally:
            writer.close()

    return await asyncio.start_server(connected, host, port, ssl=context)


class Served(ABC):
    """A stand-in that answers requests and does things by itself; `port` is where it listens.

    `origins` are the pages (`https://host:port`) that may call it beside TradingView's own.
    """

    def __init__(self) -> None:
        self.port = 0
        self.origins: set[str] = set()
        self._server: asyncio.Server | None = None
        self._ticking: asyncio.Task[None] | None = None

    @abstractmethod
    def answer(self, request: Request) -> Answer:
        """The answer to one request."""

    @abstractmethod
    def advance(self) -> None:
        """Do everything that is due."""

    async def start(self, context: ssl.SSLContext, port: int = 0) -> None:
        """Listen on loopback; port 0 takes a free one, `port` tells which."""
        self._server = await serve(self.answer, context, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]
        self._ticking = asyncio.create_task(self._tick())

    async def stop(self) -> None:
        """Stop listening; connections that are open end with the loop."""
        if self._ticking is not None:
            await cancelled(self._ticking)
        if self._server is not None:
            self._server.close()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self.advance()
