"""HTTP/1.1 for the stand-ins: kept connections on asyncio; h11 reads and writes the protocol."""

import asyncio
import contextlib
from typing import assert_never

import h11

from deploy.demo import websocket
from deploy.demo.encodings import packed
from deploy.demo.web import Handler, Hangup, Request, Response, Stream, Upgrade, request


class Http1:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler) -> None:
        self._reader = reader
        self._writer = writer
        self._handler = handler
        self._protocol = h11.Connection(h11.SERVER)

    async def run(self) -> None:
        """Answer one request after the other until the client leaves. Raises ConnectionError, h11.ProtocolError."""
        while (asked := await self._request()) is not None and await self._answered(asked):
            if self._protocol.our_state is h11.MUST_CLOSE:
                return
            self._protocol.start_next_cycle()

    async def _answered(self, asked: Request) -> bool:
        """Answer; whether the connection can take another request."""
        match answer := self._handler(asked):
            case Response():
                whole = packed(asked, answer)
                await self._send(_head(whole), h11.Data(data=whole.body), h11.EndOfMessage())
            case Stream():
                await self._flow(answer)
            case Hangup():
                self._writer.transport.abort()
                return False
            case Upgrade():
                await websocket.serve(self._reader, self._writer, asked, answer)
                return False
            case _:
                assert_never(answer)
        return True

    async def _flow(self, answer: Stream) -> None:
        """Send the pieces until they end or the client leaves, which an endless answer would not notice by itself."""
        await self._send(_head(Response(headers=answer.headers)))
        sending = asyncio.ensure_future(self._pieces(answer))
        leaving = asyncio.ensure_future(self._reader.read(1))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                raise ConnectionResetError("the client left")
            await sending
        finally:
            for task in (sending, leaving):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                    await task
        await self._send(h11.EndOfMessage())

    async def _pieces(self, answer: Stream) -> None:
        async for piece in answer.pieces:
            await self._send(h11.Data(data=piece))

    async def _send(self, *parts: h11.Event) -> None:
        # One write: the proxy sees the whole answer at once.
        self._writer.write(b"".join(self._protocol.send(part) or b"" for part in parts))
        await self._writer.drain()

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
                    headers = {name.decode("ascii"): value.decode("latin-1") for name, value in head.headers}
                    return request(head.method.decode("ascii"), head.target.decode("ascii"), headers, body)
                case _:
                    return None

    async def _event(self) -> h11.Event | None:
        """What the client sends next; None when it has no more to say for now."""
        while (event := self._protocol.next_event()) is h11.NEED_DATA:
            self._protocol.receive_data(await self._reader.read(65536))
        return event if isinstance(event, h11.Event) else None


def _head(response: Response) -> h11.Response:
    return h11.Response(status_code=response.status, headers=response.fields)
