"""Why a broker refuses a request: rules in the order in which they are tried, the first that objects decides. Pure.

Each rule looks at a `Case` and answers a retcode or None. The lists at the end say which rules an action has to pass.
"""

from __future__ import annotations

from collections.abc import Callable

from executor.mt5.simulator.case import Case
from executor.mt5.simulator.levels import direction, distances, expiry, flags, frozen, on_grid, pending_price
from executor.mt5.vocabulary import (
    FillingFlag,
    OrderFilling,
    OrderFlag,
    OrderType,
    PositionType,
    Retcode,
    SymbolExecution,
    SymbolTradeMode,
)

Rule = Callable[[Case], Retcode | None]


def numbers(case: Case) -> Retcode | None:
    return None if case.ask.finite else Retcode.INVALID


def tradable(case: Case) -> Retcode | None:
    if case.symbol.trade_mode == SymbolTradeMode.DISABLED or not case.floor.account.trade_allowed:
        return Retcode.TRADE_DISABLED
    return None if case.symbol.open else Retcode.MARKET_CLOSED


def quoted(case: Case) -> Retcode | None:
    return Retcode.PRICE_OFF if case.floor.quote(case.symbol.name) is None else None


def order_type(case: Case) -> Retcode | None:
    """The kind of order has to be one that the symbol allows; a market request is BUY or SELL."""
    return None if flags(case.ask.type) & case.symbol.orders else Retcode.INVALID_ORDER


def market_type(case: Case) -> Retcode | None:
    return Retcode.INVALID_ORDER if case.ask.kind not in (OrderType.BUY, OrderType.SELL) else order_type(case)


def pending_type(case: Case) -> Retcode | None:
    return order_type(case) if case.ask.kind.is_pending else Retcode.INVALID_ORDER


def volume(case: Case) -> Retcode | None:
    symbol, wanted = case.symbol, case.ask.volume
    fits = symbol.volume_min <= wanted <= symbol.volume_max and wanted % symbol.volume_step == 0
    return None if fits else Retcode.INVALID_VOLUME


def market_filling(case: Case) -> Retcode | None:
    """Market and Exchange go by the symbol's mask, Exchange also takes RETURN; the others fill all or nothing."""
    filling, execution = case.ask.type_filling, case.symbol.execution
    if execution in (SymbolExecution.REQUEST, SymbolExecution.INSTANT):
        allowed = filling == OrderFilling.FOK
    elif filling == OrderFilling.RETURN:
        allowed = execution == SymbolExecution.EXCHANGE
    else:
        allowed = _in_mask(case, filling)
    return None if allowed else Retcode.INVALID_FILL


def pending_filling(case: Case) -> Retcode | None:
    """Limits may always RETURN, stops follow the mask; BOC is for limits only."""
    filling, limit = (case.ask.type_filling, bool(flags(case.ask.type) & (OrderFlag.LIMIT | OrderFlag.STOP_LIMIT)))
    if filling == OrderFilling.BOC:
        allowed = limit and bool(case.symbol.filling & FillingFlag.BOC)
    elif filling == OrderFilling.RETURN:
        allowed = limit or case.symbol.execution != SymbolExecution.MARKET
    else:
        allowed = case.symbol.execution < SymbolExecution.MARKET or _in_mask(case, filling)
    return None if allowed else Retcode.INVALID_FILL


def _in_mask(case: Case, filling: int) -> bool:
    bits = {OrderFilling.FOK: FillingFlag.FOK, OrderFilling.IOC: FillingFlag.IOC}
    return bool(bits.get(OrderFilling(filling), FillingFlag(0)) & case.symbol.filling)


def named_position(case: Case) -> Retcode | None:
    """A position that the request names has to exist, in this symbol; on a hedging account only to be closed."""
    if not case.ask.position:
        return None
    position = case.floor.store.positions.get(case.ask.position)
    if position is None:
        return Retcode.POSITION_CLOSED
    same_side = (position.type == PositionType.BUY) == case.buys
    wrong = position.symbol != case.symbol.name or (case.floor.account.hedging and same_side)
    return Retcode.INVALID if wrong else None


def close_volume(case: Case) -> Retcode | None:
    position = case.position if case.ask.position else None
    too_much = position is not None and case.floor.account.hedging and case.ask.volume > position.volume
    return Retcode.INVALID_CLOSE_VOLUME if too_much else None


def close_pending(case: Case) -> Retcode | None:
    """Only one order at a time may close a position."""
    working = case.floor.store.orders.values()
    busy = case.ask.position and any(order.position == case.ask.position and order.due for order in working)
    return Retcode.CLOSE_ORDER_EXIST if busy else None


