"""A deal of the terminal's history as an observation on the outcomes stream."""

from datetime import UTC, datetime
from typing import Literal

from executor.marks import is_ours
from executor.mt5.api import DealEntry, DealReason, DealType, TradeDeal
from executor.readings import number
from shared.outcomes import Deal

_ENTRIES: dict[int, Literal["in", "out", "inout", "out_by"]] = {
    DealEntry.IN: "in",
    DealEntry.OUT: "out",
    DealEntry.INOUT: "inout",
    DealEntry.OUT_BY: "out_by",
}
_BY_ITSELF: dict[int, Literal["stop_loss", "take_profit", "stop_out"]] = {
    DealReason.SL: "stop_loss",
    DealReason.TP: "take_profit",
    DealReason.SO: "stop_out",
}


def observation(deal: TradeDeal, account: str, seen: datetime) -> Deal:
    """What the deal did and earned. Its time is the broker's clock read as UTC; a fee counts as commission."""
    return Deal(
        account=account,
        deal=deal.ticket,
        order=deal.order,
        position=deal.position_id,
        symbol=deal.symbol,
        side="buy" if deal.type == DealType.BUY else "sell",
        entry=_ENTRIES.get(deal.entry, "in"),
        volume=number(deal.volume),
        price=number(deal.price),
        time=datetime.fromtimestamp(deal.time_msc / 1000, UTC),
        seen=seen,
        mark=deal.magic if is_ours(deal.magic) else 0,
        profit=number(deal.profit),
        swap=number(deal.swap),
        commission=number(deal.commission) + number(deal.fee),
        reason=_BY_ITSELF.get(deal.reason, "copier" if is_ours(deal.magic) else "hand"),
    )


def is_trade(deal: TradeDeal) -> bool:
    """Whether a deal bought or sold; deposits, credits and corrections are deals too."""
    return deal.type in (DealType.BUY, DealType.SELL)


def not_ours(deal: TradeDeal) -> bool:
    """Whether the deal was made by a level, by the broker or by hand. MT5 copies our mark to what a level does."""
    return deal.reason in _BY_ITSELF or not is_ours(deal.magic)
