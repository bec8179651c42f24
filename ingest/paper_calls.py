"""What a trading request of Paper Trading asks: its JSON body as a call."""

from datetime import datetime
from typing import NamedTuple

from msgspec import UNSET, Struct

from ingest.calls import Call, CancelOrder, ClosePosition, ModifyOrder, ModifyPosition, PlaceOrder
from ingest.exchange import JSON, Exchange, read_json
from ingest.paper_rows import level
from ingest.rest_rows import moment, order_type, positive, priced, side, text
from shared.facts import Level, Levels


class Place(NamedTuple):
    """Where in the protocol a request goes: /trading/{action}/{account}."""

    action: str
    account: str = ""


class _Caller(Struct, frozen=True):
    account: str
    flow: str
    asked: datetime


def call_of(exchange: Exchange, place: Place) -> Call | None:
    """The call, not accepted yet; `None` when the request is none or cannot be one."""
    body = read_json(exchange.body)
    if not isinstance(body, dict):
        return None
    by = _Caller(place.account, exchange.flow, exchange.asked)
    match place.action:
        case "place":
            return _place_order(body, by)
        case "modify":
            return _modify_order(body, by)
        case "cancel":
            return _cancel(body, by)
        case "close_position":
            return _close(body, by)
        case "modify_position":
            return _modify_position(body, by)
        case _:
            return None


def _place_order(body: dict[str, JSON], by: _Caller) -> PlaceOrder | None:
    kind, found_side, quantity = order_type(body.get("type")), side(body.get("side")), positive(body.get("qty"))
    symbol, levels = text(body.get("symbol")), _levels(body)
    if kind is None or found_side is None or quantity is None or not symbol or levels is None:
        return None
    # One `price` serves limit and stop orders; how a stop-limit's two are named is not known for certain.
    limit = positive(body.get("limit_price") or body.get("price")) if kind in ("limit", "stoplimit") else None
    stop = positive(body.get("stop_price") or (body.get("price") if kind == "stop" else None))
    if not priced(kind, limit, stop):
        return None
    return PlaceOrder(
        account=by.account, flow=by.flow, asked=by.asked, instrument=symbol, side=found_side, type=kind,
        quantity=quantity, limit_price=limit, stop_price=stop if kind in ("stop", "stoplimit") else None,
        expires=moment(body.get("expiration")), levels=levels,
    )  # fmt: skip


def _modify_order(body: dict[str, JSON], by: _Caller) -> ModifyOrder | None:
    order_id, levels = text(body.get("id")), _levels(body)
    if (
        not order_id
        or levels is None
        or any(body.get(n) is not None and positive(body[n]) is None for n in ("price", "qty"))
    ):
        return None
    return ModifyOrder(
        account=by.account, flow=by.flow, asked=by.asked, order_id=order_id, quantity=positive(body.get("qty")),
        price=positive(body.get("price")), expires=moment(body.get("expiration")), levels=levels,
    )  # fmt: skip


def _cancel(body: dict[str, JSON], by: _Caller) -> CancelOrder | None:
    order_id = text(body.get("id"))
    return CancelOrder(account=by.account, flow=by.flow, asked=by.asked, order_id=order_id) if order_id else None


def _close(body: dict[str, JSON], by: _Caller) -> ClosePosition | None:
    symbol, amount = text(body.get("symbol")), positive(body.get("qty"))
    if not symbol or (amount is None and body.get("qty") is not None):
        return None
    return ClosePosition(account=by.account, flow=by.flow, asked=by.asked, position=symbol, amount=amount)


def _modify_position(body: dict[str, JSON], by: _Caller) -> ModifyPosition | None:
    symbol, levels = text(body.get("symbol")), _levels(body)
    if not symbol or levels is None:
        return None
    return ModifyPosition(account=by.account, flow=by.flow, asked=by.asked, position=symbol, levels=levels)


def _levels(body: dict[str, JSON]) -> Levels | None:
    """The levels in a request, `None` when one cannot be read. How a level is removed is not known: a `null` is left
    to the frames that follow."""
    try:
        return Levels(
            stop_loss=_first(body, "sl", "stopLoss"),
            take_profit=_first(body, "tp", "takeProfit"),
        )
    except ValueError:
        return None


def _first(body: dict[str, JSON], *names: str) -> Level:
    return next((level(body[n]) for n in names if body.get(n) is not None), UNSET)
