"""TradingView's Broker REST protocol, read only: a captured exchange becomes calls, polls, or a note why neither.

Endpoints are told apart by method, host, port and path segments, never by substrings. An answer counts by its `s`:
an error comes with status 200, and an accepted order is not a filled one.
"""

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from ingest.calls import (
    AccountShown,
    Asked,
    Call,
    Event,
    ExecutionsShown,
    HistoryShown,
    InstrumentsShown,
    LevelName,
    Note,
    OrdersShown,
    PlaceOrder,
    PositionsShown,
    Refused,
    Unanswered,
)  # fmt: skip
from ingest.exchange import JSON, Exchange, path_segments, read_json
from ingest.rest_calls import Place, call_of, is_trading
from ingest.rest_rows import (
    Unusable,
    execution_row,
    flag,
    identified,
    instrument,
    names,
    order_row,
    past_fill,
    position_row,
    rows,
    sorted_out,
    text,
)  # fmt: skip
from ingest.source import Source

_SILENT = frozenset(
    {
        "previewOrder", "trackLatency", "state", "balances", "getLeverage", "setLeverage",
        "previewLeverage", "stream",
    }
)  # fmt: skip
_SILENT_ROOTS = frozenset({"authorize", "logout", "config", "quotes", "depth", "mapping", "permissions"})
_READ: dict[str, Callable[[dict[str, JSON]], Any]] = {
    "orders": order_row, "positions": position_row, "executions": execution_row, "ordersHistory": past_fill,
}  # fmt: skip
_POLLS = frozenset({"orders", "positions", "executions", "ordersHistory", "instruments"})


def locate(exchange: Exchange, source: Source) -> Place | None:
    """The place in the protocol, or `None` when the exchange is not this source's (other host, port or prefix)."""
    if exchange.host != source.host or exchange.port != source.port or exchange.scheme != "https":
        return None
    return _place(exchange.path, source.prefix)


@lru_cache(maxsize=256)
def _place(path: str, prefix: tuple[str, ...]) -> Place | None:
    segments, depth = path_segments(path), len(prefix)
    if segments[:depth] != prefix:
        return None
    match segments[depth:]:
        case ("accounts",):
            return Place(resource="accounts")
        case ("accounts", account, resource):
            return Place(account, resource)
        case ("accounts", account, resource, item):
            return Place(account, resource, item)
        case ("accounts", account, resource, _, further, *_):
            return Place(account, f"{resource}/*/{further}")
        case (root, *_):
            return Place(resource=f"/{root}")
        case _:
            return Place()


def accounts(exchange: Exchange, source: Source) -> tuple[str, ...]:
    """The source accounts that the exchange is about and that this source follows."""
    place = locate(exchange, source)
    if place is None:
        return ()
    if place == Place(resource="accounts"):
        found = read_json(exchange.answer)
        listed = found.get("d") if isinstance(found, dict) else None
        return tuple(a for a in names(listed if isinstance(listed, list) else ()) if source.owns(a))
    return (place.account,) if source.owns(place.account) else ()


def asks(exchange: Exchange, source: Source) -> Asked | None:
    """What a request would do if it were accepted, or `None` when it is no trading call (or cannot be one)."""
    place = locate(exchange, source)
    if place is None or not source.owns(place.account):
        return None
    call = call_of(exchange, place)
    return Asked(call=call) if call else None


def read(exchange: Exchange, source: Source) -> tuple[Event, ...]:
    """What an answered (or failed) exchange says. Never empty for this source's own traffic; never raises."""
    place = locate(exchange, source)
    if place is None:
        return ()
    if place.account and not source.owns(place.account):
        return (Note("other-account", place.resource),)
    if exchange.method == "OPTIONS":
        return (Note("ignored", "preflight"),)
    return _read(exchange, place, source)


def _read(exchange: Exchange, place: Place, source: Source) -> tuple[Event, ...]:
    if is_trading(exchange.method, place):
        return _read_call(exchange, place)
    if exchange.method == "GET" and place.resource == "accounts" and not place.account:
        return _read_accounts(exchange, source)
    if exchange.method == "GET" and place.resource in _POLLS and not place.item:
        return _read_poll(exchange, place)
    known = place.resource in _SILENT or place.resource.removeprefix("/") in _SILENT_ROOTS
    single = exchange.method == "GET" and place.resource in ("orders", "positions")
    return (Note("ignored" if known or single else "unknown", _path_class(exchange, place)),)


def _path_class(exchange: Exchange, place: Place) -> str:
    """The path without ids, so that it can be counted, and without what may be a secret: long, with digits."""
    resource, has_digits = place.resource, any(character.isdigit() for character in place.resource)
    if not resource.isascii() or len(resource) > (15 if has_digits else 40):
        resource = "…"
    where = f"/accounts/*/{resource}" if place.account else resource
    return f"{exchange.method[:10]} {where}{'/*' if place.item else ''}"


# --- calls ---------------------------------------------------------------------------------------------------------


def _read_call(exchange: Exchange, place: Place) -> tuple[Event, ...]:
    call, at = call_of(exchange, place), exchange.answered or exchange.asked
    origin, answer = _origin(exchange), read_json(exchange.answer)
    match _verdict(exchange, answer):
        case "refused", words:
            return *origin, Refused(account=place.account, flow=exchange.flow, answered=at, text=words)
        case "unknown", words:
            return *origin, Unanswered(account=place.account, flow=exchange.flow, at=at, call=call, text=words)
        case _:
            return *origin, *_accepted(exchange, place, answer, call, at)


def _origin(exchange: Exchange) -> tuple[Note, ...]:
    """The broker has answered whoever asked, so the call counts; that another program trades here is worth saying."""
    ours = not exchange.origin or exchange.origin.endswith((".tradingview.com", "//tradingview.com"))
    return () if ours else (Note("foreign-origin", exchange.origin[:80]),)


