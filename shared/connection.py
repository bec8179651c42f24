"""A Redis client with a short way for one command at a time: the way that orders take.

redis-py walks through its pool, its retries and its statistics for each command, and writes in a task of its own, which
together cost more than the round trip; before Python 3.12 that task also loses cancellations. Here a command that finds
nobody else under way goes straight over a connection that is kept for it; any other takes redis-py's own way. On
neither is anything sent twice.
"""

from collections.abc import Iterable
from typing import Any

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import ConnectionError as Disconnected


class _Straight(AbstractConnection):
    """What is sent is with the kernel when the call returns: no command of ours fills a socket's buffer.

    Where a server takes nothing any more, the wait for the reply has its limit.
    """

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:  # noqa: FBT001, FBT002  redis-py's own signature
        if not self.is_connected:
            await self.connect()
        assert self._writer is not None
        packed = command.encode() if isinstance(command, str) else command
        self._writer.writelines([packed] if isinstance(packed, bytes) else packed)


class _Plain(_Straight, Connection):
    pass


class _Encrypted(_Straight, SSLConnection):
    pass


class _Local(_Straight, UnixDomainSocketConnection):
    pass


_KINDS: dict[type[Any], type[Any]] = {
    Connection: _Plain,
    SSLConnection: _Encrypted,
    UnixDomainSocketConnection: _Local,
}


class Client(Redis):
    """See above. The pool must not retry: what is retried could act twice."""

    def __init__(self, pool: ConnectionPool) -> None:
        pool.connection_class = _KINDS[pool.connection_class]
        super().__init__(connection_pool=pool)
        self.auto_close_connection_pool = True
        self._own: AbstractConnection = pool.make_connection()
        self._busy = False

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send one command and give its reply. Raises redis errors; after one nobody knows whether it was done."""
        if self._busy:
            return await super().execute_command(*args, **options)
        self._busy = True
        try:
            await self._ready()
            await self._own.send_packed_command(self._own.pack_command(*args))
            return await self.parse_response(self._own, args[0], **options)
        finally:
            self._busy = False

    async def aclose(self, close_connection_pool: bool | None = None) -> None:  # noqa: FBT001  redis-py's own signature
        """Close all connections."""
        await self._own.disconnect(nowait=True)
        await super().aclose(close_connection_pool)

    async def _ready(self) -> None:
        """Have a connection on which nothing is left over: one that the server closed meanwhile is opened anew."""
        if not self._own.is_connected:
            await self._own.connect()
        elif await self._own.can_read():
            await self._own.disconnect(nowait=True)
            await self._own.connect()
