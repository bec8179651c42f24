"""Looks at what MT5 does by itself: mirrored orders that fill, positions closed by a level or by hand, limits passed.

Runs in the lane's own loop, between facts, so that a link is never changed from two sides at once. A position that is
missing counts as closed only when the history shows the deals that closed it.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal

from msgspec.structs import replace

from executor import readings
from executor.book import Debt, Figures, Link
from executor.bookkeeping import Bookkeeper
from executor.follower import Follower
from executor.guards import Breach, breach
from executor.ledger import Change, Ledger
from executor.marks import is_ours
from executor.mt5.api import DealEntry, DealReason, TradeDeal
from executor.reconcile import Gone, reconcile, without
from executor.settings import Account
from executor.states import AccountState
from shared import outcomes

ZERO = Decimal(0)
_ENTRIES = {
    DealEntry.IN: "in",
    DealEntry.OUT: "out",
    DealEntry.INOUT: "inout",
    DealEntry.OUT_BY: "out_by",
}
_REASONS = {DealReason.SL: "stop_loss", DealReason.TP: "take_profit", DealReason.SO: "stop_out"}


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
    ) -> None:
        self._name = name
        self._account = account
        self._ledger = ledger
        self._keeper = keeper
        self._follower = follower
        self._clock = clock
        self._breached = ""
        self._noted: tuple[date | None, Decimal | None, Decimal | None] | None = None

    async def attend(self) -> None:
        """Look once after each reading of the account."""
        if not self._keeper.take_fresh():
            return
        for key in [k for k, link in self._keeper.book.links.items() if link.pendings and self._quiet(k)]:
            await self._adopt(key)
        for finding in reconcile(self._keeper.book, (), self._account, {}, ()):
            if isinstance(finding, Gone) and self._quiet(finding.link):
                await self._gone(finding)
        await self._limits()

    def _quiet(self, key: str) -> bool:
        """Whether nothing is under way on a link that could explain a difference."""
        under_way = (parked.attempt.link for parked in self._follower.parked.values())
        return key not in self._follower.debts and key not in under_way

    async def _adopt(self, key: str) -> None:
        before = self._keeper.book.links[key]
        await self._follower.adopt_fills(key)
        after = self._keeper.book.links[key]
        if after != before:
            await self._follower.write(Change(links={key: after}))

    async def _gone(self, gone: Gone) -> None:
        deals = [d for d in await self._keeper.deals_of_position(gone.identifier) if d.entry != DealEntry.IN]
        foreign = [d for d in deals if not is_ours(d.magic) or d.reason in _REASONS]
        if sum(readings.number(d.volume) for d in foreign) < gone.volume:
            return
        link = without(self._keeper.book.links[gone.link], gone)
        told = [self._deal(d) for d in foreign]
        await self._follower.write(Change(links={gone.link: None if link.over else link}, messages=told))

    def _deal(self, deal: TradeDeal) -> outcomes.Deal:
        return outcomes.Deal(
            account=self._name,
            deal=deal.ticket,
            order=deal.order,
            position=deal.position_id,
            symbol=deal.symbol,
            side="buy" if deal.type == 0 else "sell",
            entry=_ENTRIES[DealEntry(deal.entry)],  # type: ignore[arg-type]
            volume=readings.number(deal.volume),
            price=readings.number(deal.price),
            time=datetime.fromtimestamp(deal.time_msc / 1000, UTC),
            seen=self._clock(),
            mark=deal.magic if is_ours(deal.magic) else 0,
            profit=readings.number(deal.profit),
            swap=readings.number(deal.swap),
            commission=readings.number(deal.commission),
            reason=_REASONS.get(DealReason(deal.reason), "hand"),  # type: ignore[arg-type]
        )

    # -- limits on losses

    async def _limits(self) -> None:
        figures = self._keeper.book.figures
        if (figures.day, figures.day_start, figures.peak) != self._noted:
            self._noted = (figures.day, figures.day_start, figures.peak)
            await self._ledger.note(**noted(figures))
        found = breach(figures, self._account.limits)
        reason = str(found.denied.reason) if found else ""
        if found is not None and reason != self._breached:
            await self._breach(found, reason)
        self._breached = reason

    async def _breach(self, found: Breach, reason: str) -> None:
        notice = outcomes.Notice(account=self._name, reason=reason, text=found.denied.text, seen=self._clock())
        if found.action != "notify":
            await self._ledger.note(mode=AccountState.CLOSE_ONLY, reason=reason)
        links = [x for x in self._keeper.book.links.values() if x.parts or x.pendings]
        if found.action != "flatten":
            links = []
        change = Change(
            messages=[notice],
            links={link.key: _given_up(link) for link in links},
            debts={link.key: self._flattening(link, reason) for link in links},
        )
        await self._follower.write(change)

    def _flattening(self, link: Link, reason: str) -> Debt:
        """A debt of everything that we hold of a link; facts that wait for one that is there go on waiting."""
        now = self._clock()
        meaning = f"flatten\n{link.key}\n{link.revision}"
        fresh = Debt(link=link.key, fact="", entry="", target=ZERO, since=now, captured=now, meaning=meaning)
        return replace(self._follower.debts.get(link.key) or fresh, target=ZERO, reason=reason)


def noted(figures: Figures) -> dict[str, str]:
    """The figures that limits are measured from, as they are kept in the account's state."""
    return {"day": str(figures.day), "day-start": str(figures.day_start), "peak": str(figures.peak)}


def remembered(state: Mapping[str, str]) -> Figures | None:
    """The figures that limits are measured from, from the account's state; None before there were any."""
    if "peak" not in state:
        return None
    start, peak, none = Decimal(state["day-start"]), Decimal(state["peak"]), Decimal(0)
    day = date.fromisoformat(state["day"])
    return Figures(currency="", balance=none, equity=none, margin_free=none, day=day, day_start=start, peak=peak)


def _given_up(link: Link) -> Link:
    """The link with every mirrored order as one whose source is over: it is removed with the debt."""
    return replace(link, pendings={order: replace(p, quantity=ZERO) for order, p in link.pendings.items()})
