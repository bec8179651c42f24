"""How much room the streams still have: bytes per fact, facts per day, and the days until Redis is full.

The answer is for the worst case, in which nothing is trimmed any more, say because an account stopped reading: that is
when somebody has to know how long there is time.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any, cast

from msgspec import Struct
from redis.asyncio import Redis

from shared.streams import Keys
from shared.wire import entry_order

DAY_MS = 24 * 3600 * 1000
PER_FACT = ("done",)
"""Keys of an account that grow with its facts."""
SCAN = 1000


class Usage(Struct, frozen=True, kw_only=True):
    """What Redis holds of one namespace, in bytes. `limit` is the server's, `span_ms` time since the oldest fact."""

    facts: int
    bytes: int
    span_ms: int
    used: int
    limit: int

    @property
    def per_fact(self) -> float | None:
        """Bytes that one fact takes with its outcomes on all accounts; None while there is none."""
        return self.bytes / self.facts if self.facts else None

    @property
    def per_day(self) -> float:
        """Facts in a day. What is younger than a day counts as a day's, so that a busy minute is no alarm."""
        return self.facts / max(self.span_ms / DAY_MS, 1.0)

    @property
    def days(self) -> float | None:
        """Days until the server is full if nothing is trimmed; None when nothing grows."""
        growth = self.per_day * (self.per_fact or 0.0)
        return max(self.limit - self.used, 0) / growth if growth else None


async def usage(redis: Redis, keys: Keys) -> Usage:
    """Measure. Sizes are the server's own estimates. Raises redis errors."""
    info = cast(Mapping[str, Any], await redis.info("memory"))
    first = cast(list[Any], await redis.xrange(keys.orders, count=1))
    seconds, microseconds = await redis.time()
    now_ms = seconds * 1000 + microseconds // 1000
    names: list[Any] = [keys.orders, keys.outcomes, *[name async for name in _growing(redis, keys)]]
    sizes = [int(await redis.memory_usage(name) or 0) for name in names]
    return Usage(
        facts=int(await redis.xlen(keys.orders)),
        bytes=sum(sizes),
        span_ms=max(now_ms - entry_order(first[0][0].decode())[0], 0) if first else 0,
        used=int(info["used_memory"]),
        limit=int(info.get("maxmemory") or info.get("total_system_memory") or 0),
    )


async def _growing(redis: Redis, keys: Keys) -> AsyncIterator[bytes]:
    for part in PER_FACT:
        async for name in redis.scan_iter(match=keys.account(part, "*"), count=SCAN):
            yield name  # as it is: not every name is text


def words(found: Usage) -> str:
    """In one line."""
    if found.per_fact is None:
        return "Redis: no facts in the stream"
    days = "no growth" if found.days is None else f"room for {found.days:,.0f} days if nothing were trimmed"
    return (
        f"Redis: {found.facts:,} facts, {found.per_fact:,.0f} bytes each with their outcomes, "
        f"{found.per_day:,.0f} a day: {days}"
    )
