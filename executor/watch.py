"""Looks at what MT5 does by itself: mirrored orders that fill, positions closed by a level or by hand, limits passed.

Runs in the lane's own loop, between facts, so that a link is never changed from two sides at once. A position that is
missing counts as closed only when the history shows the deals that closed it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

from executor.book import Figures, Link
from executor.bookkeeping import Bookkeeper
from executor.change import Change
from executor.deals import is_trade, observation
from executor.flatten import flattening
from executor.follower import Follower
from executor.funds import LAG, accounted
from executor.gone import Gone, closed_by_others, gone, without
from executor.guards import Breach, breach
from executor.ledger import Ledger
from executor.mt5.api import TradeDeal
from executor.netting import net_holding
from executor.settings import Account
from shared import outcomes

DEALS_TOLD = "deals-told"
"""The field of the account's state with the ticket of the newest deal that was told."""
DEALS_COUNTED = "deals-counted"
"""The same of the newest deal, of whatever kind, that was reckoned with in what limits are measured from."""
DEALS_UNTIL = "deals-until"
"""The time of the newest deal that was seen, in seconds of the broker's clock."""
OVERLAP_S = 60
"""So much before the newest told deal the next look begins: a busy day's history is not read anew each second."""


class Watch:
    """What happens on one account beside our own steps, under one lease."""

    def __init__(
        self,
        name: str,
        account: Account,
        ledger: Ledger,
        keeper: Bookkeeper,
        follower: Follower,
        clock: Callable[[], datetime],
        state: Mapping[str, str],
    ) -> None:
        self._name = name
        self._account = account
        self._ledger = ledger
        self._keeper = keeper
        self._follower = follower
        self._clock = clock
        self._told = int(state.get(DEALS_TOLD, -1))
        self._counted = int(state.get(DEALS_COUNTED, -1))
        self._until = int(state[DEALS_UNTIL]) if DEALS_UNTIL in state else None
        self._reckoned: set[int] = set()
        self._doubtful: dict[int, datetime] = {}
        self._shown: object = None
        self._look_until = clock()
        self._breached = ""
        self._noted: Mapping[str, str] = {}

    async def begin(self) -> None:
        """Find the place in a history that was never told: what happened before we came is not ours to tell. What was
        paid in or out while nobody looked is reckoned with before anything is decided.
        """
        deals = await self._deals()
        if self._told < 0:
            self._told = max((d.ticket for d in deals if is_trade(d)), default=0)
            await self._ledger.note(**{DEALS_TOLD: str(self._told)})
        if self._counted < 0:
            self._counted = max((d.ticket for d in deals), default=0)
            await self._note_money()
        await self._count(deals)

    async def attend(self) -> None:
        """Look once after each reading of the account."""
        if not self._keeper.take_fresh():
            return
        for key in [k for k, link in self._keeper.book.links.items() if self._moved(link) and self._quiet(k)]:
            await self._adopt(key)
        for finding in list(gone(self._keeper.book)):
            if self._quiet(finding.link) and not self._contested(finding):
                await self._gone(finding)
        await self._history()
        await self._limits()

    def _quiet(self, key: str) -> bool:
        """Whether nothing is under way on a link that could explain a difference."""
        return key not in self._follower.debts and not self._follower.parking.on(key)

    def _contested(self, lost: Gone) -> bool:
        """Whether what is missing of a netting position may be what another link of ours has done there."""
        book, follower = self._keeper.book, self._follower
        symbol = book.links[lost.link].symbol
        unknown = follower.debts.unsure(symbol, book.links) or any(p.expected == symbol for p in follower.parking)
        return book.margin == "netting" and unknown

    def _moved(self, link: Link) -> bool:
        """Whether a mirrored order is not there any more, or not with all that it had still to fill."""
        resting = self._keeper.book.restings
        left = ((p, resting.get(p.ticket)) for p in link.pendings.values())
        return any(there is None or there.volume < p.volume - p.carried - p.filled for p, there in left)

    async def _adopt(self, key: str) -> None:
        before = self._keeper.book.links[key]
        await self._follower.adopt_fills(key)
        after = self._keeper.book.links[key]
        if after != before:
            await self._follower.write(Change(links={key: after}))

    async def _gone(self, lost: Gone) -> None:
        symbol = self._keeper.book.links[lost.link].symbol
        numbers = {lost.identifier, *(() if self._keeper.book.margin == "hedging" else await self._newest(symbol))}
        histories = [await self._keeper.deals_of_position(number) for number in sorted(numbers)]
        if not closed_by_others(lost, histories, self._keeper.book):
            return
        link = without(self._keeper.book.links[lost.link], lost)
        await self._follower.write(Change(links={lost.link: self._follower.kept(link) if link.over else link}))

    async def _newest(self, symbol: str) -> Iterable[int]:
        """The number of a symbol's newest position on a netting account. A link may know it by another one: where links
        stand against each other it comes to its end and begins anew while their volume goes on.
        """
        held = net_holding(symbol, self._keeper.book)
        if held is not None:
            return (held.identifier,)
        deals = (d for d in await self._keeper.deals() if d.symbol == symbol and is_trade(d))
        return (newest.position_id,) if (newest := max(deals, key=lambda d: d.ticket, default=None)) else ()

    # -- the history

    async def _history(self) -> None:
        """Tell every deal that the history did not have when we looked last."""
        book = self._keeper.book
        shown = (book.figures.money, frozenset((h.ticket, h.volume) for h in book.holdings.values()))
        if shown != self._shown:
            self._shown, self._look_until = shown, self._clock() + LAG
        elif self._clock() > self._look_until and not self._doubtful:
            return
        deals = await self._deals()
        fresh = [d for d in deals if is_trade(d) and d.ticket > self._told]
        told = max((d.ticket for d in fresh), default=self._told)
        if fresh:
            messages = [observation(d, self._name, self._clock()) for d in sorted(fresh, key=lambda d: d.ticket)]
            await self._follower.write(Change(messages=messages))
        if told != self._told:
            await self._ledger.note(**{DEALS_TOLD: str(told)})
        self._told = told
        await self._count(deals)

    async def _deals(self) -> tuple[TradeDeal, ...]:
        """The deals since shortly before the newest that was seen."""
        deals = await self._keeper.deals(None if self._until is None else self._until - OVERLAP_S)
        self._until = max((d.time for d in deals), default=self._until)
        return deals

    async def _count(self, deals: Sequence[TradeDeal]) -> None:
        """Reckon with every deal that was not: what was paid in or out moves what limits are measured from.

        Deals that do not go with what the account shows may be early, or late; after a while it is not waited for that.
        """
        fresh, now = [d for d in deals if d.ticket > self._counted and d.ticket not in self._reckoned], self._clock()
        figures, used = accounted(self._keeper.book.figures, fresh)
        self._doubtful = {d.ticket: self._doubtful.get(d.ticket, now) for d in fresh if d.ticket not in used}
        self._reckoned |= used | {ticket for ticket, since in self._doubtful.items() if now - since >= LAG}
        if all(d.ticket in self._reckoned for d in fresh):
            self._counted, self._reckoned, self._doubtful = max((self._counted, *self._reckoned)), set(), {}
        if used:
            self._keeper.account_for(figures)
            await self._note_money()

    # -- limits on losses

    async def _note_money(self) -> None:
        """Keep what limits are measured from, and with it which deals it has in it."""
        self._noted = noted(self._keeper.book.figures)
        until = {} if self._until is None else {DEALS_UNTIL: str(self._until)}
        await self._ledger.note(**self._noted, **until, **{DEALS_COUNTED: str(max((self._counted, *self._reckoned)))})

    async def _limits(self) -> None:
        figures = self._keeper.book.figures
        if noted(figures) != self._noted:
            await self._note_money()
        found = breach(figures, self._account.limits)
        reason = str(found.denied.reason) if found else ""
        if found is not None and reason != self._breached:
            await self._breach(found, reason)
        self._breached = reason

    async def _breach(self, found: Breach, reason: str) -> None:
        notice = outcomes.Notice(account=self._name, reason=reason, text=found.denied.text, seen=self._clock())
        if found.action != "notify":
            await self._ledger.stop(reason)
        links = self._keeper.book.links.values() if found.action == "flatten" else ()
        closing = flattening(links, self._follower.debts, reason, self._clock())
        await self._follower.write(Change(messages=[notice], links=closing.links, debts=closing.debts))


def noted(figures: Figures) -> dict[str, str]:
    """The figures that limits are measured from, as they are kept in the account's state; nothing before there are."""
    if figures.peak is None:
        return {}
    money = figures.money if figures.explained is None else figures.explained
    marks = {"day": figures.day, "day-start": figures.day_start, "peak": figures.peak, "explained": money}
    return {name: str(mark) for name, mark in marks.items()}


def remembered(state: Mapping[str, str]) -> Figures | None:
    """The figures that limits are measured from, from the account's state; None before there were any."""
    if "peak" not in state:
        return None
    start, peak, none = Decimal(state["day-start"]), Decimal(state["peak"]), Decimal(0)
    day = date.fromisoformat(state["day"])
    explained = Decimal(state["explained"]) if "explained" in state else None
    return Figures(
        currency="", balance=none, equity=none, margin_free=none, day=day, day_start=start, peak=peak,
        explained=explained,
    )  # fmt: skip
