"""Detaches groups that nobody reads for, so that an account which was forgotten cannot fill Redis.

Its place is kept. When an executor works for the account again it gets its group back and reads on, as long as the
stream still has what it had not read; else the archive has it, and `tradecopier restore` brings it back.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from time import monotonic
from typing import Any, cast

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from archiver.standing import Standing, standings
from archiver.strangers import Strangers, no_group, shown, text
from shared.plainly import wrong_type
from shared.streams import Keys
from shared.wire import entry_before, entry_order

WATCHED_S = 600.0
"""A group has to stand still for so long before our eyes: when nothing ran for long, all may come back first."""
SCAN = 1000


class Detached(Struct, frozen=True):
    """An account whose group was detached, and since when."""

    account: str
    since: str


class Detacher:
    """For the groups of one namespace but the archive's. Raises redis errors."""

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        archive: str,
        after_ms: int,
        clock: Callable[[], float] = monotonic,
        strangers: Strangers | None = None,
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._archive = archive
        self._after_ms = after_ms
        self._clock = clock
        self._strangers = strangers or Strangers()
        self._watched: dict[str, tuple[Standing, float]] = {}

    async def detach(self) -> list[str]:
        """Detach whom nobody has read for, for long enough; their names."""
        now_ms = await self._now_ms()
        groups = await standings(self._redis, self._keys.orders, self._strangers)
        found = [standing for standing in groups if standing.group != self._archive]
        forgotten = [s for s in found if await self._forgotten(s, now_ms)]
        self._watched = {s.group: self._watch(s) for s in forgotten}
        gone = [s for s in forgotten if self._clock() - self._watched[s.group][1] >= WATCHED_S]
        return [s.group for s in gone if await self._detach(s, now_ms)]

    async def detached(self) -> list[Detached]:
        """Every account that is detached."""
        found, start = [], self._keys.account("place", "")
        async for key in self._redis.scan_iter(match=f"{start}*", count=SCAN):
            name = text(key)
            if name is None:
                self._strangers.pass_by(key, "is a key whose name is no text: it is no account's place")
            elif since := await self._since(name):
                found.append(Detached(name.removeprefix(start), since))
        return sorted(found, key=lambda d: d.account)

    async def _since(self, place: str) -> str | None:
        try:
            since = cast(bytes | None, await self._redis.hget(place, "detached"))
        except ResponseError as error:
            if not wrong_type(error):
                raise
            self._strangers.pass_by(place, "is no hash: nobody can tell whether its account is detached")
            return None
        return shown(since) if since is not None else None

    def _watch(self, standing: Standing) -> tuple[Standing, float]:
        known = self._watched.get(standing.group)
        return known if known is not None and known[0] == standing else (standing, self._clock())

    async def _forgotten(self, standing: Standing, now_ms: int) -> bool:
        """Whether the group has left something old unread, and nobody has asked for it any more."""
        unread = await self._unread(standing)
        if unread is None or entry_order(unread)[0] > now_ms - self._after_ms:
            return False
        try:
            told = await self._redis.xinfo_consumers(self._keys.orders, standing.group)
        except ResponseError as error:
            if not no_group(error):
                raise
            return False
        consumers = cast(list[Mapping[str, Any]], told)
        return all(consumer["idle"] >= self._after_ms for consumer in consumers)

    async def _unread(self, standing: Standing) -> str | None:
        """The first entry that the group has not acknowledged."""
        needs = "{}-{}".format(*standing.needs)
        left = cast(list[tuple[bytes, Any]], await self._redis.xrange(self._keys.orders, needs, count=1))
        return left[0][0].decode() if left else None

    async def _detach(self, standing: Standing, now_ms: int) -> bool:
        # The place first: an executor that comes back in between loses its group and is given it again.
        unread = await self._unread(standing)
        if unread is None:
            return False
        since = datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="minutes")
        kept = {"detached": since, "unread": unread, "before": entry_before(unread)}
        place = self._keys.account("place", standing.group)
        try:
            await self._redis.hset(place, mapping=cast(Any, kept))
        except ResponseError as error:
            if not wrong_type(error):
                raise
            self._strangers.pass_by(place, "is no hash: its account is detached and keeps no place")
        await self._redis.xgroup_destroy(self._keys.orders, standing.group)
        return True

    async def _now_ms(self) -> int:
        seconds, microseconds = await self._redis.time()
        return seconds * 1000 + microseconds // 1000
