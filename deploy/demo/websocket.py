"""Websockets for the stand-ins: an HTTP/1.1 connection becomes one; wsproto reads and writes the frames."""

import asyncio
import base64
import contextlib
import hashlib
from collections.abc import Sequence

from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Event, Ping, TextMessage
from wsproto.utilities import LocalProtocolError

from deploy.demo.web import Request, Upgrade

ACCEPT_SALT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""What a server adds to the client's key before it hashes it (RFC 6455, 1.3)."""


def is_wanted(request: Request) -> bool:
    """Whether the client asks for a websocket."""
    return request.headers.get("upgrade", "").lower() == "websocket" and "sec-websocket-key" in request.headers


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request, answer: Upgrade) -> None:
    """Accept the websocket and serve it until either side leaves. Raises ConnectionError."""
    writer.write(_acceptance(request.headers["sec-websocket-key"]))
    socket = _Socket(reader, writer)
    serving = asyncio.ensure_future(answer.serve(socket))
    reading = asyncio.ensure_future(socket.read())
    try:
        await asyncio.wait({serving, reading}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (serving, reading):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await task


def _acceptance(key: str) -> bytes:
    token = base64.b64encode(hashlib.sha1(key.encode() + ACCEPT_SALT).digest())  # noqa: S324  the protocol says so
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
    return head + token + b"\r\n\r\n"


class _Socket:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._protocol = Connection(ConnectionType.SERVER)
        self._received: asyncio.Queue[str] = asyncio.Queue()
        self._text = ""

    async def send(self, text: str) -> None:
        try:
            self._writer.write(self._protocol.send(TextMessage(data=text)))
        except LocalProtocolError as error:
            raise ConnectionResetError("the websocket is closed") from error
        await self._writer.drain()

    async def receive(self) -> str:
        return await self._received.get()

    async def read(self) -> None:
        """Take in what the client sends until it leaves."""
        while data := await self._reader.read(65536):
            self._protocol.receive_data(data)
            if not self._taken(list(self._protocol.events())):
                return
            await self._writer.drain()

    def _taken(self, events: Sequence[Event]) -> bool:
        """Whether the client is still there after these."""
        for event in events:
            match event:
                case TextMessage():
                    self._text += event.data
                    if event.message_finished:
                        self._received.put_nowait(self._text)
                        self._text = ""
                case Ping():
                    self._writer.write(self._protocol.send(event.response()))
                case CloseConnection():
                    self._writer.write(self._protocol.send(event.response()))
                    return False
                case _:
                    pass
        return True
