"""Tries a fact once more that ended without effect, because an operator has asked for it.

What is tried is the signed original. An opening acts at the size, the prices and the levels that the source shows now,
and only while it shows them; closes, cancels and levels act by totals, as they always do. What a lane decides to send
is written into the request before it is sent, and the request stays until the commit: whoever finds one that another
lane left searches for its marks before anything else, and before any entry is followed.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from msgspec.structs import replace

from executor import again
from executor.asked import ADOPTABLE, Desk, Replay
from executor.attempt import Attempt, Grace
from executor.bookkeeping import Bookkeeper
from executor.follower import Follower
from executor.instruments import wanted_symbol
from executor.marks import candidates, meaning
from executor.mt5.api import DealType
from executor.netting import net_holding
from executor.owing import doubted
from executor.parking import Errand, Parked
from executor.present import Present, link_of
from executor.reasons import Ignored, say
from executor.settings import Account
from executor.strays import claimed
from executor.translate import Ignore, Plan
from shared.facts import Fact
from shared.outcomes import REPLAYABLE
from shared.wire import entry_order

GOOD_FOR = timedelta(minutes=5)
"""How long after it was asked an opening may be sent: nobody wants to find it done an hour later."""
MARKED = ("open", "rest")
"""The names of the steps that open something."""
ALREADY_THERE = Ignore(reason=Ignored.ALREADY_THERE, text=say(Ignored.ALREADY_THERE))


class Replayer:
    """The facts that are to be tried again on one account, under one lease."""

    def __init__(
        self, account: Account, desk: Desk, keeper: Bookkeeper, follower: Follower, clock: Callable[[], datetime]
    ) -> None:
        self._account = account
        self._desk = desk
        self._keeper = keeper
        self._follower = follower
        self._clock = clock
        self._told: set[str] = set()
        self._places: dict[str, str] = {}

    async def take(self, request: Replay, *, inherited: bool) -> str | None:
        """Do what can be done of a request now. Returns why it cannot be done at all, for the one who asked.

        `inherited`: it was there when the lane began, so that another one may have sent it.
        """
        parking = self._follower.parking
        if self._place(request) in parking:
            return None
        fact = self._desk.codec.fact(request.fields)
        if not isinstance(fact, Fact) or fact.id != request.fact or fact.source not in self._account.sources:
            return "it bears no sound signature, or is about a source that this account does not follow"
        if (why := await self._ended(request, fact)) is not None:
            return why
        await self._follow(request, fact, inherited)
        return None

    def _place(self, request: Replay) -> str:
        """Its place among the facts under way: before all entries, which wait for what it may have done."""
        return self._places.setdefault(request.field, f"0-{len(self._places) + 1}")

    async def _ended(self, request: Replay, fact: Fact) -> str | None:
        this, last = await self._desk.ends([request.work, replace(request.work, attempt=request.attempt - 1)])
        if this:
            return f"this attempt has ended before: {this}"
        if last and last not in (ADOPTABLE if request.adopt else REPLAYABLE):
            return f"the attempt before it ended: {last}"
        unread = entry_order(request.entry) > entry_order(self._follower.place.entry)
        if request.attempt == 1 and (unread or self._follower.debts.owes(fact)):
            return "it is still to be followed by itself"
        return None

    async def _follow(self, request: Replay, fact: Fact, suspect: bool) -> None:
        if not suspect and self._reopens(fact) and self._waits(request, fact):
            return
        await self._follower.ready(fact, link_of(fact))
        self._follower.errands[self._place(request)] = Errand(request.field, partial(self._anew, request, fact))
        mine, _ = await self._marks(request, fact)
        if self._reopens(fact) and (suspect or mine):
            await self._search(request, fact)
        else:
            await self._send(request, fact, suspect=suspect or mine)

    def _reopens(self, fact: Fact) -> bool:
        return again.reopens(fact, self._account, self._keeper.book.margin)

    async def _marks(self, request: Replay, fact: Fact) -> tuple[bool, bool]:
        """Whether something bears a mark of this attempt, and whether something of an earlier one is open unclaimed."""
        traces, book = await self._keeper.traces(), self._keeper.book
        standing = {p.magic for p in traces.positions} | {o.magic for o in traces.orders} | await self._added(fact)
        seen = standing | {d.magic for d in traces.deals} | {o.magic for o in traces.history_orders}
        owned = {part.mark for link in book.links.values() for part in link.parts}
        owned |= {pending.mark for link in book.links.values() for pending in link.pendings.values()}

        def marks(attempt: int) -> set[int]:
            return {m for name in MARKED for m in candidates(book.identity, meaning(fact, attempt), name)}

        earlier = {mark for attempt in range(1, request.attempt) for mark in marks(attempt)}
        return bool(seen & marks(request.attempt)), bool((standing - owned) & earlier)

    async def _added(self, fact: Fact) -> set[int]:
        """The marks of what made a netting position another one than our links say. It bears the mark of one opening
        alone, and what somebody has taken off again is not there any more.
        """
        book, symbol = self._keeper.book, wanted_symbol(fact.instrument, self._account.symbols)
        held = net_holding(symbol, book) if book.margin == "netting" else None
        if held is None:
            return set()
        deals = await self._keeper.deals_of_position(held.identifier)
        more = claimed(deals) - sum((link.own for link in book.links.values() if link.symbol == symbol), Decimal(0))
        return {d.magic for d in deals if more * (1 if d.type == DealType.BUY else -1) > 0}

    async def _search(self, request: Replay, fact: Fact) -> None:
        """Look for what may have been sent; what is found becomes ours as it was meant."""
        sent = request.planned or fact
        plan = again.sought(sent, self._keeper.book, self._account)
        attempt = self._attempt(request, fact, sent, plan)
        attempt.suspect = attempt.probe = True
        await self._start(request, attempt, replace(sent, captured=fact.captured), plan)

    async def _anew(self, request: Replay, fact: Fact, parked: Parked) -> None:
        """Plan it again: nothing was found of it, or something changed while it had to wait."""
        if parked.told:
            self._told.add(request.field)
        known = parked.attempt
        await self._send(request, fact, suspect=known.suspect and not known.probe, absent=set(known.absent))

    async def _send(
        self, request: Replay, fact: Fact, *, suspect: bool = False, absent: set[str] | None = None
    ) -> None:
        """Plan it by what is so now, and carry that out. An opening waits while something else is under way."""
        opens = self._reopens(fact)
        if opens and self._waits(request, fact):
            return
        _, earlier = await self._marks(request, fact) if opens else (False, False)
        plan = ALREADY_THERE if earlier else await self._now(request, fact)
        if isinstance(plan, Ignore):
            await self._ignore(request, fact, plan)
        else:
            if opens:
                await self._follower.write(self._desk.noting(replace(request, planned=plan.fact)))
            meant = doubted(plan.plan, plan.fact, self._account, suspect=suspect)
            attempt = self._attempt(request, fact, plan.fact, meant)
            attempt.suspect, attempt.absent = suspect, absent or set()
            await self._start(request, attempt, replace(plan.fact, captured=fact.captured), meant)

    async def _now(self, request: Replay, fact: Fact) -> Present | Ignore:
        now, picture = self._clock(), await self._desk.shown(fact.source)
        asked = now if now - request.asked <= GOOD_FOR else request.asked
        return again.now(fact, picture.positions, picture.facts, self._keeper.book, self._account, asked)

    def _waits(self, request: Replay, fact: Fact) -> bool:
        """Whether something is under way that could make the same, or its entry has come back and is to be read."""
        unread = entry_order(request.entry) > entry_order(self._follower.place.entry)
        key, parking = link_of(fact), self._follower.parking
        symbol = wanted_symbol(fact.instrument, self._account.symbols)
        unsure = any(parked.expected == symbol for parked in parking)
        return unread or unsure or key in self._follower.debts or parking.on(key)

    async def _ignore(self, request: Replay, fact: Fact, plan: Ignore) -> None:
        """It needs nothing; a link that the plan says nothing of stays as it is."""
        kept = replace(plan, link=plan.link or self._keeper.book.links.get(link_of(fact)))
        await self._start(request, self._attempt(request, fact, fact, plan), fact, kept)

    async def _start(self, request: Replay, attempt: Attempt, fact: Fact, plan: Plan | Ignore) -> None:
        await self._follower.start(attempt, fact, plan, request.field in self._told)

    def _attempt(self, request: Replay, fact: Fact, judged: Fact, plan: Plan | Ignore) -> Attempt:
        """An attempt of that number. `judged` is what its guards go by."""
        return Attempt(
            work=request.work,
            meaning=meaning(fact, request.attempt),
            fact=judged,
            link=link_of(fact),
            steps=list(plan.steps) if isinstance(plan, Plan) else [],
            grace=Grace(self._account.grace),
            read=self._clock(),
            entry=self._place(request),
            origin=request.entry,
        )
