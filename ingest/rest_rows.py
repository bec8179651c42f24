"""The rows of Broker REST polls as values: `d` of /orders, /positions, /executions, /instruments, /accounts.

A row that cannot be read is reported by its id, so that nothing is concluded about that object; a row without even an
id makes the whole poll unusable, for then nobody knows what it would have shown.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeVar, get_args

from msgspec.structs import replace

from ingest.calls import ExecutionRow, Fill, Instrument, LevelName, OrderRow, PositionRow, Standing
from ingest.exchange import JSON, number
from shared.facts import OrderType, Side, Unit

R = TypeVar("R")

_STANDINGS: dict[str, Standing] = {
    "placing": "live", "inactive": "live", "working": "live", "pending": "live", "filled": "filled",
    "cancelled": "canceled", "canceled": "canceled", "rejected": "rejected", "expired": "expired",
}  # fmt: skip
DUST = Decimal("1e-12")
"""No instrument is traded in quantities below this."""
_MARKS: tuple[tuple[str, LevelName], ...] = ((".TP.", "take_profit"), (".SL.", "stop_loss"))
_SIDES: dict[str, Side] = {"buy": "buy", "sell": "sell"}
_TYPES: dict[str, OrderType] = {t: t for t in get_args(OrderType)}


class Unusable(ValueError):
    """The answer says nothing that can be relied on."""


def rows(value: JSON, read: Callable[[dict[str, JSON]], R | None]) -> tuple[tuple[R, ...], frozenset[str]]:
    """Read every row of a poll. Raises Unusable when it is no list of objects with ids."""
    if not isinstance(value, list):
        raise Unusable("no list of rows")
    return sorted_out([identified(row, read) for row in value])


def identified(row: JSON, read: Callable[[dict[str, JSON]], R | None]) -> tuple[str, R | None]:
    """A row's id with what it says, `None` where it cannot be read. Raises Unusable: it has no id."""
    name = text(row.get("id") or row.get("name")) if isinstance(row, dict) else ""
    if not name:
        raise Unusable("a row without an id")
    return name, read(row)


def sorted_out(found: list[tuple[str, R | None]]) -> tuple[tuple[R, ...], frozenset[str]]:
    """The rows that can be read, and the ids of those that cannot."""
    unreadable = frozenset(name for name, row in found if row is None)
    return tuple(row for _, row in found if row is not None), unreadable


def text(value: object) -> str:
    """An id or name as text: ids come as text or as whole numbers."""
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def side(value: object) -> Side | None:
    """`buy` or `sell`, in any case."""
    return _SIDES.get(text(value).lower())


def order_type(value: object) -> OrderType | None:
    """One of the four order types, in any case."""
    return _TYPES.get(text(value).lower())


def positive(value: object) -> Decimal | None:
    """A number above 0, else `None`."""
    found = number(value)
    return found if found is not None and found > 0 else None


def held(value: object) -> Decimal | None:
    """What is held by a row, else `None`; what a broker's arithmetic has left of nothing is nothing."""
    found = number(value)
    return Decimal(0) if found is not None and abs(found) < DUST else found


def moment(seconds: object) -> datetime | None:
    """A time given in unix seconds (or their thousandths), else `None`."""
    found = number(seconds)
    if found is None or not 0 < found < 10**14:
        return None
    return datetime.fromtimestamp(float(found / 1000 if found > 10**11 else found), UTC)


def standing(value: object) -> Standing | None:
    """What an order's status word means for us."""
    return _STANDINGS.get(text(value).lower())


def order_row(row: dict[str, JSON]) -> OrderRow | None:
    """One row of /orders, or `None` when it is not what the specification promises."""
    found_side, kind, state = side(row.get("side")), order_type(row.get("type")), standing(row.get("status"))
    quantity, name = positive(row.get("qty")), text(row.get("instrument"))
    if found_side is None or kind is None or state is None or quantity is None or not name:
        return None
    limit, stop = positive(row.get("limitPrice")), positive(row.get("stopPrice"))
    if not priced(kind, limit, stop) and state == "live":
        return None
    said = row.get("duration")
    duration: dict[str, JSON] = said if isinstance(said, dict) else {}
    return OrderRow(
        id=text(row.get("id")), instrument=name, side=found_side, type=kind, quantity=quantity, standing=state,
        filled=_filled(row, quantity, state), limit_price=limit, stop_price=stop,
        average_price=positive(row.get("avgPrice")), level=level_of(row, kind), parent=_parent(row),
        parent_type=text(row.get("parentType")).lower(), trailing_pips=_trailing(row),
        duration=text(duration.get("type")) or None, expires=moment(duration.get("datetime")),
        position_id=_position_id(row.get("customFields")), text=_message(row.get("message")),
    )  # fmt: skip


def priced(kind: OrderType, limit: Decimal | None, stop: Decimal | None) -> bool:
    """Whether an order of that type has the prices it needs."""
    return (limit is not None or kind not in ("limit", "stoplimit")) and (
        stop is not None or kind not in ("stop", "stoplimit")
    )


def _filled(row: dict[str, JSON], quantity: Decimal, state: Standing) -> Decimal:
    filled = held(row.get("filledQty")) or Decimal(0)
    return quantity if state == "filled" else min(max(filled, Decimal(0)), quantity)


def bracket_id(order_id: str) -> tuple[str, LevelName] | None:
    """The parent's id and the level of an id like `764986466.TP.1731600000000`, else `None`."""
    for mark, level in _MARKS:
        base, found, _ = order_id.partition(mark)
        if found and base:
            return base, level
    return None


