"""What a call has outrun: a pushed frame that still shows what was before it says nothing, unless it stays so.

Replies and frames come on different connections, so a frame that was sent before a call was carried out may pass after
the call's reply, or while the call waits for it. Frames keep their order among themselves. So until one of them shows
something else, a value that a call has just changed is taken for an old one. It counts when for a few seconds no frame
has said otherwise: then somebody has gone back to it.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

from msgspec import UNSET
from msgspec.structs import replace

from ingest import levels
from ingest.calls import OrderRow, OrdersShown, PositionRow, PositionsShown, price_of
from ingest.desk import GRACE, Desk
from ingest.exchange import plain
from ingest.state import OrderState, Outrun
from shared.facts import Level, Levels

WINDOW = timedelta(seconds=10)
"""A frame that is later than this after the call is believed."""
Values = dict[str, str]
"""What can be shown of an object (its terms, a level, what is held), and its value."""


# --- what was changed ------------------------------------------------------------------------------------------------


def watched(desk: Desk, change: Callable[[], None], at: datetime, *, fills: bool = False) -> None:
    """Let a call `change` the picture, and remember the values that frames may still show.

    `fills`: it is the frame of an order, which may come before those of positions, so only what is held counts.
    Nothing is pushed where orders are polled; polls have rules of their own.
    """
    if "orders" in desk.polled:
        change()
        return
    before = _held(desk) if fills else _values(desk)
    change()
    after = _values(desk)
    for key, value in before.items():
        if after.get(key, value) != value:
            known = desk.outrun.get(key)
            earlier = known.values if known and at - known.at < WINDOW else ()
            desk.outrun[key] = Outrun(values=(*earlier, value), at=at)
            desk.late.pop(key, None)
    for key in [key for key, one in desk.outrun.items() if at - one.at > WINDOW]:
        del desk.outrun[key]


def _held(desk: Desk) -> Values:
    return {f"position:{position.key}": _text(position.held) for position in desk.positions.values()}


def _values(desk: Desk) -> Values:
    found = _held(desk)
    for order in desk.living():
        found[f"order:{order.id}"] = _terms(order)
        found |= _levels(f"order:{order.id}", order.levels)
    for position in desk.positions.values():
        found |= _levels(f"position:{position.key}", position.levels)
    return found


def _levels(name: str, found: Levels) -> Values:
    said = (("stop_loss", found.stop_loss), ("take_profit", found.take_profit))
    return {f"{name} {level}": _text(price) for level, price in said if price}


def _terms(order: OrderState | OrderRow) -> str:
    return " ".join(_text(value) for value in (order.quantity, order.limit_price, order.stop_price))


def _text(value: Level) -> str:
    return f"{plain(value):f}" if isinstance(value, Decimal) else "-"


# --- what frames show ------------------------------------------------------------------------------------------------


def without(desk: Desk, poll: OrdersShown | PositionsShown) -> OrdersShown | PositionsShown:
    """A pushed frame without what a call has outrun, which is kept until it is clear whether it stays so."""
    if not desk.outrun and not desk.late:
        return poll
    late = {key for row in poll.rows for key, value in _shown(desk, row).items() if _is_late(desk, key, value, poll)}
    for key in late:
        desk.late[key] = poll
    return _stripped(desk, poll, lambda key: key not in late) if late else poll


def _is_late(desk: Desk, key: str, value: str, poll: OrdersShown | PositionsShown) -> bool:
    desk.late.pop(key, None)
    known = desk.outrun.get(key)
    if known is None:
        return False
    if value not in known.values or poll.answered - known.at > WINDOW:
        del desk.outrun[key]
        return False
    desk.outrun[key] = replace(known, values=known.values[known.values.index(value) :])
    return True


def due(desk: Desk, now: datetime) -> list[OrdersShown | PositionsShown]:
    """What was taken for old and has stayed: frames that say this and nothing else, oldest first."""
    found = []
    for key, poll in list(desk.late.items()):
        if now - poll.answered >= GRACE and not any(desk.busy(row.instrument) for row in poll.rows):
            del desk.late[key]
            desk.outrun.pop(key, None)
            found.append(_stripped(desk, poll, key.__eq__))
    return sorted(found, key=lambda poll: poll.answered)


def _shown(desk: Desk, row: OrderRow | PositionRow) -> Values:
    """What a row says about objects that are known."""
    if isinstance(row, PositionRow):
        return {f"position:{row.instrument}": _text(row.quantity), **_levels(f"position:{row.instrument}", row.levels)}
    if row.standing != "live":
        return {}
    order = desk.order(row.id)
    if row.level is None:
        return {f"order:{order.id}": _terms(row), **_borne(desk, row.id, row.levels)} if order else {}
    return _borne(desk, row.parent, levels.only(row.level, price_of(row)), row.id)


def _borne(desk: Desk, parent: str, found: Levels, child: str = "") -> Values:
    who = levels.bearer(desk, parent, child)
    name = f"order:{who.id}" if isinstance(who, OrderState) else f"position:{who.key}" if who else ""
    return _levels(name, found) if name else {}


def _stripped(
    desk: Desk, poll: OrdersShown | PositionsShown, says: Callable[[str], bool]
) -> OrdersShown | PositionsShown:
    """The frame with only those values that it `says`; the others are as they are known to be."""
    if isinstance(poll, PositionsShown):
        return replace(poll, rows=tuple(_position(desk, row, says) for row in poll.rows))
    rows = (_order(desk, row, says) for row in poll.rows)
    return replace(poll, rows=tuple(row for row in rows if row is not None))


def _position(desk: Desk, row: PositionRow, says: Callable[[str], bool]) -> PositionRow:
    name, known = f"position:{row.instrument}", desk.positions.get(row.instrument)
    quantity = row.quantity if says(name) or known is None else known.held
    return replace(row, quantity=quantity, levels=_said(name, row.levels, says))


def _order(desk: Desk, row: OrderRow, says: Callable[[str], bool]) -> OrderRow | None:
    shown = _shown(desk, row)
    if row.level is not None:
        return row if all(says(key) for key in shown) else None
    order = desk.order(row.id)
    if order is None or not shown:
        return row
    if not says(f"order:{order.id}"):
        row = replace(row, quantity=order.quantity, limit_price=order.limit_price, stop_price=order.stop_price)
    borne = next((key.partition(" ")[0] for key in shown if " " in key), "")
    return replace(row, levels=_said(borne, row.levels, says))


def _said(name: str, found: Levels, says: Callable[[str], bool]) -> Levels:
    return Levels(
        stop_loss=found.stop_loss if says(f"{name} stop_loss") else UNSET,
        take_profit=found.take_profit if says(f"{name} take_profit") else UNSET,
    )
