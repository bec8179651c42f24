"""Pure: what `doctor` says about each thing that it has looked at: ok, warn or fail, and what to do about it."""

from collections.abc import Iterator, Mapping
from typing import Literal

from msgspec import Struct

from deploy.light import BLIND_S, SILENT_S, UNRESOLVED_S, age, span
from deploy.looking import AccountSeen, Seen, SourceSeen
from shared.vitals import AccountVitals

Level = Literal["ok", "warn", "fail"]

CLOCK_WARN_S, CLOCK_FAIL_S = 0.2, 2.0
DISK_WARN, DISK_FAIL = 2_000_000_000, 200_000_000
"""Bytes that are free where the data is."""


class Check(Struct, frozen=True, kw_only=True):
    """One line: what was looked at, what was found, and what to do when that is not well."""

    level: Level
    what: str
    found: str
    advice: str = ""


def ok(what: str, found: str) -> Check:
    """Well."""
    return Check(level="ok", what=what, found=found)


def warn(what: str, found: str, advice: str) -> Check:
    """Can cost a trade, or will."""
    return Check(level="warn", what=what, found=found, advice=advice)


def fail(what: str, found: str, advice: str) -> Check:
    """Costs trades, or money, as it is."""
    return Check(level="fail", what=what, found=found, advice=advice)


def durability(settings: Mapping[str, str]) -> Iterator[Check]:
    """Redis' settings that decide whether an acknowledged trade can be lost."""
    for name, value, judge, advice in (
        ("appendonly", "yes", fail, "set `appendonly yes`, or a restart loses trades"),
        ("appendfsync", "always", warn, "set `appendfsync always`, or a power cut loses up to a second of trades"),
        ("maxmemory-policy", "noeviction", fail, "set `maxmemory-policy noeviction`, or trades are thrown away"),
    ):
        what, found = f"redis {name}", settings.get(name, "not told")
        yield ok(what, found) if found == value else judge(what, found, advice)


def reloading(answer: str | None) -> Iterator[Check]:
    """Whether a server reads its append-only file whole when it starts. `answer` is whether `default` may write.

    The file is read with the rights of that user by Redis, and by Valkey before 9; what transactions and scripts had
    written is thrown away without them.
    """
    if answer is None or answer == "OK":
        return
    found = "the user `default` may not write, and with its rights the server reads its file: a restart loses trades"
    yield fail("redis restart", found, "`ACL SETUSER default off ~* &* +@all` lets nobody in; then `ACL SAVE`")


class Replication(Struct, frozen=True, kw_only=True):
    """A server and those that follow it. `watched`: somebody promotes a replica when it is gone.

    `near` is how many of the `replicas` lag less than `max_lag` (seconds; None: not told), None when the server writes
    with none, too. `lease` is for how long an executor keeps an account, in seconds.
    """

    watched: bool
    replicas: int
    near: int | None
    max_lag: float | None
    lease: float


def replication(seen: Replication) -> Iterator[Check]:
    """Whether a primary that was cut off from its replicas ends before another one is promoted and leased."""
    what, advice = "redis min-replicas-to-write", "set `min-replicas-to-write 1` and `min-replicas-max-lag 5`"
    if seen.watched and not seen.replicas:
        yield warn("redis replicas", "none follows", "start one: until then nobody can be promoted")
    if not (seen.watched or seen.replicas):
        return
    if seen.near is None:
        found = "0: a primary that was cut off takes trades that nobody will have"
        yield warn(what, found, f"{advice} on every server, replicas too")
    elif not seen.near:
        yield fail(what, "no replica is near enough, so the server refuses to write", "see why none follows")
    elif seen.max_lag is not None and seen.max_lag >= seen.lease:
        found = f"a primary that was cut off writes for {seen.max_lag:g} s, the lease is {seen.lease:g} s"
        yield warn(what, found, "set `min-replicas-max-lag` below executor.lease, on every server")
    else:
        yield ok(what, f"on, {seen.near} of {seen.replicas} replicas near enough")


def clock(offset_s: float, uncertainty_s: float) -> Check:
    """Our clock against the Redis server's."""
    found = f"{offset_s * 1000:+.1f} ms against Redis (± {uncertainty_s * 1000:.1f} ms)"
    advice = "let both machines keep their time with NTP or chrony: guards go by the age of an order"
    far = abs(offset_s) - uncertainty_s
    if far > CLOCK_FAIL_S:
        return fail("clock", found, advice)
    return warn("clock", found, advice) if far > CLOCK_WARN_S else ok("clock", found)


def disk(free: int) -> Check:
    """Room for the outbox, Redis' log and the archive."""
    found = f"{free / 1e9:,.1f} GB free"
    advice = "make room: facts, Redis' log and the archive are written there"
    if free < DISK_FAIL:
        return fail("disk", found, advice)
    return warn("disk", found, advice) if free < DISK_WARN else ok("disk", found)


