"""What an execution does: orders become deals, deals become positions, on hedging and netting accounts. Pure."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from executor.mt5.simulator.floor import Floor
from executor.mt5.simulator.store import ZERO, Deal, Order, Position
from executor.mt5.vocabulary import DealEntry, DealReason, DealType, OrderState, OrderType, PositionType

_AVERAGE = Decimal("1e-8")


def fill(floor: Floor, order: Order, volume: Decimal, price: Decimal) -> Deal:
    """Execute `volume` of the order at `price`: one deal, the position it makes, and what is left of the order."""
    position = target(floor, order)
    if position is None:
        deal = _open(floor, order, volume, price)
    elif _same_side(order, position):
        deal = _increase(floor, order, position, volume, price)
    elif volume <= position.volume:
        deal = _reduce(floor, order, position, volume, price)
    else:
        deal = _reverse(floor, order, position, volume, price)
    _book(floor, deal)
    _settle_order(floor, replace(order, position=deal.position), volume)
    return deal


def target(floor: Floor, order: Order) -> Position | None:
    """The position that an execution of the order would change; None when it opens one."""
    if not floor.account.hedging:
        return floor.held(order.symbol)
    return floor.store.positions.get(order.position or order.ticket)


def close_by(floor: Floor, order: Order, position: Position, by: Position) -> Deal:
    """Settle two opposite positions against each other at the price at which `by` was opened."""
    volume = min(position.volume, by.volume)
    first = _reduce(floor, order, position, volume, by.price, DealEntry.OUT_BY)
    second = _reduce(floor, order, by, volume, by.price, DealEntry.OUT_BY)
    for deal in (first, second):
        _book(floor, deal)
    _settle_order(floor, replace(order, position=position.identifier, position_by=by.identifier), order.left)
    return first


def end_order(floor: Floor, order: Order, state: OrderState) -> None:
    """Move an order to the history with its last state."""
    floor.store.remove("orders", order.ticket)
    floor.store.put("history", order.ticket, replace(order, state=int(state), done=floor.now, due=0))


def balance_deal(floor: Floor, amount: Decimal, comment: str, kind: DealType = DealType.BALANCE) -> Deal:
    """A deposit, a withdrawal or any other change of the balance that no trade made."""
    deal = Deal(
        ticket=floor.store.next_number("deal"),
        order=0,
        time=floor.now,
        type=kind,
        entry=DealEntry.IN,
        reason=DealReason.CLIENT,
        profit=floor.money(amount),
        comment=comment,
    )
    _book(floor, deal)
    return deal


def _same_side(order: Order, position: Position) -> bool:
    return OrderType(order.type).is_buy == (position.type == PositionType.BUY)


def _open(floor: Floor, order: Order, volume: Decimal, price: Decimal) -> Deal:
    position = Position(
        ticket=order.ticket,
        identifier=order.ticket,
        symbol=order.symbol,
        type=PositionType.BUY if OrderType(order.type).is_buy else PositionType.SELL,
        volume=volume,
        price=price,
        time=floor.now,
        updated=floor.now,
        sl=order.sl,
        tp=order.tp,
        magic=order.magic,
        comment=order.comment,
        reason=order.reason,
    )
    floor.store.put("positions", position.ticket, position)
    return _deal(floor, order, position.identifier, DealEntry.IN, volume, price)


def _increase(floor: Floor, order: Order, position: Position, volume: Decimal, price: Decimal) -> Deal:
    total = position.volume + volume
    average = ((position.price * position.volume + price * volume) / total).quantize(_AVERAGE)
    grown = replace(
        position,
        volume=total,
        price=average.normalize(),
        updated=floor.now,
        sl=order.sl or position.sl,
        tp=order.tp or position.tp,
    )
    floor.store.put("positions", position.ticket, grown)
    return _deal(floor, order, position.identifier, DealEntry.IN, volume, price)


def _reduce(
    floor: Floor, order: Order, position: Position, volume: Decimal, price: Decimal, entry: DealEntry = DealEntry.OUT
) -> Deal:
    swap = floor.money(position.swap * volume / position.volume)
    profit = floor.profit(position, volume, price)
    if volume == position.volume:
        floor.store.remove("positions", position.ticket)
    else:
        rest = replace(position, volume=position.volume - volume, swap=position.swap - swap, updated=floor.now)
        floor.store.put("positions", position.ticket, rest)
    side = OrderType.SELL if position.type == PositionType.BUY else OrderType.BUY
    closing = replace(order, type=int(side))
    return _deal(floor, closing, position.identifier, entry, volume, price, profit, swap)


def _reverse(floor: Floor, order: Order, position: Position, volume: Decimal, price: Decimal) -> Deal:
    """One deal in and out: the ticket becomes the reversing order's, the identifier stays."""
    profit = floor.profit(position, position.volume, price)
    floor.store.remove("positions", position.ticket)
    turned = Position(
        ticket=order.ticket,
        identifier=position.identifier,
        symbol=order.symbol,
        type=PositionType.BUY if OrderType(order.type).is_buy else PositionType.SELL,
        volume=volume - position.volume,
        price=price,
        time=floor.now,
        updated=floor.now,
        sl=order.sl,
        tp=order.tp,
        magic=order.magic,
        comment=order.comment,
        reason=order.reason,
    )
    floor.store.put("positions", turned.ticket, turned)
    return _deal(floor, order, position.identifier, DealEntry.INOUT, volume, price, profit, position.swap)


def _deal(
    floor: Floor,
    order: Order,
    identifier: int,
    entry: DealEntry,
    volume: Decimal,
    price: Decimal,
    profit: Decimal = ZERO,
    swap: Decimal = ZERO,
) -> Deal:
    symbol = floor.store.symbols[order.symbol]
    by = entry == DealEntry.OUT_BY
    return Deal(
        ticket=floor.store.next_number("deal"),
        order=order.ticket,
        time=floor.now,
        type=DealType.BUY if OrderType(order.type).is_buy else DealType.SELL,
        entry=entry,
        reason=order.reason,
        symbol=order.symbol,
        position=identifier,
        volume=volume,
        price=price,
        profit=profit,
        swap=swap,
        commission=ZERO if by else floor.money(-symbol.commission * volume),
        magic=order.magic,
        comment=order.comment,
    )


def _book(floor: Floor, deal: Deal) -> None:
    floor.store.put("deals", deal.ticket, deal)
    money = deal.profit + deal.swap + deal.commission
    if deal.type == DealType.CREDIT:
        floor.store.set("account", replace(floor.account, credit=floor.account.credit + money))
    else:
        floor.store.set("account", replace(floor.account, balance=floor.account.balance + money))


def _settle_order(floor: Floor, order: Order, volume: Decimal) -> None:
    left = order.left - volume
    if left > 0:
        floor.store.put("orders", order.ticket, replace(order, left=left, state=int(OrderState.PARTIAL)))
    else:
        end_order(floor, replace(order, left=ZERO), OrderState.FILLED)
