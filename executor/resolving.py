"""Ends by hand what nothing else can: a fact whose end nobody knows, an exit that stays owed, an unreadable entry.

What an operator says counts as the end, but not against what the terminal shows: where something bears the mark of an
opening, it was opened. What is ours afterwards follows from that, and is written by the same commit.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from msgspec.structs import replace

from executor.asked import Desk, Resolve
from executor.book import Debt, Link
from executor.bookkeeping import Bookkeeper
from executor.change import Change, End, Work, dead_letter
from executor.follow import total
from executor.follower import Follower
from executor.marks import candidates
from executor.owing import brought_up
from executor.parking import Parked
from executor.parts import given_up
from executor.reasons import Obstacle, say
from executor.results import Done, Skipped, StepResult
from executor.settings import Account
from executor.settle import Settled, settle
from executor.steps import Open, Opening, Reducing, Rest
from executor.telling import Teller
from executor.translate import worth_keeping
from shared.facts import Fact
from shared.outcomes import EFFECTIVE, Message
from shared.wire import Place

BY_HAND = str(Obstacle.BY_HAND)
UNKNOWN_HERE = "nothing of that name is unfinished on this account"


class Resolver:
    """What an operator ends by hand on account `name`, under one lease."""

    def __init__(
        self,
        name: str,
        account: Account,
        desk: Desk,
        keeper: Bookkeeper,
        follower: Follower,
        teller: Teller,
        clock: Callable[[], datetime],
    ) -> None:
        self._name = name
        self._account = account
        self._desk = desk
        self._keeper = keeper
        self._follower = follower
        self._teller = teller
        self._clock = clock

    async def take(self, request: Resolve) -> str | None:
        """End what is named. Returns why that cannot be, for the one who asked."""
        parked = next((p for p in self._follower.parking if _names(request, p)), None)
        if parked is not None:
            return await self._fact(request, parked)
        if request.target == "entry":
            return await self._entry(request)
        debts = self._follower.debts
        key = next((k for k, debt in debts.items() if request.target == "fact" and _owes(debt, request.name)), "")
        debt = debts.get(key or request.name)
        if debt is None:
            return UNKNOWN_HERE
        await self._debt(request, debt)
        return None

    # -- a fact of which nobody knows the end

    async def _fact(self, request: Resolve, parked: Parked) -> str | None:
        attempt = parked.attempt
        left = [step for step in attempt.steps if step.name not in attempt.results]
        if any(isinstance(step, Reducing) for step in left):
            return "it also closes something, and waits with that for another fact: resolve that one"
        await self._keeper.reread()
        openings = [step for step in left if isinstance(step, Opening)]
        for step in openings:
            if (ticket := self._working(parked, step)) is not None:
                return f"its order {ticket} still works at the broker: remove it first, or let it fill"
        found = {step.name: done for step in openings if (done := self._standing(parked, step))}
        if openings and request.result not in EFFECTIVE and not self._settled_down(parked):
            patience = self._account.window + self._account.deadline
            return f"a call for it may still be on its way: say that it was not done {patience:g} s after it began"
        if found and request.result not in EFFECTIVE:
            tickets = ", ".join(str(done.ticket) for done in found.values())
            return f"{tickets} in the terminal bears its mark, so it was done: resolve it as filled or accepted"
        results = [*attempt.done(), *(StepResult(step, found.get(step.name) or Skipped()) for step in left)]
        await self._follower.commit(parked.entry, parked.fact, self._end(request, parked, results))
        return None

    def _settled_down(self, parked: Parked) -> bool:
        """Whether nothing that was asked for it, by whatever lane, can still begin or still be executed."""
        attempt, patience = parked.attempt, self._account.window + self._account.deadline
        sent = [call.sent for call in attempt.calls.values() if call.sent is not None]
        return (self._clock() - max((attempt.read, *sent))).total_seconds() > patience

    def _standing(self, parked: Parked, step: Opening) -> Done | None:
        """What the account holds under a mark of an opening; None when there is nothing."""
        book, marks = self._keeper.book, self._marks(parked, step)
        for held in book.holdings.values():
            if held.magic in marks and held.symbol == step.symbol:
                return Done(ticket=held.ticket, identifier=held.identifier, volume=held.volume, mark=held.magic)
        for order in book.restings.values() if isinstance(step, Rest) else ():
            if order.magic in marks and order.symbol == step.symbol:
                return Done(ticket=order.ticket, volume=order.volume, mark=order.magic)
        return None

    def _working(self, parked: Parked, step: Opening) -> int | None:
        """The order of a market opening that the broker has neither filled nor given up."""
        marks = self._marks(parked, step)
        orders = self._keeper.book.restings.values() if isinstance(step, Open) else ()
        return next((order.ticket for order in orders if order.magic in marks), None)

    def _marks(self, parked: Parked, step: Opening) -> tuple[int, ...]:
        return candidates(self._keeper.book.identity, parked.attempt.meaning, step.name)

    def _end(self, request: Resolve, parked: Parked, results: list[StepResult]) -> Change:
        attempt, fact, key = parked.attempt, parked.fact, parked.attempt.link
        known = self._keeper.book.links.get(key)
        settled = settle(fact, parked.plan, results)
        before, owed = total(fact.exposure.before, self._account), self._follower.debts.get(key)
        settled = brought_up(fact, before, parked.plan, settled, self._keeper.book, owed, self._clock())
        link = settled.link
        if request.result in EFFECTIVE and not any(isinstance(r.result, Done) for r in results):
            link = _closed(link or parked.plan.link, known, fact, results)
        return Change(
            ends=[End(entry=attempt.entry, result=request.result, work=attempt.work)],
            messages=[self._teller.ended(attempt, fact, request.result, BY_HAND, said(request))],
            links={key: link or (self._follower.kept(known, parked) if known else None)},
            debts=self._rest(parked, settled, owed),
            requests=[request.field],
        )

    def _rest(self, parked: Parked, settled: Settled, owed: Debt | None) -> Mapping[str, Debt]:
        """What is too much of what was found is a debt, for which no fact waits."""
        if settled.debt is None:
            return {}
        made = owed or self._follower.debts.nobodys(parked.attempt, parked.fact, settled.debt)
        return {settled.debt.link: replace(made, target=settled.debt.target)}

    # -- an exit that stays owed

    async def _debt(self, request: Resolve, debt: Debt) -> None:
        book, now = self._keeper.book, self._clock()
        known = book.links.get(debt.link)
        link = given_up(known, debt.target) if known is not None else None
        works = [(owing, owing.did or request.result) for owing in debt.owing]
        ends = [End(result=result, work=Work(fact=o.fact, attempt=o.attempt)) for o, result in works]
        told: list[Message] = [self._teller.paid(o, now, r, BY_HAND, said(request), ()) for o, r in works]
        told.append(self._teller.notice(f"what {debt.link} owed is ended by hand: {said(request)}"))
        left = link if link is None or worth_keeping(link) else self._follower.kept(link)
        await self._follower.write(
            Change(
                ends=ends or [End()],
                messages=told,
                links={debt.link: left},
                debts={debt.link: None},
                requests=[request.field],
            )
        )

    # -- an entry that cannot be read

    async def _entry(self, request: Resolve) -> str | None:
        entry = await self._desk.pending(request.name)
        if entry is None:
            return UNKNOWN_HERE
        if isinstance(self._desk.codec.fact(entry.fields), Fact):
            return "it can be read, and is followed by itself"
        passed = Place(entry=entry.id, seqs={})
        change = Change(
            entry=entry.id,
            ends=[End(entry=entry.id)],
            messages=[self._teller.notice(f"entry {entry.id} is ended by hand: {said(request)}")],
            passed=passed,
            dead=dead_letter(entry, self._name, BY_HAND, said(request)),
            requests=[request.field],
        )
        await self._follower.write(change)
        self._follower.move(passed)
        return None


def said(request: Resolve) -> str:
    """What an outcome that was made by hand says."""
    return f"{say(Obstacle.BY_HAND)} ({request.note})" if request.note else say(Obstacle.BY_HAND)


def _names(request: Resolve, parked: Parked) -> bool:
    match request.target:
        case "fact":
            return parked.attempt.work.fact == request.name
        case "entry":
            return parked.attempt.told_entry == request.name
        case "link":
            return False


def _owes(debt: Debt, fact: str) -> bool:
    return any(owing.fact == fact for owing in debt.owing)


def _closed(link: Link, known: Link | None, fact: Fact, results: list[StepResult]) -> Link:
    """A position that was opened, as somebody says, and is not there any more: it stays closed here."""
    newer = known is not None and known.revision > fact.exposure.revision
    opened = any(isinstance(r.step, Open) for r in results)
    return link if newer or not opened or link.parts or not link.followed else replace(link, tombstone=True)
