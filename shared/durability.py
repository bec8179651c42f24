"""Whether a Redis server keeps what it has acknowledged: a service refuses to work with one that would lose trades."""

from collections.abc import Mapping
from typing import Any, cast

from redis.asyncio import Redis


async def unsafe(redis: Redis) -> list[str]:
    """What about this server would lose trades, one line each with what to do; empty when it is safe to use."""
    info = cast(Mapping[str, Any], await redis.info("everything"))
    found = []
    if tuple(int(x) for x in str(info["redis_version"]).split(".")[:2]) < (7, 0):
        found.append(f"Redis {info['redis_version']} is too old: use Redis 7.0 or newer, or Valkey")
    if not int(info.get("aof_enabled", 0)):
        found.append("Redis writes no append-only file: set `appendonly yes` and `appendfsync always`")
    if info.get("maxmemory_policy") != "noeviction":
        found.append(f"Redis may evict keys ({info.get('maxmemory_policy')}): set `maxmemory-policy noeviction`")
    return found
