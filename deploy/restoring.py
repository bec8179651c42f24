"""Puts back into Redis what accounts and sources were: the only place that writes an account's memory from outside.

Marks of what has ended and facts that have still to be followed go first, each harmless by itself; then the memory with
its group in one script. From then on everything that was captured before counts as maybe sent.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from time import monotonic, time
from typing import Any, cast

import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from deploy.memory import Wanted
from deploy.recollection import Origin, Recollection
from deploy.standing import counted
from executor import sealing
from executor.ledger import STOPPED
from executor.orders import all_done
from shared import groups
from shared.facts import Fact
from shared.outcomes import Lacking, Notice, spans
from shared.process import UserError
from shared.returned import returned
from shared.streams import Keys
from shared.wire import Codec, Refused, UnknownKey, UnknownKind, entry_before

QUIET_S = 2.0
PATIENCE_S = 120.0
BATCH = 1000

# KEYS: producers, picture.  ARGV: one msgpack map (writer, producers: name, expected, value …, picture: field, fact …)
_SOURCE = """
local c = cmsgpack.unpack(ARGV[1])
for i = 1, #c.producers, 3 do
  if (redis.call('HGET', KEYS[1], c.producers[i]) or '') ~= c.producers[i + 1] then return 0 end
end
for i = 1, #c.producers, 3 do redis.call('HSET', KEYS[1], c.producers[i], c.producers[i + 2]) end
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], 'writer', c.writer)
for i = 1, #c.picture, 2 do redis.call('HSET', KEYS[2], c.picture[i], c.picture[i + 1]) end
return 1
"""

# KEYS: lease, state, place, links, debts, orders, outcomes.  ARGV: token, one msgpack map
_ACCOUNT = f"""{groups.HAS}
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'lease' end
local c = cmsgpack.unpack(ARGV[2])
if not has(KEYS[6], c.entry) then return 'moved' end
local version = tonumber(redis.call('HGET', KEYS[3], 'version') or '') or 0
if not (version >= 0 and version < 9e15) then version = 0 end -- a stranger's: nobody could count on from it
version = math.max(version, c.version) + 1
redis.pcall('XGROUP', 'DESTROY', KEYS[6], c.group)
redis.call('XGROUP', 'CREATE', KEYS[6], c.group, c.start, 'MKSTREAM')
redis.call('DEL', KEYS[3], KEYS[4], KEYS[5])
local function put(key, pairs)
  for i = 1, #pairs, 2 do redis.call('HSET', key, pairs[i], pairs[i + 1]) end
