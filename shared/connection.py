"""A Redis client with a short way for what orders wait for: one script or one read at a time, straight over a socket.

redis-py walks through its pool, its retries, its statistics and two layers of streams for each command and writes in a
task of its own; on a machine that has just woken up that costs more than the server does. Here it opens the connection
(address, encryption, password, protocol) and everything else takes its way; a script or a blocked read that finds
nobody else on the short way is written at once and answered from the very callback that the reply comes with. On
neither way is anything sent twice. A server that says that it is not the primary (any more) is left at once.
"""

import asyncio
from typing import Any, cast

import hiredis
from redis._parsers.base import BaseParser
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import InvalidResponse
from redis.exceptions import TimeoutError as TimedOut

from shared.seeking import ELSEWHERE

SHORT = frozenset({"EVALSHA", "XREADGROUP"})
_NOTHING = object()


class Line(asyncio.Protocol):
    """A connection that redis-py has opened, with one question under way at most."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._reader = hiredis.Reader(
            protocolError=InvalidResponse, replyError=BaseParser.parse_error, notEnoughData=_NOTHING
        )
        self._answer: asyncio.Future[Any] | None = None
        self.is_open = True
        transport.set_protocol(self)

    async def ask(self, packed: bytes, patience: float) -> Any:
        """The reply, errors of the server included. Raises redis errors when none came; then the line is closed."""
        loop = asyncio.get_running_loop()
        self._answer = loop.create_future()
        late = TimedOut("Redis did not answer in time")
        timer = loop.call_later(patience, self.close, late)
        try:
            self._transport.write(packed)
            return await self._answer
        except asyncio.CancelledError:
            self.close(Disconnected("nobody waits for the reply any more"))
            raise
        finally:
            timer.cancel()
            self._answer = None

    def close(self, reason: Exception) -> None:
        """Hang up; who still waits for a reply gets the reason."""
        self.is_open = False
        self._transport.abort()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(reason)

    def data_received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not _NOTHING:
                self._take(reply)
        except InvalidResponse as error:
            self.close(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self.close(Disconnected(f"Redis closed the connection: {exc or 'without a word'}"))

    def _take(self, reply: Any) -> None:
        if isinstance(reply, hiredis.PushNotification):
            return
        if self._answer is None or self._answer.done():
            self.close(Disconnected("Redis answered what was not asked"))
        else:
            self._answer.set_result(reply)


class Client(Redis):
    """See above. `patience` in seconds is how long a reply may take; the pool must not retry."""

    def __init__(self, pool: ConnectionPool, patience: float) -> None:
        super().__init__(connection_pool=pool)
        self.auto_close_connection_pool = True
        self._patience = patience
        self._opened: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]
        self._line: Line | None = None
        self._busy = False

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send one command and give its reply. Raises redis errors; after one nobody knows whether it was done."""
        try:
            return await self._executed(args, options)
        except ELSEWHERE as error:
            await self._leave()
            raise Disconnected(f"this server does not serve us any more: {error}") from error

    async def _executed(self, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if args[0] not in SHORT or self._busy:
            return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        self._busy = True
        try:
            line = self._line if self._line is not None and self._line.is_open else await self._open()
            reply = await line.ask(hiredis.pack_command(cast(Any, args)), self._patience)
        finally:
            self._busy = False
        if isinstance(reply, Exception):
            raise reply
        understand = self.response_callbacks.get(args[0])
        return reply if understand is None else understand(reply, **options)

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """Close all connections."""
        if self._line is not None:
            self._line.close(Disconnected("closed by us"))
        await self._opened.disconnect(nowait=True)
        await super().aclose(close_connection_pool)

    async def _leave(self) -> None:
        """Begin anew with the next command: connections that nobody is using are closed."""
        if self._line is not None and not self._busy:
            self._line.close(Disconnected("this server does not serve us any more"))
        await self.connection_pool.disconnect(inuse_connections=False)

    async def _open(self) -> Line:
        await self._opened.disconnect(nowait=True)
        await self._opened.connect()  # type: ignore[no-untyped-call]
        assert self._opened._writer is not None
        self._line = Line(cast(asyncio.Transport, self._opened._writer.transport))
        return self._line
