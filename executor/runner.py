"""Carries out an attempt step by step: search, guard, fence, call, classify.

The order is what makes it safe. What may have been sent is searched before anything is decided about it, so a refusal
can never be written over an effect; the fence stands right before the call; and what nobody knows stays unknown
until the terminal shows it or has shown its absence for a whole grace.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

from msgspec.structs import replace

from executor import effects, marks, report
from executor.attempt import Attempt
from executor.book import Book
from executor.bookkeeping import Bookkeeper, TerminalAway
from executor.change import Work
from executor.classify import NotSent, Passing, Retry, Unresolved, classify
from executor.guards import guard
from executor.ledger import Fenced, Ledger, Passed
from executor.mt5.api import Expired, OrderFilling
from executor.mt5.terminal import Terminal
from executor.netting import crosses, net_holding
from executor.overtaken import overtaken
from executor.reasons import Denied, Obstacle, Reason
from executor.requests import as_asked, fillings, request
from executor.results import Already, Done, Owed, Rejected, Result, Skipped, StepResult
from executor.search import Search
from executor.settings import Account
from executor.states import AccountState, allows, stricter
from executor.steps import Open, Opening, Step, Withdraw, kind
from executor.translate import bare, protect_after
from shared.facts import Fact

TRIES = 4
"""How often a step that was refused for a cause of the moment is asked again before that is its result."""

BACKOFF_S = 0.05
REMEMBERED_CALLS = 10_000
"""More facts than a failover can lose; see `has_called`."""


def unnoticed(_book: Book, _step: Step, _done: Done, _fact: Fact | None) -> None:
    """Nobody wants to know what was done."""


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
        noticed: Callable[[Book, Step, Done, Fact | None], None] = unnoticed,
    ) -> None:
        """`noticed` is told each step that MT5 has done, with the account as it was before; it must not wait."""
        self._noticed = noticed
        self._account = account
        self._ledger = ledger
        self._terminal = terminal
        self._keeper = keeper
        self._clock = clock
        self._reach = reach
        self.search = Search(keeper)
        self._openings: deque[datetime] = deque(maxlen=account.limits.max_orders_per_minute)
        self._called: dict[str, None] = {}

    async def run(self, attempt: Attempt, blocked: Callable[[Opening], bool]) -> bool:
        """Carry out what is left, as far as it goes. True when every step has its result.

        `blocked` says of an opening whether it has to wait for another one of its instrument.
        """
        while step := next((s for s in attempt.steps if s.name not in attempt.results), None):
            result = await self._step(attempt, step, blocked)
            if result is None:
                return False
            self._record(attempt, step, result)
        return True

    def has_called(self, work: Work) -> bool:
        """Whether this process has called the vendor for an attempt, even if the server has forgotten its delivery."""
        return work.key in self._called

    def _remember(self, work: Work) -> None:
        """Remember a call. A dict keeps their order and is asked at once, however many there are."""
        self._called.pop(work.key, None)
        self._called[work.key] = None
        if len(self._called) > REMEMBERED_CALLS:
            del self._called[next(iter(self._called))]

    def _record(self, attempt: Attempt, step: Step, result: Result) -> None:
        attempt.results[step.name] = StepResult(step, result)
        attempt.unknown.discard(step.name)
        if isinstance(result, Done):
            self._noticed(self._keeper.book, step, result, attempt.fact)
            if step.name not in attempt.shown:
                self._keeper.changed(effects.applied(self._keeper.book, step, result))

    async def _step(self, attempt: Attempt, step: Step, blocked: Callable[[Opening], bool]) -> Result | None:
        if attempt.maybe_sent(step):
            known = await self._found(attempt, step)
            if known is not None or step.name in attempt.unknown:
                return known
        if attempt.probe or (isinstance(step, Opening) and not step.volume):
            return Skipped()
        if any(isinstance(r.result, Skipped) and r.result.superseded for r in attempt.done()):
            return Skipped(superseded=True)  # its levels are older than those that were set since
        if isinstance(step, Opening):
            if not crosses(step) and blocked(step):
                return None
            refused = self._refused(attempt, step)
            if refused is not None:
                return refused
        elif as_asked(step, self._keeper.book) and (there := await self._there(attempt, step)) is not None:
            return there
        return await self._ask(attempt, step)

    def _refused(self, attempt: Attempt, step: Opening, *, again: bool = False) -> Result | None:
        """Why an opening must not be sent now. `again`: it was tried before, and so is counted already."""
        if any(isinstance(r.result, Owed | Rejected) for r in attempt.done()):
            return Denied(Reason.EXIT_OWED)
        if crosses(step):
            return None
        assert attempt.fact is not None, "a debt only has exits"
        if overtaken(step, attempt.fact, self._keeper.book.links.get(step.link), attempt.newest, self._account):
            return Skipped(superseded=True)
        recent = () if again else tuple(self._openings)
        return guard(step, attempt.fact, self._keeper.book, self._account.limits, self._clock(), recent)

    # -- asking

    async def _ask(self, attempt: Attempt, step: Step) -> Result | None:
        """Ask until there is an answer; None with the step unknown when nobody knows what became of it."""
        asked, filling = step, None
        for tries in range(1, TRIES + 1):
            self._reach("decided")
            before = self._clock()
            passed = await self._ledger.fence(attempt.work, self._modes(step))
            if isinstance(passed, Fenced):
                return _fenced(step, passed)
            verdict = await self._call(attempt, asked, filling, self._not_after(attempt, step, before, passed))
            if isinstance(verdict, Retry):
                if tries == TRIES or (verdict.how == "filling" and not self._other_fillings(asked, filling)):
                    return _exhausted(step, verdict)
                asked, filling = await self._prepare(asked, filling, verdict, tries)
                if (meanwhile := await self._meanwhile(attempt, step, verdict)) is not None:
                    return meanwhile
                continue
            known = await self._judge(attempt, step, asked, verdict)
            if known is not None or step.name in attempt.unknown:
                return known
        return _passing(step, Passing(Obstacle.NOT_SENT))

    async def _meanwhile(self, attempt: Attempt, step: Step, retry: Retry) -> Result | None:
        """Why a step is not asked again: the price of an opening has run away, or it is as asked by now."""
        if isinstance(step, Opening):
            return self._refused(attempt, step, again=True)
        return await self._there(attempt, step) if retry.how == "backoff" else None

    async def _there(self, attempt: Attempt, step: Step) -> Result | None:
        there = await self.search.there(attempt, step)
        if there is not None:
            attempt.shown.add(step.name)
        return there

    async def _judge(
        self,
        attempt: Attempt,
        step: Step,
        asked: Step,
        verdict: Done | Already | Rejected | Passing | Unresolved | NotSent,
    ) -> Result | None:
        match verdict:
            case Passing():
                return _passing(step, verdict)
            case Unresolved():
                return await self._found(attempt, step)
            case NotSent():
                if not await self._keeper.connected():
                    raise TerminalAway(verdict.text)
                return self._refused(attempt, step, again=True) if isinstance(step, Opening) else None
            case Done() if isinstance(step, Open):
                if asked is not step:
                    _protect_too(attempt, step, verdict)
                return await self._opened(attempt, step, verdict)
            case Done() | Already() if isinstance(step, Withdraw):
                return await self.search.withdrawn(step, verdict)
            case Done() | Already() | Rejected():
                return verdict

    async def _call(
        self, attempt: Attempt, step: Step, filling: OrderFilling | None, not_after: int
    ) -> Done | Already | Rejected | Passing | Retry | Unresolved | NotSent:
        book = self._keeper.book
        mark = marks.choose(marks.candidates(book.identity, attempt.meaning, step.name), self._keeper.taken()) or 0
        wanted = request(
            step, book, mark, self._account, tag=attempt.work.fact[-12:], filling=filling,
            clock_offset=self._keeper.clock.offset, now=self._clock(),
        )  # fmt: skip
        self._remember(attempt.work)
        self.search.sending(attempt)
        self._reach("fenced")
        reply = await self._terminal.send(wanted, not_after)
        self._reach("called")
        attempt.calls[step.name] = report.call(reply, mark, report.at_stop(step, book))
        if isinstance(step, Opening) and not isinstance(reply, Expired):
            self._openings.append(self._clock())
        verdict = classify(reply, step)
        return replace(verdict, mark=mark) if isinstance(verdict, Done) else verdict

    async def _found(self, attempt: Attempt, step: Step) -> Result | None:
        """What the search says. An opening that is found may have been sent without its levels."""
        known = await self.search.search(attempt, step)
        if isinstance(known, Done) and isinstance(step, Open) and not attempt.probe:
            _protect_too(attempt, step, known)
        if isinstance(known, Done):
            await self._keeper.reread()  # a reading in between may have it already: adding it would count it twice
            attempt.shown.add(step.name)
        return known

    async def _opened(self, attempt: Attempt, step: Open, done: Done) -> Done:
        """On a netting account the order is not the position: its identifier is that of the one the symbol has."""
        if self._keeper.book.margin == "hedging":
            return done
        await self._keeper.reread()
        attempt.shown.add(step.name)
        held = net_holding(step.symbol, self._keeper.book)
        return replace(done, identifier=held.identifier) if held else done

    def _not_after(self, attempt: Attempt, step: Step, before: datetime, passed: Passed) -> int:
        """When it is too late to call the vendor, counted from before the fence: a pause after it counts too."""
        latest = before + timedelta(seconds=min(self._account.window, passed.lease_left))
        if isinstance(step, Opening) and not crosses(step) and attempt.fact is not None:
            young = float(self._account.limits.max_age) + attempt.fact.uncertainty
            latest = min(latest, attempt.fact.captured + timedelta(seconds=young))
        return int(latest.timestamp() * 1e9)

    def _modes(self, step: Step) -> list[AccountState]:
        live = any(link.parts or link.pendings for link in self._keeper.book.links.values())
        written = AccountState.ACTIVE if self._account.live else AccountState.SHADOW
        return [mode for mode in AccountState if allows(stricter(mode, written), kind(step), live)]

    async def _prepare(
        self, step: Step, filling: OrderFilling | None, retry: Retry, tries: int
    ) -> tuple[Step, OrderFilling | None]:
        match retry.how:
            case "price":
                await self._keeper.price(step.symbol)
            case "backoff":
                await asyncio.sleep(BACKOFF_S * 2**tries)
            case "filling":
                filling = self._other_fillings(step, filling)[0]
            case "levels" if isinstance(step, Open):
                step = bare(step)
            case _:
                pass
        return step, filling

    def _other_fillings(self, step: Step, used: OrderFilling | None) -> tuple[OrderFilling, ...]:
        """The modes that were not tried yet."""
        allowed = fillings(step, self._keeper.book.specifications.get(step.symbol))
        return allowed[allowed.index(used) + 1 if used in allowed else 1 :]


def _fenced(step: Step, fenced: Fenced) -> Result:
    if fenced.why == "done":
        return Skipped()
    if fenced.mode in (AccountState.SHADOW, AccountState.ACTIVE):
        return Skipped(shadow=True)  # an active account that the settings keep in shadow
    if isinstance(step, Opening) and not (crosses(step) and fenced.mode == AccountState.HALTED):
        return Denied(Reason.STATE, {"state": fenced.mode})
    return Owed(Obstacle.HALTED)


def _protect_too(attempt: Attempt, step: Open, done: Done) -> None:
    if step.stop_loss is not None or step.take_profit is not None:
        attempt.steps.append(protect_after(step, done))


def _exhausted(step: Step, retry: Retry) -> Result:
    return retry.otherwise if isinstance(retry.otherwise, Rejected) else _passing(step, retry.otherwise)


def _passing(step: Step, passing: Passing) -> Result:
    if isinstance(step, Opening) and not crosses(step):
        return Rejected(passing.retcode, passing.reason, passing.text)
    return Owed(passing.reason, passing.retcode, passing.text)
