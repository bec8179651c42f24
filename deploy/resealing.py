"""What in Redis bears which signing key, and how what stays is signed anew before a key is retired.

Entries of the streams leave by themselves, once they are archived; the newest fact of an open position stays for as
long as it is open, and so do what a successor of ingest needs and the seal of what an account remembers. What an
operator has asked of an account waits there until somebody works for it. Each is read with the key that is to go,
signed with the one that signs now, and put back only where nothing newer stands.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from deploy.standing import hashed, known
from deploy.surroundings import Surroundings, found
from executor import asked, sealing
from executor.orders import DONE, What, ordered, said, signed
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
        return asyncio.run(
            _connected(around, lambda redis: counted(redis, around.keys, around.codec(), tuple(_sources(around))))
        )
    except (RedisError, OSError, UserError):
        return None


def unanswered(config: Path, data: Path | None, key: str) -> list[str]:
    """The accounts of which an operator has asked something under `key` that is still there. Raises UserError."""
    around = found(config, os.environ, data)
    try:
        return asyncio.run(_connected(around, lambda redis: waiting(redis, around.keys, around.codec(), key)))
    except (RedisError, OSError) as error:
        raise UserError(f"nothing was changed, Redis does not answer: {plainly(error)}") from error


def resealed(config: Path, data: Path | None, key: str, *, orders: bool) -> int:
    """Sign anew what stands in pictures, memories and seals under `key`, and in `orders` of operators; returns how
    much. Raises UserError.
    """
    around = found(config, os.environ, data)
    codec = around.codec()
    if key not in codec.key_ids:
        return 0
    try:
        return asyncio.run(
            _connected(
                around, lambda redis: reseal(redis, around.keys, codec, key, tuple(_sources(around)), orders=orders)
            )
        )
    except (RedisError, OSError) as error:
        raise UserError(f"nothing was changed, Redis does not answer: {plainly(error)}") from error


class Sealed(Struct, frozen=True):
    """How something is signed as it stands, under a name."""

    scope: str

    def keys(self, codec: Codec, content: bytes) -> set[str]:
        """The keys that it bears, whether soundly signed or not."""
        return {content.partition(b" ")[0].decode("ascii", "replace")}

    def anew(self, codec: Codec, content: bytes) -> bytes | None:
        """The same, signed with the key that signs now; None when it is not soundly signed."""
        opened = codec.opened(self.scope, content)
        return codec.seal(self.scope, opened) if opened is not None else None


class Order(Struct, frozen=True):
    """How an order of an operator is signed."""

    account: str
    what: What

    def keys(self, codec: Codec, content: bytes) -> set[str]:
        """The key that it bears; none when nobody of ours gave it, for then it is void already."""
        return Sealed("").keys(codec, content) if self._moment(codec, content) else set()

    def anew(self, codec: Codec, content: bytes) -> bytes | None:
        """As above."""
        moment = self._moment(codec, content)
        return signed(codec, self.account, self.what, moment).encode() if moment else None

    def _moment(self, codec: Codec, content: bytes) -> int:
        return ordered(codec, self.account, self.what, content.decode("utf-8", "replace"))


class Request(Struct, frozen=True):
    """How a request of an operator is signed: it, and the original in it."""

    account: str

    def keys(self, codec: Codec, content: bytes) -> set[str]:
        """As above."""
        return asked.borne(codec, self.account, content)

    def anew(self, codec: Codec, content: bytes) -> bytes | None:
        """As above."""
        return asked.renewed(codec, self.account, content)


class Spot(Struct, frozen=True, kw_only=True):
    """Where something signed stands in Redis, and how it is signed. `over`: it has been carried out."""

    key: str
    field: bytes
    content: bytes
    how: Sealed | Order | Request
    over: bool = False


async def counted(redis: Redis, keys: Keys, codec: Codec, sources: tuple[str, ...]) -> Mapping[str, int]:
    """The keys on everything that is still to be read, or carried out. Raises redis errors."""
    count: Counter[str] = Counter()
    for stream in (keys.orders, keys.outcomes):
        start = "-"
        while page := cast(list[Any], await redis.xrange(stream, start, "+", count=PAGE)):
            count.update(fields.get(b"k", b"").decode("ascii", "replace") for _, fields in page)
            start = f"({page[-1][0].decode()}"
    for spot in (*await _kept(redis, keys, sources), *await _asked(redis, keys)):
        count.update(spot.how.keys(codec, spot.content))
    return count


async def waiting(redis: Redis, keys: Keys, codec: Codec, key: str) -> list[str]:
    """The accounts of which an operator has asked something under a key, and not had it yet. Raises redis errors."""
    spots = [s for s in await _asked(redis, keys) if not s.over and key in s.how.keys(codec, s.content)]
    return sorted({spot.how.account for spot in spots if not isinstance(spot.how, Sealed)})


async def reseal(
    redis: Redis, keys: Keys, codec: Codec, key: str, sources: tuple[str, ...], *, orders: bool = True
) -> int:
    """Sign anew what bears `key` and is soundly signed, what operators have asked too. Raises redis errors."""
    replace, done = redis.register_script(_REPLACE), 0
    for spot in (*await _kept(redis, keys, sources), *(await _asked(redis, keys) if orders else ())):
        if key in spot.how.keys(codec, spot.content) and (anew := spot.how.anew(codec, spot.content)) is not None:
            done += int(await replace(keys=[spot.key], args=[spot.field, spot.content, anew]))
    return done


async def _kept(redis: Redis, keys: Keys, sources: tuple[str, ...]) -> list[Spot]:
    """Pictures, what a successor of ingest needs, and the seals of accounts."""
    found = []
    for source, part in ((source, part) for source in sources for part in ("picture", "memory")):
        name = keys.source(part, source)
        for field, content in (await hashed(redis, name)).items():
            scope = "orders" if part == "picture" else f"memory:{source}/{field.decode('utf-8', 'replace')}"
            if field != b"writer":
                found.append(Spot(key=name, field=field, content=content, how=Sealed(scope)))
    for account in await known(redis, keys):
        name, field = keys.account("place", account), sealing.FIELD.encode()
        if (seal := (await hashed(redis, name)).get(field)) is not None:
            found.append(Spot(key=name, field=field, content=seal, how=Sealed(sealing.scope(account))))
    return found


async def _asked(redis: Redis, keys: Keys) -> list[Spot]:
    """What operators have asked of each account: void once its key is retired."""
    found = []
    for account in await known(redis, keys):
        name = keys.account("state", account)
        state = await hashed(redis, name)
        for what in (what for what in DONE if what.encode() in state):
            order, done = state[what.encode()], state.get(DONE[what].encode(), b"")
            over = said(order.decode("utf-8", "replace")) <= said(done.decode("utf-8", "replace"))
            how = Order(account, what)
            found.append(Spot(key=name, field=what.encode(), content=order, how=how, over=over))
        name = keys.account("replay", account)
        for field, content in (await hashed(redis, name)).items():
            found.append(Spot(key=name, field=field, content=content, how=Request(account)))
    return found


def _sources(around: Surroundings) -> Mapping[str, object]:
    return around.machine.ingest.sources


async def _connected(around: Surroundings, work: Callable[[Redis], Awaitable[T]]) -> T:
    redis = streams.connect(around.redis_url())
    try:
        return await work(redis)
    finally:
        await redis.aclose()