def _verdict(exchange: Exchange, answer: JSON) -> tuple[str, str]:
    """`accepted`, `refused` or `unknown`, with the broker's words.

    Only the broker's own `s` says yes or no. A 4xx means that the request was not taken, a 307 or 308 that the browser
    is to send it somewhere else; a 5xx, an answer that is cut or not JSON, or none at all leave open what has happened.
    """
    if exchange.status is None:
        return "unknown", exchange.error or "no reply"
    said = answer.get("s") if isinstance(answer, dict) else None
    if said == "error":
        return "refused", text(answer.get("errmsg"))[:300]
    if 400 <= exchange.status < 500 or exchange.status in (307, 308):
        return "refused", f"HTTP {exchange.status}"
    if said == "ok" and 200 <= exchange.status < 300:
        return "accepted", ""
    return "unknown", f"HTTP {exchange.status}"


def _accepted(
    exchange: Exchange, place: Place, answer: JSON, call: Call | None, at: datetime
) -> tuple[Event, ...]:  # fmt: skip
    if call is None:
        what = Note("malformed", f"accepted, but cannot be read: {_path_class(exchange, place)}")
        return what, Unanswered(account=place.account, flow=exchange.flow, at=at, text="unreadable")
    if not isinstance(call, PlaceOrder):
        return (replace(call, answered=at),)
    said = answer.get("d")
    details = said if isinstance(said, dict) else {}
    order_id = text(details.get("orderId")) or text(details.get("id"))
    if not order_id:
        return (Unanswered(account=place.account, flow=exchange.flow, at=at, call=call, text="no order id"),)
    return (replace(call, answered=at, order_id=order_id, brackets=_bracket_ids(details)),)


def _bracket_ids(details: dict[str, JSON]) -> tuple[tuple[str, LevelName], ...]:
    pairs: tuple[tuple[str, LevelName], ...] = (
        (text(details.get("takeProfitOrderId")), "take_profit"),
        (text(details.get("stopLossOrderId")), "stop_loss"),
    )
    return tuple((name, level) for name, level in pairs if name)


# --- polls ---------------------------------------------------------------------------------------------------------


def _shown(exchange: Exchange) -> JSON:
    """`d` of a good poll. Raises Unusable for anything else: what failed is unknown, never empty."""
    _require_status(exchange)
    return _said(read_json(exchange.answer))


def _require_status(exchange: Exchange) -> None:
    if exchange.status is None or not 200 <= exchange.status < 300:
        raise Unusable(exchange.error or f"HTTP {exchange.status}")


def _said(answer: JSON) -> JSON:
    if not isinstance(answer, dict) or answer.get("s") != "ok":
        raise Unusable("not s: ok")
    return answer.get("d")


def _read_poll(exchange: Exchange, place: Place) -> tuple[Event, ...]:
    try:
        return _poll(exchange, place)
    except Unusable as error:
        return (Note("poll-failed", f"{place.resource}: {error}"),)


class _Listed(Struct):
    """A good poll, its rows as they stand in it."""

    s: Literal["ok"]
    d: list[Raw]


_LISTED = msgspec.json.Decoder(_Listed)


@lru_cache(maxsize=16)
def _rows_of(resource: str, answer: bytes) -> tuple[tuple[Any, ...], frozenset[str]]:
    """The rows of a poll's answer. Most polls say the same as the one before, byte for byte, and are read once."""
    try:
        listed = [_row_of(resource, bytes(row)) for row in _LISTED.decode(answer).d]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return rows(_said(read_json(answer)), _READ.get(resource, instrument))
    return sorted_out(listed)


@lru_cache(maxsize=4096)
def _row_of(resource: str, row: bytes) -> tuple[str, Any]:
    """A row's id and what it says; of a long list few rows are new."""
    return identified(read_json(row), _READ.get(resource, instrument))


def _poll(exchange: Exchange, place: Place) -> tuple[Event, ...]:
    account, flow, asked, at = place.account, exchange.flow, exchange.asked, exchange.answered or exchange.asked
    _require_status(exchange)
    found, unreadable = _rows_of(place.resource, exchange.answer or b"")
    match place.resource:
        case "orders":
            event: Event = OrdersShown(
                account=account, flow=flow, asked=asked, answered=at, rows=found, unreadable=unreadable
            )
        case "positions":
            event = PositionsShown(
                account=account, flow=flow, asked=asked, answered=at, rows=found, unreadable=unreadable
            )
        case "executions":
            event = ExecutionsShown(account=account, flow=flow, asked=asked, answered=at, rows=found)
        case "ordersHistory":
            fills = tuple(fill for row in found for fill in row)
            event = HistoryShown(account=account, flow=flow, asked=asked, answered=at, rows=fills)
        case _:
            event = InstrumentsShown(account=account, flow=flow, asked=asked, answered=at, rows=found)
    lost = tuple(Note("malformed", f"{place.resource}: row {name[:60]}") for name in sorted(unreadable))
    return (*lost, event)


def _read_accounts(exchange: Exchange, source: Source) -> tuple[Event, ...]:
    try:
        shown = _shown(exchange)
        listed = shown if isinstance(shown, list) else []
    except Unusable as error:
        return (Note("poll-failed", f"accounts: {error}"),)
    return tuple(
        AccountShown(
            account=text(row.get("id")), flow=exchange.flow, asked=exchange.asked,
            answered=exchange.answered or exchange.asked, hedging=flag(row, "supportMultiposition"),
        )
        for row in listed if isinstance(row, dict) and source.owns(text(row.get("id")))
    )  # fmt: skip
