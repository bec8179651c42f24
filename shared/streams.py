"""Redis as the services see it: key names, a connection with safe settings, the publisher and the reader.

Publishing is one script that checks owner and sequence, so that a lost reply, a second process or a failover that
lost writes can neither double nor drop a fact. Reading goes through one group per account and one for the archive
(`shared.groups`); an entry that was delivered stays in the group's pending list until it is acknowledged.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from shared import facts, seeking, wire
from shared.connection import Client

SOCKET_TIMEOUT_S = 5.0
"""No reply within this time counts as a lost connection. Above every block time, or reads would time out silently."""

BLOCK_MS = 1000
"""How long one blocked read waits: short, so that a dead socket is noticed and the loop is seen to turn."""

DEAD_TEXT_LIMIT, PAGE = 500, 1000


class Keys:
    """The names of a namespace's keys. One hash tag keeps them in one slot, so scripts work on Redis Cluster."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self._tag = f"tradecopier:{{{namespace}}}"
        self.orders = f"{self._tag}:orders"
        self.outcomes = f"{self._tag}:outcomes"
        self.dead = f"{self._tag}:dead"
        self.producers = f"{self._tag}:producers"

    def account(self, part: str, account: str) -> str:
        """A key of one account; `part` is links, debts, done, place, state, lease or replay."""
        return f"{self._tag}:{part}:{account}"

    def source(self, part: str, source: str) -> str:
        """A key of one source; `part` is picture, memory or lease."""
        return f"{self._tag}:source-{part}:{source}"


def connect(url: str) -> Redis:
    """A client that never repeats a command by itself: a repeated write could act twice. Callers retry knowingly.

    The address may name Sentinels or a cluster's nodes (see `shared.endpoints`): then it is a client of the primary.
    """
    return Client(seeking.pool(url, SOCKET_TIMEOUT_S), SOCKET_TIMEOUT_S)


class Published(Struct, frozen=True):
    """The entry is in the stream under this id."""

    entry: str


class Duplicate(Struct, frozen=True):
    """The stream had it already; `entry` is its id where it is still known."""

    entry: str


class Gap(Struct, frozen=True):
    """Refused: the stream's last sequence of this producer is `last`, so facts between are missing."""

    last: int


class NotOwner(Struct, frozen=True):
    """Refused: another process owns this source; `holder` is its token, empty when nobody does."""

    holder: str


class Conflict(Struct, frozen=True):
    """Refused: the sequence was published before, with another message or so long ago that nobody can tell.

    A publisher goes on from the server's last, so this only follows a journal that lost its tail.
    """

    last: int


Publication = Published | Duplicate | Gap | NotOwner | Conflict

# KEYS: orders, producers, source lease, source picture.  ARGV: token, producer, seq, m, k, s, then object, lives …
_PUBLISH = """
local holder = redis.call('GET', KEYS[3]) or ''
if holder ~= ARGV[1] then return {'owner', holder} end
local seq, last, entry, signature = tonumber(ARGV[3]), 0, '', ''
local stored = redis.call('HGET', KEYS[2], ARGV[2])
if stored then
  local a, b, c = string.match(stored, '^(%d+) (%S+) (%S+)$')
  last, entry, signature = tonumber(a), b, c
end
if seq == last and signature == ARGV[6] then return {'duplicate', entry} end
if seq <= last then return {'conflict', tostring(last)} end
if seq > last + 1 then return {'gap', tostring(last)} end
local id = redis.call('XADD', KEYS[1], '*', 'm', ARGV[4], 'k', ARGV[5], 's', ARGV[6])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3] .. ' ' .. id .. ' ' .. ARGV[6])
redis.call('HSET', KEYS[4], 'writer', ARGV[2])
for i = 7, #ARGV, 2 do
  if ARGV[i + 1] == '1' then redis.call('HSET', KEYS[4], ARGV[i], ARGV[5] .. ' ' .. ARGV[6] .. ' ' .. ARGV[4])
  else redis.call('HDEL', KEYS[4], ARGV[i]) end
end
return {'ok', id}
"""


class Publisher:
    """Adds facts to the orders stream, each once and in the order of its producer."""

    def __init__(self, redis: Redis, keys: Keys, codec: wire.Codec) -> None:
        self._keys = keys
        self._redis = redis
        self._codec = codec
        self._script = redis.register_script(_PUBLISH)

    async def publish(self, fact: facts.Fact, owner: str) -> Publication:
        """Add `fact`, if `owner` (a lease token) owns its source and its sequence is the next one.

        Raises redis errors; after one, whether the fact was added is not known: publish the same again. One that was
        added before the signing key changed is known by the signature of an older key.
        """
        for key in self._codec.key_ids:
            answer = await self._sent(fact, owner, key)
            if answer != Conflict(fact.seq):
                break
        return answer

    async def _sent(self, fact: facts.Fact, owner: str, key: str) -> Publication:
        entry = self._codec.entry("orders", fact, key)
        keys = [self._keys.orders, self._keys.producers]
        keys += [self._keys.source("lease", fact.source), self._keys.source("picture", fact.source)]
        changed = [x for name, lives in facts.objects(fact) for x in (f"{fact.account}/{name}", int(lives))]
        args = [owner, fact.producer, fact.seq, entry[b"m"], entry[b"k"], entry[b"s"], *changed]
        return _publication(cast(list[bytes], await self._script(keys=keys, args=args)))

    async def last(self, producer: str) -> int:
        """The last sequence of `producer` that the server has; 0 when it knows none."""
        stored = cast(bytes | None, await self._redis.hget(self._keys.producers, producer))
        return int(stored.split()[0]) if stored else 0


