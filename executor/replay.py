"""Pure: which facts could be tried again on an account, and what would happen now, in a trader's words.

A fact can be tried again when its last attempt ended without effect, or when it never had one. What is still under way
has no place here: the lane works at it.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from msgspec import Struct

from executor.book import Book
from executor.guards import guard
from executor.instruments import entry_price, plain, side_of, symbol_of
from executor.present import Present
from executor.settings import Account
from executor.states import AccountState, allows, stricter
from executor.steps import Close, Move, Open, Opening, Protect, Reduce, Rest, Step, Withdraw, kind
from executor.translate import Ignore
from shared.facts import Fact, OrderFact
from shared.outcomes import REPLAYABLE, Outcome
from shared.wire import entry_order

ANY = "any"


class Original(Struct, frozen=True, kw_only=True):
    """A fact as it was signed, and the entry that it came with. `buried`: it is among the account's dead letters."""

    fact: Fact
    entry: str
    fields: Mapping[bytes, bytes]
    buried: str = ""


class Wish(Struct, frozen=True, kw_only=True):
    """Which facts an operator means. `denied` is a reason, or `any`; the period is of the capture (UTC)."""

    dead: bool = False
    denied: str = ""
    unfinished: bool = False
    id: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def says_something(self) -> bool:
        """Whether anything is meant at all."""
        return bool(self.dead or self.denied or self.unfinished or self.id or self.since or self.until)

    def covers(self, captured: datetime) -> bool:
        """Whether a moment lies in the period."""
        return (self.since is None or captured >= self.since) and (self.until is None or captured < self.until)


class Known(Struct, frozen=True, kw_only=True):
    """What is known of an account's attempts: results by fact and attempt, the newest outcome told of each fact, and
    the facts and entries on which something is under way. `place` is the entry that the account has passed."""

    ends: Mapping[str, Mapping[int, str]]
    told: Mapping[str, Outcome]
    busy: Collection[str] = ()
    place: str = "0-0"


class Candidate(Struct, frozen=True, kw_only=True):
    """A fact that can be tried as `attempt`; `result`, `reason` and `text` are those of the attempt before it."""

    original: Original
    attempt: int
    result: str = ""
    reason: str = ""
    text: str = ""
    archived: bool = False

    @property
    def fact(self) -> Fact:
        """The fact itself."""
        return self.original.fact


def candidates(
    originals: Iterable[Original], known: Known, wish: Wish, sources: Collection[str]
) -> tuple[Candidate, ...]:
    """The facts that are meant and can be tried again, each once, oldest entry first."""
    found: dict[str, Candidate] = {}
    for original in originals:
        fact = original.fact
        if fact.source in sources and fact.id not in found and fact.id not in known.busy:
            candidate = _candidate(original, known)
            if candidate is not None and _meant(candidate, wish):
                found[fact.id] = candidate
    return tuple(sorted(found.values(), key=lambda c: entry_order(c.original.entry)))


def _candidate(original: Original, known: Known) -> Candidate | None:
    """The next attempt at a fact; None when its last one needs no other, or has not begun."""
    ends, told = known.ends.get(original.fact.id, {}), known.told.get(original.fact.id)
    last = max((*ends, *((told.attempt,) if told else ())), default=0)
    if not last:
        unread = entry_order(original.entry) > entry_order(known.place)
        return None if unread or original.entry in known.busy else Candidate(original=original, attempt=1)
    fits = told is not None and told.attempt == last
    result = ends.get(last) or (told.result if told is not None else "")
    if result not in REPLAYABLE:
        return None
    reason, text = (told.reason, told.text) if told is not None and fits else ("", "")
    archived = last not in ends
    return Candidate(original=original, attempt=last + 1, result=result, reason=reason, text=text, archived=archived)


