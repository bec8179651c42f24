"""HTTP/2 at both ends of the proxy, as browsers and brokers speak it: many calls at once on one connection."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from h2.config import H2Configuration  # type: ignore[import-untyped]
from h2.connection import H2Connection  # type: ignore[import-untyped]
from h2.events import DataReceived, RequestReceived, ResponseReceived, StreamEnded  # type: ignore[import-untyped]

from ingest.scope import Host

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Replies = Mapping[str, bytes]
"""What is answered, by path."""


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, replies: Replies) -> None:
    """Answer every request of a connection, without saying how long the reply is."""
    connection = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
    connection.initiate_connection()
    writer.write(connection.data_to_send())
    paths: dict[int, str] = {}
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            for event in connection.receive_data(data):
                if isinstance(event, RequestReceived):
                    paths[event.stream_id] = dict(event.headers)[":path"].partition("?")[0]
                if isinstance(event, StreamEnded):
                    head = [(":status", "200"), ("content-type", "application/json")]
                    connection.send_headers(event.stream_id, head)
                    connection.send_data(event.stream_id, replies[paths[event.stream_id]], end_stream=True)
            writer.write(connection.data_to_send())
    writer.close()


class Page:
    """A browser's connection: `ask` may be called many times at once."""

    def __init__(self, streams: Streams, to: Host, headers: Mapping[str, str]) -> None:
        self._reader, self._writer = streams
        self._head = [(":authority", f"{to[0]}:{to[1]}"), (":scheme", "https"), *headers.items()]
        self._connection = H2Connection(H2Configuration(header_encoding="utf-8"))
        self._connection.initiate_connection()
        self._replies: dict[int, asyncio.Future[tuple[int, bytes]]] = {}
        self._found: dict[int, tuple[int, bytearray]] = {}

    async def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """The status and body of a reply."""
        stream: int = self._connection.get_next_available_stream_id()
        found: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self._replies[stream] = found
        head = [(":method", method), (":path", path), *self._head]
        self._connection.send_headers(stream, head, end_stream=not body)
        if body:
            self._connection.send_data(stream, body, end_stream=True)
        self._writer.write(self._connection.data_to_send())
        return await found

    async def read(self) -> None:
        """Take in what comes, for ever."""
        while data := await self._reader.read(65536):
            for event in self._connection.receive_data(data):
                if isinstance(event, ResponseReceived):
                    self._found[event.stream_id] = int(dict(event.headers)[":status"]), bytearray()
                if isinstance(event, DataReceived):
                    self._found[event.stream_id][1].extend(event.data)
                    self._connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                if isinstance(event, StreamEnded):
                    status, body = self._found[event.stream_id]
                    self._replies.pop(event.stream_id).set_result((status, bytes(body)))
            self._writer.write(self._connection.data_to_send())


@asynccontextmanager
async def connected(proxy: Host, to: Host, context: ssl.SSLContext, headers: Mapping[str, str]) -> AsyncIterator[Page]:
    """A connection through the proxy; `headers` go with every request. Fails when the proxy speaks no HTTP/2."""
    context.set_alpn_protocols(["h2"])
    reader, writer = await _tunnel(proxy, to, context)
    assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
    page = Page((reader, writer), to, headers)
    reading = asyncio.create_task(page.read())
    try:
        yield page
    finally:
        reading.cancel()
        writer.close()


async def _tunnel(proxy: Host, to: Host, context: ssl.SSLContext) -> Streams:
    reader, writer = await asyncio.open_connection(*proxy)
    writer.write(f"CONNECT {to[0]}:{to[1]} HTTP/1.1\r\nhost: {to[0]}:{to[1]}\r\n\r\n".encode())
    assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
    await writer.start_tls(context, server_hostname=to[0])
    return reader, writer
