"""Counts for one account: what was committed, what MetaTrader 5 answered, what is unfinished, what the terminal says.

Nothing here waits. What a lane does is counted when it is durable; what it *is* (money, positions, debts) is read from
memory at the moment when somebody asks. The time that the counting itself takes is counted too.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import partial
from time import perf_counter

from msgspec import Struct
from prometheus_client import CollectorRegistry

from executor.book import Book
from executor.change import Change
from executor.follower import Follower
from executor.instruments import entry_price
from executor.metrics import LIMITS, OTHER, Metrics
from executor.mt5.api import Retcode, TerminalInfo
from executor.reasons import Reason
from executor.reference import instead
from executor.results import Done
from executor.settings import Limits
from executor.stages import stages
from executor.states import AccountState, stricter
from executor.steps import Open, Step
from shared.facts import Fact
from shared.outcomes import EFFECTIVE, Deal, Drift, Notice, Outcome, Pending

CODES = frozenset(int(code) for code in Retcode)
REASONS = frozenset(str(reason) for reason in Reason)
US = 1e-6


class Disagreement(Struct, frozen=True):
    """A position on which account and source disagree, and since when."""

    text: str
    since: datetime


class Meter:
    """What one account's lane tells `metrics`. `clock` tells UTC; `live`: the settings let requests be sent.

    `why` is what keeps the lane from its work, in a line for a person; empty while nothing does.
    """

    def __init__(
        self, metrics: Metrics, account: str, limits: Limits, clock: Callable[[], datetime], *, live: bool = True
    ) -> None:
        self.account = account
        self._written = AccountState.ACTIVE if live else AccountState.SHADOW
        self.info: TerminalInfo | None = None
        self.why = ""
        self._remembered: tuple[datetime, ...] = ()
        self.drifting: tuple[Disagreement, ...] = ()
        self.unmapped: tuple[str, ...] = ()
        self._metrics = metrics
        self._limits = limits
        self._clock = clock
        self._waiting: set[tuple[str, int]] = set()
        self._follower: Follower | None = None
        self._book: Callable[[], Book] | None = None
        self._seconds = metrics.seconds.labels(account)
        self._show()

    # -- what happened

    def committed(self, change: Change) -> None:
        """A change is written."""
        began, now = perf_counter(), self._clock()
        for message in change.messages:
            match message:
                case Outcome():
                    self._ended(message, now)
                case Pending():
                    self._waiting.add((message.fact, message.attempt))
                case Notice(reason=reason) if reason in ("daily-loss", "drawdown"):
                    self._metrics.breaches.labels(self.account, reason).inc()
                case Notice() | Deal() | Drift():
                    pass
        if change.dead:
            self._metrics.buried.labels(self.account).inc()
        self._seconds.inc(perf_counter() - began)

    def done(self, book: Book, step: Step, done: Done, fact: Fact | None = None) -> None:
        """A step of `fact` (a debt has none) was done at once; `book` is the account as it was before it was asked."""
        if not isinstance(step, Open):
            return
        began = perf_counter()
        if compared := instead(step, fact, book):
            self._metrics.unpriced.labels(self.account, compared).inc()
        if done.price is not None:
            self._slipped(book, step, done.price)
        self._seconds.inc(perf_counter() - began)

    def _slipped(self, book: Book, step: Open, paid: Decimal) -> None:
        price, specification = book.prices.get(step.symbol), book.specifications.get(step.symbol)
        asked = entry_price(price, step.side)
        if asked is not None and specification is not None and specification.point:
            worse = paid - asked if step.side == "buy" else asked - paid
            self._metrics.slippage.labels(self.account).observe(float(worse / specification.point))

    def redelivered(self, count: int) -> None:
        """So many entries came once more."""
        self._metrics.redeliveries.labels(self.account).inc(count)

    def trailed(self) -> None:
        """A trailing stop was moved."""
        self._metrics.trailing.labels(self.account).inc()

    def state(self, now: AccountState | None) -> None:
        """The account's state as Redis has it, None when it has none yet; what is shown is what it comes to."""
        shown = None if now is None else stricter(now, self._written)
        for state in AccountState:
            self._metrics.state.labels(self.account, str(state)).set(state is shown)

    def _ended(self, outcome: Outcome, now: datetime) -> None:
        name, metrics, key = self.account, self._metrics, (outcome.fact, outcome.attempt)
        metrics.outcomes.labels(name, outcome.result).inc()
        asked = outcome.attempt > 1 or outcome.entry.startswith("0-")  # long after it was captured: that says nothing
        found = {} if asked else stages(outcome, now)
        if key in self._waiting:  # it was parked or owed: only the whole says something
            self._waiting.discard(key)
            found = {name: seconds for name, seconds in found.items() if name == "end_to_end"}
        for stage, seconds in found.items():
            metrics.stages.labels(stage, name).observe(seconds)
        if outcome.result == "denied":
            metrics.denials.labels(name, outcome.reason if outcome.reason in REASONS else OTHER).inc()
        if outcome.result in EFFECTIVE:
            metrics.last_success.labels(name).set(now.timestamp())
        for step in outcome.steps:
            if step.retcode is not None:
                metrics.retcodes.labels(name, str(step.retcode) if step.retcode in CODES else OTHER).inc()

    def differs(self, found: Iterable[Disagreement], unmapped: Iterable[str] = ()) -> None:
        """On what account and sources disagree now for certain, and which of their instruments have no symbol here."""
        self.drifting, self.unmapped = tuple(found), tuple(unmapped)

    # -- what is

    @property
    def watcher(self) -> Metrics:
        """The metrics of the process that it is one of."""
        return self._metrics

    @property
    def registry(self) -> CollectorRegistry:
        """Where it all is shown."""
        return self._metrics.registry

    @property
    def book(self) -> Book | None:
        """The account as the lane knows it; None before the lane was active."""
        return self._book() if self._book is not None else None

    def watch(self, follower: Follower, book: Callable[[], Book]) -> None:
        """The lane is active; this is what it knows from now on."""
        self._follower, self._book = follower, book
        self._waiting = {(o.fact, o.attempt) for debt in follower.debts.values() for o in debt.owing}

    def let_go(self) -> None:
        """Another lane works for the account: what was known of it here is not told any more."""
        self._follower = self._book = None
        self._remembered = ()

    def remember(self, owed_since: Iterable[datetime]) -> None:
        """Since when debts are owed, as Redis has it: what counts as long as no lane has begun here."""
        self._remembered = tuple(owed_since)

    def owed_since(self) -> list[datetime]:
        """Since when each debt is owed."""
        return [debt.since for debt in self._follower.debts.values()] if self._follower else [*self._remembered]

    def unresolved_since(self) -> list[datetime]:
        """Since when each parked fact waits for its end."""
        return [parked.attempt.read for parked in self._follower.parking] if self._follower else []

    def used(self) -> Mapping[str, float]:
        """How much of each limit is used, 1 being the limit."""
        if self._book is None:
            return {}
        book, limits = self._book(), self._limits
        figures, lots = book.figures, _lots(book)
        found = {"lots": lots / limits.max_lots, "positions": Decimal(len(book.holdings)) / limits.max_positions}
        for name, mark, most in (
            ("daily-loss", figures.day_start, limits.max_daily_loss_percent),
            ("drawdown", figures.peak, limits.max_drawdown_percent),
        ):
            lost = max(Decimal(0), mark - figures.counted) * 100 / mark if mark else Decimal(0)
            found[name] = lost / most
        return {name: float(value) for name, value in found.items()}

    def _show(self) -> None:
        m, name = self._metrics, self.account
        for state, since in (("owed", self.owed_since), ("unresolved", self.unresolved_since)):
            m.unfinished.labels(name, state).set_function(partial(_count, since))
            m.unfinished_age.labels(name, state).set_function(partial(self._oldest, since))
        m.equity.labels(name).set_function(self._reading(lambda b: b.figures.equity))
        m.balance.labels(name).set_function(self._reading(lambda b: b.figures.balance))
        m.margin_free.labels(name).set_function(self._reading(lambda b: b.figures.margin_free))
        m.positions.labels(name).set_function(self._reading(lambda b: len(b.holdings)))
        m.lots.labels(name).set_function(self._reading(_lots))
        for limit in LIMITS:
            m.used.labels(name, limit).set_function(partial(self._used, limit))
        m.drift.labels(name).set_function(lambda: float(len(self.drifting)))
        m.drift_age.labels(name).set_function(partial(self._oldest, self._drifting_since))
        m.connected.labels(name).set_function(lambda: float(self.info is not None and self.info.connected))
        m.algo.labels(name).set_function(lambda: float(self.info is not None and self.info.trade_allowed))
        m.ping.labels(name).set_function(lambda: self.info.ping_last * US if self.info else math.nan)

    def _reading(self, read: Callable[[Book], Decimal | int]) -> Callable[[], float]:
        return lambda: float(read(self.book)) if self.book is not None else math.nan

    def _used(self, limit: str) -> float:
        return self.used().get(limit, math.nan)

    def _drifting_since(self) -> list[datetime]:
        return [each.since for each in self.drifting]

    def _oldest(self, since: Callable[[], list[datetime]]) -> float:
        began = since()
        return (self._clock() - min(began)).total_seconds() if began else 0.0


def unwatched(account: str, clock: Callable[[], datetime]) -> Meter:
    """A meter that nobody reads."""
    return Meter(Metrics(CollectorRegistry(), [account]), account, Limits(), clock)


def _count(since: Callable[[], list[datetime]]) -> float:
    return float(len(since()))


def _lots(book: Book) -> Decimal:
    return sum((h.volume for h in book.holdings.values()), Decimal(0))