def level_of(row: dict[str, JSON], kind: OrderType) -> LevelName | None:
    """Which level a bracket is: a limit takes profit, a stop stops the loss. `None`: no bracket."""
    named = bracket_id(text(row.get("id")))
    if named is not None:
        return named[1]
    if not text(row.get("parentId")):
        return None
    return "take_profit" if kind == "limit" else "stop_loss"


def _parent(row: dict[str, JSON]) -> str:
    named = bracket_id(text(row.get("id")))
    return text(row.get("parentId")) or (named[0] if named else "")


def _trailing(row: dict[str, JSON]) -> Decimal | None:
    return positive(row.get("trailingStopPips")) if row.get("isTrailingStop") is True else None


def _position_id(fields: JSON) -> str:
    """The position that an order names in its custom fields; its value may carry a suffix, see `OrderRow`."""
    for field in fields if isinstance(fields, list) else ():
        if isinstance(field, dict) and text(field.get("id")).lower() == "positionid":
            return text(field.get("value"))
    return ""


def _message(message: JSON) -> str:
    return text(message.get("text"))[:300] if isinstance(message, dict) else ""


def position_row(row: dict[str, JSON]) -> PositionRow | None:
    """One row of /positions; a quantity of 0 is a position that was closed in this session."""
    quantity, found_side, name = held(row.get("qty")), side(row.get("side")), text(row.get("instrument"))
    if quantity is None or quantity < 0 or not name or (found_side is None and quantity):
        return None
    signed = -quantity if found_side == "sell" and quantity else quantity
    return PositionRow(
        id=text(row.get("id")), instrument=name, quantity=signed, average_price=positive(row.get("avgPrice"))
    )


def execution_row(row: dict[str, JSON]) -> ExecutionRow | None:
    """One row of /executions: its links, for fills are told by orders and positions, and what it fills."""
    fill = _fill(row, row.get("orderId"), positive(row.get("qty")), moment(row.get("time")), positive(row.get("price")))
    return ExecutionRow(
        id=text(row.get("id")), instrument=text(row.get("instrument")), order_id=text(row.get("orderId")),
        position_id=text(row.get("positionId")), closes=row.get("isClose") is True, fill=fill,
    )  # fmt: skip


def past_fill(row: dict[str, JSON]) -> tuple[Fill, ...] | None:
    """What a row of /ordersHistory has filled, and when; nothing where it has not, or does not say."""
    order = order_row(row)
    if order is None or order.level is not None or not order.filled:
        return ()
    found = _fill(row, row.get("id"), order.filled, moment(row.get("lastModified")), order.average_price)
    return (found,) if found else ()


def _fill(
    row: dict[str, JSON], order: JSON, quantity: Decimal | None, at: datetime | None, price: Decimal | None
) -> Fill | None:
    name, order_id, found_side = text(row.get("instrument")), text(order), side(row.get("side"))
    if not name or not order_id or found_side is None or quantity is None or at is None:
        return None
    signed = quantity if found_side == "buy" else -quantity
    return Fill(order_id=order_id, instrument=name, quantity=signed, at=at, price=price)


def instrument(row: dict[str, JSON]) -> Instrument | None:
    """One row of /instruments, with the unit of quantity where the row leaves no doubt."""
    found = Instrument(
        name=text(row.get("name")), lot_size=positive(row.get("lotSize")), tick_size=positive(row.get("minTick")),
        pip_size=positive(row.get("pipSize")), quantity_step=positive(row.get("qtyStep")),
        quantity_minimum=positive(row.get("minQty")), currency=text(row.get("currency")) or None,
    )  # fmt: skip
    return _with_unit(found, text(row.get("type")).lower(), text(row.get("units")).lower()) if found.name else None


def _with_unit(found: Instrument, kind: str, units: str) -> Instrument:
    return replace(found, unit=unit_of(found, kind, units))


def unit_of(found: Instrument, kind: str, units: str) -> Unit | None:
    """What a quantity of 1 means, or `None` when the row allows more than one reading.

    The row's own word decides. Else: futures are counted in contracts; where a lot holds many units, a smallest
    quantity below 1 can only be part of a lot, and one of at least 10 can only be units (nobody's smallest trade
    is ten lots).
    """
    words: dict[str, Unit] = {
        "lots": "lots",
        "lot": "lots",
        "units": "units",
        "unit": "units",
        "contracts": "contracts",
    }
    if units in words:
        return words[units]
    if kind in ("futures", "future"):
        return "contracts"
    return _unit_by_size(found)


def _unit_by_size(found: Instrument) -> Unit | None:
    smallest = min(filter(None, (found.quantity_minimum, found.quantity_step)), default=None)
    if smallest is None or found.lot_size is None or found.lot_size <= 1:
        return None
    return "lots" if smallest < 1 else "units" if smallest >= 10 else None


def names(values: Iterable[JSON]) -> tuple[str, ...]:
    """The ids of rows of /accounts."""
    return tuple(text(v.get("id")) for v in values if isinstance(v, dict) and text(v.get("id")))


def flag(row: JSON, name: str) -> bool | None:
    """A flag in an account's `config`, `None` when it is not said."""
    config = row.get("config") if isinstance(row, dict) else None
    value = config.get(name) if isinstance(config, dict) else None
    return value if isinstance(value, bool) else None
