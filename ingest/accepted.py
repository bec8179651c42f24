"""What calls do to the picture: a trading request came in, was accepted, was refused, or has no reply.

An accepted call is applied at once: a market order and a close are coming from then on. What the reply does not say
is settled by the polls that leave after it.
"""

from datetime import datetime
from typing import assert_never

from msgspec.structs import replace

from ingest import missed, order_calls, position_calls
from ingest.calls import (
    Call,
    CancelOrder,
    ClosePosition,
    ModifyOrder,
    ModifyPosition,
    PlaceOrder,
    Refused,
    Unanswered,
)
from ingest.desk import ALL, PATIENCE, Desk
from ingest.state import OpenCall
from ingest.subject import instrument_of, once


def accept(desk: Desk, call: Call) -> None:
    """Apply a call that the source has accepted; the same exchange a second time changes nothing."""
    desk.open.pop(call.flow, None)
    again = once(call)
    if call.flow in desk.flows or again in desk.flows:
        desk.note("duplicate", call.flow)
        return
    desk.flows[call.flow] = True
    if again and isinstance(call, PlaceOrder):
        desk.flows[again] = True
        _sent_again(desk, call.request)
    instrument = instrument_of(desk, call)
    _apply(desk, call)
    desk.hush(instrument, call.answered or call.asked)
    _blind(desk, call)


def _sent_again(desk: Desk, request: str) -> None:
    """Browsers send a request again whose connection was cut. The first is told by this; if both were carried out, the
    polls show the other."""
    same = [o for o in desk.unsettled if isinstance(o.call, PlaceOrder) and o.call.request == request]
    if same:
        desk.unsettled = tuple(replace(o, shown=True) if o in same else o for o in desk.unsettled)


def _apply(desk: Desk, call: Call) -> None:
    match call:
        case PlaceOrder():
            order_calls.place_as_far_as_said(desk, call)
        case ModifyOrder():
            order_calls.modify(desk, call)
        case CancelOrder():
            order_calls.cancel(desk, call)
        case ModifyPosition():
            position_calls.modify(desk, call)
        case ClosePosition():
            position_calls.close(desk, call)
        case _:
            assert_never(call)


def _blind(desk: Desk, call: Call) -> None:
    """Fills and closes are known from polls alone: trading while none come in is worth an alarm."""
    newest = max((desk.answered[k] for k in ("orders", "positions") if k in desk.answered), default=None)
    if newest is None or (call.answered or call.asked) - newest > PATIENCE:
        desk.note("blind", "no good poll of orders or positions lately")


def refuse(desk: Desk, event: Refused) -> None:
    """The broker said no."""
    desk.open.pop(event.flow, None)
    desk.note("refused", event.text)


def unanswered(desk: Desk, event: Unanswered) -> None:
    """Nobody knows what became of a call: the polls that leave from now on settle it."""
    waiting = desk.open.pop(event.flow, None)
    call = event.call or (waiting.call if waiting else None)
    if event.flow in desk.flows:
        desk.note("duplicate", event.flow)
        return
    instrument = waiting.instrument if waiting else instrument_of(desk, call) if call else ALL
    desk.hush(instrument, event.at)
    if call is not None:
        desk.unsettled = (*desk.unsettled, OpenCall(call=call, instrument=instrument, since=event.at))
    desk.note("unanswered", event.text)


def expire(desk: Desk, now: datetime, *, all_of_them: bool = False) -> None:
    """Requests that have waited too long (after a restart: all of them) are settled by the polls from now on."""
    for flow, waiting in list(desk.open.items()):
        if all_of_them or now - waiting.call.asked > PATIENCE:
            del desk.open[flow]
            desk.hush(waiting.instrument, now)
            desk.unsettled = (*desk.unsettled, replace(waiting, since=now))
            desk.note("unanswered", "no reply in time")
    if desk.unsettled:
        desk.unsettled = missed.still_open(desk, now)
