"""One attempt to follow one fact (or to pay one debt), step by step: search, guard, fence, call, classify.

The order is what makes it safe. What may have been sent is searched before anything is decided about it, so a refusal
can never be written over an effect; the fence stands right before the call; and what nobody knows stays unknown
until the terminal shows it or has shown its absence for a whole grace.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic

from executor import effects, marks, report
from executor.book import Close, Marked, Move, Open, Opening, Protect, Reduce, Rest, Step, Withdraw, kind
from executor.bookkeeping import Bookkeeper, TerminalAway
from executor.classify import NotSent, Passing, Retry, Unresolved, classify
from executor.guards import guard
from executor.ledger import Fenced, Ledger, Passed, Work
from executor.mt5.api import Expired, OrderFilling
from executor.mt5.terminal import Terminal
from executor.reasons import Denied, Obstacle, Reason
from executor.requests import as_asked, fillings, request
from executor.results import Already, Done, Owed, Rejected, Result, Skipped, StepResult
from executor.settings import Account
from executor.states import AccountState, allows
from executor.translate import bare, protect_after
from shared.facts import Fact
from shared.outcomes import StepReport

TRIES = 4
"""How often a step that was refused for a cause of the moment is asked again before that is its result."""

BACKOFF_S = 0.05

@dataclass
class Grace:
    """How long the terminal has shown, without interruption, that something is not there (monotonic seconds)."""

    seconds: float
    began: float | None = None
    generation: int = -1

    def over(self, now: float, generation: int) -> bool:
        """Count on; starts over when the terminal was another one meanwhile."""
        if self.began is None or generation != self.generation:
            self.began, self.generation = now, generation
        return now - self.began >= self.seconds


@dataclass
class Attempt:
    """What is known of one attempt so far.

    `suspect`: it may have been tried before we knew of it. `probe`: it is only searched, never sent.
    """

    work: Work
    fact: Fact | None
    link: str
    steps: list[Step]
    grace: Grace
    read: datetime
    entry: str | None = None
    suspect: bool = False
    probe: bool = False
    results: dict[str, StepResult] = field(default_factory=dict)
    calls: dict[str, report.Call] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    absent: set[str] = field(default_factory=set)

    def maybe_sent(self, step: Step) -> bool:
        """Whether this step may have had its effect already."""
        return step.name in self.unknown or (self.suspect and step.name not in self.absent)

    @property
    def untouched(self) -> bool:
        """Whether nothing of it was tried, by us or before us."""
        return not (self.suspect or self.results or self.unknown)

    @property
    def waiting_opening(self) -> Opening | None:
        """Its opening whose result is not known yet."""
        return next((s for s in self.steps if isinstance(s, Opening) and s.name not in self.results), None)

    def done(self) -> list[StepResult]:
        """The results in the order of the steps."""
        return [self.results[s.name] for s in self.steps if s.name in self.results]

    def reports(self) -> tuple[StepReport, ...]:
        """Every step as the outcomes stream tells it."""
        none = report.Call()
        known = ((s, self.results.get(s.name)) for s in self.steps)
        return tuple(report.step_report(s, r.result if r else None, self.calls.get(s.name, none)) for s, r in known)


class Runner:
    """Carries out the steps of attempts on one account. Raises TerminalAway, LeaseLost and redis errors."""

    def __init__(
        self,
        account: Account,
        ledger: Ledger,
        terminal: Terminal,
        keeper: Bookkeeper,
        clock: Callable[[], datetime],
        reach: Callable[[str], None],
    ) -> None:
        self._account = account
        self._ledger = ledger
        self._terminal = terminal
        self._keeper = keeper
        self._clock = clock
        self._reach = reach
        self._openings: deque[datetime] = deque(maxlen=1000)

    async def run(self, attempt: Attempt, blocked: Callable[[Opening], bool]) -> bool:
        """Carry out what is left, as far as it goes. True when every step has its result.

        `blocked` says of an opening whether it has to wait for another one of its instrument.
        """
        for step in list(attempt.steps):
            if step.name in attempt.results:
                continue
            result = await self._step(attempt, step, blocked)
            if result is None:
                return False
            self._record(attempt, step, result)
        return all(s.name in attempt.results for s in attempt.steps)

    def _record(self, attempt: Attempt, step: Step, result: Result) -> None:
        attempt.results[step.name] = StepResult(step, result)
        attempt.unknown.discard(step.name)
        if isinstance(result, Done):
            self._keeper.changed(effects.applied(self._keeper.book, step, result))

    async def _step(self, attempt: Attempt, step: Step, blocked: Callable[[Opening], bool]) -> Result | None:
        if attempt.maybe_sent(step):
            known = await self._search(attempt, step)
            if known is not None or step.name in attempt.unknown:
                return known
        if attempt.probe:
            return Skipped()
        if isinstance(step, Opening):
            if blocked(step):
                return None
            refused = self._refused(attempt, step)
            if refused is not None:
                return refused
        return await self._ask(attempt, step)

    def _refused(self, attempt: Attempt, step: Opening) -> Result | None:
        if any(isinstance(r.result, Owed | Rejected) for r in attempt.done()):
            return Denied(Reason.EXIT_OWED)
        assert attempt.fact is not None, "a debt only reduces"
        return guard(step, attempt.fact, self._keeper.book, self._account.limits, self._clock(), list(self._openings))

    # -- what may have happened already

    async def _search(self, attempt: Attempt, step: Step) -> Result | None:
        """What became of a step that may have been sent; None with the step unknown, or absent and to be asked."""
        attempt.unknown.add(step.name)
        match step:
            case Open() | Rest() | Reduce():
                return await self._search_mark(attempt, step)
            case Close() | Protect() | Move() | Withdraw():
                await self._keeper.reread()
                if as_asked(step, self._keeper.book):
                    return Already()
                attempt.unknown.discard(step.name)
                return None

    async def _search_mark(self, attempt: Attempt, step: Marked) -> Result | None:
        ours = marks.candidates(self._keeper.book.identity, attempt.work.fact, step.name)
        found = marks.find(ours, step, await self._keeper.traces())
        if found is not None:
            return _found(step, found)
        if not await self._keeper.connected():
            attempt.grace.began = None
        elif attempt.grace.over(monotonic(), self._terminal.generation):
            await self._keeper.reread()
            attempt.unknown.discard(step.name)
            attempt.absent.add(step.name)
            return None
        return Owed(Obstacle.NO_ANSWER) if isinstance(step, Reduce) and attempt.fact is not None else None

    # -- asking

    async def _ask(self, attempt: Attempt, step: Step) -> Result | None:
        filling: OrderFilling | None = None
        asked: Step = step
        for tries in range(1, TRIES + 1):
            passed = await self._ledger.fence(attempt.work, self._modes(step))
            if isinstance(passed, Fenced):
                return self._fenced(step, passed)
            verdict = await self._call(attempt, asked, filling, passed)
            match verdict:
                case Retry() if tries < TRIES:
                    asked, filling = await self._prepare(asked, filling, verdict, tries)
                case Retry():
                    return _exhausted(step, verdict)
                case Passing():
                    return _passing(step, verdict)
                case Unresolved():
                    known = await self._search(attempt, step)
                    if known is not None or step.name in attempt.unknown:
                        return known
                case NotSent():
                    if not await self._keeper.connected():
                        raise TerminalAway(verdict.text)
                    refused = self._refused(attempt, step) if isinstance(step, Opening) else None
                    if refused is not None:
                        return refused
                case Done() | Already() | Rejected():
                    return self._after(attempt, step, asked, verdict)
        return _passing(step, Passing(Obstacle.NO_ANSWER))

    async def _call(
        self, attempt: Attempt, step: Step, filling: OrderFilling | None, passed: Passed
    ) -> Done | Already | Rejected | Passing | Retry | Unresolved | NotSent:
        book = self._keeper.book
        mark = marks.choose(marks.candidates(book.identity, attempt.work.fact, step.name), self._keeper.taken()) or 0
        wanted = request(step, book, mark, self._account, tag=attempt.work.fact[-12:], filling=filling)
        self._reach("fenced")
        reply = await self._terminal.send(wanted, self._not_after(attempt, step, passed))
        self._reach("called")
        attempt.calls[step.name] = report.call(reply, mark)
        if isinstance(step, Opening) and not isinstance(reply, Expired):
            self._openings.append(self._clock())
        verdict = classify(reply, step)
        return _marked(verdict, mark) if isinstance(verdict, Done) else verdict

    def _not_after(self, attempt: Attempt, step: Step, passed: Passed) -> int:
        latest = self._clock() + timedelta(seconds=min(self._account.window, passed.lease_left))
        if isinstance(step, Opening) and attempt.fact is not None:
            latest = min(latest, attempt.fact.captured + timedelta(seconds=float(self._account.limits.max_age)))
        return int(latest.timestamp() * 1e9)

    def _modes(self, step: Step) -> list[AccountState]:
        live = any(link.parts or link.pendings for link in self._keeper.book.links.values())
        return [mode for mode in AccountState if allows(mode, kind(step), live)]

    def _fenced(self, step: Step, fenced: Fenced) -> Result:
        if fenced.why == "done":
            return Skipped()
        if fenced.mode == AccountState.SHADOW:
            return Skipped(shadow=True)
        if isinstance(step, Opening):
            return Denied(Reason.STATE, {"state": fenced.mode})
        return Owed(Obstacle.HALTED)

    async def _prepare(
        self, step: Step, filling: OrderFilling | None, retry: Retry, tries: int
    ) -> tuple[Step, OrderFilling | None]:
        match retry.how:
            case "price":
                await self._keeper.price(step.symbol)
            case "backoff":
                await asyncio.sleep(BACKOFF_S * 2**tries)
            case "filling":
                filling = self._other_filling(step, filling)
            case "levels" if isinstance(step, Open):
                step = bare(step)
            case _:
                pass
        return step, filling

    def _other_filling(self, step: Step, used: OrderFilling | None) -> OrderFilling | None:
        allowed = fillings(step, self._keeper.book.specifications[step.symbol])
        return next((f for f in allowed[1:] if f != used), used)

    def _after(self, attempt: Attempt, step: Step, asked: Step, result: Done | Already | Rejected) -> Result:
        if isinstance(step, Open) and asked is not step and isinstance(result, Done):
            attempt.steps.append(protect_after(step, result))
        return result


def _found(step: Marked, found: marks.Found) -> Result | None:
    if found.state == "ended" and not found.volume:
        return Rejected(0, Obstacle.REFUSED, "its order ended without a fill")
    if found.state == "working" and not isinstance(step, Rest):
        return None
    placed = found.state == "working"
    return Done(
        ticket=found.ticket,
        identifier=found.identifier or found.ticket,
        deal=found.deal or 0,
        volume=step.volume if placed else found.volume,
        price=found.price,
        mark=found.mark,
    )


def _marked(done: Done, mark: int) -> Done:
    return Done(
        ticket=done.ticket,
        identifier=done.identifier,
        deal=done.deal,
        volume=done.volume,
        price=done.price,
        retcode=done.retcode,
        mark=mark,
    )


def _exhausted(step: Step, retry: Retry) -> Result:
    return retry.otherwise if isinstance(retry.otherwise, Rejected) else _passing(step, retry.otherwise)


def _passing(step: Step, passing: Passing) -> Result:
    if isinstance(step, Opening):
        return Rejected(passing.retcode, passing.reason, passing.text)
    return Owed(passing.reason, passing.retcode, passing.text)
