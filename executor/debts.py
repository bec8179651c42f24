"""The debts of one account in memory, and what a fact about a position that owes an exit makes of them.

Nothing here is written: each method answers the change to commit. What is really ours of such a link stays as it is
until the debt is paid, whatever newer facts say about its total.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from executor.attempt import Attempt
from executor.book import Book, Debt, Link
from executor.change import Change, End
from executor.mirror import over
from executor.owing import joined, unfinished
from executor.parking import Parked
from executor.reasons import Obstacle, Reason
from executor.settle import Settled, settle
from executor.states import OPERATOR
from executor.steps import Protect
from executor.telling import Teller
from shared.facts import Fact, Levels

ZERO = Decimal(0)
GIVEN_UP = (OPERATOR, str(Reason.DAILY_LOSS), str(Reason.DRAWDOWN))
"""Reasons of debts by which a position is closed for good, though the source holds it."""


class Debts(dict[str, Debt]):
    """Debts by link. `given_up` are links that were closed for good since somebody looked last.

    `unknown` are those of which nobody knows whether an exit was done, as every one that another lane has left.
    """

    def __init__(self, debts: dict[str, Debt], teller: Teller, clock: Callable[[], datetime]) -> None:
        super().__init__(debts)
        self.given_up = {key for key, debt in debts.items() if debt.reason in GIVEN_UP}
        self.unknown = set(debts)
        self._teller = teller
        self._clock = clock

    def take_over(self, change: Change) -> None:
        """Remember the debts of a change that was committed."""
        for key, debt in change.debts.items():
            if debt is None:
                self.pop(key, None)
                self.unknown.discard(key)
                continue
            if debt.reason == Obstacle.NO_ANSWER or (debt.sought and key not in self):
                self.unknown.add(key)
            if debt.reason in GIVEN_UP:
                self.given_up.add(key)
            self[key] = debt

    def owes(self, fact: Fact, attempt: int | None = None) -> bool:
        """Whether a fact (or one attempt at it) waits for a debt."""
        owing = (owing for debt in self.values() for owing in debt.owing if owing.fact == fact.id)
        return any(attempt in (None, each.attempt) for each in owing)

    def unsure(self, symbol: str, links: Mapping[str, Link], besides: str = "") -> bool:
        """Whether nobody knows of an exit of a symbol, on another link than `besides`, if it was done, and so what of
        its position is whose.
        """
        return any(key in links and links[key].symbol == symbol for key in self.unknown - {besides})

    def contest(self, attempt: Attempt, book: Book) -> None:
        """Let an attempt know whether what is missing of its netting position may be another exit's effect."""
        link = book.links.get(attempt.link)
        symbol = link.symbol if link is not None and book.margin == "netting" else None
        attempt.contested = symbol is not None and self.unsure(symbol, book.links, attempt.link)

    def exits(self, links: Mapping[str, Link]) -> frozenset[str]:
        """The links of which more is owed, or may be, than levels, so that it has to be done before more is opened."""
        return frozenset(
            key
            for key, debt in self.items()
            if key in self.unknown
            or (link := links.get(key)) is None
            or debt.target != link.own
            or any(over(pending) for pending in link.pendings.values())
        )

    def after(
        self, attempt: Attempt, fact: Fact, settled: Settled, left: Link | None, known: Link | None
    ) -> dict[str, Debt]:
        """The debt of a link once an attempt has left it as `left`: what was opened comes on top of what it leaves."""
        there = self.get(attempt.link)
        opened = left.own - known.own if left and known and attempt.changes_parts and not attempt.reduces else ZERO
        if there is not None and opened:
            there = replace(there, target=there.target + opened)
        if settled.debt is not None:
            if there is not None and settled.reason == "late":
                there = replace(there, target=settled.debt.target)
            return {attempt.link: self.made(attempt, fact, settled.debt, there)}
        return {attempt.link: there} if there is not None and opened else {}

    def made(self, attempt: Attempt, fact: Fact, debt: Debt, there: Debt | None) -> Debt:
        """The debt as it is kept: one that is `there` already goes on, with this fact waiting for it as well."""
        if there is None:
            return self._new(attempt, fact, debt)
        target = debt.target if attempt.reduces else there.target
        return joined(there, target, fact, attempt.told_entry, attempt.work.attempt, debt.did)

    def nobodys(self, attempt: Attempt, fact: Fact, debt: Debt) -> Debt:
        """The debt that an attempt makes, when no fact waits for its end."""
        return replace(self._new(attempt, fact, debt), fact="", entry="")

    def _new(self, attempt: Attempt, fact: Fact, debt: Debt) -> Debt:
        known: dict[str, Any] = {
            "entry": attempt.told_entry,
            "since": self._clock(),
            "captured": fact.captured,
            "attempt": attempt.work.attempt,
            "meaning": attempt.meaning,
        }
        return replace(debt, **known, **unfinished(attempt.done()))

    def beside(
        self, attempt: Attempt, revision: int, after: Decimal, link: Link | None, known: Link | None
    ) -> dict[str, Link | None]:
        """What is remembered of a link about which a fact (`revision`, total `after`) asked nothing.

        What is still owed of it is not forgotten.
        """
        if known is None:
            return {attempt.link: link} if link else {}
        if attempt.link in self:
            link = unpaid(attempt, link or replace(known, followed=after, revision=revision), known)
        return {attempt.link: link}

    def joining(self, parked: Parked, known: Link) -> Change:
        """A later exit of the link moves the target of what is owed, and waits for it."""
        attempt, plan = parked.attempt, parked.plan
        debt = self[attempt.link]
        target = debt.target if plan.reduced is None else plan.reduced
        text = "an exit before it on the same position is still to be done"
        return Change(
            ends=[End(entry=attempt.entry)],
            messages=[self._teller.unended(attempt, parked.fact, "owed", debt.reason, text)],
            links={attempt.link: unpaid(attempt, plan.link, known)},
            debts={attempt.link: joined(debt, target, parked.fact, attempt.told_entry, attempt.work.attempt)},
        )

    def moving(self, parked: Parked) -> Change | None:
        """A reversal's exit moves the target of what is owed; its opening waits until that is done."""
        debt, target = self[parked.attempt.link], parked.plan.reduced
        if target is None or target == debt.target:
            return None
        return Change(debts={parked.attempt.link: replace(debt, target=target)})

    def advancing(self, parked: Parked, known: Link) -> Change:
        """What a reversal has closed while its opening waits: openings before it come too late now."""
        attempt, revision = parked.attempt, parked.fact.exposure.revision
        settled = settle(parked.fact, parked.plan, attempt.done())
        left, planned = settled.link.parts if settled.link else (), parked.plan.link.parts
        parts = tuple(part for part in known.parts if part in left or part not in planned)
        closed = replace(known, parts=parts, followed=ZERO, levels=Levels(), revision=revision)
        text = "it is closed; its opening waits for one before it"
        message = self._teller.unended(attempt, parked.fact, "unresolved", "", text)
        return Change(messages=[message], links={attempt.link: closed})

    def postponing(self, parked: Parked, debt: Debt, settled: Link | None, known: Link) -> Change:
        """A fact whose exit is owed and whose opening waits for it is planned again when the debt is paid."""
        attempt = parked.attempt
        kept = self.get(attempt.link) or self.nobodys(attempt, parked.fact, debt)
        text = "its opening waits for its exit"
        return Change(
            messages=[self._teller.unended(attempt, parked.fact, "owed", debt.reason, text)],
            links={attempt.link: replace(known, parts=settled.parts if settled else ())},
            debts={attempt.link: replace(kept, target=debt.target)},
        )

    def levelling(self, parked: Parked, known: Link | None) -> Change | None:
        """The levels of a fact whose opening waits are owed at once to what is there; no fact waits for that."""
        attempt, wanted = parked.attempt, parked.plan.link
        waits = any(isinstance(step, Protect) and step.name not in attempt.results for step in attempt.steps)
        if not waits or known is None or not known.parts or wanted.revision < known.revision:
            return None
        link = replace(known, levels=wanted.levels, shift=wanted.shift)
        if link == known:
            return None
        debt = Debt(
            link=link.key, fact="", entry="", target=known.own, since=self._clock(), captured=parked.fact.captured,
            meaning=attempt.meaning,
        )  # fmt: skip
        return Change(links={link.key: link}, debts={link.key: self.get(link.key, debt)})

    def adding(self, before: Link, after: Link) -> Change | None:
        """What a mirrored order gave comes on top of what the debt of its link leaves."""
        debt = self.get(after.key)
        if debt is None or after.own == before.own:
            return None
        moved = replace(debt, target=debt.target + after.own - before.own)
        return Change(links={after.key: after}, debts={after.key: moved})


def unpaid(attempt: Attempt, link: Link, known: Link | None) -> Link:
    """A link that was planned as if its debt were paid, with what is really ours of it."""
    return replace(link, parts=known.parts) if known is not None and not attempt.changes_parts else link
