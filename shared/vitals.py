"""What each service tells of itself in Redis, for `status` and `doctor`: one small message per account and per source.

It is told every second beside the work, and it is no memory: nothing decides about a trade by it. A message that is
older than a few seconds says that whoever should tell it is gone.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import TypeVar, cast

import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from shared import showing
from shared.misplaced import unless_misplaced
from shared.streams import Keys

T = TypeVar("T")

EVERY_S = 1.0
KEPT_S = 7 * 24 * 3600
"""How long the last message stays when nobody tells a new one."""


class Position(Struct, frozen=True, kw_only=True):
    """What we hold for one position of a source: signed lots, and the source's signed quantity that it follows."""

    link: str
    instrument: str
    symbol: str
    lots: Decimal
    followed: Decimal


class AccountVitals(Struct, frozen=True, kw_only=True):
    """An account as its executor sees it. `connected` is the terminal's link to its broker, `ping` is in seconds.

    `condition` is what its lane is: starting, active, away, or lost (no group), and that `since` then; `why` says to a
    person what keeps it from its work.
    `filling` has the filling modes of each symbol in use, `unmapped` the source's instruments without a symbol here.
    """

    at: datetime
    condition: str
    since: datetime | None = None
    why: str = ""
    connected: bool = False
    algo: bool = False
    ping: float | None = None
    identity: str = ""
    margin: str = ""
    currency: str = ""
    equity: Decimal | None = None
    balance: Decimal | None = None
    positions: tuple[Position, ...] = ()
    unresolved: int = 0
    owed: int = 0
    oldest: float = 0.0
    used: Mapping[str, float] = {}
    drift: tuple[str, ...] = ()
    filling: Mapping[str, tuple[str, ...]] = {}
    unmapped: tuple[str, ...] = ()


class SourceVitals(Struct, frozen=True, kw_only=True):
    """A source as its ingest sees it. `polled` is its last good poll, `waiting` are facts on disk only.

    `blind`: something is open, or was asked for, and no poll tells of it. `held_back` says what keeps trades from being
    told, and what to do, a line each.
    `untold` is what happened at the source and nobody could be told, a line each, oldest first. `unwritten` are records
    that a disk which is full or hangs has left in memory.
    """

    at: datetime
    owned: bool
    waiting: int = 0
    polled: datetime | None = None
    blind: bool = False
    untold: tuple[str, ...] = ()
    unwritten: int = 0
    held_back: tuple[str, ...] = ()


async def tell_account(redis: Redis, keys: Keys, account: str, vitals: AccountVitals) -> None:
    """Say how an account is. Raises redis errors."""
    await redis.set(keys.account("vitals", account), msgspec.json.encode(vitals), ex=KEPT_S)


async def tell_source(redis: Redis, keys: Keys, source: str, vitals: SourceVitals) -> None:
    """Say how a source is. Raises redis errors."""
    await redis.set(keys.source("vitals", source), msgspec.json.encode(vitals), ex=KEPT_S)


async def account(redis: Redis, keys: Keys, name: str) -> AccountVitals | None:
    """What was said last of an account; None: nothing that can be read. Raises redis errors."""
    return await _told(redis, keys.account("vitals", name), AccountVitals)


async def source(redis: Redis, keys: Keys, name: str) -> SourceVitals | None:
    """What was said last of a source; None as above. Raises redis errors."""
    return await _told(redis, keys.source("vitals", name), SourceVitals)


async def _told(redis: Redis, key: str, kind: type[T]) -> T | None:
    raw = cast(bytes | None, await unless_misplaced(redis.get(key), None))
    return showing.read(raw, kind) if raw else None
