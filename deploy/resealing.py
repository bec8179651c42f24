"""What in Redis bears which signing key, and how what stays is signed anew before a key is retired.

Entries of the streams leave by themselves, once they are archived; the newest fact of an open position stays for as
long as it is open, and so do what a successor of ingest needs and the seal of what an account remembers. Each is read
with the key that is to go, signed with the one that signs now, and put back only where nothing newer stands.
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from deploy.standing import known
from deploy.surroundings import Surroundings, found
from executor import sealing
from shared import streams
from shared.plainly import plainly
from shared.process import UserError
from shared.streams import Keys
from shared.wire import Codec

PAGE = 1000
T = TypeVar("T")

_REPLACE = """
-- KEYS: a hash.  ARGV: field, what stands there as far as we know, what shall stand there
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
"""


def borne(config: Path, data: Path | None) -> Mapping[str, int] | None:
    """How much of the streams, the pictures and the accounts' seals bears each key; None when Redis gives no answer."""
    around = found(config, os.environ, data)
    try:
        return asyncio.run(_connected(around, lambda redis: counted(redis, around.keys, tuple(_sources(around)))))
    except (RedisError, OSError, UserError):
        return None


def resealed(config: Path, data: Path | None, key: str) -> int:
    """Sign anew what stands in pictures, memories and seals under `key`; returns how much. Raises UserError."""
    around = found(config, os.environ, data)
    codec = around.codec()
    if key not in codec.key_ids:
        return 0
    try:
        return asyncio.run(
            _connected(around, lambda redis: reseal(redis, around.keys, codec, key, tuple(_sources(around))))
        )
    except (RedisError, OSError) as error:
        raise UserError(f"nothing was changed, Redis does not answer: {plainly(error)}") from error


async def counted(redis: Redis, keys: Keys, sources: tuple[str, ...]) -> Mapping[str, int]:
    """The keys on everything that is still to be read. Raises redis errors."""
    count: Counter[str] = Counter()
    for stream in (keys.orders, keys.outcomes):
        start = "-"
        while page := cast(list[Any], await redis.xrange(stream, start, "+", count=PAGE)):
            count.update(fields.get(b"k", b"").decode("ascii", "replace") for _, fields in page)
            start = f"({page[-1][0].decode()}"
    for name in (keys.source(part, source) for source in sources for part in ("picture", "memory")):
        stored = cast(Mapping[bytes, bytes], await redis.hgetall(name))
        count.update(_key(content) for field, content in stored.items() if field != b"writer")
    count.update([_key(seal) async for _, seal in _seals(redis, keys)])
    return count


async def reseal(redis: Redis, keys: Keys, codec: Codec, key: str, sources: tuple[str, ...]) -> int:
    """Sign anew what bears `key` and is soundly signed. Raises redis errors."""
    replace, done = redis.register_script(_REPLACE), 0
    for source in sources:
        for part in ("picture", "memory"):
            name = keys.source(part, source)
            for field, content in cast(Mapping[bytes, bytes], await redis.hgetall(name)).items():
                scope = "orders" if part == "picture" else f"memory:{source}/{field.decode()}"
                if field == b"writer" or _key(content) != key or (opened := codec.opened(scope, content)) is None:
                    continue
                done += int(await replace(keys=[name], args=[field, content, codec.seal(scope, opened)]))
    async for account, seal in _seals(redis, keys):
        scope = sealing.scope(account)
        if _key(seal) == key and (opened := codec.opened(scope, seal)) is not None:
            args: list[str | bytes] = [sealing.FIELD, seal, codec.seal(scope, opened)]
            done += int(await replace(keys=[keys.account("place", account)], args=args))
    return done


async def _seals(redis: Redis, keys: Keys) -> AsyncIterator[tuple[str, bytes]]:
    """The seal of each account that has one."""
    for account in await known(redis, keys):
        seal = cast(bytes | None, await redis.hget(keys.account("place", account), sealing.FIELD))
        if seal is not None:
            yield account, seal


def _key(content: bytes) -> str:
    return content.partition(b" ")[0].decode("ascii", "replace")


def _sources(around: Surroundings) -> Mapping[str, object]:
    return around.machine.ingest.sources


async def _connected(around: Surroundings, work: Callable[[Redis], Awaitable[T]]) -> T:
    redis = streams.connect(around.redis_url())
    try:
        return await work(redis)
    finally:
        await redis.aclose()
