"""How full the streams are: their lengths, what each group has still to read, and what waits to be acknowledged.

Looked at from beside, by what shows it to an operator; nothing that copies trades waits for it.
"""

from collections.abc import Mapping
from typing import Any, cast

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from shared.streams import Keys
from shared.wire import entry_order


class Group(Struct, frozen=True, kw_only=True):
    """One consumer group. `lag` is what it has not read, None when the server cannot tell; `oldest` is in seconds."""

    stream: str
    name: str
    lag: int | None
    pending: int
    oldest: float = 0.0


class Depth(Struct, frozen=True, kw_only=True):
    """`lengths` by stream (orders, outcomes, dead); `used` and `limit` are the server's memory in bytes."""

    lengths: Mapping[str, int]
    groups: tuple[Group, ...]
    used: int
    limit: int

    def group(self, stream: str, name: str) -> Group | None:
        """One group, or None when there is none of this name."""
        return next((g for g in self.groups if (g.stream, g.name) == (stream, name)), None)


async def measure(redis: Redis, keys: Keys) -> Depth:
    """Look once. Raises redis errors."""
    streams = {"orders": keys.orders, "outcomes": keys.outcomes, "dead": keys.dead}
    lengths = {name: int(await redis.xlen(key)) for name, key in streams.items()}
    memory = cast(Mapping[str, Any], await redis.info("memory"))
    seconds, microseconds = await redis.time()
    now_ms = seconds * 1000 + microseconds / 1000
    groups = [g for name in ("orders", "outcomes") for g in await _groups(redis, name, streams[name], now_ms)]
    limit = int(memory.get("maxmemory") or memory.get("total_system_memory") or 0)
    return Depth(lengths=lengths, groups=tuple(groups), used=int(memory["used_memory"]), limit=limit)


async def _groups(redis: Redis, stream: str, key: str, now_ms: float) -> list[Group]:
    try:
        told = cast(list[Mapping[str, Any]], await redis.xinfo_groups(key))
    except ResponseError:
        return []  # the stream is not there yet
    found = []
    for group in told:
        name = group["name"]  # whoever may read the stream may make a group, also one whose name is no text
        first = cast(list[Any], await redis.xpending_range(key, name, "-", "+", 1)) if group["pending"] else []
        oldest = (now_ms - entry_order(first[0]["message_id"].decode())[0]) / 1000 if first else 0.0
        lag = group["lag"]
        pending = int(group["pending"])
        text = name.decode("utf-8", "replace")
        found.append(Group(stream=stream, name=text, lag=lag, pending=pending, oldest=max(0.0, oldest)))
    return found
