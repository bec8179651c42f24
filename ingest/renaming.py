"""A position that the source calls by another id from one poll to the next, though nothing that we saw changed it.

Some brokers close the whole of a position that is closed in part, and give what is left a new id. Where the call passed
through us it says what is left. Made on the phone, it shows in polls alone: one id has gone, another has come. They are
one position where that is certain: gone and come in the same poll, on the same side, no more than before, and at the
very entry price, where no order of ours explains it; or by fills that close the difference, while none opens what has
come. A position keeps its name, so whoever follows it closes a share. Else it is told as what it looks like, a close
and an opening. Who takes a source over compares the first poll with what the one before has seen last.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec.structs import replace

from ingest.calls import Fill, PositionRow, PositionsShown
from ingest.desk import GRACE, PATIENCE, Desk
from ingest.state import ZERO, OrderState, Passing, PositionState
from shared.facts import Side

Rows = Mapping[str, PositionRow]
"""Rows of a poll of positions, by their ids."""


def called(position: PositionState, position_id: str) -> PositionState:
    """The position under another id of the source."""
    former = tuple(name for name in position.former if name != position_id)
    former = former if position.position_id is None else (*former, position.position_id)
    return replace(position, position_id=position_id, former=former)


def is_open(name: str | None, rows: Rows) -> bool:
    """Whether a poll shows something open by that id."""
    row = rows.get(name or "")
    return row is not None and bool(row.quantity)


def follow(desk: Desk, poll: PositionsShown, rows: Rows, before: Rows) -> None:
    """Call positions by the ids that they have now; `before` are the rows of the poll before this one."""
    if not poll.complete:
        return
    for position in [p for p in desk.positions.values() if p.former and not p.over]:
        _back(desk, position, rows)
    came = [row for row in rows.values() if row.quantity and row.id not in before and _is_new(desk, row)]
    for row in sorted(came, key=lambda row: -abs(row.quantity)):
        _go_on(desk, row, came, poll, rows, before)


def _is_new(desk: Desk, row: PositionRow) -> bool:
    """Whether neither we nor the source can say yet which position a row is."""
    return desk.position(row.id) is None and desk.order(desk.links.get(row.id, row.id)) is None


def _back(desk: Desk, position: PositionState, rows: Rows) -> None:
    """A poll that lags behind the one that showed a new id shows the old one; it speaks of the same position."""
    if is_open(position.position_id, rows):
        return
    old = [name for name in position.former if is_open(name, rows) and rows[name].quantity * position.held > 0]
    if old:
        desk.keep(called(position, old[-1]))


def _go_on(
    desk: Desk, row: PositionRow, came: list[PositionRow], poll: PositionsShown, rows: Rows, before: Rows
) -> None:
    """Call what this row is left of by its id; while a call has no reply too, for names are no quantities."""
    gone = [p for p in desk.positions.values() if _has_gone(p, poll, rows, before) and _is_left_of(p, row, before)]
    if not gone or _is_of_order(desk, row):
        return
    likewise = [r for r in came if r is not row and _is_left_of(gone[0], r, before)]
    if len(gone) > 1 or likewise:
        desk.note("first-in-first-out", f"position {row.id}")
    desk.keep(called(gone[0], row.id))
    desk.rows.pop(row.id, None)


def _has_gone(position: PositionState, poll: PositionsShown, rows: Rows, before: Rows) -> bool:
    """Whether it was open in the poll before, and is not in this one."""
    name = position.position_id
    was = not position.over and name not in poll.unreadable and is_open(name, before)
    return was and not is_open(name, rows)


def _is_left_of(position: PositionState, row: PositionRow, before: Rows) -> bool:
    """Whether the row can be what is left of it; not where a call has closed it wholly."""
    was = before[position.position_id or ""]
    most = max(abs(was.quantity), abs(position.held))
    same = row.instrument == was.instrument and row.average_price is not None
    same = same and row.average_price == was.average_price and was.quantity * row.quantity > 0
    return same and abs(row.quantity) <= most and position.total * row.quantity > 0


def _is_of_order(desk: Desk, row: PositionRow) -> bool:
    """Whether an order can have opened it at this very price: it waits for it, or has filled and shows nothing yet."""
    side: Side = "buy" if row.quantity > 0 else "sell"
    return any(
        (o.instrument, o.side) == (row.instrument, side) and o.quantity >= abs(row.quantity) and _opens_at(desk, o, row)
        for o in desk.orders.values()
    )


def _opens_at(desk: Desk, order: OrderState, row: PositionRow) -> bool:
    if order.filled < order.quantity and not order.sure and row.average_price in (order.limit_price, order.stop_price):
        return True
    position = desk.positions.get(order.position)
    nameless = position is not None and position.position_id is None and not position.over
    return nameless and bool(order.filled) and order.average_price == row.average_price


def by_fills(desk: Desk, row: PositionRow, since: datetime) -> PositionState | None:
    """The position that this row, here since then, goes on as by what fills say of orders that are not ours."""
    fills = [o for o in (*desk.passing, *desk.fills) if o.instrument == row.instrument and o.seen >= since - GRACE]
    opened = any(one.quantity == row.quantity for one in fills)
    fits = [p for p in went_with(desk, row, since) if any(one.quantity == row.quantity - p.held for one in fills)]
    return fits[0] if len(fits) == 1 and not opened else None


def remember(desk: Desk, fills: Iterable[Fill], asked: datetime) -> None:
    """What executions show to have filled just now, by orders; it may be a while before the polls show the effect."""
    found = {one.order: one for one in desk.fills if one.seen >= asked - PATIENCE}
    recent: dict[str, Passing] = {}
    for fill in fills:
        if abs(fill.at - asked) <= PATIENCE:
            order, before = fill.order_id, recent[fill.order_id].quantity if fill.order_id in recent else ZERO
            recent[order] = Passing(
                order=order, instrument=fill.instrument, quantity=before + fill.quantity, since=fill.at, seen=asked
            )
    if recent or len(found) < len(desk.fills):
        desk.fills = tuple((found | recent).values())


def went_with(desk: Desk, row: PositionRow, since: datetime) -> list[PositionState]:
    """The positions that have gone in the very poll in which this row came, and are told as closed beside it."""
    return [p for p in desk.positions.values() if _went_then(desk, p, row, since)]


def _went_then(desk: Desk, position: PositionState, row: PositionRow, since: datetime) -> bool:
    still = position.over or position.opening or position.closing or is_open(position.position_id, desk.panel)
    same = position.instrument == row.instrument and position.held * row.quantity > 0
    return not still and same and position.position_id is not None and position.doubt == since