def first_in_first_out(case: Case) -> Retcode | None:
    position = case.position
    if not (case.floor.account.fifo_close and case.ask.position and position):
        return None
    same = (each for each in case.floor.store.positions.values() if each.symbol == position.symbol)
    oldest = min(same, key=lambda each: (each.time, each.ticket))
    return None if oldest.ticket == position.ticket else Retcode.FIFO_CLOSE


def side(case: Case) -> Retcode | None:
    return direction(case.symbol, case.buys) if case.opens > 0 else None


def no_hedge(case: Case) -> Retcode | None:
    account = case.floor.account
    if not (account.hedging and account.hedge_prohibited) or case.ask.position:
        return None
    opposite = PositionType.SELL if case.buys else PositionType.BUY
    held = case.floor.store.positions.values()
    hedges = any(each.symbol == case.symbol.name and each.type == opposite for each in held)
    return Retcode.HEDGE_PROHIBITED if hedges else None


def market_price(case: Case) -> Retcode | None:
    """Instant and Request execution want a price near the market's; the others ignore it."""
    if case.symbol.execution not in (SymbolExecution.REQUEST, SymbolExecution.INSTANT):
        return None
    if case.ask.price <= 0 or not on_grid(case.symbol, case.ask.price):
        return Retcode.INVALID_PRICE
    market = case.quote.ask if case.buys else case.quote.bid
    if abs(case.ask.price - market) <= case.ask.deviation * case.symbol.point:
        return None
    return Retcode.REQUOTE if case.symbol.execution == SymbolExecution.INSTANT else Retcode.PRICE_CHANGED


def market_stops(case: Case) -> Retcode | None:
    price = case.quote.bid if case.buys else case.quote.ask
    return distances(case.symbol, case.buys, price, case.ask.sl, case.ask.tp)


def freeze(case: Case) -> Retcode | None:
    position = case.position if case.ask.position else None
    return frozen(case.floor, position) if position is not None else None


def pending_open(case: Case) -> Retcode | None:
    return pending_price(case.symbol, case.quote, case.ask.kind, case.ask.price, case.ask.stoplimit)


def pending_stops(case: Case) -> Retcode | None:
    """Levels of a pending order are measured from the price at which it would open."""
    opened = case.ask.stoplimit or case.ask.price
    return distances(case.symbol, case.buys, opened, case.ask.sl, case.ask.tp)


def expiration(case: Case) -> Retcode | None:
    return expiry(case.symbol, case.ask.type_time, case.ask.expiration, case.floor.clock)


def order_count(case: Case) -> Retcode | None:
    limit = case.floor.account.limit_orders
    return Retcode.LIMIT_ORDERS if limit and len(case.floor.store.orders) >= limit else None


def position_count(case: Case) -> Retcode | None:
    limit = case.floor.account.limit_positions
    opens_new = case.opens > 0 and case.position is None
    return Retcode.LIMIT_POSITIONS if limit and opens_new and len(case.floor.store.positions) >= limit else None


def volume_limit(case: Case) -> Retcode | None:
    """Open and pending volume of one symbol in one direction."""
    limit, name = case.symbol.volume_limit, case.symbol.name
    if not limit or case.opens <= 0:
        return None
    own = PositionType.BUY if case.buys else PositionType.SELL
    held = sum(p.volume for p in case.floor.store.positions.values() if p.symbol == name and p.type == own)
    waiting = sum(
        o.left for o in case.floor.store.orders.values() if o.symbol == name and OrderType(o.type).is_buy == case.buys
    )
    return Retcode.LIMIT_VOLUME if held + waiting + case.opens > limit else None


def money(case: Case) -> Retcode | None:
    if case.opens <= 0:
        return None
    price = case.quote.ask if case.buys else case.quote.bid
    need = case.floor.margin(case.symbol, case.opens, price)
    return Retcode.NO_MONEY if need > case.floor.free_margin() else None


DEAL: tuple[Rule, ...] = (
    numbers,
    market_type,
    tradable,
    quoted,
    named_position,
    close_volume,
    volume,
    market_filling,
    close_pending,
    first_in_first_out,
    side,
    no_hedge,
    market_price,
    market_stops,
    freeze,
    position_count,
    volume_limit,
    money,
)
PENDING: tuple[Rule, ...] = (
    numbers,
    pending_type,
    tradable,
    quoted,
    volume,
    pending_filling,
    side,
    pending_open,
    pending_stops,
    expiration,
    order_count,
    volume_limit,
)


def refusal(case: Case, rules: tuple[Rule, ...]) -> Retcode | None:
    """The first objection to the request, or None."""
    return next((code for rule in rules if (code := rule(case)) is not None), None)
