"""Follows facts on one account: plan, attempt, commit; and keeps those whose end is not known yet.

An opening that nobody knows the end of is parked: its entry stays pending, openings of its instrument wait, and so do
facts about what only it can have made. Everything else goes on.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from executor.attempt import Attempt, Grace
from executor.book import Debt, Link, link_key
from executor.bookkeeping import Bookkeeper
from executor.instruments import symbol_of
from executor.ledger import Change, End, Ledger, Work
from executor.marks import meaning
from executor.netting import net_holding
from executor.owing import brought_up, joined, probe, when_paid
from executor.parts import adopt_fill
from executor.reasons import Ignored, say
from executor.results import Skipped
from executor.runner import Runner
from executor.settings import Account
from executor.settle import Settled, settle
from executor.steps import Opening
from executor.telling import Teller
from executor.translate import Ignore, Plan, translate
from shared import outcomes, wire
from shared.facts import Fact, OrderFact


@dataclass
class Parked:
    """A fact that was read and has no end yet; `told` once the outcomes stream says so."""

    attempt: Attempt
    fact: Fact
    plan: Plan
    told: bool = False

    @property
    def entry(self) -> str:
        """The entry that it came with."""
        return self.attempt.entry or ""

    @property
    def order(self) -> str | None:
        """The source order that the fact is about."""
        return self.fact.order.id if isinstance(self.fact, OrderFact) else None


class Follower:
    """The facts of one account under one lease. `debts` are those it found; the payer pays them."""

    def __init__(
        self,
        account: Account,
        ledger: Ledger,
        keeper: Bookkeeper,
        runner: Runner,
        teller: Teller,
        clock: Callable[[], datetime],
        reach: Callable[[str], None],
        place: wire.Place,
        debts: dict[str, Debt],
    ) -> None:
        self.place = place
        self.parked: dict[str, Parked] = {}
        self.debts = debts
        self._account = account
        self._ledger = ledger
        self._keeper = keeper
        self._runner = runner
        self._teller = teller
        self._clock = clock
        self._reach = reach

    async def follow(self, entry: str, fact: Fact, *, suspect: bool, read: datetime | None = None) -> None:
        """Follow the fact of an entry as far as it goes, and commit what came of it.

        `suspect` says that it may have been sent before; `read` is when the entry was read, if that was earlier.
        """
        began, work = read or self._clock(), Work(fact=fact.id)
        suspect = suspect or self._runner.has_called(work)
        if suspect and (await self._ledger.outcome(work) is not None or self._is_owed(fact)):
            await self.commit(entry, fact, Change(ends=[End(entry=entry)]))
            return
        await self._ready(fact)
        await self.adopt_fills(link_key(fact.source, fact.account, fact.exposure.position))
        plan = translate(fact, when_paid(self._keeper.book, self.debts), self._account)
        attempt = Attempt(
            work=work,
            meaning=meaning(fact),
            fact=fact,
            link=link_key(fact.source, fact.account, fact.exposure.position),
            steps=list(plan.steps) if isinstance(plan, Plan) else [],
            grace=Grace(self._account.grace),
            read=began,
            entry=entry,
            suspect=suspect,
        )
        await self._start(attempt, fact, plan)

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
        change.entry, change.passed = entry, wire.Place(entry=entry, seqs={fact.producer: fact.seq})
        await self.write(change)
        self.move(change.passed)
        if change.ends:
            self.parked.pop(entry, None)

    async def write(self, change: Change) -> None:
        """Commit `change`, and remember what it says when it was written."""
        await self._ledger.commit(change, self._clock())
        self._reach("committed")
        self._keeper.remember(change.links)
        for key, debt in change.debts.items():
            if debt is None:
                self.debts.pop(key, None)
            else:
                self.debts[key] = debt

    async def adopt_fills(self, key: str) -> None:
        """Let the link know what its mirrored orders have given by now; the next commit of it writes that down."""
        link = self._keeper.book.links.get(key)
        if link is None or not link.pendings:
            return
        filled = {order: await self._keeper.filled(p.ticket) for order, p in link.pendings.items()}
        if any(filled[order] > p.filled for order, p in link.pendings.items()):
            await self._keeper.reread()
        for order, pending in link.pendings.items():
            shared = net_holding(link.symbol, self._keeper.book) if self._keeper.book.margin == "netting" else None
            identifier = shared.identifier if shared else pending.ticket
            link = adopt_fill(link, order, filled[order], identifier, margin=self._keeper.book.margin)
        self._keeper.remember({key: link})

    def move(self, passed: wire.Place) -> None:
        """Remember that an entry was passed; an older one than our place moves nothing."""
        if wire.entry_order(passed.entry) > wire.entry_order(self.place.entry):
            self.place = wire.Place(entry=passed.entry, seqs={**self.place.seqs, **passed.seqs})

    # -- one fact

    async def _ready(self, fact: Fact) -> None:
        symbol = self._symbol(fact)
        if symbol is not None and symbol not in self._keeper.book.prices:
            await self._keeper.ensure(symbol)

    def _symbol(self, fact: Fact) -> str | None:
        return symbol_of(fact.instrument, self._account.symbols, self._keeper.book)

    async def _start(self, attempt: Attempt, fact: Fact, plan: Plan | Ignore) -> None:
        if isinstance(plan, Plan):
            await self._go(Parked(attempt, fact, plan))
            return
        symbol = self._symbol(fact)
        sought = probe(fact, symbol) if symbol and attempt.suspect and plan.reason is Ignored.SUPERSEDED else None
        if sought is None:
            await self._ignore(attempt, fact, plan)
            return
        attempt.steps, attempt.probe = list(sought.steps), True
        await self._go(Parked(attempt, fact, sought))

    async def _go(self, parked: Parked) -> None:
        attempt = parked.attempt
        if attempt.link in self.debts and parked.plan.reduced is not None and attempt.untouched:
            await self._join(parked)
        elif self._waits(parked) or not await self._runner.run(attempt, self._blocked(attempt)):
            await self._park(parked)
        else:
            await self._finish(parked)

    async def _finish(self, parked: Parked) -> None:
        attempt, fact, plan = parked.attempt, parked.fact, parked.plan
        if attempt.probe and all(isinstance(r.result, Skipped) for r in attempt.done()):
            await self._ignore(attempt, fact, Ignore(reason=Ignored.SUPERSEDED, text=say(Ignored.SUPERSEDED)))
            return
        settled = brought_up(fact, plan, settle(fact, plan, attempt.done()), self._keeper.book, self._clock())
        end = End(entry=attempt.entry)
        if settled.result is not None:
            end = End(entry=attempt.entry, result=settled.result, work=attempt.work)
        change = Change(
            ends=[end],
            messages=[self._said(attempt, fact, settled)],
            links={attempt.link: settled.link or self._kept(parked)},
            debts={attempt.link: self._owed(attempt, fact, settled.debt)} if settled.debt else {},
        )
        await self.commit(parked.entry, fact, change)

    async def _ignore(self, attempt: Attempt, fact: Fact, plan: Ignore) -> None:
        change = Change(
            ends=[End(entry=attempt.entry, result="ignored", work=attempt.work)],
            messages=[self._teller.ended(attempt, fact, "ignored", str(plan.reason), plan.text)],
            links={attempt.link: plan.link} if plan.link or attempt.link in self._keeper.book.links else {},
        )
        await self.commit(attempt.entry or "", fact, change)

    async def _park(self, parked: Parked) -> None:
        self.parked[parked.entry] = parked
        if parked.told:
            return
        parked.told = True
        text = "nobody knows yet whether it was done" if parked.attempt.unknown else "waits for an opening before it"
        message = self._teller.unended(parked.attempt, parked.fact, "unresolved", "", text)
        await self.commit(parked.entry, parked.fact, Change(messages=[message]))

    def _said(self, attempt: Attempt, fact: Fact, settled: Settled) -> outcomes.Message:
        if settled.result is None:
            return self._teller.unended(attempt, fact, "owed", settled.reason, settled.text)
        return self._teller.ended(attempt, fact, settled.result, settled.reason, settled.text)

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

    def _kept(self, parked: Parked) -> Link | None:
        """A link that is over is remembered while an older opening of it may still show up."""
        others = (p.attempt for p in self.parked.values() if p is not parked)
        if not any(a.link == parked.attempt.link and a.waiting_opening is not None for a in others):
            return None
        return replace(parked.plan.link, parts=(), pendings={})

    # -- exits that are owed

    def _is_owed(self, fact: Fact) -> bool:
        return any(owing.fact == fact.id for debt in self.debts.values() for owing in debt.owing)

    def _owed(self, attempt: Attempt, fact: Fact, debt: Debt) -> Debt:
        return replace(
            debt,
            entry=attempt.entry or "",
            since=self._clock(),
            captured=fact.captured,
            attempt=attempt.work.attempt,
            meaning=attempt.meaning,
        )

    async def _join(self, parked: Parked) -> None:
        """Let a later exit of the link move the target of what is owed."""
        attempt, fact, plan = parked.attempt, parked.fact, parked.plan
        debt, real = self.debts[attempt.link], self._keeper.book.links[attempt.link]
        target = debt.target if plan.reduced is None else plan.reduced
        text = "an exit before it on the same position is still to be done"
        change = Change(
            ends=[End(entry=attempt.entry)],
            messages=[self._teller.unended(attempt, fact, "owed", debt.reason, text)],
            links={attempt.link: replace(plan.link, parts=real.parts)},
            debts={attempt.link: joined(debt, target, fact, parked.entry)},
        )
        await self.commit(parked.entry, fact, change)
