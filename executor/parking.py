"""The facts of one account that were read and have no end yet, and what has to wait for them."""

from bisect import bisect_left, insort
from collections.abc import Awaitable, Callable, Collection, Container, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from itertools import takewhile
from time import monotonic

from executor.attempt import Attempt
from executor.book import Debt, Link
from executor.change import Change, End
from executor.netting import crosses
from executor.reasons import Reason
from executor.steps import Opening
from executor.translate import Plan
from shared.facts import Fact, OrderFact
from shared.wire import entry_order

TURN_S = 0.1
"""How long parked facts may end one after the other before others have their turn."""
MOST = 30
"""How many of them a turn looks at while there are entries to be read; the next one goes on behind them."""

Place = tuple[int, int]
"""An entry's id in the order of the stream."""
Row = tuple[Place, str, "Parked"]


@dataclass
class Parked:
    """A fact that was read and has no end yet; `told` once the outcomes stream says so.

    `base` is the link as it was when the plan was made, `stood` are its link and debt as they were when it was parked
    last.
    """

    attempt: Attempt
    fact: Fact
    plan: Plan
    told: bool = False
    base: Link | None = None
    stood: tuple[Link | None, Debt | None] | None = None

    @property
    def entry(self) -> str:
        """The entry that it came with."""
        return self.attempt.entry or ""

    @cached_property
    def place(self) -> Place:
        """The same in the order of the stream."""
        return entry_order(self.entry or "0-0")

    @cached_property
    def row(self) -> "Row":
        """How it stands in a list of parked facts."""
        return self.place, self.entry, self

    @property
    def symbols(self) -> frozenset[str]:
        """Those in which something may be opened of it, now or when it is planned anew."""
        openings = {step.symbol for step in self.attempt.steps if isinstance(step, Opening)}
        may = openings or self.plan.denied is not None
        return frozenset({self.plan.link.symbol, *openings}) if may else frozenset()

    @cached_property
    def order(self) -> str | None:
        """The source order that the fact is about."""
        return self.fact.order.id if isinstance(self.fact, OrderFact) else None

    @property
    def asks_nothing(self) -> bool:
        """Whether the account has, by what was followed, all that the source holds after it."""
        return not self.plan.steps and self.plan.denied is None and bool(self.fact.exposure.after.total)

    @property
    def opens(self) -> bool:
        """Whether the plan has an opening."""
        return any(isinstance(step, Opening) and not crosses(step) for step in self.plan.steps)

    def waits_for(self, *, unlisted: bool) -> str:
        """Why it has no end yet. `unlisted`: the terminal lists no symbols."""
        if self.attempt.unknown:
            return "nobody knows yet whether it was done"
        if self.plan.denied is not None and self.plan.denied.reason is Reason.FOREIGN_POSITION:
            return "nobody knows yet what of the position is whose"
        return "the terminal lists no symbols yet" if unlisted else "waits for an opening before it"

    @property
    def expected(self) -> str | None:
        """The symbol in which an opening of it may still be made; None when there is none, or it has its result.

        One that was denied while something before it was unknown is planned anew, and may be made then.
        """
        opening = self.attempt.waiting_opening
        if opening is not None:
            return opening.symbol
        return self.plan.link.symbol if self.plan.denied is not None and not self.attempt.results else None


class Named:
    """Parked facts by names that they have, the oldest first."""

    def __init__(self) -> None:
        self._rows: dict[str, list[Row]] = {}
        self._names: dict[str, Collection[str]] = {}

    def put(self, parked: Parked, names: Collection[str]) -> None:
        """Let a fact be found by these names."""
        self._names[parked.entry] = names
        for name in names:
            insort(self._rows.setdefault(name, []), parked.row)

    def drop(self, parked: Parked) -> None:
        """Let it be found no more."""
        for name in self._names.pop(parked.entry):
            _remove(self._rows[name], parked)
            if not self._rows[name]:
                del self._rows[name]

    def of(self, name: str) -> Iterator[Parked]:
        """Those of a name."""
        return (parked for _, _, parked in self._rows.get(name, ()))

    def last(self, name: str) -> Parked | None:
        """The youngest of a name."""
        rows = self._rows.get(name)
        return rows[-1][2] if rows else None

    def before(self, attempt: Attempt, name: str) -> Iterator[Parked]:
        """Those of a name that are older than an attempt."""
        place = entry_order(attempt.entry or "0-0")
        return takewhile(lambda parked: parked.place < place, self.of(name))


@dataclass(frozen=True)
class Errand:
    """Why a fact is followed without an entry: somebody asked for it. `anew` plans it again, `request` goes with it."""

    request: str
    anew: Callable[[Parked], Awaitable[None]]


