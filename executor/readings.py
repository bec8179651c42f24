"""What a terminal answers, as values for decisions: the vendor's floats become Decimal here and only here."""

import math
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from executor.book import Execution, Figures, Holding, Margin, Price, Resting, Specification
from executor.mt5.api import (
    AccountInfo,
    AccountMarginMode,
    OrderType,
    SymbolExecution,
    SymbolInfo,
    Tick,
    TradeOrder,
    TradePosition,
)
from shared import facts

_EXECUTION: dict[int, Execution] = {
    SymbolExecution.REQUEST: "request",
    SymbolExecution.INSTANT: "instant",
    SymbolExecution.MARKET: "market",
    SymbolExecution.EXCHANGE: "exchange",
}
_PENDING: dict[int, facts.OrderType] = {
    OrderType.BUY_LIMIT: "limit",
    OrderType.SELL_LIMIT: "limit",
    OrderType.BUY_STOP: "stop",
    OrderType.SELL_STOP: "stop",
    OrderType.BUY_STOP_LIMIT: "stoplimit",
    OrderType.SELL_STOP_LIMIT: "stoplimit",
}


def number(value: float) -> Decimal:
    """The shortest decimal that the vendor's float stands for: 0.1 is 0.1."""
    return Decimal(repr(value))


def amount(value: float) -> Decimal:
    """Money of a record, which may be negative; what is no number counts as nothing."""
    return number(value) if math.isfinite(value) else Decimal(0)


def specification(info: SymbolInfo) -> Specification | None:
    """A symbol's rules. An execution mode that we do not know is treated as `market`.

    None when they are none to reckon with: brokers list symbols that are only shown, without a step of volume or a
    size of the contract.
    """
    tick_size = info.trade_tick_size or info.point
    if not all(map(_is_amount, (tick_size, info.volume_step, info.volume_min, info.trade_contract_size))):
        return None
    if not all(map(math.isfinite, (info.point, info.volume_max, info.volume_limit))):
        return None
    return Specification(
        symbol=info.name,
        digits=info.digits,
        point=number(info.point),
        tick_size=number(tick_size),
        tick_value=number(info.trade_tick_value if _is_amount(info.trade_tick_value) else 0.0),
        contract_size=number(info.trade_contract_size),
        volume_min=number(info.volume_min),
        volume_max=number(info.volume_max),
        volume_step=number(info.volume_step),
        volume_limit=number(info.volume_limit),
        stops_level=info.trade_stops_level,
        freeze_level=info.trade_freeze_level,
        filling_mode=info.filling_mode,
        execution=_EXECUTION.get(info.trade_exemode, "market"),
        trade_mode=info.trade_mode,
        order_mode=info.order_mode,
        expiration_mode=info.expiration_mode,
        currency_base=info.currency_base,
        currency_profit=info.currency_profit,
        currency_margin=info.currency_margin,
    )


def price(tick: Tick, seen: datetime) -> Price | None:
    """The tick's bid and ask, or None while it is all zero, as it is right after a symbol was selected."""
    if not (_is_amount(tick.bid) and _is_amount(tick.ask)):
        return None
    return Price(bid=number(tick.bid), ask=number(tick.ask), seen=seen)


def figures(info: AccountInfo) -> Figures | None:
    """The account's money, without marks for limits on losses; None when the terminal's numbers are none."""
    if not all(map(math.isfinite, (info.equity, info.balance, info.credit, info.margin_free))):
        return None
    return Figures(
        currency=info.currency,
        balance=number(info.balance),
        equity=number(info.equity),
        margin_free=number(info.margin_free),
        leverage=info.leverage,
        credit=number(info.credit),
    )


def margin(info: AccountInfo) -> Margin:
    """Hedging accounts hold several positions per symbol; retail netting and exchange accounts hold one."""
    return "hedging" if info.margin_mode == AccountMarginMode.RETAIL_HEDGING else "netting"


def holdings(positions: Iterable[TradePosition]) -> dict[int, Holding]:
    """Positions by ticket."""
    return {p.ticket: _holding(p) for p in positions}


def restings(orders: Iterable[TradeOrder]) -> dict[int, Resting]:
    """Pending orders by ticket; a market order on its way is not one."""
    return {o.ticket: _resting(o, _PENDING[o.type]) for o in orders if o.type in _PENDING}


def _holding(p: TradePosition) -> Holding:
    return Holding(
        ticket=p.ticket,
        identifier=p.identifier,
        symbol=p.symbol,
        side="buy" if p.type == OrderType.BUY else "sell",
        volume=number(p.volume),
        price=amount(p.price_open),
        stop_loss=_level(p.sl),
        take_profit=_level(p.tp),
        magic=p.magic,
    )


def _resting(o: TradeOrder, kind: facts.OrderType) -> Resting:
    return Resting(
        ticket=o.ticket,
        symbol=o.symbol,
        type=kind,
        side="buy" if OrderType(o.type).is_buy else "sell",
        volume=number(o.volume_current),
        price=amount(o.price_open),
        stop_limit=_level(o.price_stoplimit),
        stop_loss=_level(o.sl),
        take_profit=_level(o.tp),
        magic=o.magic,
    )


def _is_amount(value: float) -> bool:
    """Whether a number of the terminal is one that can be reckoned with as a size or a price."""
    return math.isfinite(value) and value > 0


def _level(value: float) -> Decimal | None:
    return number(value) if value and math.isfinite(value) else None
