"""Whether a request may be executed, action by action: the first objection, or None. Pure."""

from __future__ import annotations

from enum import IntEnum

from msgspec.structs import replace

from executor.mt5.simulator import checks, levels
from executor.mt5.simulator.ask import Ask
from executor.mt5.simulator.case import Case
from executor.mt5.simulator.floor import Floor
from executor.mt5.simulator.store import ZERO, Order
from executor.mt5.vocabulary import OrderFilling, OrderType, PositionType, Retcode, TradeAction


def is_member(kind: type[IntEnum], number: int) -> bool:
    """Whether a number is a value of the enumeration."""
    return number in kind._value2member_map_


def known(floor: Floor, ask: Ask) -> Retcode | None:
    """Whether the numbers of the request name anything at all."""
    if not is_member(TradeAction, ask.action) or not is_member(OrderFilling, ask.type_filling):
        return Retcode.INVALID
    if not is_member(OrderType, ask.type):
        return Retcode.INVALID_ORDER
    if ask.action not in (TradeAction.DEAL, TradeAction.PENDING, TradeAction.SLTP):
        return None
    symbol = floor.store.symbols.get(ask.symbol)
    return None if symbol is not None and symbol.selected else Retcode.INVALID


def judged(floor: Floor, ask: Ask) -> Retcode | None:
    match TradeAction(ask.action):
        case TradeAction.DEAL:
            return checks.refusal(Case(floor, ask, floor.store.symbols[ask.symbol]), checks.DEAL)
        case TradeAction.PENDING:
            return checks.refusal(Case(floor, ask, floor.store.symbols[ask.symbol]), checks.PENDING)
        case TradeAction.MODIFY:
            return _judge_modify(floor, ask)
        case TradeAction.REMOVE:
            return _judge_order(floor, ask)
        case TradeAction.SLTP:
            return _judge_levels(floor, ask)
        case TradeAction.CLOSE_BY:
            return _judge_close_by(floor, ask)


def _judge_order(floor: Floor, ask: Ask) -> Retcode | None:
    """The order of a change or removal: gone, in the middle of an execution, or too near to the price."""
    order = floor.store.orders.get(ask.order)
    if order is None:
        return Retcode.ORDER_CHANGED if ask.order in floor.store.history else Retcode.INVALID
    return Retcode.LOCKED if order.due else levels.frozen_order(floor, order)


def _judge_modify(floor: Floor, ask: Ask) -> Retcode | None:
    refused = _judge_order(floor, ask)
    if refused is not None:
        return refused
    order = floor.store.orders[ask.order]
    changed = replace(
        ask, symbol=order.symbol, type=order.type, volume=order.left, stoplimit=ask.stoplimit or order.stoplimit
    )
    rules = (checks.numbers, checks.tradable, checks.quoted, checks.pending_open, checks.pending_stops)
    refused = checks.refusal(Case(floor, changed, floor.store.symbols[order.symbol]), (*rules, checks.expiration))
    return refused or (Retcode.NO_CHANGES if modified(order, ask) == order else None)


def _judge_levels(floor: Floor, ask: Ask) -> Retcode | None:
    position = floor.store.positions.get(ask.position)
    if position is None and not ask.position and not floor.account.hedging:
        position = floor.held(ask.symbol)
    if position is None:
        return Retcode.POSITION_CLOSED
    if position.symbol != ask.symbol or not ask.finite:
        return Retcode.INVALID
    if (position.sl, position.tp) == (ask.sl, ask.tp):
        return Retcode.NO_CHANGES
    case = Case(floor, ask, floor.store.symbols[position.symbol])
    refused = checks.refusal(case, (checks.tradable, checks.quoted)) or levels.frozen(floor, position)
    price = floor.closing_price(position) or ZERO
    long = position.type == PositionType.BUY
    return refused or levels.distances(case.symbol, long, price, ask.sl, ask.tp)


def _judge_close_by(floor: Floor, ask: Ask) -> Retcode | None:
    position, by = (floor.store.positions.get(ticket) for ticket in (ask.position, ask.position_by))
    if not floor.account.hedging:
        return Retcode.INVALID_ORDER
    if position is None or by is None:
        return Retcode.POSITION_CLOSED
    if position.symbol != by.symbol or position.type == by.type:
        return Retcode.INVALID
    symbol = floor.store.symbols[position.symbol]
    if not levels.flags(OrderType.CLOSE_BY) & symbol.orders:
        return Retcode.INVALID_ORDER
    return checks.tradable(Case(floor, ask, symbol))


def modified(order: Order, ask: Ask) -> Order:
    return replace(
        order,
        price=ask.price,
        stoplimit=ask.stoplimit or order.stoplimit,
        sl=ask.sl,
        tp=ask.tp,
        time_type=ask.type_time,
        expiration=ask.expiration,
    )