def _publication(reply: Sequence[bytes]) -> Publication:
    word, value = reply[0].decode(), reply[1].decode()
    match word:
        case "ok":
            return Published(value)
        case "duplicate":
            return Duplicate(value)
        case "gap":
            return Gap(int(value))
        case "conflict":
            return Conflict(int(value))
        case "owner":
            return NotOwner(value)
        case _:
            raise AssertionError(f"the publish script answered {word}")


class Entry(Struct, frozen=True):
    """One entry of a stream as it was delivered. `fields` is empty when the entry is gone but still pending."""

    id: str
    fields: dict[bytes, bytes]


class GroupLost(Exception):
    """The consumer group is gone (a flush, a failover, an old copy): nobody knows any more what was read."""


class Reader:
    """One consumer of one group on one stream. The connection given is blocked while it reads: give it its own."""

    def __init__(self, redis: Redis, stream: str, group: str, consumer: str) -> None:
        self._redis = redis
        self._stream = stream
        self._group = group
        self._consumer = consumer
        self.left_alone: frozenset[str] = frozenset()

    async def read(self, count: int = 1, block_ms: int | None = BLOCK_MS) -> list[Entry]:
        """New entries, at most `count`, in their order; empty when none came within `block_ms` (None: at once)."""
        try:
            reply = await self._redis.xreadgroup(
                self._group, self._consumer, {self._stream: ">"}, count=count, block=block_ms
            )
        except ResponseError as error:
            _require_group(error)
            raise
        return [_entry(raw) for _, entries in cast(list[Any], reply or []) for raw in entries]

    async def claim(self) -> list[Entry]:
        """Everything pending in the group, lowest id first, made ours without regard to who had it or for how long.

        Only a lease may call this: it is what excludes another consumer that still works on these entries. What is
        pending beyond what was delivered is `left_alone`, as somebody has forced it there or has set the group back: it
        is delivered in its turn, and may have been worked on before.
        """
        delivered, pending = wire.entry_order(await self.delivered()), await self.pending()
        ids = [entry for entry in pending if wire.entry_order(entry) <= delivered]
        self.left_alone |= frozenset(pending).difference(ids)
        if ids:
            await self._redis.xclaim(
                self._stream, self._group, self._consumer, min_idle_time=0, message_ids=cast(Any, ids), justid=True
            )
        return [await self.entry(i) for i in ids]

    async def entry(self, entry: str) -> Entry:
        """An entry by its id; without fields when it is gone."""
        found = cast(list[Any], await self._redis.xrange(self._stream, entry, entry))
        return _entry(found[0]) if found else Entry(entry, {})

    async def ack(self, *ids: str) -> None:
        """Acknowledge entries. For the archive; an account acknowledges in its commit."""
        await self._redis.xack(self._stream, self._group, *ids)

    async def take_back(self, after: str, waiting: Collection[str] = ()) -> list[str]:
        """Make pending again what is pending no more, of what was delivered above `after` or is `waiting`; its ids.

        Nobody but who reads here acknowledges, and whoever does moves on and waits no more: so it was not acknowledged
        by one of ours. What the stream has no more is among the ids, and not pending afterwards.
        """
        known, delivered = set(await self.pending()), await self.delivered()
        last, found = wire.entry_order(delivered), list[Any]()
        if last > wire.entry_order(after):
            found = cast(list[Any], await self._redis.xrange(self._stream, f"({after}", delivered))
        waited = {entry for entry in waiting if wire.entry_order(entry) <= last}
        ids = sorted((waited | {_entry(raw).id for raw in found}) - known, key=wire.entry_order)
        for start in range(0, len(ids), PAGE):
            page = cast(Any, ids[start : start + PAGE])
            await self._redis.xclaim(self._stream, self._group, self._consumer, 0, page, force=True, justid=True)
        return ids

    async def delivered(self) -> str:
        """The id up to which the group was delivered."""
        try:
            groups = cast(list[Mapping[str, Any]], await self._redis.xinfo_groups(self._stream))
        except ResponseError as error:
            _require_group(error)
            raise
        return next((g["last-delivered-id"].decode() for g in groups if g["name"] == self._group.encode()), "0-0")

    async def waiting(self) -> int:
        """How many entries are pending in the group."""
        try:
            summary: Mapping[str, Any] = await self._redis.xpending(self._stream, self._group)
        except ResponseError as error:
            _require_group(error)
            raise
        return int(summary["pending"])

    async def pending(self) -> list[str]:
        """The ids of everything pending in the group, lowest first."""
        ids: list[str] = []
        start = "-"
        while True:
            try:
                page = await self._redis.xpending_range(self._stream, self._group, start, "+", PAGE)
            except ResponseError as error:
                _require_group(error)
                raise
            ids += [row["message_id"].decode() for row in cast(list[Any], page)]
            if len(page) < PAGE:
                return ids
            start = f"({ids[-1]}"


def _entry(raw: tuple[bytes, Mapping[bytes, bytes] | None]) -> Entry:
    return Entry(raw[0].decode(), dict(raw[1] or {}))


def _require_group(error: ResponseError) -> None:
    if str(error).startswith("NOGROUP") or "no such key" in str(error):
        raise GroupLost(str(error)) from error


async def bury(redis: Redis, keys: Keys, entry: Entry, *, reader: str, reason: str, text: str) -> None:
    """Put an entry that cannot be handled into the dead letters, with who gave it up and why.

    Burying the same entry twice is possible after a crash and harmless: `reader` and `entry` name it.
    """
    about = {b"reader": reader.encode(), b"entry": entry.id.encode(), b"reason": reason.encode()}
    fields = {**entry.fields, **about, b"text": text[:DEAD_TEXT_LIMIT].encode()}
    await redis.xadd(keys.dead, cast(Any, fields))
