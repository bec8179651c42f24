"""What accepted calls on orders do to the picture: placed, given new terms, taken back; brackets are levels."""

from datetime import datetime
from decimal import Decimal

from msgspec import UNSET
from msgspec.structs import replace

from ingest import levels
from ingest.calls import ENDINGS, CancelOrder, ModifyOrder, PlaceOrder
from ingest.changes import Why, by_call, traded_price
from ingest.desk import Desk
from ingest.rest_rows import bracket_id, priced
from ingest.state import Bracket, OrderState, PositionState
from shared.facts import Levels, OrderType

NO_LEVELS = Levels(stop_loss=None, take_profit=None, trailing=None)


def place_as_far_as_said(desk: Desk, call: PlaceOrder) -> None:
    """A new order, and what the reply says became of it already."""
    order = place(desk, call)
    if order is not None and call.standing == "filled":
        desk.fill(order, order.quantity, by_call(call, call.average_price))
    elif order is not None and call.standing in ENDINGS:
        desk.end(order, ENDINGS[call.standing], by_call(call), sure=True)


def place(desk: Desk, call: PlaceOrder, why: Why | None = None) -> OrderState | None:
    """A new order; `why` when polls, not a reply, show that it was accepted. `None`: it was known already."""
    earlier = desk.order(call.order_id)
    if earlier is not None and not _is_new(earlier, call):
        desk.note("duplicate", f"order {call.order_id}")
        return None
    if earlier is not None:
        desk.note("reused-id", f"order {call.order_id}")
    why = why or by_call(call, traded_price(call, call.side))
    given = levels.asked_for(desk, call.instrument, call.levels, call.trailing_pips)
    order = _new_order(desk, call, why.at, given)
    position = _new_position(desk, order, why.at)
    desk.tell_order("order.placed", order, position, why, levels=order.levels)
    levels.remember(desk, call.brackets, call.order_id)
    return desk.orders[order.id]


def _is_new(earlier: OrderState, call: PlaceOrder) -> bool:
    """Whether an order id that is known already names another order now."""
    same = (earlier.instrument, earlier.side, earlier.type, earlier.quantity) == (
        call.instrument,
        call.side,
        call.type,
        call.quantity,
    )
    return not same or (earlier.ended is not None and call.asked >= earlier.ended)


def _new_order(desk: Desk, call: PlaceOrder, at: datetime, given: Levels) -> OrderState:
    name = desk.name("order", call.order_id)
    hedging = desk.model == "hedging"
    return OrderState(
        id=name,
        source_id=call.order_id,
        instrument=call.instrument,
        side=call.side,
        type=call.type,
        quantity=call.quantity,
        position=f"o{name}" if hedging else call.instrument,
        since=at,
        limit_price=call.limit_price,
        stop_price=call.stop_price,
        duration=call.duration,
        expires=call.expires,
        levels=given.over(NO_LEVELS) if hedging else given,
    )


def _new_position(desk: Desk, order: OrderState, at: datetime) -> PositionState:
    """The order's position with the order in it: a market order is coming from now on."""
    position = desk.positions.get(order.position)
    if position is None:
        unbased = desk.model == "netting" and "positions" not in desk.polled
        position = PositionState(key=order.position, instrument=order.instrument, since=at, unbased=unbased)
    position = replace(position, opening=position.opening + order.coming)
    after = position.held + position.opening
    if desk.model == "hedging" or (order.type == "market" and after * order.coming > 0):  # else it only reduces
        position = replace(position, levels=order.levels.over(position.levels))
    return position


def modify(desk: Desk, call: ModifyOrder) -> None:
    order = desk.order(call.order_id)
    if order is not None and order.live:
        _modify_resting(desk, order, call)
    elif order is not None or not _modify_bracket(desk, call):
        desk.note("unknown-object", f"order {call.order_id}")


def _modify_resting(desk: Desk, order: OrderState, call: ModifyOrder) -> None:
    after = with_terms(order, call)
    if after is None:
        desk.note("malformed", f"order {order.id}: {call.quantity} is less than has filled")
        return
    given = levels.asked_for(desk, order.instrument, call.levels, call.trailing_pips)
    position = desk.positions[order.position]
    bearer = order if desk.model == "netting" else position
    unsure = levels.absent(bearer.levels, given)
    if after.stated() == order.stated():
        levels.change(desk, bearer, given, by_call(call), unsure=unsure)
    elif desk.model == "netting":
        after = replace(after, levels=replace(given.over(order.levels), **dict.fromkeys(unsure, UNSET)))
        desk.tell_order("order.modified", after, position, by_call(call), levels=after.levels)
    else:
        position = replace(position, levels=given.over(position.levels), unsure=unsure, level_doubt=None)
        desk.tell_order("order.modified", after, position, by_call(call))


def with_terms(order: OrderState, call: ModifyOrder) -> OrderState | None:
    """The order with the call's terms where it names some; `None` when they are impossible."""
    limit, stop = _prices(order.type, call)
    after = replace(
        order,
        quantity=call.quantity or order.quantity,
        limit_price=limit or order.limit_price,
        stop_price=stop or order.stop_price,
        duration=call.duration or order.duration,
        expires=call.expires or order.expires,
        doubt=None,
    )
    possible = after.quantity >= order.filled and priced(order.type, after.limit_price, after.stop_price)
    return after if possible else None


def _prices(kind: OrderType, call: ModifyOrder) -> tuple[Decimal | None, Decimal | None]:
    """Limit and stop price; the protocol that knows only one price gives the one that this type has."""
    limit = call.limit_price or call.price if kind in ("limit", "stoplimit") else None
    stop = call.stop_price or (call.price if kind == "stop" else None) if kind in ("stop", "stoplimit") else None
    return limit, stop


def _modify_bracket(desk: Desk, call: ModifyOrder) -> bool:
    bracket = _bracket(desk, call.order_id)
    who = levels.bearer(desk, bracket.parent, bracket.id) if bracket else None
    if bracket is None or who is None:
        return False
    price = call.price or (call.limit_price if bracket.level == "take_profit" else call.stop_price)
    if price is not None:
        levels.change(desk, who, levels.only(bracket.level, price), by_call(call))
    return True


def _bracket(desk: Desk, order_id: str) -> Bracket | None:
    """The bracket with that id: known, or told by an id like `1.TP.2` whose first part is its parent's."""
    named = bracket_id(order_id)
    known = desk.brackets.get(order_id)
    return known or (Bracket(id=order_id, level=named[1], parent=named[0]) if named else None)


def cancel(desk: Desk, call: CancelOrder) -> None:
    order = desk.order(call.order_id)
    if order is not None and order.live:
        desk.end(order, "canceled", by_call(call), sure=False)
        return
    bracket = None if order is not None else _bracket(desk, call.order_id)
    who = levels.bearer(desk, bracket.parent, bracket.id) if bracket else None
    if bracket is None or who is None:
        desk.note("unknown-object", f"order {call.order_id}")
        return
    desk.brackets[bracket.id] = replace(bracket, live=False)
    if isinstance(who, PositionState) and levels.siblings(desk, who, bracket):
        desk.keep(replace(who, unsure=tuple(dict.fromkeys((*who.unsure, bracket.level)))))
        return
    gone = levels.only(bracket.level, None)
    levels.change(desk, who, replace(gone, trailing=None) if bracket.level == "stop_loss" else gone, by_call(call))
