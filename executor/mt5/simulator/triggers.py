"""What happens without a request: pendings, SL and TP, delayed fills, expirations, stop-out and swap. Pure."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from executor.mt5.simulator import checks, fills, levels
from executor.mt5.simulator.ask import Ask
from executor.mt5.simulator.case import Case
from executor.mt5.simulator.floor import Floor
from executor.mt5.simulator.market import Symbol
from executor.mt5.simulator.store import ZERO, Order, Position
from executor.mt5.vocabulary import DealReason, OrderFilling, OrderFlag, OrderState, OrderTime, OrderType, PositionType

DAY_MS = 86_400_000
RETRY_MS = 250
TRIPLE_SWAP_DAY = 3
"""Wednesday pays for the weekend, counted from Monday as 1."""


def advance(floor: Floor) -> None:
    """Bring the account to the floor's moment, in the order a server would."""
    _charge_swap(floor)
    for order in list(floor.store.orders.values()):
        _advance_order(floor, order)
    for position in list(floor.store.positions.values()):
        _trigger_levels(floor, position)
    _stop_out(floor)


def execute(floor: Floor, order: Order) -> Decimal:
    """Fill a market order at the present price as far as there is liquidity; answers the volume filled.

    FOK fills everything or nothing, IOC drops the rest, RETURN keeps it working.
    """
    symbol = floor.store.symbols[order.symbol]
    price = floor.market_price(order.symbol, OrderType(order.type).is_buy)
    available = min(_wanted(floor, order), symbol.liquidity or order.left)
    if price is None or (order.filling == OrderFilling.FOK and available < order.left):
        fills.end_order(floor, order, OrderState.REJECTED)
        return ZERO
    fills.fill(floor, replace(order, price=order.price or price), available, price)
    _rest(floor, order.ticket)
    return available


def _wanted(floor: Floor, order: Order) -> Decimal:
    """A closing order of a hedging account never closes more than is still open."""
    position = floor.store.positions.get(order.position) if floor.account.hedging else None
    return order.left if position is None else min(order.left, position.volume)


def _rest(floor: Floor, ticket: int) -> None:
    """What a partial fill leaves: it works on, or is canceled with the volume that was filled."""
    order = floor.store.orders.get(ticket)
    if order is None:
        return
    if order.filling == OrderFilling.RETURN:
        floor.store.put("orders", ticket, replace(order, due=floor.now + RETRY_MS))
    else:
        fills.end_order(floor, order, OrderState.CANCELED)


def _advance_order(floor: Floor, order: Order) -> None:
    if order.due:
        if order.due <= floor.now:
            _execute_due(floor, order)
    elif _expired(floor, order):
        fills.end_order(floor, order, OrderState.EXPIRED)
    elif (price := floor.market_price(order.symbol, OrderType(order.type).is_buy)) is not None:
        _trigger_order(floor, order, price)


def _execute_due(floor: Floor, order: Order) -> None:
    """A closing order whose position is gone has nothing left to do."""
    if order.position and order.position not in floor.store.positions and floor.account.hedging:
        fills.end_order(floor, order, OrderState.CANCELED)
    else:
        execute(floor, order)


def _expired(floor: Floor, order: Order) -> bool:
    if order.time_type == OrderTime.GTC:
        return False
    if order.time_type == OrderTime.DAY:
        return _day(floor, order.setup) < _day(floor, floor.now)
    if order.time_type == OrderTime.SPECIFIED_DAY:
        return floor.clock // DAY_MS > order.expiration * 1000 // DAY_MS
    return floor.clock >= order.expiration * 1000


def _day(floor: Floor, moment: int) -> int:
    return (moment + floor.clock - floor.now) // DAY_MS


def _trigger_order(floor: Floor, order: Order, market: Decimal) -> None:
    kind = OrderType(order.type)
    stop_limit = bool(levels.flags(kind) & OrderFlag.STOP_LIMIT)
    if stop_limit and not order.triggered:
        if _reached(kind, market, order.price):
            floor.store.put("orders", order.ticket, replace(order, triggered=True))
        return
    price = order.stoplimit if stop_limit else order.price
    limit = stop_limit or bool(levels.flags(kind) & OrderFlag.LIMIT)
    reached = market <= price if kind.is_buy == limit else market >= price
    if reached:
        _activate(floor, order, market)


