"""What may leave Redis: entries that every group has acknowledged and that are older than the retention.

The archive is one of the groups and acknowledges only what is stored, so what leaves is in PostgreSQL. A group that
stopped reading holds everything back, and is named. The decision is pure; `Trimmer` only carries it out.
"""

from collections.abc import Iterable
from typing import Any, cast, get_args

from msgspec import Struct
from redis.asyncio import Redis

from archiver import headroom
from archiver.headroom import Usage
from shared.outcomes import Result
from shared.streams import Keys
from shared.wire import entry_order

FINAL = frozenset(get_args(Result))
SCAN = 1000


class Standing(Struct, frozen=True, kw_only=True):
    """Where a group stands: what was delivered to it last, and the lowest entry that it has not acknowledged."""

    group: str
    delivered: str
    pending: str | None = None

    @property
    def needs(self) -> tuple[int, int]:
        """The lowest entry that the group may still want."""
        milliseconds, number = entry_order(self.delivered)
        undelivered = (milliseconds, number + 1)
        return min(undelivered, entry_order(self.pending)) if self.pending else undelivered


class Cut(Struct, frozen=True):
    """Everything below `before` may leave; `holder` is the group that keeps older entries than the retention would."""

    before: str
    holder: str | None = None


def cut(groups: Iterable[Standing], archive: str, aged: str) -> Cut | None:
    """Where to cut a stream; None when the archive does not read it, for then nothing in it is safe.

    `aged` is the id below which entries are older than the retention.
    """
    standings = list(groups)
    if archive not in {s.group for s in standings}:
        return None
    slowest = min(standings, key=lambda s: s.needs)
    if slowest.needs >= entry_order(aged):
        return Cut(aged)
    return Cut("{}-{}".format(*slowest.needs), slowest.group)


def after(decided: Cut, oldest: str | None, aged: str) -> Cut:
    """The cut once it is made: nobody holds anything up unless an entry that is left (`oldest`) is too old."""
    overdue = oldest is not None and entry_order(oldest) < entry_order(aged)
    return decided if overdue else Cut(decided.before)


def outlived(mark: str, before: str) -> bool:
    """Whether a done mark (`RESULT MS ENTRY`) belongs to an outcome below `before`; what is not an end stays."""
    words = mark.split(" ")
    return len(words) == 3 and words[0] in FINAL and words[2] != "" and entry_order(words[2]) < entry_order(before)


class Trimmer:
    """Carries the decision out on one namespace. Raises redis errors."""

    def __init__(self, redis: Redis, keys: Keys, archive: str, retention_ms: int) -> None:
        self._redis = redis
        self._keys = keys
        self._archive = archive
        self._retention_ms = retention_ms

    async def trim(self) -> dict[str, Cut]:
        """Trim both streams and prune the done marks whose fact and outcome have left; returns the cuts by stream."""
        cuts = {}
        for name, stream in (("orders", self._keys.orders), ("outcomes", self._keys.outcomes)):
            if (made := await self._cut(stream)) is not None:
                cuts[name] = made
        if len(cuts) == 2:
            await self._prune(min((c.before for c in cuts.values()), key=entry_order))
        return cuts

    async def usage(self) -> Usage:
        """What is left in Redis, and how much room there is."""
        return await headroom.usage(self._redis, self._keys)

    async def _cut(self, stream: str) -> Cut | None:
        aged = f"{max(await self._now_ms() - self._retention_ms, 0)}-0"
        decided = cut(await self._groups(stream), self._archive, aged)
        if decided is None:
            return None
        await self._redis.xtrim(stream, minid=decided.before, approximate=False)
        left = cast(list[tuple[bytes, Any]], await self._redis.xrange(stream, count=1))
        return after(decided, left[0][0].decode() if left else None, aged)

    async def _groups(self, stream: str) -> list[Standing]:
        if not await self._redis.exists(stream):
            return []
        # Deliveries first, pending second: what is delivered in between can then only look older than it is.
        known: list[dict[str, Any]] = await self._redis.xinfo_groups(stream)
        return [await self._standing(stream, group) for group in known]

    async def _standing(self, stream: str, group: dict[str, Any]) -> Standing:
        name, delivered = group["name"].decode(), group["last-delivered-id"].decode()
        summary: dict[str, Any] = await self._redis.xpending(stream, name)
        pending = summary["min"]
        return Standing(group=name, delivered=delivered, pending=pending.decode() if pending else None)

    async def _now_ms(self) -> int:
        seconds, microseconds = await self._redis.time()
        return seconds * 1000 + microseconds // 1000

    async def _prune(self, before: str) -> None:
        """An outcome is younger than its fact, so when it has left, no entry can bring the fact back."""
        async for key in self._redis.scan_iter(match=self._keys.account("done", "*"), count=SCAN):
            await self._prune_account(key.decode(), before)

    async def _prune_account(self, key: str, before: str) -> None:
        cursor = 0
        while True:
            cursor, page = await self._redis.hscan(key, cursor, count=SCAN)
            marks = cast(dict[bytes, bytes], page)
            gone = [field for field, mark in marks.items() if outlived(mark.decode(), before)]
            if gone:
                await self._redis.hdel(key, *gone)
            if cursor == 0:
                return
