"""Pure: the big light. Is everything copied, and if not, what is wrong, in the words of somebody who trades?

Red wants somebody now, yellow is meant or can wait. A reason says what is wrong and, where that is not plain, what to
do.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from msgspec import Struct

from deploy.looking import AccountSeen, Seen, SourceSeen

Colour = Literal["green", "yellow", "red"]

SILENT_S = 5.0
"""A service that has said nothing for so long is gone."""
BLIND_S = 30.0
"""A source without a good poll for so long is blind: TradingView asks every few seconds while it is open."""
UNRESOLVED_S = 30.0
PENDING_S = 5.0
ARCHIVE_BEHIND = 1000
MEMORY_FULL = 0.8


class Reason(Struct, frozen=True):
    """One thing that is not as it should be."""

    colour: Colour
    text: str


class Light(Struct, frozen=True):
    """The worst colour, and every reason, the worst first."""

    colour: Colour
    reasons: tuple[Reason, ...] = ()


def light(seen: Seen) -> Light:
    """Judge what was seen."""
    reasons = sorted(_reasons(seen), key=lambda r: r.colour != "red")
    colours = {reason.colour for reason in reasons}
    worst: Colour = "red" if "red" in colours else "yellow" if colours else "green"
    return Light(worst, tuple(reasons))


def age(since: datetime | None, now: datetime) -> float | None:
    """Seconds since then, or None."""
    return max(0.0, (now - since).total_seconds()) if since is not None else None


def _reasons(seen: Seen) -> Iterator[Reason]:
    if seen.trouble:
        yield Reason("red", f"Redis does not answer ({seen.trouble}): nothing is copied; what is traded waits on disk")
        return
    for source in seen.sources:
        yield from _source(source, seen.at)
    for account in seen.accounts:
        yield from _account(account, seen.at)
    if seen.dead:
        yield Reason("red", f"{seen.dead} dead letters: entries that cannot be followed, see `docs/runbook.md`")
    if seen.archive_lag is None or seen.archive_lag > ARCHIVE_BEHIND:
        yield Reason("yellow", f"the archive is behind ({_number(seen.archive_lag)} entries): is PostgreSQL there?")
    if seen.memory_used > MEMORY_FULL:
        yield Reason("red", f"Redis has used {seen.memory_used:.0%} of its memory")


def _source(source: SourceSeen, now: datetime) -> Iterator[Reason]:
    told = source.vitals
    silent = age(told.at, now) if told else None
    if told is None or silent is None or silent > SILENT_S:
        yield Reason("red", f"{source.name}: the proxy is not running: nothing of it is seen")
        return
    if told.waiting:
        yield Reason("red", f"{source.name}: {told.waiting} facts wait on disk and are not copied yet")
    if told.untold:
        yield Reason("yellow", f"{source.name}: {len(told.untold)} trades nobody could be told of: see `ingest untold`")
    blind = age(told.polled, now)
    if blind is None:
        yield Reason("yellow", f"{source.name}: TradingView has not been seen yet: open it with the proxy set")
    elif blind > BLIND_S:
        yield Reason("red", f"{source.name}: blind, no look at the account for {span(blind)}: is TradingView open?")


def _account(account: AccountSeen, now: datetime) -> Iterator[Reason]:
    name, told = account.name, account.vitals
    if account.away:
        yield Reason("red", f"{name}: {account.away}")
        return
    silent = age(told.at, now) if told else None
    if told is None or silent is None or silent > SILENT_S:
        yield Reason("red", f"{name}: no executor works for it")
        return
    yield from _terminal(account)
    if told.drift:
        yield Reason("red", f"{name}: drift, {told.drift[0]}")
    if told.owed:
        yield Reason("red", f"{name}: {told.owed} closes are owed; they are tried again and again")
    if told.unresolved and told.oldest > UNRESOLVED_S:
        yield Reason("red", f"{name}: nobody knows what became of {told.unresolved} orders for {span(told.oldest)}")
    if account.oldest > PENDING_S:
        yield Reason("red", f"{name}: an order waits for {span(account.oldest)}")
    if account.lag is None:
        yield Reason("red", f"{name}: nobody can tell how far it has read")
    if told.unmapped:
        yield Reason("yellow", f"{name}: no symbol for {', '.join(told.unmapped)}: add it to symbols.map")
    yield from _state(account)


def _terminal(account: AccountSeen) -> Iterator[Reason]:
    name, told = account.name, account.vitals
    assert told is not None
    if told.condition == "lost":
        yield Reason("red", f"{name}: it has lost its place in Redis: `tradecopier account list` says what to do")
    elif told.condition != "active":
        yield Reason("red", f"{name}: the terminal is gone: start MetaTrader 5 and log in")
    elif not told.connected:
        yield Reason("red", f"{name}: the terminal has no connection to the broker")
    elif not told.algo and account.live:
        yield Reason("red", f"{name}: algo trading is off: press the button Algo Trading in MetaTrader 5")


HELD = {
    "unknown-key": "until the key of a fact is in the signing key file (`tradecopier key list`), or it is resolved",
    "unknown-kind": "until this is upgraded to a version that knows the fact which waits, or it is resolved",
}
"""Reasons that go by themselves, and what for."""


def _state(account: AccountSeen) -> Iterator[Reason]:
    why = f" ({account.reason})" if account.reason else ""
    if account.mode == "halted":
        yield Reason("red", f"{account.name}: halted{why}: nothing is sent, exits neither; `resume` ends that")
    elif account.mode == "close-only" and account.reason in HELD:
        yield Reason("red", f"{account.name}: close-only{why}: nothing is opened {HELD[account.reason]}")
    elif account.mode == "close-only":
        yield Reason("yellow", f"{account.name}: close-only{why}: nothing is opened; `resume` ends that")
    elif account.mode == "shadow" or not account.live:
        yield Reason("yellow", f"{account.name}: in shadow: nothing is sent")


def span(seconds: float) -> str:
    """A length of time for people: 3 s, 4 min, 2 h, 5 days."""
    for length, unit in ((86400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _number(value: int | None) -> str:
    return "nobody knows how many" if value is None else f"{value:,}"
