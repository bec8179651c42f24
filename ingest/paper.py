"""TradingView's Paper Trading, read only: POSTs with JSON under a false content type, and a websocket that pushes.

There is one position per symbol (netting) and no envelope: a 2xx answer without `error` is a yes. Frames are pushed
once and never repeated, so what they show counts at once.
"""

from datetime import datetime

from msgspec.structs import replace

from ingest.calls import (
    Asked,
    Event,
    Instrument,
    InstrumentsShown,
    Note,
    PlaceOrder,
    PositionsShown,
    Refused,
    Unanswered,
)
from ingest.exchange import JSON, Exchange, Frame, read_json
from ingest.paper_calls import Place, call_of
from ingest.paper_rows import (
    frame_content,
    order_update,
    position_update,
    read_positions,
    standing,
    unit_of,
)
from ingest.rest_rows import Unusable, positive, text
from ingest.source import Source

REST_HOSTS = frozenset({"papertrading.tradingview.com", "papertrading-free.tradingview.com"})
PUSH_HOST = "pushstream.tradingview.com"
_CALLS = frozenset({"place", "modify", "cancel", "close_position", "modify_position"})
_SILENT = frozenset({"accounts", "get_trades", "get_currency_rate"})
_SILENT_FRAMES = frozenset({"execution_update", "account_change_update", "balance_update", "journal_update"})


def hosts(source: Source) -> frozenset[str]:
    """The hosts of a paper source: TradingView's three, or only the configured one where it is another (a stand-in)."""
    return REST_HOSTS | {PUSH_HOST} if source.host in REST_HOSTS else frozenset({source.host})


def locate(exchange: Exchange, source: Source) -> Place | None:
    """The place in the protocol, or `None` when the exchange is not this source's. Accounts are made of digits."""
    if exchange.scheme != "https" or exchange.host not in hosts(source) or exchange.port != source.port:
        return None
    segments = exchange.segments[len(source.prefix) :]
    if exchange.segments[: len(source.prefix)] != source.prefix:
        return None
    match segments:
        case ("trading", action, account) if account.isascii() and account.isdigit():
            return Place(action, account)
        case ("trading", action, *_):
            return Place(action)
        case _:
            return Place("")


def accounts(heard: Exchange | Frame, source: Source) -> tuple[str, ...]:
    """The source account that the exchange or frame is about, if this source follows it."""
    if isinstance(heard, Frame):
        account = _frame_account(heard, source)
    else:
        place = locate(heard, source)
        account = place.account if place else ""
    return (account,) if source.owns(account) else ()


def asks(exchange: Exchange, source: Source) -> Asked | None:
    """What a request would do if it were accepted, or `None` when it is no trading call (or cannot be one)."""
    place = locate(exchange, source)
    if place is None or exchange.method != "POST" or not source.owns(place.account):
        return None
    call = call_of(exchange, place)
    return Asked(call=call) if call else None


def read(heard: Exchange | Frame, source: Source) -> tuple[Event, ...]:
    """What an answered (or failed) exchange, or a frame, says. Never raises."""
    if isinstance(heard, Frame):
        return _read_frame(heard, source)
    place = locate(heard, source)
    if place is None:
        return ()
    if place.account and not source.owns(place.account):
        return (Note("other-account", place.action),)
    return _read(heard, place)


def _read(exchange: Exchange, place: Place) -> tuple[Event, ...]:
    if exchange.method == "OPTIONS":
        return (Note("ignored", "preflight"),)
    if exchange.method == "POST" and place.account and place.action in _CALLS:
        return _read_call(exchange, place)
    if exchange.method == "POST" and place.account and place.action == "account":
        return _read_account(exchange, place)
    known = place.action in _SILENT
    name = place.action if place.action.isascii() and len(place.action) <= 40 else "…"
    return (Note("ignored" if known else "unknown", f"{exchange.method[:10]} /trading/{name}"),)


# --- calls ---------------------------------------------------------------------------------------------------------


def _read_call(exchange: Exchange, place: Place) -> tuple[Event, ...]:
    call, at = call_of(exchange, place), exchange.answered or exchange.asked
    verdict, words = _verdict(exchange)
    if verdict == "refused":
        return (Refused(account=place.account, flow=exchange.flow, answered=at, text=words),)
    if verdict == "unknown" or call is None:
        lost = (Note("malformed", f"accepted, but cannot be read: {place.action}"),) if verdict == "accepted" else ()
        return *lost, Unanswered(account=place.account, flow=exchange.flow, at=at, call=call, text=words)
    if isinstance(call, PlaceOrder):
        return _placed(exchange, call, at)
    return (replace(call, answered=at),)


