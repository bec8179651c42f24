"""What a trading call is about: the instrument whose polls have to wait for its reply."""

from ingest.calls import Call, ClosePosition, ModifyPosition, PlaceOrder
from ingest.desk import ALL, Desk
from ingest.state import OpenCall


def instrument_of(desk: Desk, call: Call) -> str:
    """The instrument that a call is about, `*` when nobody knows."""
    match call:
        case PlaceOrder():
            return call.instrument
        case ModifyPosition() | ClosePosition():
            position = desk.position(call.position)
            return position.instrument if position else ALL
        case _:
            return order_instrument(desk, call.order_id)


def order_instrument(desk: Desk, order_id: str) -> str:
    """The instrument of an order or a bracket, `*` when nobody knows."""
    order, bracket = desk.order(order_id), desk.brackets.get(order_id)
    if order is None and bracket is not None:
        position = desk.position(bracket.parent)
        order = desk.order(bracket.parent)
        return position.instrument if position else order.instrument if order else ALL
    return order.instrument if order else ALL


def once(call: Call) -> str:
    """A name for what a placement has led to, the same for a request that was sent twice; empty where it has none."""
    return f"request:{call.request}:{call.order_id}" if isinstance(call, PlaceOrder) and call.request else ""


def waits(desk: Desk, call: Call) -> None:
    """A trading request has come in: the polls of its instrument wait for its reply."""
    if call.flow not in desk.flows:
        desk.open[call.flow] = OpenCall(call=call, instrument=instrument_of(desk, call))
