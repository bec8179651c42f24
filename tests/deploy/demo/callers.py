"""Who calls the stand-ins in tests, on the wire: TLS with a chosen protocol, HTTP/2 and websockets, through a proxy or
not.
"""

import asyncio
import base64
import os
import ssl
from collections.abc import Mapping
from typing import Any

from h2.config import H2Configuration  # type: ignore[import-untyped]
from h2.connection import H2Connection  # type: ignore[import-untyped]
from h2.events import DataReceived, ResponseReceived, StreamEnded, StreamReset  # type: ignore[import-untyped]
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Ping, Pong, TextMessage

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Host = tuple[str, int]


async def connected(to: Host, context: ssl.SSLContext, *protocols: str, proxy: Host | None = None) -> Streams:
    """A TLS connection; `protocols` are what is offered."""
    context.set_alpn_protocols(protocols)
    if proxy is None:
        return await asyncio.open_connection("127.0.0.1", to[1], ssl=context, server_hostname=to[0])
    reader, writer = await asyncio.open_connection(*proxy)
    writer.write(f"CONNECT {to[0]}:{to[1]} HTTP/1.1\r\nhost: {to[0]}:{to[1]}\r\n\r\n".encode())
    assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
    await writer.start_tls(context, server_hostname=to[0])
    return reader, writer


class Http2Caller:
    """Several calls on one HTTP/2 connection."""

    def __init__(self, streams: Streams, authority: str) -> None:
        self._reader, self._writer = streams
        self._authority = authority
        self._protocol = H2Connection(H2Configuration(header_encoding="utf-8"))
        self._protocol.initiate_connection()
        self.answers: dict[int, tuple[dict[str, str], bytearray]] = {}
        self.cut: set[int] = set()
        self._ended: set[int] = set()

    def ask(self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> int:
        """Send a request; gives the number of its stream."""
        stream: int = self._protocol.get_next_available_stream_id()
        head = {":method": method, ":path": target, ":scheme": "https", ":authority": self._authority}
        self._protocol.send_headers(stream, list((head | dict(headers or {})).items()), end_stream=not body)
        if body:
            self._protocol.send_data(stream, body, end_stream=True)
        self._writer.write(self._protocol.data_to_send())
        return stream

    def leave(self, stream: int) -> None:
        """Give a request up."""
        self._protocol.reset_stream(stream)
        self._writer.write(self._protocol.data_to_send())

    async def ended(self, *streams: int) -> None:
        """Read until these have been answered or cut."""
        while not set(streams) <= self._ended:
            await self.read()

    async def read(self) -> None:
        """Take in what has come."""
        data = await self._reader.read(65536)
        assert data, "the server left"
        for event in self._protocol.receive_data(data):
            self._take(event)
        self._writer.write(self._protocol.data_to_send())

    def _take(self, event: Any) -> None:
        match event:
            case ResponseReceived():
                self.answers[event.stream_id] = (dict(event.headers), bytearray())
            case DataReceived():
                self.answers[event.stream_id][1].extend(event.data)
                self._protocol.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case StreamReset():
                self.cut.add(event.stream_id)
                self._ended.add(event.stream_id)
            case StreamEnded():
                self._ended.add(event.stream_id)
            case _:
                pass


class Feed:
    """A websocket as a page has it; `open` connects."""

    def __init__(self, streams: Streams) -> None:
        self._reader, self._writer = streams
        self._protocol = Connection(ConnectionType.CLIENT)

    @classmethod
    async def open(cls, streams: Streams, path: str, headers: Mapping[str, str]) -> "Feed":
        """Ask for the websocket. ConnectionRefusedError when the server does not want one."""
        reader, writer = streams
        key = base64.b64encode(os.urandom(16)).decode()
        head = {"Host": "localhost", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        fields = {**head, "Sec-WebSocket-Key": key, **headers}
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        status = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1]
        if status != b"101":
            writer.close()
            raise ConnectionRefusedError(int(status))
        return cls(streams)

    def send(self, message: TextMessage | Ping | CloseConnection) -> None:
        self._writer.write(self._protocol.send(message))

    async def next(self) -> str | bytes | None:
        """The next text, the payload of a pong, or None when the other side has closed."""
        while True:
            for event in self._protocol.events():
                match event:
                    case TextMessage():
                        return event.data
                    case Pong():
                        return bytes(event.payload)
                    case CloseConnection():
                        self._writer.close()
                        return None
                    case _:
                        pass
            data = await self._reader.read(65536)
            if not data:
                self._writer.close()
                return None
            self._protocol.receive_data(data)

    def leave(self) -> None:
        """Go away without a word."""
        self._writer.transport.abort()
