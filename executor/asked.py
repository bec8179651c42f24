"""What an operator asks of the lane of one account: a request that is kept in Redis, signed, until the lane's commit
takes it away together with what came of it.

A request only says what is wanted; whether it can be done is decided by the lane, under its lease, when it does it. A
script keeps it only while somebody works for the account, and a fact that is to be tried again only when its last
attempt ended without an effect, so that two operators, or one who asks twice, ask for one attempt.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, cast

import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from executor.change import Change, Work
from shared import outcomes
from shared.facts import Fact
from shared.pictures import SourcePicture, source_picture
from shared.streams import Entry, Keys
from shared.wire import Codec

TargetKind = Literal["fact", "entry", "link"]
Answer = Literal["asked", "there", "idle", "ended", "effect"]
"""Kept; there is one for the same already; nobody works for the account; that attempt has ended; the one before it
had an effect, or needs none."""

ADOPTABLE = outcomes.REPLAYABLE | {"ignored", "closed"}
"""After what a lane itself may ask for an opening. A reversal has ended as closed when its opening was refused."""


class Replay(Struct, frozen=True, kw_only=True, tag_field="kind", tag="replay"):
    """Try a fact again: the signed original as it came with `entry`, as the attempt of that number.

    `planned` is the fact as it was stated anew when the lane decided what to send for it: what has been sent, was that.
    `adopt`: the lane itself asks, for what the source holds and the account does not; so its last end may be any that
    opened nothing (`ADOPTABLE`).
    """

    fact: str
    entry: str
    attempt: int
    asked: datetime
    m: str
    k: str
    s: str
    planned: Fact | None = None
    adopt: bool = False

    @property
    def field(self) -> str:
        """What there is one of at a time."""
        return f"fact:{self.fact}"

    @property
    def work(self) -> Work:
        """The attempt that is asked for."""
        return Work(fact=self.fact, attempt=self.attempt)

    @property
    def fields(self) -> dict[bytes, bytes]:
        """The original entry."""
        return {b"m": self.m.encode(), b"k": self.k.encode(), b"s": self.s.encode()}


class Resolve(Struct, frozen=True, kw_only=True, tag_field="kind", tag="resolve"):
    """End something by hand: a fact without an end, a held entry, or what a link owes. `name` says which."""

    target: TargetKind
    name: str
    result: outcomes.Result
    asked: datetime
    note: str = ""

    @property
    def field(self) -> str:
        """What there is one of at a time."""
        return f"end:{self.target}:{self.name}"


class Mend(Struct, frozen=True, kw_only=True, tag_field="kind", tag="mend"):
    """Mend disagreements that the lane has told, by identity, as far as they are still there."""

    names: tuple[str, ...]
    asked: datetime

    @property
    def field(self) -> str:
        """What there is one of at a time."""
        return "mend"


Request = Replay | Resolve | Mend


def renewed(codec: Codec, account: str, sealed: bytes) -> bytes | None:
    """A request with its original signed by the key that signs now; None when it is not soundly signed."""
    request = _opened(codec, account, sealed)
    if isinstance(request, Replay) and isinstance(codec.fact(request.fields), Fact):
        key, signature, _ = codec.seal("orders", request.m.encode()).split(b" ", 2)
        request = msgspec.structs.replace(request, k=key.decode(), s=signature.decode())
    return codec.seal(_sealed_as(account), msgspec.json.encode(request)) if request is not None else None


def borne(codec: Codec, account: str, sealed: bytes) -> set[str]:
    """The keys that a request and its original bear; none when it is not soundly signed."""
    request = _opened(codec, account, sealed)
    if request is None:
        return set()
    return {sealed.partition(b" ")[0].decode(), *([request.k] if isinstance(request, Replay) else [])}


def _opened(codec: Codec, account: str, sealed: bytes) -> Request | None:
    content = codec.opened(_sealed_as(account), sealed)
    try:
        return msgspec.json.decode(content, type=Request) if content is not None else None
    except msgspec.DecodeError:
        return None


def _sealed_as(account: str) -> str:
    return f"replay:{account}"


# KEYS: requests, done, lease.  ARGV: field, request, attempt (or ''), attempt before it (or ''), results after which
# it may be tried again, whether the archive has the end of the attempt before.
_ASK = """
if not redis.call('GET', KEYS[3]) then return 'idle' end
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return 'there' end
if ARGV[3] ~= '' then
  if redis.call('HEXISTS', KEYS[2], ARGV[3]) == 1 then return 'ended' end
  if ARGV[4] ~= '' then
    local last = string.match(redis.call('HGET', KEYS[2], ARGV[4]) or '', '^%S+')
    if not last and ARGV[6] ~= '1' then return 'effect' end
    if last and not string.find(' ' .. ARGV[5] .. ' ', ' ' .. last .. ' ', 1, true) then return 'effect' end
  end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 'asked'
