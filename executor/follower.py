"""Follows facts on one account: plan, attempt, commit; and keeps those whose end is not known yet.

An opening that nobody knows the end of is parked: its entry stays pending, openings of its instrument wait, and so do
facts about what only it can have made. Everything else goes on.
"""

from collections.abc import Callable, Collection
from datetime import datetime

from msgspec.structs import replace

from executor.attempt import Attempt, Grace
from executor.book import Debt, Link, link_key
from executor.bookkeeping import Bookkeeper
from executor.change import Change, End, Work
from executor.debts import Debts, unpaid
from executor.follow import total
from executor.gone import lacks
from executor.guards import age_of
from executor.instruments import symbol_of, wanted_symbol
from executor.ledger import Ledger
from executor.marks import meaning
from executor.owing import brought_up, doubted, newer, probe, set_off, staying, when_paid
from executor.parking import Errand, Parked, Parking
from executor.parts import adopt_fills
from executor.reasons import Ignored, say
from executor.runner import Runner
from executor.settings import Account
from executor.settle import settle
from executor.sleeping import awake, standing
from executor.steps import Opening
from executor.telling import Teller
from executor.translate import Ignore, Plan, translate
from shared import wire
from shared.facts import Fact


class Follower:
    """The facts of one account under one lease; `errands` are those that were asked for, by their place."""

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
        self.parking = Parking()
        self.errands: dict[str, Errand] = {}
        self.debts = Debts(debts, teller, clock)
        self._account = account
        self._ledger = ledger
        self._keeper = keeper
        self._runner = runner
        self._teller = teller
        self._clock = clock
        self._reach = reach

    async def follow(
        self,
        entry: str,
        fact: Fact,
        *,
        suspect: bool,
        early: bool = False,
        read: datetime | None = None,
        told: bool = False,
        absent: Collection[str] = (),
    ) -> None:
        """Follow the fact of an entry as far as it goes, and commit what came of it.

        `suspect`: it may have been sent before, but for the steps in `absent`; `early`: it was there before the lane
        began. `read`: when the entry was read, if that was earlier; `told`: the outcomes stream has its state already.
        """
        work, meant, search = Work(fact=fact.id), meaning(fact), self._runner.search
        suspect = suspect or self._runner.has_called(work) or (early and await search.shows(meant))
        known = suspect or fact.evidence == "poll"  # a new owner of a source states again what was followed before
        if self.debts.owes(fact) or (known and await self._ledger.outcome(work) is not None):
            await self.commit(entry, fact, Change(ends=[End(entry=entry)]))
            return
        key = link_key(fact.source, fact.account, fact.exposure.position)
        await self.ready(fact, key)
        plan = translate(fact, when_paid(self._keeper.book, self.debts), self._account)
        if isinstance(plan, Plan):
            plan = doubted(plan, fact, self._account, suspect=suspect)
        attempt = Attempt(
            work=work, meaning=meant, fact=fact, link=key, entry=entry, suspect=suspect, absent=set(absent),
            steps=list(plan.steps) if isinstance(plan, Plan) else [], read=read or self._clock(),
            grace=search.grace(meant) or Grace(self._account.grace),
        )  # fmt: skip
        await self.start(attempt, fact, plan, told)

    async def rest(self) -> None:
        """There is nothing to read: see to all parked facts; with the last one all is over that was before the lane."""
        await self.attend(idle=True)
        if not self.parking:
            self._runner.search.over()

    async def attend(self, *, idle: bool = False) -> None:
        """See what has become of parked facts, the oldest first, as far as a turn goes."""
        async for parked in awake(self.parking, idle, self._keeper, self.debts, self._runner.search):
            attempt = parked.attempt
            if self.debts.owes(parked.fact, attempt.work.attempt):
                await self.commit(parked.entry, parked.fact, Change(ends=[End(entry=parked.entry)]))
            elif attempt.untouched or (self._outdated(parked) and not attempt.unknown):
                await self._anew(parked)
            else:
                await self._go(parked)

    async def commit(self, entry: str, fact: Fact, change: Change) -> None:
        """Commit `change` for an entry and move our place past it, or for the errand that is about it."""
        if (errand := self.errands.get(entry)) is None:
            change.entry, change.passed = entry, wire.Place(entry=entry, seqs={fact.producer: fact.seq})
        else:
            change.requests = (*change.requests, errand.request)
            change.ends = [replace(end, entry=None) for end in change.ends]
        await self.write(change)
        if change.passed is not None:
            self.move(change.passed)
        if change.ends:
            self.parking.drop(entry)
            self.errands.pop(entry, None)

    async def write(self, change: Change) -> None:
        """Commit `change`, and remember what it says when it was written."""
        self.parking.complete(change)
        await self._ledger.commit(change, self._clock())
        self._reach("committed")
        self._keeper.remember(change.links)
        self.debts.take_over(change)
        self.parking.take_over(change)

    async def adopt_fills(self, key: str) -> None:
        """Let the link know what its mirrored orders have given by now; the next commit of it writes that down."""
        link = self._keeper.book.links.get(key)
        if link is None or not link.pendings:
            return
        filled = {order: await self._keeper.filled(p.ticket) for order, p in link.pendings.items()}
        if any(filled[order] > p.filled for order, p in link.pendings.items()):
            await self._keeper.reread()
        adopted = adopt_fills(link, filled, self._keeper.book)
        self._keeper.remember({key: adopted})
        if (change := self.debts.adding(link, adopted)) is not None:
            await self.write(change)

    def move(self, passed: wire.Place) -> None:
        """Remember that an entry was passed; an older one than our place moves nothing."""
        self.place = wire.moved(self.place, passed)

    async def ready(self, fact: Fact, key: str) -> None:
        """Have what a decision about a fact needs: rules and price of its symbol, and what its mirrors gave."""
        await self._keeper.list_symbols()
        if symbol := symbol_of(fact.instrument, self._account.symbols, self._keeper.book):
            await self._keeper.ensure(symbol)
        await self.adopt_fills(key)

    async def start(self, attempt: Attempt, fact: Fact, plan: Plan | Ignore, told: bool) -> None:
        """Carry out a plan as far as it goes, and commit what came of it."""
        if isinstance(plan, Plan):
            await self._go(Parked(attempt, fact, plan, told, self._keeper.book.links.get(attempt.link)))
            return
        later = Parked(attempt, fact, Plan(link=plan.link or Link(key=attempt.link, instrument="", symbol="")), told)
        known = staying(attempt.link, self._keeper.book, self.debts, total(fact.exposure.after, self._account))
        if plan.reason is not Ignored.SUPERSEDED and self.parking.waits(later, known):
            await self._park(later)
            return
        symbol = wanted_symbol(fact.instrument, self._account.symbols)
        sought = probe(fact, symbol, self._account) if attempt.suspect and plan.reason is Ignored.SUPERSEDED else None
        if sought is None:
            await self._ignore(attempt, fact, plan)
            return
        attempt.steps, attempt.probe = list(sought.steps), True
        await self._go(Parked(attempt, fact, sought, told))

    async def _anew(self, parked: Parked) -> None:
        """Plan a parked fact again; one that was asked for is planned by who asked."""
        attempt, errand = parked.attempt, self.errands.get(parked.entry)
        self.parking.drop(parked.entry)
        if errand is not None:
            await errand.anew(parked)
        else:
            suspect, read, told, absent = attempt.suspect, attempt.read, parked.told, attempt.absent
            await self.follow(parked.entry, parked.fact, suspect=suspect, read=read, told=told, absent=absent)

    async def _go(self, parked: Parked) -> None:
        attempt = parked.attempt
        self.debts.contest(attempt, self._keeper.book)
        attempt.newest = self.parking.newest(attempt)
        indebted = attempt.link in self.debts and not attempt.probe and not attempt.results
        if indebted and parked.plan.reduced is not None:
            await self._join(parked)
        elif self.parking.waits(parked, self._keeper.book.links.get(attempt.link)) or await self._doubts(parked):
            await self._park(parked)
        elif await self._runner.run(attempt, self._blocked(parked)):
            await self._finish(parked)
        elif attempt.half_done and self._reverses(parked):
            await self._put_off(parked, self.debts.advancing(parked, self._keeper.book.links[attempt.link]))
        else:
            await self._park(parked)

    async def _doubts(self, parked: Parked) -> bool:
        """Whether what is unknown may be what a fact was denied for; not where it is seen that it has opened."""
        book, symbol = self._keeper.book, parked.plan.link.symbol
        waits = age_of(parked.attempt.fact or parked.fact, self._clock()) <= self._account.limits.max_age
        owed = self.debts.unsure(symbol, book.links) or bool(parked.plan.denied and waits and lacks(symbol, book))
        doubts = self.parking.doubts(parked, owed=owed, unlisted=waits and not book.symbols)
        return doubts and not await self._runner.search.finds(parked.attempt)

    def _reverses(self, parked: Parked) -> bool:
        after = total(parked.fact.exposure.after, self._account)
        return self._keeper.book.links[parked.attempt.link].followed * after < 0

    def _blocked(self, parked: Parked) -> Callable[[Opening], bool]:
        """What an opening has to wait for; one whose plan is out of date is not sent, but planned anew."""
        waits = self.parking.blocks(parked.attempt, self.debts.exits(self._keeper.book.links))
        return lambda step: waits(step) or self._outdated(parked)

    def _outdated(self, parked: Parked) -> bool:
        return self.parking.outdated(parked, self._keeper.book.links.get(parked.attempt.link))

    async def _join(self, parked: Parked) -> None:
        """Let an exit move what is owed; an opening beside it waits until that is paid."""
        if not parked.opens:
            known = self._keeper.book.links[parked.attempt.link]
            await self.commit(parked.entry, parked.fact, self.debts.joining(parked, known))
            return
        change = self.debts.moving(parked)
        if change is not None:
            await self.write(change)
        await self._park(parked)

    async def _put_off(self, parked: Parked, change: Change) -> None:
        """Plan a fact again when its opening can go, and commit what it has done by now."""
        parked.attempt.begin_anew()
        parked.told, parked.stood = True, None
        self.parking.put(parked)
        await self.commit(parked.entry, parked.fact, change)

    async def _finish(self, parked: Parked) -> None:
        attempt, fact, plan = parked.attempt, parked.fact, parked.plan
        if attempt.probe and attempt.superseded and parked.entry in self.errands:
            await self._anew(parked)
            return
        if attempt.superseded:
            await self._ignore(attempt, fact, Ignore(reason=Ignored.SUPERSEDED, text=say(Ignored.SUPERSEDED)))
            return
        settled = settle(fact, plan, attempt.done())
        before, owed = total(fact.exposure.before, self._account), self.debts.get(attempt.link)
        settled = brought_up(fact, before, plan, settled, self._keeper.book, owed, self._clock())
        known = self._keeper.book.links.get(attempt.link)
        if settled.debt is not None and attempt.postponed and known is not None:
            await self._put_off(parked, self.debts.postponing(parked, settled.debt, settled.link, known))
            return
        work = attempt.work if settled.result is not None else None
        end = End(entry=attempt.entry, result=settled.result or "ignored", work=work)
        link = unpaid(attempt, settled.link or plan.link, known) if attempt.link in self.debts else settled.link
        left = link or self.kept(newer(plan.link, known), parked)
        change = Change(
            ends=[end],
            messages=[self._teller.settled(attempt, fact, settled)],
            links={attempt.link: left, **set_off(self._keeper.book, attempt.link, settled.untraded, self.kept)},
            debts=self.debts.after(attempt, fact, settled, left, known),
        )
        await self.commit(parked.entry, fact, change)

    async def _ignore(self, attempt: Attempt, fact: Fact, plan: Ignore) -> None:
        after, known = total(fact.exposure.after, self._account), self._keeper.book.links.get(attempt.link)
        link = plan.link or self.parking.unseen(attempt, fact, after, known)
        links = self.debts.beside(attempt, fact.exposure.revision, after, link, known)
        change = Change(
            ends=[End(entry=attempt.entry, result="ignored", work=attempt.work)],
            messages=[self._teller.ended(attempt, fact, "ignored", str(plan.reason), plan.text)],
            links={} if plan.reason is Ignored.SUPERSEDED else links,
        )
        await self.commit(attempt.entry or "", fact, change)

    def kept(self, link: Link, ending: Parked | None = None) -> Link | None:
        """What is remembered of a link that is over: nothing, unless an opening of it may still show up."""
        return replace(link, parts=(), pendings={}) if self.parking.expects(link.key, ending) else None

    async def _park(self, parked: Parked) -> None:
        self.parking.put(parked)
        change = self.debts.levelling(parked, self._keeper.book.links.get(parked.attempt.link))
        if change is not None:
            await self.write(change)
        parked.stood = standing(parked, self._keeper, self.debts)
        if parked.told:
            return
        parked.told = True
        text = parked.waits_for(unlisted=not self._keeper.book.symbols)
        message = self._teller.unended(parked.attempt, parked.fact, "unresolved", "", text)
        await self.commit(parked.entry, parked.fact, Change(messages=[message]))
