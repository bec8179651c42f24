"""HTTPS for the stand-ins: a server on loopback that speaks HTTP/2 or HTTP/1.1, as the client chooses."""

import asyncio
import logging
import ssl

import h11
from h2.exceptions import ProtocolError as Http2Error  # type: ignore[import-untyped]
from wsproto.utilities import RemoteProtocolError as WebsocketError

from deploy.demo.http1 import Http1
from deploy.demo.http2 import Http2
from deploy.demo.web import Handler

log = logging.getLogger(__name__)

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
        finally:
            writer.close()

    return await asyncio.start_server(connected, host, port, ssl=context)