"""


REMEMBERED = 1000
"""More requests than a failover can lose; see `Desk.lost`."""


class Desk:
    """The requests of one account. Raises redis errors.

    `noted` are those that a lane of this process has worked at: a server that lost its last writes has those without an
    end back from here, with what may have been sent for them.
    """

    def __init__(self, redis: Redis, keys: Keys, codec: Codec, account: str) -> None:
        self.codec = codec
        self.noted: dict[str, Replay] = {}
        self._redis = redis
        self._keys = keys
        self._account = account
        self._requests = keys.account("replay", account)
        self._done = keys.account("done", account)
        self._lease = keys.account("lease", account)
        self._ask = redis.register_script(_ASK)

    async def ask(self, request: Request, *, archived: bool = False) -> Answer:
        """Keep a request. `archived`: that the attempt before ended without effect is known from the archive."""
        attempt = before = ""
        if isinstance(request, Replay):
            attempt = request.work.key
            before = Work(fact=request.fact, attempt=request.attempt - 1).key if request.attempt > 1 else ""
        args: list[str | bytes | int] = [request.field, self._sealed(request), attempt, before]
        again = ADOPTABLE if isinstance(request, Replay) and request.adopt else outcomes.REPLAYABLE
        args += [" ".join(sorted(again)), int(archived)]
        keys = [self._requests, self._done, self._lease]
        return cast(Answer, cast(bytes, await self._ask(keys=keys, args=args)).decode())

    def noting(self, request: Replay) -> Change:
        """The change that writes down what is going to be sent for a request."""
        self.noted[request.field] = request
        while len(self.noted) > REMEMBERED:
            del self.noted[next(iter(self.noted))]
        return Change(requests=[request.field], noted={request.field: self._sealed(request)})

    async def lost(self) -> Change | None:
        """The change that brings back what was noted here and the server has forgotten; None: it knows everything.

        What another lane has noted since stays as it is.
        """
        noted = list(self.noted.values())
        there, ends = await self.requests(), await self.ends([request.work for request in noted])
        gone = [r for r, end in zip(noted, ends, strict=True) if not end and _older(there.get(r.field), r)]
        return Change(noted={request.field: self._sealed(request) for request in gone}) if gone else None

    async def requests(self) -> Mapping[str, Request | None]:
        """Everything that is asked, oldest first; None for what has no sound signature or cannot be read."""
        stored = cast(Mapping[bytes, bytes], await self._redis.hgetall(self._requests))
        named = ((_text(field), sealed) for field, sealed in stored.items())
        found = {name: _opened(self.codec, self._account, sealed) for name, sealed in named if name is not None}
        never = datetime.min.replace(tzinfo=UTC)
        return dict(sorted(found.items(), key=lambda item: item[1].asked if item[1] is not None else never))

    async def shown(self, source: str) -> SourcePicture:
        """What a source shows now."""
        return await source_picture(self._redis, self._keys, self.codec, source)

    async def pending(self, entry: str) -> Entry | None:
        """An entry of the orders stream that was delivered to the account and has no end yet."""
        if not await self._redis.xpending_range(self._keys.orders, self._account, entry, entry, 1):
            return None
        found = cast(list[Any], await self._redis.xrange(self._keys.orders, entry, entry))
        return Entry(entry, dict(found[0][1]) if found else {})

    async def withdraw(self, request: Request) -> bool:
        """Take a request back; False when a lane has answered it already."""
        return bool(await self._redis.hdel(self._requests, request.field))

    async def ends(self, works: Sequence[Work]) -> list[str]:
        """The results with which these attempts have ended; empty where one has not."""
        if not works:
            return []
        stored = cast(list[bytes | None], await self._redis.hmget(self._done, [work.key for work in works]))
        return [value.decode("utf-8", "replace").split(" ")[0] if value else "" for value in stored]

    def _sealed(self, request: Request) -> bytes:
        return self.codec.seal(_sealed_as(self._account), msgspec.json.encode(request))


def _text(field: bytes) -> str | None:
    """What is no text was written by nobody of ours, and no commit could take it away: it counts as not there."""
    try:
        return field.decode()
    except UnicodeDecodeError:
        return None


def _older(there: Request | None, noted: Replay) -> bool:
    """Whether what the server has of a request is not what was noted last, by the time at which it was decided."""
    if not isinstance(there, Replay) or there.planned is None or noted.planned is None:
        return there != noted
    return there.planned.captured < noted.planned.captured
