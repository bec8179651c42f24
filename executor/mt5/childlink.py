"""The parent's end of the socket to a child: frames in and out, one write per frame, no thread between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from executor.mt5.child import HEADER, Hello, Request, Response, take_frame


class ChildLink(asyncio.Protocol):
    """One connection of a child.

    `greeted` hears the first frame and decides whether this is our child; `answered` hears every later one. Bytes that
    cannot be read close the connection. `closed` is set when the kernel has reported the other end gone, which proves
    that the process behind it no longer holds the vendor's module.
    """

    def __init__(
        self, greeted: Callable[[ChildLink, Hello], bool], answered: Callable[[ChildLink, Response], None]
    ) -> None:
        self._greeted, self._answered = greeted, answered
        self._buffer = bytearray()
        self._known = False
        self._transport: asyncio.Transport | None = None
        self._hello = msgspec.msgpack.Decoder(Hello)
        self._response = msgspec.msgpack.Decoder(Response)
        self.closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            while (frame := take_frame(self._buffer)) is not None:
                self._take(frame)
        except msgspec.MsgspecError:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()

    def write(self, request: Request) -> None:
        """Hand one call over."""
        assert self._transport is not None
        payload = msgspec.msgpack.encode(request)
        self._transport.write(HEADER.pack(len(payload)) + payload)

    def close(self) -> None:
        """Tell the child to end once it has nothing to do."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _take(self, frame: bytes) -> None:
        if self._known:
            self._answered(self, self._response.decode(frame))
            return
        self._known = self._greeted(self, self._hello.decode(frame))
        if not self._known:
            self.abort()
