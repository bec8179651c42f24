"""What may leave Redis: entries that every group has acknowledged and that are older than the retention.

The archive is one of the groups and acknowledges only what is stored, so what leaves is in PostgreSQL. A group that
stopped reading holds everything back, and is named. The decision is pure; `Trimmer` only carries it out.
"""

from collections.abc import Iterable
from typing import Any, cast, get_args

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from archiver import headroom
from archiver.headroom import Usage
from archiver.standing import Standing, standings
from archiver.strangers import Strangers
from shared.outcomes import Result
from shared.plainly import wrong_type
from shared.streams import Keys
from shared.wire import ENTRY, entry_order

FINAL = frozenset(get_args(Result))
SCAN = 1000


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
    is_end = len(words) == 3 and words[0] in FINAL and ENTRY.fullmatch(words[2])
    return bool(is_end) and entry_order(words[2]) < entry_order(before)


class Trimmer:
    """Carries the decision out on one namespace. Raises redis errors."""

    def __init__(
        self, redis: Redis, keys: Keys, archive: str, retention_ms: int, strangers: Strangers | None = None
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._archive = archive
        self._retention_ms = retention_ms
        self._strangers = strangers or Strangers()

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
        decided = cut(await standings(self._redis, stream, self._strangers), self._archive, aged)
        if decided is None:
            return None
        await self._redis.xtrim(stream, minid=decided.before, approximate=False)
        left = cast(list[tuple[bytes, Any]], await self._redis.xrange(stream, count=1))
        return after(decided, left[0][0].decode() if left else None, aged)

    async def _now_ms(self) -> int:
        seconds, microseconds = await self._redis.time()
        return seconds * 1000 + microseconds // 1000

    async def _prune(self, before: str) -> None:
        """An outcome is younger than its fact, so when it has left, no entry can bring the fact back."""
        async for key in self._redis.scan_iter(match=self._keys.account("done", "*"), count=SCAN):
            try:
                await self._prune_account(key, before)
            except ResponseError as error:
                if not wrong_type(error):
                    raise
                self._strangers.pass_by(key, "is no hash: nothing of it is pruned")

    async def _prune_account(self, key: bytes, before: str) -> None:
        cursor = 0
        while True:
            cursor, page = await self._redis.hscan(key, cursor, count=SCAN)
            marks = cast(dict[bytes, bytes], page)
            gone = [field for field, mark in marks.items() if outlived(mark.decode("utf-8", "replace"), before)]
            if gone:
                await self._redis.hdel(cast(Any, key), *cast(Any, gone))
            if cursor == 0:
                return
