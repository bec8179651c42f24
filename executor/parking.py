"""The facts of one account that were read and have no end yet, and what has to wait for them."""

from collections.abc import Awaitable, Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from time import monotonic

from executor.attempt import Attempt
from executor.book import Link
from executor.ledger import Change
from executor.netting import crosses
from executor.reasons import Reason
from executor.steps import Opening
from executor.translate import Plan
from shared.facts import Fact, OrderFact
from shared.wire import entry_order

TURN_S = 0.1
"""How long parked facts may end one after the other before others have their turn."""


@dataclass
class Parked:
    """A fact that was read and has no end yet; `told` once the outcomes stream says so.

    `base` is the link as it was when the plan was made. `answered`: told with another entry, its attempt has ended.
    """

    attempt: Attempt
    fact: Fact
    plan: Plan
    told: bool = False
    base: Link | None = None
    answered: bool = False

    @property
    def entry(self) -> str:
        """The entry that it came with."""
        return self.attempt.entry or ""

    @property
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


@dataclass(frozen=True)
class Errand:
    """Why a fact is followed without an entry: somebody asked for it. `anew` plans it again, `request` goes with it."""

    request: str
    anew: Callable[[Parked], Awaitable[None]]


class Parking:
    """Parked facts by entry. `recovering`: facts that may have been followed before are still to come."""

    def __init__(self) -> None:
        self._parked: dict[str, Parked] = {}
        self.recovering = False

    def __bool__(self) -> bool:
        return bool(self._parked)

    def __contains__(self, entry: str) -> bool:
        return entry in self._parked

    def __iter__(self) -> Iterator[Parked]:
        """The oldest first; facts may come and go meanwhile."""
        for entry in sorted(self._parked, key=entry_order):
            if entry in self._parked:
                yield self._parked[entry]

    def turn(self, seconds: float) -> Iterator[Parked]:
        """The oldest first, until one has ended after `seconds`: entries and exits that came meanwhile go first."""
        began, there = monotonic(), len(self._parked)
        for parked in self:
            yield parked
            if len(self._parked) < there and monotonic() > began + seconds:
                return

    @staticmethod
    def outdated(parked: Parked, link: Link | None) -> bool:
        """Whether facts before it have changed the link since its plan was made, so that it has to be made anew."""
        older = link is None or link.revision <= parked.fact.exposure.revision
        return older and link != parked.base and not parked.attempt.changes_parts

    def put(self, parked: Parked) -> None:
        """Keep a fact until its end is known."""
        self._parked[parked.entry] = parked

    def take_over(self, change: Change) -> None:
        """Let those know that were told again which attempts a change that was committed has ended."""
        over = {end.work for end in change.ends if end.work is not None}
        for parked in self._parked.values():
            parked.answered = parked.answered or parked.attempt.work in over

    def drop(self, entry: str) -> None:
        """Forget a fact, if it is here."""
        self._parked.pop(entry, None)

    def on(self, link: str) -> bool:
        """Whether something is under way on a link."""
        return any(parked.attempt.link == link for parked in self._parked.values())

    def waits(self, parked: Parked, link: Link | None) -> bool:
        """Whether a fact is about what only an unknown opening before it can have made, or asks nothing only because a
        reversal before it has not closed anything yet.
        """
        return any(
            other.attempt.link == parked.attempt.link
            and other.expected is not None
            and (
                link is None
                or not link.parts
                or (other.order is not None and other.order == parked.order)
                or (parked.asks_nothing and other.fact.exposure.after.total * link.followed < 0)
            )
            for other in self._before(parked.attempt)
        )

    def unsure(self, attempt: Attempt, symbol: str) -> bool:
        """Whether an older opening of an instrument is unknown, so that nobody can say what is whose in it."""
        return any(other.expected == symbol for other in self._before(attempt))

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
        others = (p for p in self._parked.values() if p is not ending)
        return any(p.attempt.link == link and p.expected is not None for p in others)

    def _before(self, attempt: Attempt) -> Iterable[Parked]:
        place = entry_order(attempt.entry or "0-0")
        return (p for entry, p in self._parked.items() if entry_order(entry) < place)