class Parking:
    """Parked facts by entry. `recovering`: facts that may have been followed before are still to come. `held`: some
    cannot be read yet, or come again, and nobody knows what they are about.

    There may be thousands, so each question is asked of those alone that it is about.
    """

    def __init__(self) -> None:
        self._parked: dict[str, Parked] = {}
        self._rows: list[Row] = []
        self._by_link, self._by_work, self._by_symbol = Named(), Named(), Named()
        self._next: Place = (0, 0)
        self.recovering = self.held = False

    def __bool__(self) -> bool:
        return bool(self._parked)

    def __contains__(self, entry: str) -> bool:
        return entry in self._parked

    def __iter__(self) -> Iterator[Parked]:
        """The oldest first; facts may come and go meanwhile."""
        yield from self._there(list(self._rows))

    def _there(self, rows: Iterable[Row]) -> Iterator[Parked]:
        for _, entry, _ in rows:
            if entry in self._parked:
                yield self._parked[entry]

    def turn(self, seconds: float, *, idle: bool = False) -> Iterator[Parked]:
        """The oldest first, until one has ended after `seconds`: entries and exits that came meanwhile go first.

        Of more than MOST so many at a time, or when there is nothing to read (`idle`) as many as `seconds` allow.
        """
        began, there = monotonic(), len(self._parked)
        first = bisect_left(self._rows, (self._next,)) if there > MOST else 0
        rows = [*self._rows[first:], *self._rows[:first]] if idle else self._some(first)
        for number, parked in enumerate(self._there(rows), 1):
            self._next = (parked.place[0], parked.place[1] + 1)
            yield parked
            if (number >= MOST or len(self._parked) < there) and monotonic() > began + seconds:
                return

    def _some(self, first: int) -> list[Row]:
        some = self._rows[first : first + MOST]
        return [*some, *self._rows[: min(first, MOST - len(some))]]

    @staticmethod
    def outdated(parked: Parked, link: Link | None) -> bool:
        """Whether facts before it have changed the link since its plan was made, so that it has to be made anew."""
        older = link is None or link.revision <= parked.fact.exposure.revision
        return older and link != parked.base and not parked.attempt.changes_parts

    def put(self, parked: Parked) -> None:
        """Keep a fact until its end is known."""
        if self._parked.get(parked.entry) is parked:
            return
        self.drop(parked.entry)
        self._parked[parked.entry] = parked
        insort(self._rows, parked.row)
        self._by_link.put(parked, {parked.attempt.link})
        self._by_work.put(parked, {parked.attempt.work.key})
        self._by_symbol.put(parked, parked.symbols)

    def complete(self, change: Change) -> None:
        """Let a change that is to be committed end all entries of the facts that it ends: they may be told again."""
        works = [end.work.key for end in change.ends if end.work is not None]
        known = {end.entry for end in change.ends}
        again = [p.entry for work in works for p in self._by_work.of(work) if p.place[0] and p.entry not in known]
        change.ends = [*change.ends, *(End(entry=entry) for entry in again)]

    def take_over(self, change: Change) -> None:
        """Forget the entries that a change has ended which was committed."""
        for entry in [end.entry for end in change.ends if end.entry is not None]:
            self.drop(entry)

    def drop(self, entry: str) -> None:
        """Forget a fact, if it is here."""
        parked = self._parked.pop(entry, None)
        if parked is not None:
            _remove(self._rows, parked)
            for named in (self._by_link, self._by_work, self._by_symbol):
                named.drop(parked)

    def on(self, link: str) -> bool:
        """Whether something is under way on a link."""
        return any(self._by_link.of(link))

    def waits(self, parked: Parked, link: Link | None) -> bool:
        """Whether a fact is about what only an unknown opening before it can have made, or asks nothing only because a
        reversal before it has not closed anything yet.
        """
        held, idle = link is not None and bool(link.parts), parked.asks_nothing
        return any(
            (
                not held
                or (other.order is not None and other.order == parked.order)
                or (idle and link is not None and other.fact.exposure.after.total * link.followed < 0)
            )
            and other.expected is not None
            for other in self._by_link.before(parked.attempt, parked.attempt.link)
        )

    def unsure(self, attempt: Attempt, symbol: str) -> bool:
        """Whether an older opening of an instrument is unknown, so that nobody can say what is whose in it."""
        return any(other.expected == symbol for other in self._by_symbol.before(attempt, symbol))

    def newest(self, attempt: Attempt) -> Fact | None:
        """The last fact of a link that waits behind an attempt at one; None when there is none."""
        last = self._by_link.last(attempt.link)
        return last.fact if last is not None and last.place > entry_order(attempt.entry or "0-0") else None

    def queues(self, parked: Parked) -> bool:
        """Whether an opening, or a denial that may be none, waits for an older opening of its instrument."""
        return any(self.unsure(parked.attempt, symbol) for symbol in parked.symbols)

    def doubts(self, parked: Parked, *, owed: bool, unlisted: bool) -> bool:
        """Whether a fact was denied for what may not be so: something before it is unknown, or what of it is whose.

        `owed`: of an exit of its instrument nobody knows whether it was done. `unlisted`: the terminal lists no symbols
        yet, and the fact is young enough to wait for that.
        """
        denied, symbol = parked.plan.denied, parked.plan.link.symbol
        if denied is None:
            return False
        foreign, ruleless = (denied.reason is r for r in (Reason.FOREIGN_POSITION, Reason.NO_SPECIFICATION))
        unknown = (foreign and (owed or self.recovering)) or (ruleless and unlisted and parked.attempt.untouched)
        return unknown or self.unsure(parked.attempt, symbol)

    def blocks(self, attempt: Attempt, indebted: Container[str]) -> Callable[[Opening], bool]:
        """Says of an opening whether it has to wait: for an exit that is owed, or an opening of its instrument."""

        def blocked(step: Opening) -> bool:
            return step.link in indebted or self.unsure(attempt, step.symbol)

        return blocked

    def expects(self, link: str, ending: Parked | None = None) -> bool:
        """Whether an opening of a link may still show up, besides the one that is `ending`."""
        return self.held or any(p is not ending and p.expected is not None for p in self._by_link.of(link))

    def unseen(self, attempt: Attempt, fact: Fact, after: Decimal, known: Link | None) -> Link | None:
        """What is remembered of a position that we have nothing of, so that what is held does not open it later."""
        if known is not None or not self.held:
            return None
        name, revision = fact.instrument, fact.exposure.revision
        return Link(key=attempt.link, instrument=name, symbol=name, followed=after, revision=revision)


def _remove(rows: list[Row], parked: Parked) -> None:
    del rows[bisect_left(rows, parked.row[:2])]
