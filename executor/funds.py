"""Pure: what of a change of the account's money was won or lost, and what was only paid in or out.

Limits on losses are measured from two marks: the equity with which the day began, and its peak. Money that is moved is
neither profit nor loss, so it moves both marks. Only the deals of the history say which it is, and the history may have
a deal later than the account shows what it did: until the deals explain the account's money, what has changed is not
counted at all. Where no deal says anything for `LAG`, less money is a loss, and more is no profit.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from msgspec.structs import replace

from executor.book import Figures
from executor.mt5.api import DealType, TradeDeal
from executor.readings import amount

LAG = timedelta(seconds=30)
"""The history may have a deal so much later than the account shows what it did."""

MOVED = frozenset({DealType.BALANCE, DealType.CREDIT, DealType.CORRECTION, DealType.BONUS})
"""Deals that move money. Charges, commissions, interest, dividends and taxes are what trading costs or brings."""

ZERO = Decimal(0)
NOTHING = Figures(currency="", balance=ZERO, equity=ZERO, margin_free=ZERO)


def measured(fresh: Figures | None, before: Figures | None, now: datetime, offset: int = 0) -> Figures:
    """Figures that were read at `now` (UTC), with the marks of those `before`; None: what was read is no number.

    `offset`: seconds that the broker's clock is ahead; a day begins at its midnight, at the first figures after it that
    are explained. It never comes back, should the clock turn out to be behind. The first figures begin everything.
    """
    if fresh is None:
        return replace(before or NOTHING, readable=False)
    today = (now + timedelta(seconds=offset)).date()
    if before is None or before.peak is None:
        first = replace(fresh, explained=fresh.money, day=today)
        return _marked(first, fresh.equity)
    explained = fresh.money if before.explained is None else before.explained
    marks = replace(
        fresh, day=before.day, day_start=before.day_start, peak=before.peak, explained=explained,
        since=_since(before, fresh.money - explained, now),
    )  # fmt: skip
    figures = _believed(marks) if marks.since is not None and now - marks.since >= LAG else marks
    figures = replace(figures, peak=max(figures.peak or ZERO, figures.counted))
    if figures.since is None and (figures.day is None or figures.day < today):
        return replace(figures, day=today, day_start=figures.counted)
    return figures


def _since(before: Figures, unexplained: Decimal, now: datetime) -> datetime | None:
    """Since when this is what no deal explains."""
    if not unexplained:
        return None
    return now if before.since is None or before.unexplained != unexplained else before.since


def accounted(figures: Figures, deals: Sequence[TradeDeal]) -> tuple[Figures, frozenset[int]]:
    """The figures once `deals`, that nobody has reckoned with yet, explain what has changed; and the tickets of those
    that do. One that does not go with what the account shows is left out: one of the two is behind the other.
    """
    used: frozenset[int] = frozenset()
    for some in (deals, *([deal] for deal in deals)):
        tickets, total = frozenset(deal.ticket for deal in some), sum(map(earned, some), ZERO)
        if not tickets & used and abs(figures.unexplained - total) <= abs(figures.unexplained):
            figures, used = _explained(figures, some, total), used | tickets
    return figures, used


def _explained(figures: Figures, deals: Sequence[TradeDeal], total: Decimal) -> Figures:
    moved = sum((earned(deal) for deal in deals if deal.type in MOVED), ZERO)
    explained = (figures.money if figures.explained is None else figures.explained) + total
    figures = _moved(replace(figures, explained=explained), moved)
    return figures if figures.unexplained else replace(figures, since=None)


def rearmed(figures: Figures) -> Figures:
    """The figures with limits counting from what the account has now."""
    return _marked(figures, figures.counted)


def earned(deal: TradeDeal) -> Decimal:
    """What a deal has changed the account's money by."""
    return sum((amount(money) for money in (deal.profit, deal.swap, deal.commission, deal.fee)), ZERO)


def _believed(figures: Figures) -> Figures:
    """Figures of which no deal has said for long enough why they changed."""
    more = max(figures.unexplained, ZERO)
    return replace(_moved(figures, more), explained=figures.money, since=None)


def _moved(figures: Figures, money: Decimal) -> Figures:
    start, peak = figures.day_start, figures.peak
    return replace(
        figures,
        day_start=None if start is None else start + money,
        peak=None if peak is None else peak + money,
    )


def _marked(figures: Figures, mark: Decimal) -> Figures:
    return replace(figures, day_start=mark, peak=mark)