def _verdict(exchange: Exchange) -> tuple[str, str]:
    """`accepted`, `refused` or `unknown`, with the words that came with it."""
    if exchange.status is None:
        return "unknown", exchange.error or "no reply"
    answer = read_json(exchange.answer)
    said = answer.get("error") if isinstance(answer, dict) else None
    if said:
        return "refused", text(said)[:300]
    if 400 <= exchange.status < 500:
        return "refused", f"HTTP {exchange.status}"
    readable = answer is not None or not exchange.answer
    return ("accepted", "") if 200 <= exchange.status < 300 and readable else ("unknown", f"HTTP {exchange.status}")


def _placed(exchange: Exchange, call: PlaceOrder, at: datetime) -> tuple[Event, ...]:
    answer = read_json(exchange.answer)
    details: dict[str, JSON] = answer if isinstance(answer, dict) else {}
    order_id = text(details.get("id"))
    if not order_id:
        return (Unanswered(account=call.account, flow=call.flow, at=at, call=call, text="no order id"),)
    state = standing(details.get("status")) or "live"
    price = positive(details.get("avg_price")) or (positive(details.get("price")) if state == "filled" else None)
    placed = replace(call, answered=at, order_id=order_id, standing=state, average_price=price)
    return *_kind_of_symbol(call.account, exchange, call.instrument, details), placed


def _kind_of_symbol(account: str, exchange: Exchange, symbol: str, said: dict[str, JSON]) -> tuple[Event, ...]:
    """The unit of a symbol's quantities, as its type tells it."""
    unit = unit_of(text(said.get("symboltype")))
    if unit is None:
        return ()
    row = Instrument(name=symbol, unit=unit)
    at = exchange.answered or exchange.asked
    return (InstrumentsShown(account=account, flow=exchange.flow, asked=exchange.asked, answered=at, rows=(row,)),)


# --- polls and frames ------------------------------------------------------------------------------------------------


def _read_account(exchange: Exchange, place: Place) -> tuple[Event, ...]:
    answer = read_json(exchange.answer)
    good = exchange.status is not None and 200 <= exchange.status < 300 and isinstance(answer, dict)
    if not good or answer.get("error"):
        return (Note("poll-failed", f"account: {exchange.error or exchange.status}"),)
    try:
        rows, unreadable = read_positions(answer.get("positions"))
    except Unusable as error:
        return (Note("poll-failed", f"account: {error}"),)
    at = exchange.answered or exchange.asked
    poll = PositionsShown(
        account=place.account, flow=exchange.flow, asked=exchange.asked, answered=at, rows=rows, unreadable=unreadable
    )
    return (*(Note("malformed", f"position {name[:60]}") for name in sorted(unreadable)), poll)


def _frame_account(frame: Frame, source: Source) -> str:
    content = frame_content(frame.text) if _is_push(frame, source) else None
    if content is None:
        return ""
    return text(content.get("accountId")) or ("" if source.account == "*" else source.account)


def _is_push(frame: Frame, source: Source) -> bool:
    return not frame.from_client and frame.host in hosts(source) and frame.port == source.port


def _read_frame(frame: Frame, source: Source) -> tuple[Event, ...]:
    if not _is_push(frame, source):
        return ()
    account, content = _frame_account(frame, source), frame_content(frame.text)
    if content is None:
        return (Note("ignored", "frame of another channel"),)
    if not source.owns(account):
        return (Note("other-account", "frame"),)
    return _pushed(frame, account, content)


def _pushed(frame: Frame, account: str, content: dict[str, JSON]) -> tuple[Event, ...]:
    name, said = text(content.get("m")), content.get("p")
    if name in _SILENT_FRAMES:
        return (Note("ignored", name),)
    if name not in ("order_update", "position_update"):
        return (Note("unknown", f"frame {name[:40]}"),)
    update = order_update if name == "order_update" else position_update
    found = update(said, account, frame) if isinstance(said, dict) else None
    if found is None:
        return (Note("malformed", name),)
    return (*_unit_in_frame(frame, account, said), found)


def _unit_in_frame(frame: Frame, account: str, said: JSON) -> tuple[Event, ...]:
    unit = unit_of(text(said.get("symboltype")))
    if unit is None:
        return ()
    row = Instrument(name=text(said.get("symbol")), unit=unit)
    return (InstrumentsShown(account=account, flow=frame.flow, asked=frame.at, answered=frame.at, rows=(row,)),)