def _reached(kind: OrderType, market: Decimal, stop: Decimal) -> bool:
    return market >= stop if kind.is_buy else market <= stop


def _activate(floor: Floor, order: Order, market: Decimal) -> None:
    """A pending that the price has reached trades at the market, unless there is no money for it."""
    symbol = floor.store.symbols[order.symbol]
    buys = OrderType(order.type).is_buy
    side = OrderType.BUY if buys else OrderType.SELL
    ask = Ask(symbol=order.symbol, type=int(side), volume=order.left)
    if not symbol.open or symbol.trade_mode == 0:
        return
    if checks.money(Case(floor, ask, symbol)) is not None:
        fills.end_order(floor, order, OrderState.REJECTED)
        return
    volume = min(order.left, symbol.liquidity or order.left)
    fills.fill(floor, order, volume, market)


def _trigger_levels(floor: Floor, position: Position) -> None:
    symbol = floor.store.symbols[position.symbol]
    price = floor.closing_price(position)
    if price is None or not symbol.open:
        return
    stopped, taken = levels.crossed(position, price)
    if stopped:
        _force(floor, position, price, DealReason.SL, f"[sl {_shown(symbol, position.sl)}]")
    elif taken:
        _force(floor, position, price, DealReason.TP, f"[tp {_shown(symbol, position.tp)}]")


def _shown(symbol: Symbol, price: Decimal) -> str:
    return f"{price:.{symbol.digits}f}"


def _force(floor: Floor, position: Position, price: Decimal, reason: DealReason, comment: str) -> None:
    """Close a position by the server's own order, which carries the position's magic."""
    side = OrderType.SELL if position.type == PositionType.BUY else OrderType.BUY
    order = Order(
        ticket=floor.store.next_number("order"),
        symbol=position.symbol,
        type=int(side),
        volume=position.volume,
        left=position.volume,
        state=int(OrderState.STARTED),
        setup=floor.now,
        price=price,
        magic=position.magic,
        comment=comment,
        reason=int(reason),
        position=position.ticket,
    )
    fills.fill(floor, order, position.volume, price)


def _stop_out(floor: Floor) -> None:
    """While the margin level is below the limit, the position with the largest loss is closed."""
    while floor.store.positions:
        margin = floor.used_margin()
        if margin <= 0 or floor.equity() * 100 / margin > floor.account.stop_out:
            return
        worst = min(floor.store.positions.values(), key=floor.position_profit)
        price = floor.closing_price(worst)
        if price is None:
            return
        level = floor.equity() * 100 / margin
        comment = f"[so {level:.2f}%/{floor.equity():.2f}/{margin:.2f}]"[:31]
        _force(floor, worst, price, DealReason.SO, comment)


def _charge_swap(floor: Floor) -> None:
    """At the broker's midnight every position pays or earns its swap; Wednesday counts three times."""
    today = floor.clock // DAY_MS
    last = floor.store.counters.swap_day
    if today == last:
        return
    floor.store.set("counters", replace(floor.store.counters, swap_day=today))
    nights = sum(_nights(day) for day in range(max(last, today - 366), today)) if last else 0
    for position in list(floor.store.positions.values()):
        charged = _swap(floor, position) * nights
        if charged:
            floor.store.put("positions", position.ticket, replace(position, swap=position.swap + charged))


def _nights(day: int) -> int:
    """How many nights the end of a day counts; day 0 of the epoch was a Thursday."""
    weekday = (day + 3) % 7 + 1
    return 0 if weekday > 5 else 3 if weekday == TRIPLE_SWAP_DAY else 1


def _swap(floor: Floor, position: Position) -> Decimal:
    symbol = floor.store.symbols[position.symbol]
    points = symbol.swap_long if position.type == PositionType.BUY else symbol.swap_short
    value = points * symbol.point * position.volume * symbol.contract
    return floor.money(value * floor.rate(symbol.profit, floor.account.currency))