def source(seen: SourceSeen, at: Seen) -> Iterator[Check]:
    """Whether TradingView is seen through the proxy."""
    what, told = f"source {seen.name}", seen.vitals
    if told is None or (age(told.at, at.at) or 0.0) > SILENT_S:
        yield fail(what, "ingest is not running", "run `tradecopier up`, or `tradecopier ingest run`")
        return
    polled = age(told.polled, at.at)
    advice = "open TradingView with the trading panel connected, and let the browser use `tradecopier ingest pac`"
    judge, stake = (fail, "something") if told.blind or seen.positions else (warn, "nothing")
    if polled is None:
        yield judge(what, f"TradingView has not been seen through the proxy, with {stake} open there", advice)
    elif polled > BLIND_S:
        yield judge(what, f"TradingView was seen last {span(polled)} ago, with {stake} open there", advice)
    else:
        yield ok(what, f"TradingView was seen {span(polled)} ago")
    if told.waiting:
        yield fail(f"{what} outbox", f"{told.waiting} facts wait on disk", "see why Redis does not take them")
    for text in told.held_back:
        trouble, _, advice = text.rpartition(": ")
        yield fail(f"{what} trades", trouble, advice)
    if told.unwritten:
        advice = "make room on the disk, or see what holds it up, and do not stop ingest before"
        yield fail(f"{what} journal", f"{told.unwritten} records are in memory only", advice)


def account(seen: AccountSeen, at: Seen) -> Iterator[Check]:
    """Terminal, algo trading, margin mode, filling modes and symbol map of one account."""
    what, told = f"account {seen.name}", seen.vitals
    if told is None or (age(told.at, at.at) or 0.0) > SILENT_S:
        yield fail(what, "no executor works for it", "run `tradecopier up`, or `tradecopier executor run`")
        return
    if told.condition == "starting":
        yield warn(f"{what} terminal", "is being connected", "look again in a moment")
        return
    if told.condition != "active":
        found = told.why or "the terminal is gone: start MetaTrader 5 and log in"
        yield fail(f"{what} terminal", found, "when that is mended, it goes on by itself")
        return
    reached = "set its server and password, and see whether the broker is open"
    yield (
        ok(f"{what} terminal", told.identity)
        if told.connected
        else fail(f"{what} terminal", "no connection to the broker", reached)
    )
    pressed = "press the button Algo Trading in MetaTrader 5, and allow it in Tools, Options, Expert Advisors"
    yield ok(f"{what} algo trading", "on") if told.algo else fail(f"{what} algo trading", "off", pressed)
    yield ok(f"{what} margin mode", told.margin)
    yield from _symbols(what, told.filling, told.unmapped)
    yield from _agreement(what, told)
    yield from _state(seen)


def _agreement(what: str, told: AccountVitals) -> Iterator[Check]:
    if told.drift:
        advice = "compare both sides with `tradecopier status`; mend by hand what differs, or replay what was refused"
        more = f", and {len(told.drift) - 1} more" if len(told.drift) > 1 else ""
        yield fail(f"{what} drift", f"{told.drift[0]}{more}", advice)
    else:
        yield ok(f"{what} drift", "none: it holds what its sources hold")
    if told.owed or (told.unresolved and told.oldest > UNRESOLVED_S):
        found = f"{told.owed} closes owed, {told.unresolved} orders whose end nobody knows, for {span(told.oldest)}"
        yield fail(f"{what} unfinished", found, "look at the account in MetaTrader 5; it is tried and searched on")


def _symbols(what: str, filling: Mapping[str, tuple[str, ...]], unmapped: tuple[str, ...]) -> Iterator[Check]:
    if filling:
        modes = ", ".join(f"{symbol}: {'/'.join(found) or 'return'}" for symbol, found in sorted(filling.items()))
        yield ok(f"{what} filling modes", modes)
    if unmapped:
        advice = "add them to the account's `symbols.map`, or set `prefix` and `suffix`"
        yield fail(f"{what} symbol map", f"no symbol for {', '.join(unmapped)}", advice)
    else:
        yield ok(f"{what} symbol map", "every instrument that the source holds has a symbol")


def _state(seen: AccountSeen) -> Iterator[Check]:
    what, state = f"account {seen.name} state", seen.mode
    if state in ("halted", "close-only"):
        yield warn(what, f"{state} ({seen.reason or 'no reason told'})", f"`tradecopier resume {seen.name}` ends that")
    elif not seen.live:
        yield warn(what, "shadow: nothing is sent", 'write `mode = "live"` when the outcomes are as you want them')
    else:
        yield ok(what, state or "active")
