"""Looks at a running TradeCopier from outside, through Redis alone, and puts what it finds into plain values.

What services tell of themselves (`shared.vitals`) is put beside what the streams and the accounts' memory show, so a
service that is gone is seen by its silence, unless `up` is just bringing it up on this machine.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from deploy.beginning import starting
from deploy.standing import standing
from deploy.surroundings import Surroundings
from shared import depth, showing, streams, vitals
from shared.depth import Depth
from shared.misplaced import unless_misplaced
from shared.outcomes import EFFECTIVE, Outcome
from shared.pictures import source_picture
from shared.plainly import plainly
from shared.vitals import AccountVitals, SourceVitals

REMOVED = "removed"
"""How what is said of an account begins that a person has taken out."""
RECENT, PER_ACCOUNT = 500, 3
"""Entries of the outcomes stream that are searched for each account's last trade: so many, and where there are many
accounts so many for each, since every fact has an end on each.
"""


class Held(Struct, frozen=True, kw_only=True):
    """A position of a source: its signed quantity, filled and coming, in the source's unit."""

    instrument: str
    quantity: Decimal


class SourceSeen(Struct, frozen=True, kw_only=True):
    """A source. `vitals` is what its ingest said last, None when nothing ever was said."""

    name: str
    vitals: SourceVitals | None = None
    positions: tuple[Held, ...] = ()


class LastTrade(Struct, frozen=True, kw_only=True):
    """The newest fact that took effect on an account."""

    at: datetime
    instrument: str
    result: str
    took: float


class AccountSeen(Struct, frozen=True, kw_only=True):
    """An account. `mode` is its state with the `reason`, `lag` what it has not read, None when nobody can tell.

    `away` says that its group was detached or the account removed, and what to do; empty when it was not.
    """

    name: str
    live: bool
    sources: tuple[str, ...]
    mode: str = ""
    reason: str = ""
    vitals: AccountVitals | None = None
    lag: int | None = None
    away: str = ""
    pending: int = 0
    oldest: float = 0.0
    last: LastTrade | None = None


class Seen(Struct, frozen=True, kw_only=True):
    """Everything at one moment. With `trouble` (Redis gives no answer) nothing else is known.

    `starting` are the services that `up` is bringing up here.
    """

    at: datetime
    trouble: str = ""
    starting: frozenset[str] = frozenset()
    sources: tuple[SourceSeen, ...] = ()
    accounts: tuple[AccountSeen, ...] = ()
    dead: int = 0
    archive_lag: int | None = 0
    memory_used: float = 0.0


async def look(surroundings: Surroundings, now: datetime) -> Seen:
    """Look once. Raises UserError when the settings are not enough to look."""
    redis = streams.connect(surroundings.redis_url())
    try:
        return await _look(surroundings, redis, now)
    except (RedisError, OSError) as error:
        trouble = plainly(error)
        return Seen(at=now, trouble=trouble, starting=starting(surroundings.machine.data, now))
    finally:
        await redis.aclose()


async def _look(surroundings: Surroundings, redis: Redis, now: datetime) -> Seen:
    await redis.ping()
    found = await depth.measure(redis, surroundings.keys)
    last = await _last_trades(surroundings, redis)
    lags = [g.lag for g in found.groups if g.name == "archiver"]
    return Seen(
        at=now,
        starting=starting(surroundings.machine.data, now),
        sources=tuple([await _source(surroundings, redis, name) for name in surroundings.machine.ingest.sources]),
        accounts=tuple(
            [await _account(surroundings, redis, n, found, last.get(n)) for n in surroundings.executor.accounts]
        ),
        dead=found.lengths["dead"],
        archive_lag=None if None in lags else sum(lag for lag in lags if lag is not None),
        memory_used=found.used / found.limit if found.limit else 0.0,
    )


async def _source(surroundings: Surroundings, redis: Redis, name: str) -> SourceSeen:
    keys = surroundings.keys
    picture = await source_picture(redis, keys, surroundings.codec(), name)
    newest = {f.exposure.position: f for f in sorted(picture.facts, key=lambda f: f.exposure.revision)}
    held = [Held(instrument=f.instrument, quantity=f.exposure.after.total) for f in newest.values()]
    open_ones = tuple(each for each in held if each.quantity)
    return SourceSeen(name=name, vitals=await vitals.source(redis, keys, name), positions=open_ones)


async def _account(
    surroundings: Surroundings, redis: Redis, name: str, found: Depth, last: LastTrade | None
) -> AccountSeen:
    keys, settings = surroundings.keys, surroundings.executor.accounts[name]
    mode, reason = await _state(redis, keys.account("state", name))
    group = found.group("orders", name)
    return AccountSeen(
        name=name,
        live=settings.live,
        sources=settings.sources,
        mode=mode,
        reason=reason,
        vitals=await vitals.account(redis, keys, name),
        lag=group.lag if group else None,
        away="" if group else await _away(surroundings, redis, name),
        pending=group.pending if group else 0,
        oldest=group.oldest if group else 0.0,
        last=last,
    )


async def _state(redis: Redis, key: str) -> tuple[str, str]:
    """An account's mode and its reason."""
    found = await unless_misplaced(redis.hmget(key, ["mode", "reason"]), [None, None])
    mode, reason = (showing.line(value or b"") for value in cast(list[bytes | None], found))
    return mode, reason


async def _away(surroundings: Surroundings, redis: Redis, name: str) -> str:
    now = await standing(redis, surroundings.keys, name)
    if now.group == "removed":
        return f"{REMOVED}: take [executor.accounts.{name}] out of the settings file"
    return now.words() if now.group in ("detached", "trimmed") else ""


async def _last_trades(surroundings: Surroundings, redis: Redis) -> Mapping[str, LastTrade]:
    codec, found = surroundings.codec(), dict[str, LastTrade]()
    count = max(RECENT, PER_ACCOUNT * len(surroundings.executor.accounts))
    for _, fields in cast(list[Any], await redis.xrevrange(surroundings.keys.outcomes, count=count)):
        message = codec.outcome(fields)
        if isinstance(message, Outcome) and message.result in EFFECTIVE and message.account not in found:
            took = (message.committed - message.captured).total_seconds()
            found[message.account] = LastTrade(
                at=message.committed, instrument=message.instrument, result=message.result, took=took
            )
    return found
