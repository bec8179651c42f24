"""What a group has been given and has not acknowledged: our own share after a crash, and that of an archiver that died.

Other than an account, the archive needs no lease: a row is known by what it is, so two archivers that work on the same
entry write one row. The idle time only keeps them from doing each other's work.
"""

from collections.abc import Mapping
from typing import Any, cast

from redis.asyncio import Redis

from shared.streams import Entry

IDLE_MS = 30_000
"""An entry that nobody acknowledged for this long has lost its archiver, or waits with it for PostgreSQL."""


class Backlog:
    """The pending entries of one group, as `consumer` takes them. Raises redis errors."""

    def __init__(self, redis: Redis, stream: str, group: str, consumer: str) -> None:
        self._redis = redis
        self._stream = stream
        self._group = group
        self._consumer = consumer
        self._cursor = b"0-0"

    async def ours(self, after: str, count: int) -> list[Entry]:
        """What was given to us and is above the entry id `after`, lowest first, at most `count`."""
        reply = await self._redis.xreadgroup(self._group, self._consumer, {self._stream: after}, count=count)
        return [_entry(raw) for _, entries in cast(list[Any], reply or []) for raw in entries]

    async def adopt(self, count: int, idle_ms: int = IDLE_MS) -> list[Entry]:
        """Make ours what others left idle for `idle_ms`, at most `count`; goes round all of it from call to call."""
        reply = await self._redis.xautoclaim(
            self._stream, self._group, self._consumer, min_idle_time=idle_ms, start_id=self._cursor, count=count
        )
        self._cursor = reply[0]
        return [_entry(raw) for raw in reply[1]]


def _entry(raw: tuple[bytes, Mapping[bytes, bytes] | None]) -> Entry:
    return Entry(raw[0].decode(), dict(raw[1] or {}))
