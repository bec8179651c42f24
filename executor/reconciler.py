"""Compares the account with its sources: when the lane begins, after everything unknown, and from time to time.

The comparison itself is pure (`reconcile`). Here the pictures are read, the account is read anew, and what stays the
same for a while is told once on the outcomes stream and kept in Redis until it is over, through the same commit; so
a restart neither tells it again nor forgets it. A reading that fails ends the look and concludes nothing.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from time import monotonic

import msgspec
from msgspec.structs import replace

from executor import drift, joining
from executor.asked import Desk, Mend
from executor.bookkeeping import Bookkeeper
from executor.change import Change, Work
from executor.drift import Found, Under, drifts, judgeable, kept
from executor.follower import Follower
from executor.instruments import symbol_of
from executor.ledger import Ledger
from executor.mender import Mender, named
from executor.meter import Disagreement, Meter
from executor.mirrored import order_name
from executor.recalling import Memory
from executor.reconcile import Finding, Traced, reconcile
from executor.remembering import stated
from executor.settings import Account
from executor.sight import Sight
from executor.sights import Sights
from executor.steady import Steady, Turn, turned
from executor.strays import Stray, claimed, strays, suspects
from shared.outcomes import REPLAYABLE

log = logging.getLogger(__name__)

AGAIN_S = 1.0
"""How soon is looked again while something is not certain yet."""
DOUBLED = ("double:", "double-order:")
PATIENCE = timedelta(seconds=20)
"""How long what is asked for waits until everything can be seen."""


class Reconciler:
    """The comparisons of one account under one lease."""

    def __init__(
        self,
        name: str,
        account: Account,
        ledger: Ledger,
        desk: Desk,
        sights: Sights,
        keeper: Bookkeeper,
        follower: Follower,
        mender: Mender,
        meter: Meter,
        clock: Callable[[], datetime],
        memory: Memory,
    ) -> None:
        self._name = name
        self._account = account
        self._ledger = ledger
        self._desk = desk
        self._sights = sights
        self._keeper = keeper
        self._follower = follower
        self._mender = mender
        self._meter = meter
        self._clock = clock
        self._due = self._looked = 0.0
        self._waited = False
        self._steady = Steady(certain=kept(memory.drifts))
        self._noted = memory.state.get(joining.FIELD, "")
        adopting = account.join == "adopt" and not memory.links
        self._joined = joining.read(self._noted) if self._noted else joining.Joined(adopting=adopting)
        self._unmapped: list[str] = []
        self._said: set[str] = set()
        meter.differs(_shown(self._steady))

    async def begin(self) -> None:
        """See what the sources hold before the account follows anything more."""
        await self._join(await self._sights.look(self._follower.place.seqs))

    async def attend(self) -> None:
        """Look when it is time to. Raises what a step of a fact raises."""
        waits = bool(self._follower.parking or self._follower.debts)
        settled, self._waited = self._waited and not waits, waits
        if settled or self._mender.asked is not None or monotonic() >= self._due:
            seen = await self._look()
            usual = self._account.reconcile_every
            self._due = monotonic() + (min(AGAIN_S, usual) if self._steady.open or not seen else usual)

    async def _look(self) -> bool:
        """Look once; whether everything could be seen. While there is work it is put off for a while."""
        behind = await self._sights.is_behind(self._follower.place.seqs)
        if behind and monotonic() - self._looked < PATIENCE.total_seconds():
            return False
        self._looked = monotonic()
        sight = await self._sights.look(self._follower.place.seqs)
        await self._know_symbols(sight)
        await self._keeper.reread()
        if not await self._keeper.connected():
            return False
        await self._join(sight)
        found = await self._compared(sight)
        now, under = self._clock(), self._under()
        known = (*self._steady.certain.values(), *self._steady.open.values())
        unseen = {each.identity for each in known if not judgeable(each, sight, under)}
        turn = turned(self._steady, [each for each, _ in found.values()], unseen, now)
        await self._tell(turn, now)
        complete = sight.followed <= sight.judged | sight.blank
        await self._mend(found, sight, complete=complete)
        await self._adopt(sight)
        return complete

    # -- what is there

    async def _know_symbols(self, sight: Sight) -> None:
        """Have rules and a price of what may have to be opened."""
        await self._keeper.list_symbols()
        book, unmapped = self._keeper.book, set()
        for fact in (*sight.positions.values(), *sight.orders.values()):
            symbol = symbol_of(fact.instrument, self._account.symbols, book)
            if symbol is None:
                unmapped.add(fact.instrument)
            elif symbol not in book.prices:
                await self._keeper.ensure(symbol)
        self._unmapped = sorted(unmapped)

    async def _compared(self, sight: Sight) -> Mapping[str, tuple[Found, Finding]]:
        book, now = self._keeper.book, self._clock()
        traced = await self._traced()
        left = self._joined.left | self._joined.adopt
        findings = reconcile(book, sight, self._account, now, left=left, traced=traced)
        pairs = drifts(findings, book, sight, self._account, self._under(), now)
        return {found.identity: (found, finding) for found, finding in pairs}

    async def _traced(self) -> Traced:
        """What the history says about volume and positions that may be ours."""
        book = self._keeper.book
        deals = {h.identifier: await self._keeper.deals_of_position(h.identifier) for h in suspects(book)}
        ours = {identifier: claimed(found) for identifier, found in deals.items() if found}
        openings: dict[int, set[int]] = defaultdict(set)
        if book.margin == "hedging" and any(isinstance(each, Stray) for each in strays(book, {}, {})):
            for deal in (await self._keeper.traces()).deals:
                openings[deal.magic].add(deal.position_id)
        return Traced(ours=ours, openings=openings)

    def _under(self) -> Under:
        """What is under way now."""
        follower, links = self._follower, self._keeper.book.links
        parked = list(follower.parking)
        busy = {*follower.debts, *(p.attempt.link for p in parked)}
        symbols = {links[key].symbol for key in busy if key in links}
        symbols |= {s for p in parked for s in (p.plan.link.symbol, p.expected) if s}
        return Under(links=busy, symbols=symbols)

    # -- what the account is not to follow

    async def _join(self, sight: Sight) -> None:
        before, book = self._joined, self._keeper.book
        here = {*book.links, *(order_name(link.key, o) for link in book.links.values() for o in link.pendings)}
        adopts = self._account.join == "adopt"
        after = joining.looked(before, sight, here, await self._refused(sight), adopts=adopts)
        if not self._account.live:
            after = joining.in_shadow(before, after, joining.held(sight) - here)
        given_up = self._follower.debts.given_up & joining.held(sight)
        await self._note(replace(after, left=after.left | given_up))
        self._follower.debts.given_up.clear()

    async def _note(self, joined: joining.Joined) -> None:
        text = joining.written(joined)
        if text != self._noted:
            state = {joining.FIELD: text}
            await self._ledger.note(**state)
            await self._ledger.commit(Change(messages=[stated(self._name, state, self._clock())]), self._clock())
        self._noted, self._joined = text, joined

    async def _refused(self, sight: Sight) -> set[str]:
        """What the account was to follow, and has refused: it was told after the account had joined."""
        if not sight.readable - self._joined.seen:
            return set()
        facts = {key: fact.id for key, fact in sight.positions.items()}
        facts |= {order_name(*key): fact.id for key, fact in sight.orders.items()}
        ends = await self._desk.ends([Work(fact=fact) for fact in facts.values()])
        return {name for name, end in zip(facts, ends, strict=True) if end in REPLAYABLE}

    async def _adopt(self, sight: Sight) -> None:
        """Ask for what is still to be opened, each once; what cannot be asked for now stays for the next look."""
        done = set()
        for name in sorted(n for n in self._joined.adopt if sight.may_judge(n) and self._account.live):
            answer = await self._mender.open(named(name), sight)
            if answer.why and name not in self._said:
                log.info("%s: %s is not adopted%s: %s", self._name, name, " yet" * answer.later, answer.why)
                self._said.add(name)
            done |= set() if answer.later else {name}
        await self._note(replace(self._joined, adopt=self._joined.adopt - done))

    # -- what is certain

    async def _tell(self, turn: Turn, now: datetime) -> None:
        known: dict[str, bytes | None] = {f.identity: msgspec.json.encode(f) for f in (*turn.began, *turn.changed)}
        known |= {found.identity: None for found in turn.ended}
        if known:
            messages = [drift.told(self._name, found, now) for found in turn.began]
            messages += [drift.told(self._name, found, now, ended=True) for found in turn.ended]
            await self._follower.write(Change(messages=messages, drifts=known))
        for found in turn.began:
            log.warning("%s: drift, %s", self._name, found.line)
        for found in turn.ended:
            log.info("%s: no drift any more, %s", self._name, found.line)
        self._steady = turn.after
        self._meter.differs(_shown(turn.after), self._unmapped)

    async def _mend(self, found: Mapping[str, tuple[Found, Finding]], sight: Sight, *, complete: bool) -> None:
        """Mend what an operator asked for, and doubles where the settings say so; one thing of each link at a time."""
        request, touched = self._mender.asked, set[str]()
        for identity in [name for name in self._steady.certain if name in found and self._is_meant(name, request)]:
            told, finding = found[identity]
            if told.position not in touched and judgeable(told, sight, self._under()):
                await self._mender.mend(told, finding, sight)
                touched |= {told.position} - {""}
        if request is not None and (complete or self._clock() - request.asked > PATIENCE):
            await self._mender.answered(request)

    def _is_meant(self, identity: str, request: Mend | None) -> bool:
        if request is not None and identity in request.names:
            return True
        return self._account.doubles == "close" and self._account.live and identity.startswith(DOUBLED)


def _shown(steady: Steady) -> list[Disagreement]:
    return [Disagreement(found.line, found.since) for found in steady.certain.values()]
