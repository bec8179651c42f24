"""HTTP/2 for the stand-ins, as brokers' servers speak it with browsers: many calls at once on one connection."""

import asyncio
from typing import assert_never

from h2.config import H2Configuration  # type: ignore[import-untyped]
from h2.connection import H2Connection  # type: ignore[import-untyped]
from h2.errors import ErrorCodes  # type: ignore[import-untyped]
from h2.events import (  # type: ignore[import-untyped]
    DataReceived,
    Event,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError  # type: ignore[import-untyped]

from deploy.demo.encodings import packed
from deploy.demo.web import Answer, Handler, Hangup, Response, Stream, Upgrade, request
from shared.process import cancelled


class Http2:
    """One connection. Websockets are not offered on it; a browser opens another connection for them."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler) -> None:
        self._reader = reader
        self._writer = writer
        self._handler = handler
        self._protocol = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._asked: dict[int, tuple[dict[str, str], bytearray]] = {}
        self._answering: dict[int, asyncio.Task[None]] = {}
        self._room = asyncio.Condition()

    async def run(self) -> None:
        """Answer until the client leaves. Raises ConnectionError, h2's ProtocolError."""
        self._protocol.initiate_connection()
        try:
            await self._flush()
            while data := await self._reader.read(65536):
                for event in self._protocol.receive_data(data):
                    await self._take(event)
                await self._flush()
        finally:
            if self._answering:
                await cancelled(*self._answering.values())

    async def _take(self, event: Event) -> None:
        match event:
            case RequestReceived():
                self._asked[event.stream_id] = (dict(event.headers), bytearray())
            case DataReceived():
                self._asked[event.stream_id][1].extend(event.data)
                self._protocol.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case StreamEnded():
                self._begin(event.stream_id)
            case StreamReset():
                self._asked.pop(event.stream_id, None)
                if event.stream_id in self._answering:
                    self._answering[event.stream_id].cancel()
            case WindowUpdated():
                async with self._room:
                    self._room.notify_all()
            case _:
                pass

    def _begin(self, stream: int) -> None:
        task = self._answering[stream] = asyncio.create_task(self._answer(stream))
        task.add_done_callback(lambda done: self._ended(stream, done))

    def _ended(self, stream: int, done: "asyncio.Task[None]") -> None:
        del self._answering[stream]
        if not done.cancelled() and isinstance(failure := done.exception(), Exception):
            # The client has reset the stream or left; the reader's side ends the connection if need be.
            assert isinstance(failure, ProtocolError | ConnectionError), failure

    async def _answer(self, stream: int) -> None:
        headers, body = self._asked.pop(stream)
        headers["host"] = headers.pop(":authority", "")
        method, target = headers.pop(":method"), headers.pop(":path")
        asked = request(method, target, headers, bytes(body))
        answer: Answer = self._handler(asked)
        match answer:
            case Response():
                whole = packed(asked, answer)
                self._head(stream, whole)
                await self._send(stream, whole.body, last=True)
            case Stream():
                self._head(stream, Response(headers=answer.headers))
                await self._flush()
                async for piece in answer.pieces:
                    await self._send(stream, piece, last=False)
                await self._send(stream, b"", last=True)
            case Hangup() | Upgrade():
                self._protocol.reset_stream(stream, ErrorCodes.CANCEL)
                await self._flush()
            case _:
                assert_never(answer)

    def _head(self, stream: int, response: Response) -> None:
        named = [(name.lower(), value) for name, value in response.fields]
        self._protocol.send_headers(stream, [(":status", str(response.status)), *named])

    async def _send(self, stream: int, data: bytes, *, last: bool) -> None:
        """Send data as fast as the client makes room for it."""
        while data:
            async with self._room:
                await self._room.wait_for(lambda: self._protocol.local_flow_control_window(stream) > 0)
            room = min(self._protocol.local_flow_control_window(stream), self._protocol.max_outbound_frame_size)
            self._protocol.send_data(stream, data[:room])
            data = data[room:]
            await self._flush()
        if last:
            self._protocol.end_stream(stream)
            await self._flush()

    async def _flush(self) -> None:
        self._writer.write(self._protocol.data_to_send())
        await self._writer.drain()
