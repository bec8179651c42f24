"""Tells every second, beside the lanes, how the streams and the accounts are: to Prometheus and, in Redis, to `status`.

It has a connection of its own and changes nothing that a lane goes by. While Redis is away what it cannot know is not
a number, rather than an old value that looks healthy.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import cast

from msgspec.structs import replace
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from redis.exceptions import RedisError

from executor.book import Book, Debt
from executor.meter import Meter
from executor.metrics import Metrics
from executor.states import AccountState
from shared import depth, showing, vitals
from shared.depth import Depth
from shared.metrics import gauge
from shared.misplaced import unless_misplaced
from shared.streams import Keys
from shared.vitals import AccountVitals, Position

log = logging.getLogger(__name__)

STREAMS = ("orders", "outcomes", "dead")
FILLINGS = {1: "FOK", 2: "IOC", 4: "BOC"}
FRESH_S = 5 * vitals.EVERY_S
"""What an executor has said last is believed for so long."""
QUICKEST_S = 0.1
"""So soon at the earliest what a lane has become is told."""


class Pulse:
    """The pulse of one process with the lanes that `meters` count for."""

    def __init__(
        self,
        registry: CollectorRegistry,
        watcher: Metrics,
        redis: Redis,
        keys: Keys,
        meters: Sequence[Meter],
        clock: Callable[[], datetime],
    ) -> None:
        self._clock = clock
        self._watcher = watcher
        self._redis = redis
        self._keys = keys
        self._meters = meters
        self._since = {meter.account: ("", clock()) for meter in meters}
        self._told: dict[str, datetime] = {}
        group = ("stream", "group")
        self._up = gauge(registry, "redis_up", "Whether Redis answers.")
        self._length = gauge(
            registry, "stream_entries", "Entries in a stream; `dead` are the dead letters.", ("stream",)
        )
        self._lag = gauge(
            registry, "group_lag", "Entries that a group has not read; NaN: the server cannot tell.", group
        )
        self._pending = gauge(registry, "group_pending", "Entries that are read and not acknowledged.", group)
        self._oldest = gauge(registry, "group_oldest_pending_seconds", "Age of the oldest of them; 0: none.", group)
        self._used = gauge(registry, "redis_memory_used_bytes", "Memory that Redis uses.")
        self._limit = gauge(registry, "redis_memory_limit_bytes", "Memory that Redis may use.")
        self._groups = {("orders", meter.account) for meter in meters}
        self._groups |= {("orders", "archiver"), ("outcomes", "archiver")}
        self._forget(self._groups)

    async def run(self) -> None:
        """Tell until cancelled, at once when a lane has become something else."""
        moved = self._watcher.moved
        while True:
            moved.clear()
            try:
                async with asyncio.timeout(5 * vitals.EVERY_S):
                    await self.beat()
            except (RedisError, OSError) as error:
                self._away(error)
            await asyncio.sleep(QUICKEST_S)
            with suppress(TimeoutError):
                await asyncio.wait_for(moved.wait(), vitals.EVERY_S - QUICKEST_S)

    async def beat(self) -> None:
        """Look and tell once. Raises redis errors."""
        self.show(await depth.measure(self._redis, self._keys))
        for meter in self._meters:
            meter.state(await self._state(meter.account))
            await self._tell(meter)

    async def _tell(self, meter: Meter) -> None:
        name, now = meter.account, self._clock()
        condition = self._watcher.condition(name)
        if condition != "active":
            meter.differs(())
        if condition != "active" and await self._is_served_elsewhere(name, now):
            meter.let_go()
        elif condition not in ("standby", "removed"):
            if condition != "active":
                meter.remember(debt.since for debt in await self._debts(name))
            told = replace(vitals_of(meter, condition, now), since=self._became(name, condition, now))
            self._told[name] = now
            await vitals.tell_account(self._redis, self._keys, name, told)

    async def _debts(self, name: str) -> list[Debt]:
        stored = await unless_misplaced(self._redis.hgetall(self._keys.account("debts", name)), {})
        read = (showing.read(content, Debt) for content in cast(Mapping[bytes, bytes], stored).values())
        return [debt for debt in read if debt is not None]

    async def _is_served_elsewhere(self, name: str, now: datetime) -> bool:
        """Whether another executor says that it is at work for the account: it knows better how that is."""
        told = await vitals.account(self._redis, self._keys, name)
        if told is None or told.condition != "active" or told.at == self._told.get(name):
            return False
        return abs((now - told.at).total_seconds()) < FRESH_S

    def _became(self, account: str, condition: str, now: datetime) -> datetime:
        """Since when the lane has been this, as far as we have seen."""
        if self._since[account][0] != condition:
            self._since[account] = (condition, now)
        return self._since[account][1]

    def show(self, found: Depth) -> None:
        """Show what was measured. A group that is not there any more is unknown, not empty."""
        self._up.set(1)
        for stream in STREAMS:
            self._length.labels(stream).set(found.lengths[stream])
        there = {(group.stream, group.name) for group in found.groups}
        self._leave_out({meter.account for meter in self._meters} - {name for _, name in there})
        self._forget(self._groups - there)
        self._groups |= there
        for group in found.groups:
            self._lag.labels(group.stream, group.name).set(math.nan if group.lag is None else group.lag)
            self._pending.labels(group.stream, group.name).set(group.pending)
            self._oldest.labels(group.stream, group.name).set(group.oldest)
        self._used.set(found.used)
        self._limit.set(found.limit)

    def _away(self, error: Exception) -> None:
        log.debug("Redis cannot be looked at: %s", error)
        self._up.set(0)
        self._forget(self._groups)

    def _forget(self, groups: set[tuple[str, str]]) -> None:
        """Nothing is known of these groups now."""
        for stream, group in groups:
            for one in (self._lag, self._pending, self._oldest):
                one.labels(stream, group).set(math.nan)

    def _leave_out(self, without: set[str]) -> None:
        """Of accounts that a person has removed there is nothing to know any more."""
        gone = {("orders", name) for name in without if self._watcher.condition(name) == "removed"} & self._groups
        for group in gone:
            for one in (self._lag, self._pending, self._oldest):
                one.remove(*group)
        self._groups -= gone

    async def _state(self, account: str) -> AccountState | None:
        raw = await unless_misplaced(self._redis.hget(self._keys.account("state", account), "mode"), None)
        known = {str(state).encode(): state for state in AccountState}
        return known.get(cast(bytes, raw)) if raw else None


def vitals_of(meter: Meter, condition: str, now: datetime) -> AccountVitals:
    """What is told of one account now."""
    book, since = meter.book, [*meter.owed_since(), *meter.unresolved_since()]
    info = meter.info if condition == "active" else None
    oldest = max(0.0, (now - min(since)).total_seconds()) if since else 0.0
    if book is None:
        owed = len(meter.owed_since())
        return AccountVitals(at=now, condition=condition, why=meter.why, owed=owed, oldest=oldest)
    return AccountVitals(
        at=now,
        condition=condition,
        why=meter.why,
        connected=info is not None and info.connected,
        algo=info is not None and info.trade_allowed,
        ping=info.ping_last / 1e6 if info is not None else None,
        identity=book.identity,
        margin=book.margin,
        currency=book.figures.currency,
        equity=book.figures.equity,
        balance=book.figures.balance,
        positions=_positions(book),
        unresolved=len(meter.unresolved_since()),
        owed=len(meter.owed_since()),
        oldest=oldest,
        used=meter.used(),
        drift=tuple(d.text for d in meter.drifting),
        filling={s.symbol: _fillings(s.filling_mode) for s in book.specifications.values()},
        unmapped=meter.unmapped,
    )


def _positions(book: Book) -> tuple[Position, ...]:
    return tuple(
        Position(link=x.key, instrument=x.instrument, symbol=x.symbol, lots=x.own, followed=x.followed)
        for x in book.links.values()
        if x.parts or x.followed
    )


def _fillings(mode: int) -> tuple[str, ...]:
    return tuple(name for bit, name in FILLINGS.items() if mode & bit)
