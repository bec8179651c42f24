"""Follows facts on one account: plan, attempt, commit; and keeps those whose end is not known yet.

An opening that nobody knows the end of is parked: its entry stays pending, openings of its instrument wait, and so do
facts about what only it can have made. Everything else goes on.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import msgspec

from executor.attempt import Attempt, Grace, Runner
from executor.book import Book, Debt, Link, Open, Opening, Owing, Step, link_key
from executor.bookkeeping import Bookkeeper
from executor.instruments import side_of, symbol_of
from executor.ledger import Change, End, Ledger, Work
from executor.reasons import Ignored
from executor.results import Skipped
from executor.settings import Account
from executor.settle import Settled, settle
from executor.translate import Ignore, Plan, target_steps, translate
from shared import outcomes, wire
from shared.facts import Fact, OrderFact


@dataclass
class Parked:
    """A fact that was read and has no end yet. `order` is the source order it is about, if it is about one."""

    attempt: Attempt
    fact: Fact
    plan: Plan
    told: bool = False

    @property
    def order(self) -> str | None:
        """The source order that the fact is about."""
        return self.fact.order.id if isinstance(self.fact, OrderFact) else None


class Follower:
    """The facts of one account under one lease. `debts` is shared with the payer of them."""

    def __init__(
        self,
        name: str,
        account: Account,
        ledger: Ledger,
        keeper: Bookkeeper,
        runner: Runner,
        clock: Callable[[], datetime],
        reach: Callable[[str], None],
        place: wire.Place,
        debts: dict[str, Debt],
    ) -> None:
        self.place = place
        self.parked: dict[str, Parked] = {}
        self.debts = debts
        self._name = name
        self._account = account
        self._ledger = ledger
        self._keeper = keeper
        self._runner = runner
        self._clock = clock
        self._reach = reach

    async def follow(self, entry: str, fact: Fact, *, suspect: bool, read: datetime | None = None) -> None:
        """Follow the fact of an entry as far as it goes, and commit what came of it."""
        began = read or self._clock()
        work = Work(fact=fact.id)
        if suspect and (await self._ledger.outcome(work) is not None or self._owing(fact.id)):
            await self.commit(entry, fact, Change(ends=[End(entry=entry)]))
            return
        await self._ready(fact)
        plan = translate(fact, self._view(), self._account)
        key = link_key(fact.source, fact.account, fact.exposure.position)
        attempt = Attempt(
            work=work,
            fact=fact,
            link=key,
            steps=list(plan.steps) if isinstance(plan, Plan) else [],
            grace=Grace(self._account.grace),
            read=began,
            entry=entry,
            suspect=suspect,
        )
        if isinstance(plan, Ignore):
            probe = self._probe(fact, key) if suspect and plan.reason is Ignored.SUPERSEDED else None
            if probe is None:
                await self._ignore(attempt, fact, plan)
                return
            attempt.steps, attempt.probe, plan = list(probe.steps), True, probe
        await self._go(Parked(attempt, fact, plan))

    async def attend(self) -> None:
        """See what has become of the parked facts, the oldest first."""
        for entry in sorted(self.parked, key=wire.entry_order):
            parked = self.parked.get(entry)
            if parked is None:
                continue
            if parked.attempt.untouched:
                del self.parked[entry]
                await self.follow(entry, parked.fact, suspect=False, read=parked.attempt.read)
            else:
                await self._go(parked)

    async def commit(self, entry: str, fact: Fact, change: Change) -> None:
        """Commit `change` for an entry, and move our place past it."""
        passed = wire.Place(entry=entry, seqs={fact.producer: fact.seq})
        change.entry, change.passed = entry, passed
        await self.write(change)
        self.move(passed)
        if change.ends:
            self.parked.pop(entry, None)

    async def write(self, change: Change) -> None:
        """Commit `change`, and remember what it says when it was written."""
        written = await self._ledger.commit(change, self._clock())
        self._reach("committed")
        if not written:
            return
        self._keeper.remember(change.links)
        for key, debt in change.debts.items():
            if debt is None:
                self.debts.pop(key, None)
            else:
                self.debts[key] = debt

    def move(self, passed: wire.Place) -> None:
        """Remember that an entry was passed; an older one than our place moves nothing."""
        if wire.entry_order(passed.entry) > wire.entry_order(self.place.entry):
            self.place = wire.Place(entry=passed.entry, seqs={**self.place.seqs, **passed.seqs})

    # -- one fact

    async def _ready(self, fact: Fact) -> None:
        symbol = symbol_of(fact.instrument, self._account.symbols, self._keeper.book)
        if symbol is not None and symbol not in self._keeper.book.prices:
            await self._keeper.ensure(symbol)

    async def _go(self, parked: Parked) -> None:
        attempt = parked.attempt
        if self._joins_debt(parked):
            await self._join(parked)
        elif self._waits(parked) or not await self._runner.run(attempt, self._blocked(attempt)):
            await self._park(parked)
        else:
            await self._finish(parked)

    async def _finish(self, parked: Parked) -> None:
        attempt, fact, plan = parked.attempt, parked.fact, parked.plan
        if attempt.probe and all(isinstance(r.result, Skipped) for r in attempt.done()):
            await self._ignore(
                attempt, fact, Ignore(reason=Ignored.SUPERSEDED, text="a newer state was followed before")
            )
            return
        settled = self._late(parked, settle(fact, plan, attempt.done()))
        debts = {attempt.link: self._debt(attempt, fact, settled.debt)} if settled.debt else {}
        message: outcomes.Message = self._told(attempt, fact, settled)
        end = End(entry=attempt.entry) if settled.result is None else self._end(attempt, settled.result)
        links = {attempt.link: settled.link or self._kept(parked)}
        change = Change(ends=[end], messages=[message], links=links, debts=debts)
        await self.commit(attempt.entry or "", fact, change)

    async def _ignore(self, attempt: Attempt, fact: Fact, plan: Ignore) -> None:
        message = self._outcome(attempt, fact, "ignored", str(plan.reason), plan.text)
        links = {attempt.link: plan.link} if plan.link or attempt.link in self._keeper.book.links else {}
        change = Change(ends=[self._end(attempt, "ignored")], messages=[message], links=links)
        await self.commit(attempt.entry or "", fact, change)

    async def _park(self, parked: Parked) -> None:
        entry = parked.attempt.entry or ""
        self.parked[entry] = parked
        if not parked.told:
            parked.told = True
            text = (
                "nobody knows yet whether it was done" if parked.attempt.unknown else "waits for an opening before it"
            )
            await self.commit(entry, parked.fact, Change(messages=[self._pending(parked, "unresolved", text)]))

    # -- what has to wait

    def _waits(self, parked: Parked) -> bool:
        link = self._keeper.book.links.get(parked.attempt.link)
        return any(
            other.attempt.link == parked.attempt.link
            and other.attempt.waiting_opening is not None
            and (link is None or not link.parts or (other.order is not None and other.order == parked.order))
            for other in self._before(parked.attempt)
        )

    def _blocked(self, attempt: Attempt) -> Callable[[Opening], bool]:
        def blocked(step: Opening) -> bool:
            openings = (other.attempt.waiting_opening for other in self._before(attempt))
            return step.link in self.debts or any(o is not None and o.symbol == step.symbol for o in openings)

        return blocked

    def _before(self, attempt: Attempt) -> Iterable[Parked]:
        place = wire.entry_order(attempt.entry or "0-0")
        return (p for entry, p in self.parked.items() if wire.entry_order(entry) < place)

    # -- exits that are owed

    def _owing(self, fact: str) -> bool:
        return any(owing.fact == fact for debt in self.debts.values() for owing in debt.owing)

    def _view(self) -> Book:
        """The book as it will be when every debt is paid: the totals of later facts are shares of that."""
        book = self._keeper.book
        owed = {k: at_target(book.links[k], d.target) for k, d in self.debts.items() if k in book.links}
        return msgspec.structs.replace(book, links={**book.links, **owed}) if owed else book

    def _joins_debt(self, parked: Parked) -> bool:
        return parked.attempt.link in self.debts and parked.plan.reduced is not None and parked.attempt.untouched

    async def _join(self, parked: Parked) -> None:
        attempt, fact, plan = parked.attempt, parked.fact, parked.plan
        debt, real = self.debts[attempt.link], self._keeper.book.links[attempt.link]
        owing = Owing(fact=fact.id, entry=attempt.entry or "", captured=fact.captured)
        target = plan.reduced if plan.reduced is not None else debt.target
        moved = msgspec.structs.replace(debt, target=target, also=(*debt.also, owing))
        link = msgspec.structs.replace(plan.link, parts=real.parts)
        message = self._pending(parked, "owed", "an exit before it on the same position is still to be done")
        change = Change(
            ends=[End(entry=attempt.entry)],
            messages=[message],
            links={attempt.link: link},
            debts={attempt.link: moved},
        )
        await self.commit(attempt.entry or "", fact, change)

    def _debt(self, attempt: Attempt, fact: Fact, debt: Debt) -> Debt:
        return msgspec.structs.replace(
            debt, entry=attempt.entry or "", since=self._clock(), captured=fact.captured, attempt=attempt.work.attempt
        )

    # -- openings that show up after newer facts were followed

    def _probe(self, fact: Fact, key: str) -> Plan | None:
        """Steps under whose marks a superseded opening would be found, if it was sent before a crash."""
        grows = abs(fact.exposure.after.total) > abs(fact.exposure.before.total)
        symbol = symbol_of(fact.instrument, self._account.symbols, self._keeper.book)
        if not grows or symbol is None:
            return None
        step = Open(name="open", link=key, symbol=symbol, side=side_of(fact.exposure.after.total), volume=Decimal(0))
        link = Link(key=key, instrument=fact.instrument, symbol=symbol, revision=fact.exposure.revision)
        return Plan(link=msgspec.structs.replace(link, followed=fact.exposure.after.total), steps=(step,))

    def _late(self, parked: Parked, settled: Settled) -> Settled:
        """Bring what showed up late to the newest total: as a debt, so that it is done or stays owed."""
        current = self._keeper.book.links.get(parked.attempt.link)
        if current is None or settled.link is None or current.revision <= parked.plan.link.revision:
            return settled
        fresh = tuple(p for p in settled.link.parts if p not in parked.plan.link.parts)
        link = msgspec.structs.replace(current, parts=(*current.parts, *fresh))
        wanted = parked.plan.link.followed
        share = min(Decimal(1), current.followed / wanted) if wanted and current.followed / wanted > 0 else Decimal(0)
        target = current.own + (link.own - current.own) * share
        if not target_steps(link, target, self._keeper.book):
            return msgspec.structs.replace(settled, link=link)
        now = self._clock()
        debt = Debt(link=link.key, fact=parked.fact.id, entry="", target=target, since=now, captured=now)
        return Settled(link=link, debt=debt, result=None, reason="late", text="it showed up after newer facts")

    def _kept(self, parked: Parked) -> Link | None:
        """A link that is over is remembered while an older opening of it may still show up."""
        waiting = (p for p in self.parked.values() if p is not parked and p.attempt.link == parked.attempt.link)
        if not any(p.attempt.waiting_opening is not None for p in waiting):
            return None
        return msgspec.structs.replace(parked.plan.link, parts=(), pendings={})

    # -- telling

    def _end(self, attempt: Attempt, result: outcomes.Result) -> End:
        return End(result=result, work=attempt.work, entry=attempt.entry)

    def _told(self, attempt: Attempt, fact: Fact, settled: Settled) -> outcomes.Message:
        if settled.result is not None:
            return self._outcome(attempt, fact, settled.result, settled.reason, settled.text)
        return outcomes.Pending(
            fact=fact.id,
            account=self._name,
            state="owed",
            since=self._clock(),
            entry=attempt.entry or "",
            instrument=fact.instrument,
            reason=settled.reason,
            text=settled.text,
            steps=attempt.reports(),
        )

    def _pending(self, parked: Parked, state: outcomes.State, text: str) -> outcomes.Pending:
        return outcomes.Pending(
            fact=parked.fact.id,
            account=self._name,
            state=state,
            since=self._clock(),
            entry=parked.attempt.entry or "",
            instrument=parked.fact.instrument,
            text=text,
            steps=parked.attempt.reports(),
        )

    def _outcome(
        self, attempt: Attempt, fact: Fact, result: outcomes.Result, reason: str, text: str
    ) -> outcomes.Outcome:
        return outcomes.Outcome(
            fact=fact.id,
            account=self._name,
            result=result,
            captured=fact.captured,
            read=attempt.read,
            committed=self._clock(),
            attempt=attempt.work.attempt,
            entry=attempt.entry or "",
            instrument=fact.instrument,
            reason=reason,
            text=text,
            steps=attempt.reports(),
        )


def at_target(link: Link, target: Decimal) -> Link:
    """The link as it will be when it has been brought down to `target`, the oldest parts gone first."""
    excess = abs(link.own) - abs(target)
    parts = []
    for part in link.parts:
        taken = min(part.volume, max(excess, Decimal(0)))
        excess -= taken
        if part.volume > taken:
            parts.append(msgspec.structs.replace(part, volume=part.volume - taken))
    return msgspec.structs.replace(link, parts=tuple(parts))


def renamed(steps: Iterable[Step], attempts: int) -> list[Step]:
    """Steps of a debt's later tries: a new name each, since what the marks of the earlier ones did is known."""
    return [msgspec.structs.replace(s, name=f"{s.name}/{attempts}") if attempts else s for s in steps]