def _meant(candidate: Candidate, wish: Wish) -> bool:
    fact = candidate.fact
    if wish.id and fact.id != wish.id:
        return False
    if not wish.covers(fact.captured):
        return False
    kinds = (wish.dead, bool(wish.denied), wish.unfinished)
    if not any(kinds):
        return bool(candidate.result or candidate.original.buried or wish.id)
    dead = wish.dead and (candidate.result == "dead" or bool(candidate.original.buried))
    refused = candidate.result in ("denied", "rejected")
    denied = bool(wish.denied) and refused and wish.denied in (ANY, candidate.reason)
    return dead or denied or (wish.unfinished and not candidate.result)


# -- in words


def foreseen(plan: Present | Ignore, book: Book, account: Account, mode: AccountState | None, now: datetime) -> str:
    """What would become of it now. `mode` is the account's state in Redis, None when it has none yet."""
    if isinstance(plan, Ignore):
        return f"nothing: {plan.text}"
    if plan.plan.denied is not None:
        return f"denied: {plan.plan.denied.text}"
    for step in plan.plan.steps:
        if (why := _stopped(step, plan.fact, book, account, mode, now)) is not None:
            return why
    return ", ".join(worded(step, book) for step in plan.plan.steps)


def _stopped(
    step: Step, fact: Fact, book: Book, account: Account, mode: AccountState | None, now: datetime
) -> str | None:
    written = AccountState.ACTIVE if account.live else AccountState.SHADOW
    state = stricter(mode or AccountState.ACTIVE, written)
    if not allows(state, kind(step), any(link.parts or link.pendings for link in book.links.values())):
        return f"nothing: the account is {state}"
    denied = guard(step, fact, book, account.limits, now, ()) if isinstance(step, Opening) else None
    return f"denied: {denied.text}" if denied is not None else None


def worded(step: Step, book: Book) -> str:
    """One step as a trader would say it."""
    match step:
        case Open():
            price = entry_price(book.prices.get(step.symbol), step.side)
            at = f" at {plain(price)}" if price is not None else ""
            return f"{step.side} {plain(step.volume)} {step.symbol}{at}{_levels(step.stop_loss, step.take_profit)}"
        case Rest():
            levels = _levels(step.stop_loss, step.take_profit)
            return f"{step.type} {step.side} {plain(step.volume)} {step.symbol} at {plain(step.price)}{levels}"
        case Close() | Reduce():
            return f"close {plain(step.volume)} of position {step.ticket}, {step.symbol}"
        case Protect():
            return f"set the levels of position {step.ticket}{_levels(step.stop_loss, step.take_profit)}"
        case Move():
            return f"move order {step.ticket} to {plain(step.price)}"
        case Withdraw():
            return f"remove order {step.ticket}"


def described(fact: Fact) -> str:
    """What a fact said, shortly: what is behind a list of ids."""
    before, after = fact.exposure.before.total, fact.exposure.after.total
    said = str(fact.__struct_config__.tag)
    if isinstance(fact, OrderFact):
        return f"{said} {fact.order.type} {fact.order.side} {plain(fact.order.quantity)} {fact.instrument}"
    return f"{said} {fact.instrument} {plain(before)} to {plain(after)}"


def drifted(fact: Fact, book: Book, account: Account) -> str:
    """How far the account's price is from the source's then, in percent of it; empty when nobody can tell."""
    symbol = symbol_of(fact.instrument, account.symbols, book)
    side = side_of(fact.exposure.after.total - fact.exposure.before.total or Decimal(1))
    now = entry_price(book.prices.get(symbol or ""), side)
    quoted = (fact.quote.ask if side == "buy" else fact.quote.bid) if fact.quote is not None else None
    then = fact.price if fact.price is not None else quoted
    if now is None or then is None:
        return ""
    return f"{(now - then) / then * 100:+.2f} %"


def aged(since: datetime, now: datetime) -> str:
    """How long ago something was."""
    seconds = max(0, int((now - since).total_seconds()))
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _levels(stop_loss: Decimal | None, take_profit: Decimal | None) -> str:
    said = [f"{name} {plain(price)}" for name, price in (("SL", stop_loss), ("TP", take_profit)) if price is not None]
    return f", {', '.join(said)}" if said else ""
