"""An account and the sources' picture that can be made to disagree, and remedies that are carried out at once."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from executor import present
from executor.book import Book, Holding, Link, Margin
from executor.drift import Found, Under, drifts
from executor.instruments import signed
from executor.marks import candidates
from executor.mending import Mending, ToOpen, mending
from executor.mirror import is_resting
from executor.present import Present, link_of
from executor.reconcile import Finding, Traced, reconcile
from executor.results import Done, StepResult
from executor.settings import Account
from executor.settle import settle, settle_debt
from executor.sight import Sight
from executor.steps import Close, Open, Reduce, Step
from executor.translate import owed_steps
from shared.facts import Fact, OrderFact
from tests.executor.accounts import PerfectAccount, settings
from tests.executor.sources import Source

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LATER = datetime(2026, 3, 2, 12, 0, 9, tzinfo=UTC)
ZERO = Decimal(0)
NOTHING = Under()
SOURCES = frozenset({"s"})


def mark(name: str = "elsewhere") -> int:
    """A mark of this account that no step of a test bears."""
    return candidates("1@Server", name, "open")[0]


def sight(facts: Iterable[Fact] = (), resting: Iterable[OrderFact] = (), **fields: Any) -> Sight:
    """What the source `s` shows: the newest fact of each position, and of each order."""
    known: dict[str, Any] = {"followed": SOURCES, "judged": SOURCES, "readable": SOURCES}
    return Sight(
        positions={link_of(f): f for f in facts if f.exposure.after.total},
        orders={(link_of(o), o.order.id): o for o in resting},
        **(known | fields),
    )


class Market(Source):
    """A source that remembers the newest fact of each position and order, as the picture in Redis does."""

    def __init__(self, model: Any = "hedging") -> None:
        super().__init__(model)
        self.newest: dict[str, Fact] = {}
        self.resting: dict[str, OrderFact] = {}

    def told(self, facts: list[Fact]) -> list[Fact]:
        """Take facts into the picture."""
        for fact in facts:
            self.newest[link_of(fact)] = fact
            if isinstance(fact, OrderFact) and is_resting(fact.order):
                self.resting[fact.order.id] = fact
        return facts

    def sight(self, **fields: Any) -> Sight:
        """What it shows now."""
        resting = (o for o in self.resting.values() if o.order.id in self.orders and o.order.filled < o.order.quantity)
        return sight(self.newest.values(), resting, **fields)


class Mended(PerfectAccount):
    """An account on which remedies are carried out. `ours` is what our deals have left of netting positions."""

    def __init__(self, margin: Margin = "hedging", account: Account | None = None) -> None:
        super().__init__(margin, account or settings(sources=("s",)))
        self.traded = ZERO
        self.openings: dict[int, set[int]] = {}

    def take(self, step: Step) -> Any:
        result = super().take(step)
        if isinstance(result, Done) and isinstance(step, Open | Close | Reduce):
            lots = signed(step.side, result.volume)
            self.traded += lots if isinstance(step, Open) else -lots
        return result

    def traced(self) -> Traced:
        """What the history would say."""
        return Traced(ours={h.identifier: self.traded for h in self.book.holdings.values()}, openings=self.openings)

    def holds(self, position: Holding) -> None:
        """Let a position be there."""
        self.book = replace(self.book, holdings={**self.book.holdings, position.ticket: position})

    def shows(self, holdings: Mapping[int, Holding]) -> None:
        """Let these positions be all that is there."""
        self.book = replace(self.book, holdings=holdings)

    def findings(self, seen: Sight, left: Iterable[str] = ()) -> tuple[Finding, ...]:
        return reconcile(self.book, seen, self.account, NOW, left=frozenset(left), traced=self.traced())

    def found(self, seen: Sight, under: Under = NOTHING, left: Iterable[str] = ()) -> dict[str, tuple[Found, Finding]]:
        pairs = drifts(self.findings(seen, left), self.book, seen, self.account, under, NOW)
        return {found.identity: (found, finding) for found, finding in pairs}

    def mend(self, finding: Finding, seen: Sight) -> Mending | ToOpen:
        """Carry out what ends a finding, all of it at once."""
        way = mending(finding, self.book, seen, self.account, NOW)
        if isinstance(way, ToOpen):
            self._open(way, seen)
            return way
        links = {**self.book.links, **way.links}
        self.book = replace(self.book, links={k: link for k, link in links.items() if link is not None})
        for key, debt in way.debts.items():
            link = self.book.links[key]
            done = [StepResult(step, self.take(step)) for step in owed_steps(link, debt, self.book)]
            self._keep(key, settle_debt(link, debt, done, self.book).link)
        return way

    def mend_all(self, seen: Sight, rounds: int = 8) -> list[str]:
        """Mend one thing of each link at a time until nothing is found; what still is, after so many rounds."""
        for _ in range(rounds):
            found = self.found(seen)
            if not found:
                return []
            touched = set[str]()
            for identity, (told, finding) in found.items():
                if told.position not in touched and identity in self.found(seen):
                    self.mend(finding, seen)
                    touched.add(told.position or identity)
        return [f"{identity}: {told.line}" for identity, (told, _) in self.found(seen).items()]

    def _open(self, way: ToOpen, seen: Sight) -> None:
        if way.order:
            answer = present.order(seen.orders[way.link, way.order], self.book, self.account, NOW)
        else:
            answer = present.position(seen.positions[way.link], self.book, self.account, NOW)
        assert isinstance(answer, Present), answer
        done = [StepResult(step, self.take(step)) for step in answer.plan.steps]
        self._keep(way.link, settle(answer.fact, answer.plan, done).link)

    def _keep(self, key: str, link: Link | None) -> None:
        links = {k: known for k, known in self.book.links.items() if k != key}
        self.book = replace(self.book, links=links if link is None else {**links, key: link})


def foreign(book: Book) -> Decimal:
    """Signed lots on the account that belong to no link."""
    held = sum((signed(h.side, h.volume) for h in book.holdings.values()), ZERO)
    return held - sum((link.own for link in book.links.values()), ZERO)
