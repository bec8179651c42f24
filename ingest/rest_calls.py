"""What a trading request of the Broker REST protocol asks: its path and its form as a call.

A form that no broker could carry out (no size, a limit without its price) is no call.
"""

from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from msgspec import UNSET, Struct
from msgspec.structs import replace

from ingest.calls import Call, CancelOrder, ClosePosition, ModifyOrder, ModifyPosition, PlaceOrder
from ingest.exchange import Exchange, number, read_form
from ingest.rest_rows import moment, order_type, positive, priced, side
from shared.facts import Level, Levels, Quote


class Place(NamedTuple):
    """Where in the protocol a request goes: /accounts/{account}/{resource}/{item}."""

    account: str = ""
    resource: str = ""
    item: str = ""


def is_trading(method: str, place: Place) -> bool:
    """Whether the endpoint trades: POST orders; PUT and DELETE of an order or a position."""
    if place.resource == "orders":
        return (method == "POST" and not place.item) or (method in ("PUT", "DELETE") and bool(place.item))
    return place.resource == "positions" and method in ("PUT", "DELETE") and bool(place.item)


class _Caller(Struct, frozen=True):
    """Who calls, when, and what the trader saw."""

    account: str
    flow: str
    asked: datetime
    quote: Quote | None


def call_of(exchange: Exchange, place: Place) -> Call | None:
    """The call, not accepted yet; `None` when the request is none or cannot be one."""
    if not is_trading(exchange.method, place):
        return None
    call = _call(exchange.method, place, exchange.body, exchange.flow, exchange.asked)
    return replace(call, request=_request(exchange.query)) if isinstance(call, PlaceOrder) else call


@lru_cache(maxsize=16)
def _request(query: str) -> str:
    return read_form(query).get("requestId", "")[:100]


@lru_cache(maxsize=16)
def _call(method: str, place: Place, body: bytes, flow: str, asked: datetime) -> Call | None:
    """A request is read when it is asked and, being the same, when its reply has come."""
    form = read_form(body)
    by = _Caller(place.account, flow, asked, _quote(form))
    match place.resource, method:
        case "orders", "POST":
            return _place_order(form, by)
        case "orders", "PUT":
            return _modify_order(form, by, place.item)
        case "orders", _:
            return CancelOrder(account=by.account, flow=by.flow, asked=by.asked, order_id=place.item)
        case _, "PUT":
            return _modify_position(form, by, place.item)
        case _:
            return _close_position(form, by, place.item)


def _place_order(form: dict[str, str], by: _Caller) -> PlaceOrder | None:
    kind, found_side, quantity = order_type(form.get("type")), side(form.get("side")), positive(form.get("qty"))
    limit, stop, levels = positive(form.get("limitPrice")), positive(form.get("stopPrice")), _levels(form)
    name = form.get("instrument", "").strip()
    if kind is None or found_side is None or quantity is None or levels is None or not name:
        return None
    if not priced(kind, limit, stop):
        return None
    return PlaceOrder(
        account=by.account, flow=by.flow, asked=by.asked, quote=by.quote, instrument=name, side=found_side, type=kind,
        quantity=quantity, limit_price=limit if kind in ("limit", "stoplimit") else None,
        stop_price=stop if kind in ("stop", "stoplimit") else None, duration=form.get("durationType") or None,
        expires=moment(form.get("durationDateTime")), levels=levels,
        trailing_pips=positive(form.get("trailingStopPips")),
    )  # fmt: skip


def _modify_order(form: dict[str, str], by: _Caller, order_id: str) -> ModifyOrder | None:
    levels = _levels(form)
    if levels is None or any(
        name in form and positive(form[name]) is None for name in ("qty", "limitPrice", "stopPrice")
    ):
        return None
    return ModifyOrder(
        account=by.account, flow=by.flow, asked=by.asked, quote=by.quote, order_id=order_id,
        quantity=positive(form.get("qty")), limit_price=positive(form.get("limitPrice")),
        stop_price=positive(form.get("stopPrice")), duration=form.get("durationType") or None,
        expires=moment(form.get("durationDateTime")), levels=levels,
        trailing_pips=positive(form.get("trailingStopPips")),
    )  # fmt: skip


def _modify_position(form: dict[str, str], by: _Caller, position: str) -> ModifyPosition | None:
    levels, found_side = _levels(form), side(form.get("side"))
    if levels is None or ("side" in form and found_side is None):
        return None
    return ModifyPosition(
        account=by.account, flow=by.flow, asked=by.asked, quote=by.quote, position=position, levels=levels,
        trailing_pips=positive(form.get("trailingStopPips")), side=found_side,
    )  # fmt: skip


def _close_position(form: dict[str, str], by: _Caller, position: str) -> ClosePosition | None:
    amount = positive(form.get("amount"))
    if amount is None and form.get("amount"):
        return None
    return ClosePosition(
        account=by.account, flow=by.flow, asked=by.asked, quote=by.quote, position=position, amount=amount
    )


def _levels(form: dict[str, str]) -> Levels | None:
    """The levels in a form, `None` when one cannot be read. Absent is not removed; empty or 0 is."""
    try:
        return Levels(stop_loss=_level(form, "stopLoss"), take_profit=_level(form, "takeProfit"))
    except ValueError:
        return None


def _level(form: dict[str, str], key: str) -> Level:
    if key not in form:
        return UNSET
    value = number(form[key]) if form[key].strip() else Decimal(0)
    if value is None or value < 0:
        raise ValueError(f"{key} is no price")
    return value or None


def _quote(form: dict[str, str]) -> Quote | None:
    bid, ask = positive(form.get("currentBid")), positive(form.get("currentAsk"))
    return Quote(bid=bid, ask=ask) if bid and ask else None