end
put(KEYS[4], c.links)
put(KEYS[5], c.debts)
put(KEYS[3], c.place)
redis.call('HSET', KEYS[3], 'version', string.format('%.0f', version), 'seal', c.seal)
local mode = redis.call('HGET', KEYS[2], 'mode')
local reason = redis.call('HGET', KEYS[2], 'reason')
redis.call('DEL', KEYS[2])
put(KEYS[2], c.state)
if mode ~= 'halted' then mode, reason = 'close-only', 'restored' end
local now = redis.call('TIME')
redis.call('HSET', KEYS[2], 'mode', mode, 'reason', reason or '')
redis.call('HSET', KEYS[2], 'suspect-before', now[1] .. string.format('%06d', now[2]))
redis.call('XADD', KEYS[7], '*', 'm', c.notice[1], 'k', c.notice[2], 's', c.notice[3])
return 'restored'
"""


class Present(Struct, frozen=True):
    """An entry of the orders stream as it was read."""

    entry: str
    read: Fact | Refused


async def settled(redis: Redis, keys: Keys, origin: Origin) -> None:
    """Wait until nobody fills the stream up any more from an outbox that is ahead of it. Raises redis errors."""
    deadline, known = monotonic() + PATIENCE_S, await lasts(redis, keys)
    while _filling(known, origin) and monotonic() < deadline:
        await asyncio.sleep(QUIET_S)
        now = await lasts(redis, keys)
        if now == known:
            return
        known = now


def _filling(known: Mapping[str, bytes], origin: Origin) -> bool:
    """Whether a producer that is there has less than was archived of it."""
    return any(name in known and _seq(known[name]) < seq for name, (seq, _) in origin.lasts.items())


async def lasts(redis: Redis, keys: Keys) -> dict[str, bytes]:
    """The last of each producer as Redis has it. Raises redis errors."""
    stored = cast(Mapping[bytes, bytes], await redis.hgetall(keys.producers))
    return {name.decode("utf-8", "replace"): value for name, value in stored.items()}


async def restore_sources(redis: Redis, keys: Keys, origin: Origin, known: Mapping[str, bytes]) -> list[str]:
    """Put back the pictures and producers of those sources of which Redis knows less than the archive; their names.

    `known` is what `lasts` said before; a source that is written to meanwhile is left alone. Raises redis errors.
    """
    script, restored = redis.register_script(_SOURCE), []
    for source, picture in origin.pictures.items():
        names = origin.producers[source]
        behind = {n: origin.lasts[n] for n in names if origin.lasts[n][0] > _seq(known.get(n, b"0"))}
        if not behind:
            continue
        flat = [x for n, (_, value) in behind.items() for x in (n, known.get(n, b"").decode(), value.decode())]
        told = {"writer": origin.writers[source], "producers": flat, "picture": _flat(picture)}
        if await script(keys=[keys.producers, keys.source("picture", source)], args=[msgspec.msgpack.encode(told)]):
            restored.append(source)
    return restored


async def add_missing(
    redis: Redis, keys: Keys, codec: Codec, wanted: Iterable[Wanted], present: Sequence[Present]
) -> list[Present]:
    """Put facts that somebody wants and that the stream has not back into it; accounts that passed them pass them by.

    Raises redis errors.
    """
    there = {p.read.id for p in present if not isinstance(p.read, Refused)}
    missing = [each for each in wanted if each.fact.id not in there]
    async with redis.pipeline(transaction=True) as pipe:
        for each in missing:
            pipe.xadd(keys.orders, cast(Any, returned(codec, each.original.fields)))
        added = cast(list[bytes], await pipe.execute())
    return [Present(entry.decode(), each.fact) for entry, each in zip(added, missing, strict=True)]


async def restore_account(
    redis: Redis, keys: Keys, codec: Codec, token: str, found: Recollection, present: Sequence[Present]
) -> Sequence[Present]:
    """Put an account's memory and group back, and tell it; answers what it has to follow again.

    `present` is all of the orders stream. Raises UserError when somebody took the account from us, and redis errors.
    """
    wants = found.wanting()
    again = [p for p in present if _wanted(p, wants)]
    last = present[-1].entry if present else "0-0"
    done = keys.account("done", found.account)
    await _cleared(redis, keys, found.account)
    await _mark(redis, done, passed(found, present, {p.entry for p in again}, last), anew=False)
    await _mark(redis, done, ended(found, again, last), anew=True)
    start = entry_before(again[0].entry) if again else last
    for _ in range(groups.TRIES):
        answer = await _put_back(redis, keys, codec, token, found, again, start, last)
        if answer == b"restored":
            return again
        if answer == b"lease":
            raise UserError(f"{found.account}: another command has taken the account; nothing was restored, try again")
    raise UserError(f"{found.account}: nothing was restored, the stream is emptied meanwhile; try again")


async def _put_back(
    redis: Redis,
    keys: Keys,
    codec: Codec,
    token: str,
    found: Recollection,
    again: Sequence[Present],
    start: str,
    last: str,
) -> bytes:
    """Put the memory and the group back as of where the stream ends; `moved` when it is not that stream any more.

    What is to be followed `again` waits, below that place, and so does what was published after `last`, up to which we
    know the stream; the archive is told of the former in the same step.
    """
    end = await groups.end(redis, keys)
    news = cast(list[Any], await redis.xrange(keys.orders, f"({last}", end.entry))
    waiting = (*(each.entry for each in again), *(entry.decode() for entry, _ in news))
    place = groups.fields(end) | {f"{sealing.WAITS}{entry}": "1" for entry in waiting}
    # Nobody has archived which orders of an operator were carried out: one that somebody has kept is none any more.
    seconds, micros = await redis.time()
    moment = seconds * 1_000_000 + micros
    state = {**found.state, **all_done(moment), STOPPED: f"restored {moment}"}
    contents = sealing.contents(place, state, found.links, found.debts)
    told = {
        "group": found.account,
        "start": start,
        "version": int(time()),
        "entry": end.entry,
        "place": groups.flat(place),
        "links": _flat(found.links),
        "debts": _flat(found.debts),
        "state": groups.flat(state),
        "seal": sealing.sealed(codec, found.account, contents).decode(),
        "notice": _notice(codec, found.account, again, moment),
    }
    names = [keys.account(part, found.account) for part in ("lease", "state", "place", "links", "debts")]
    script = redis.register_script(_ACCOUNT)
    args: list[str | bytes] = [token, msgspec.msgpack.encode(told)]
    return cast(bytes, await script(keys=[*names, keys.orders, keys.outcomes], args=args))


def _notice(codec: Codec, account: str, again: Sequence[Present], moment: int) -> list[str]:
    seen = datetime.fromtimestamp(moment / 1e6, UTC)
    notice = Notice(account=account, reason="restored", text=words(again), seen=seen, lacking=lacking(again))
    entry = codec.entry("outcomes", notice)
    return [entry[name].decode() for name in (b"m", b"k", b"s")]


def words(again: Sequence[Present]) -> str:
    """What was done, for people."""
    return f"restored from the archive; {counted(len(again), 'fact')} followed again, each looked up first"


def lacking(again: Iterable[Present]) -> tuple[Lacking, ...]:
    """The facts that an account has to follow again, for the notice: its place is beyond them."""
    return spans((p.read.producer, p.read.seq) for p in again if not isinstance(p.read, Refused))


def ended(found: Recollection, again: Iterable[Present], last: str) -> dict[str, str]:
    """The done marks of attempts that have ended, but for those that a debt ends: marked, it could never be paid.

    What has to be followed `again` has none either: a server that was lost since has forgotten how it ended. They bear
    the id `last`: what they are about may come again from now on, however long ago it ended.
    """
    owing, anew = found.owing, {p.read.id for p in again if not isinstance(p.read, Refused)}
    return {
        f"{fact}#{attempt}": f"{end.result} {int(end.committed.timestamp() * 1000)} {last}"
        for (fact, attempt), end in found.ends.items()
        if fact not in anew and (fact, attempt) not in owing and found.over(fact, attempt)
    }


def passed(found: Recollection, present: Iterable[Present], again: set[str], last: str) -> dict[str, str]:
    """The done marks of what is there and needs no end any more, because it was passed long ago."""
    facts = {p.read.id for p in present if p.entry not in again and not isinstance(p.read, Refused)}
    return {f"{fact}#1": f"ignored 0 {last}" for fact in facts - found.owed}


def _wanted(present: Present, wants: Any) -> bool:
    """Whether an entry has to be read again: a fact that is wanted, or one that waits for a key or an upgrade."""
    if isinstance(present.read, Refused):
        return isinstance(present.read, UnknownKey | UnknownKind)
    return bool(wants(present.read))


async def _mark(redis: Redis, key: str, told: Mapping[str, str], *, anew: bool) -> None:
    """Set marks; not `anew`: only those that are not there."""
    pairs = list(told.items())
    for start in range(0, len(pairs), BATCH):
        async with redis.pipeline(transaction=False) as pipe:
            for field, value in pairs[start : start + BATCH]:
                if anew:
                    pipe.hset(key, field, value)
                else:
                    pipe.hsetnx(key, field, value)
            await pipe.execute()


def _flat(values: Mapping[str, bytes]) -> list[str]:
    return [x for key, value in values.items() for x in (key, value.decode())]


def _seq(last: bytes) -> int:
    """A sequence from what Redis has of a producer; 0 when somebody has written something else there."""
    found = groups.SEQUENCE.match(last)
    return int(found[1]) if found else 0


async def _cleared(redis: Redis, keys: Keys, account: str) -> None:
    """Take away what somebody has put under the names of an account's keys and is none of ours."""
    for part in ("state", "place", "links", "debts", "done"):
        name = keys.account(part, account)
        if await redis.type(name) not in (b"hash", b"none"):
            await redis.delete(name)
