"""Pure: the big light. Is everything copied, and if not, what is wrong, in the words of somebody who trades?

Red wants somebody now, yellow is meant or can wait. A reason says what is wrong and, where that is not plain, what to
do.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from msgspec import Struct

from deploy.looking import REMOVED, AccountSeen, Seen, SourceSeen

Colour = Literal["green", "yellow", "red"]

SILENT_S = 5.0
"""A service that has said nothing for so long is gone."""
BLIND_S = 30.0
"""A source without a good poll for so long is blind: TradingView asks every few seconds while it is open."""
STARTING_S = 15.0
"""A lane that has not found its terminal for so long does not just start any more."""
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
    if seen.trouble and "executor" in seen.starting:
        yield Reason("yellow", f"everything is starting; Redis does not answer yet ({seen.trouble})")
        return
    if seen.trouble:
        yield Reason("red", f"Redis does not answer ({seen.trouble}): nothing is copied; what is traded waits on disk")
        return
    for source in seen.sources:
        yield from _source(source, seen)
    for account in seen.accounts:
        yield from _account(account, seen)
    if seen.dead:
        yield Reason("red", f"{seen.dead} dead letters, followed by nobody: see `tradecopier dead-letters`")
    if seen.archive_lag is None or seen.archive_lag > ARCHIVE_BEHIND:
        yield Reason("yellow", f"the archive is behind ({_number(seen.archive_lag)} entries): is PostgreSQL there?")
    if seen.memory_used > MEMORY_FULL:
        yield Reason("red", f"Redis has used {seen.memory_used:.0%} of its memory")


def _source(source: SourceSeen, seen: Seen) -> Iterator[Reason]:
    told = source.vitals
    silent = age(told.at, seen.at) if told else None
    if told is None or silent is None or silent > SILENT_S:
        gone = Reason("red", f"{source.name}: the proxy is not running: nothing of it is seen")
        yield Reason("yellow", f"{source.name}: the proxy is starting") if "ingest" in seen.starting else gone
        return
    if told.waiting:
        yield Reason("red", f"{source.name}: {told.waiting} facts wait on disk and are not copied yet")
    if told.unwritten:
        left = f"{told.unwritten} records of the outbox are in memory only"
        yield Reason("red", f"{source.name}: the disk is full or hangs, {left}: see to it before you stop ingest")
    yield from (Reason("red", text) for text in told.held_back)
    if told.untold:
        yield Reason("yellow", f"{source.name}: {len(told.untold)} trades nobody could be told of: see `ingest untold`")
    yield from _sight(source, age(told.polled, seen.at), blind=told.blind)


def _sight(source: SourceSeen, looked: float | None, *, blind: bool) -> Iterator[Reason]:
    """With nothing open, TradingView may be closed; with something open, what becomes of it has to be seen."""
    name, at_stake = source.name, blind or bool(source.positions)
    if at_stake and (blind or looked is None or looked > BLIND_S):
        since = "since the proxy began" if looked is None else f"for {span(looked)}"
        yield Reason("red", f"{name}: blind, no look at the account {since}: is TradingView open?")
    elif looked is None:
        yield Reason("yellow", f"{name}: TradingView has not been seen yet: open it with the proxy set")
    elif looked > BLIND_S:
        yield Reason("yellow", f"{name}: TradingView is closed, seen last {span(looked)} ago; nothing is open there")


def _account(account: AccountSeen, seen: Seen) -> Iterator[Reason]:
    name, told = account.name, account.vitals
    if account.away:
        yield Reason("yellow" if account.away.startswith(REMOVED) else "red", f"{name}: {account.away}")
        return
    silent = age(told.at, seen.at) if told else None
    if told is None or silent is None or silent > SILENT_S:
        gone = Reason("red", f"{name}: no executor works for it")
        yield Reason("yellow", f"{name}: its executor is starting") if "executor" in seen.starting else gone
        return
    yield from _terminal(account, seen.at)
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


def _terminal(account: AccountSeen, now: datetime) -> Iterator[Reason]:
    name, told = account.name, account.vitals
    assert told is not None
    if told.condition == "lost":
        yield Reason("red", f"{name}: it has lost its place in Redis: `tradecopier account list` says what to do")
    elif told.condition == "starting" and (age(told.since, now) or 0.0) <= STARTING_S:
        yield Reason("yellow", f"{name}: starting: its terminal is being connected")
    elif told.condition != "active":
        yield Reason("red", f"{name}: {told.why or 'the terminal is gone: start MetaTrader 5 and log in'}")
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
