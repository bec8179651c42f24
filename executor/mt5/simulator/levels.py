"""Distances and permissions of one symbol: stops level, freeze level, tick grid, order flags, expiration. Pure."""

from __future__ import annotations

from decimal import Decimal

from executor.mt5.simulator.floor import Floor
from executor.mt5.simulator.market import Quote, Symbol
from executor.mt5.simulator.store import ZERO, Order, Position
from executor.mt5.vocabulary import (
    ExpirationFlag,
    OrderFlag,
    OrderTime,
    OrderType,
    PositionType,
    Retcode,
    SymbolTradeMode,
)

_KIND = {
    OrderType.BUY: OrderFlag.MARKET,
    OrderType.SELL: OrderFlag.MARKET,
    OrderType.BUY_LIMIT: OrderFlag.LIMIT,
    OrderType.SELL_LIMIT: OrderFlag.LIMIT,
    OrderType.BUY_STOP: OrderFlag.STOP,
    OrderType.SELL_STOP: OrderFlag.STOP,
    OrderType.BUY_STOP_LIMIT: OrderFlag.STOP_LIMIT,
    OrderType.SELL_STOP_LIMIT: OrderFlag.STOP_LIMIT,
    OrderType.CLOSE_BY: OrderFlag.CLOSEBY,
}
_LASTS = {
    OrderTime.GTC: ExpirationFlag.GTC,
    OrderTime.DAY: ExpirationFlag.DAY,
    OrderTime.SPECIFIED: ExpirationFlag.SPECIFIED,
    OrderTime.SPECIFIED_DAY: ExpirationFlag.SPECIFIED_DAY,
}


def flags(order_type: int) -> OrderFlag:
    """The bit of `order_mode` that an order type needs."""
    return _KIND[OrderType(order_type)]


def on_grid(symbol: Symbol, price: Decimal) -> bool:
    """Whether a price is a multiple of the tick size."""
    return price % symbol.tick_size == 0


def direction(symbol: Symbol, buys: bool) -> Retcode | None:
    """Whether the symbol lets anyone open on this side."""
    if symbol.trade_mode == SymbolTradeMode.CLOSEONLY:
        return Retcode.CLOSE_ONLY
    if symbol.trade_mode == SymbolTradeMode.LONGONLY and not buys:
        return Retcode.LONG_ONLY
    return Retcode.SHORT_ONLY if symbol.trade_mode == SymbolTradeMode.SHORTONLY and buys else None


def distances(symbol: Symbol, buys: bool, price: Decimal, sl: Decimal, tp: Decimal) -> Retcode | None:
    """SL and TP have to lie on their side of the price, at least the stops level away, on the grid, and be allowed."""
    if (sl and not symbol.orders & OrderFlag.SL) or (tp and not symbol.orders & OrderFlag.TP):
        return Retcode.INVALID_STOPS
    sign = 1 if buys else -1
    least = symbol.stops_level * symbol.point
    gaps = [sign * (price - sl)] * bool(sl) + [sign * (tp - price)] * bool(tp)
    wrong = not all(level >= 0 and on_grid(symbol, level) for level in (sl, tp))
    return Retcode.INVALID_STOPS if wrong or any(gap < least or gap <= 0 for gap in gaps) else None


def pending_price(
    symbol: Symbol, quote: Quote, kind: OrderType, price: Decimal, stoplimit: Decimal = ZERO
) -> Retcode | None:
    """A pending has to lie on its side of the market (else the price is wrong) and the stops level away from it."""
    if price <= 0 or not on_grid(symbol, price):
        return Retcode.INVALID_PRICE
    market = quote.ask if kind.is_buy else quote.bid
    below = kind in (OrderType.BUY_LIMIT, OrderType.SELL_STOP, OrderType.SELL_STOP_LIMIT)
    gap = market - price if below else price - market
    if gap <= 0 or not _limit_part(symbol, kind, price, stoplimit):
        return Retcode.INVALID_PRICE
    return Retcode.INVALID_STOPS if gap < symbol.stops_level * symbol.point else None


def _limit_part(symbol: Symbol, kind: OrderType, price: Decimal, stoplimit: Decimal) -> bool:
    """The limit of a stop-limit order lies on the better side of its stop."""
    if not flags(kind) & OrderFlag.STOP_LIMIT:
        return True
    better = stoplimit <= price if kind.is_buy else stoplimit >= price
    return stoplimit > 0 and on_grid(symbol, stoplimit) and better


def expiry(symbol: Symbol, time_type: int, expiration: int, clock: int) -> Retcode | None:
    """The lifetime has to be of a kind that the symbol allows, and to end in the future of the broker's clock."""
    lasts = {int(kind): flag for kind, flag in _LASTS.items()}.get(time_type, ExpirationFlag(0))
    if not lasts & symbol.expiration:
        return Retcode.INVALID_EXPIRATION
    dated = time_type in (OrderTime.SPECIFIED, OrderTime.SPECIFIED_DAY)
    return Retcode.INVALID_EXPIRATION if dated and expiration * 1000 <= clock else None


def frozen(floor: Floor, position: Position) -> Retcode | None:
    """A position cannot be touched while the price is within the freeze level of its SL or TP."""
    level = _freeze(floor, position.symbol)
    price = floor.closing_price(position)
    near = (each for each in (position.sl, position.tp) if each and price is not None and abs(price - each) <= level)
    return Retcode.FROZEN if level and any(near) else None


def frozen_order(floor: Floor, order: Order) -> Retcode | None:
    """An order cannot be touched while the price is within the freeze level of its own."""
    level = _freeze(floor, order.symbol)
    price = floor.market_price(order.symbol, OrderType(order.type).is_buy)
    near = price is not None and abs(price - order.price) <= level
    return Retcode.FROZEN if level and near else None


def _freeze(floor: Floor, name: str) -> Decimal:
    symbol = floor.store.symbols[name]
    return symbol.freeze_level * symbol.point


def crossed(position: Position, price: Decimal) -> tuple[bool, bool]:
    """Whether the price has reached the stop loss, and whether it has reached the take profit."""
    sign = 1 if position.type == PositionType.BUY else -1
    stopped = bool(position.sl) and sign * (price - position.sl) <= 0
    taken = bool(position.tp) and sign * (price - position.tp) >= 0
    return stopped, taken
