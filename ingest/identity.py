"""Which position a row of a poll is: one of ours, whose id was not known yet, or one that nothing of ours explains.

What the source says itself comes first (fields of orders, fills, brackets, equal ids), then instrument, side and size,
then the price, then age. A stranger counts when two polls show it and nothing can still turn out to explain it.
"""

from datetime import datetime
from decimal import Decimal

from msgspec.structs import replace

from ingest import firstlook, missed, renaming
from ingest.calls import PlaceOrder, PositionRow, PositionsShown
from ingest.changes import Why
from ingest.desk import GRACE, PATIENCE, Desk
from ingest.state import ZERO, OrderState, PositionState


def identify(desk: Desk, row: PositionRow, rows: dict[str, PositionRow]) -> None:
    known = _linked(desk, row) or _fitting(desk, row, rows)
    if known is not None:
        desk.keep(replace(renaming.called(known, row.id), shown=True))
        desk.rows.pop(row.id, None)


def recognise(desk: Desk, order: OrderState) -> None:
    """An order has filled whose position may be the row that the polls have shown before, and nothing explained."""
    position = desk.positions[order.position]
    if desk.model != "hedging" or position.position_id is not None:
        return
    fits = [row for name in desk.rows if (row := desk.panel.get(name)) and _can_be(position, row, desk.panel)]
    if len(fits) == 1:
        desk.keep(replace(position, position_id=fits[0].id, shown=True))
        desk.rows.pop(fits[0].id, None)


def without_cause(desk: Desk, row: PositionRow, poll: PositionsShown, first: bool) -> None:
    if first:
        newcomer = replace(_newcomer(desk, row, poll), suspects=())
        firstlook.tell(desk, desk.keep(newcomer), row.quantity, Why(at=poll.answered))
    elif _stranger(desk, row, poll):
        _introduce(desk, row, poll)


def _linked(desk: Desk, row: PositionRow) -> PositionState | None:
    """The position that the source itself links to this row: by a field, a fill, a bracket, or the same id."""
    order = desk.order(desk.links.get(row.id, row.id))
    position = desk.positions.get(order.position) if order else None
    return position if position is not None and position.position_id is None and not position.over else None


def named(desk: Desk, position_id: str) -> PositionState | None:
    """The position that a call can only mean by an id that is not linked yet, going by what the trader sees."""
    row = desk.panel.get(position_id)
    if desk.model == "netting":
        return desk.positions.get(row.instrument) if row else None
    nameless = [p for p in desk.positions.values() if p.position_id is None and not p.over and (p.held or p.opening)]
    if row is not None:
        nameless = [p for p in nameless if _can_be(p, row, desk.panel) or (p.held and is_part(p, row))]
        nameless = nameless or [p for p in desk.positions.values() if _can_be(p, row, desk.panel)]
    elif desk.unsettled:
        return None
    return nameless[0] if len(nameless) == 1 or (nameless and row) else None


def _introduce(desk: Desk, row: PositionRow, poll: PositionsShown) -> None:
    """A row that nothing explains by now: what is there of an order of ours (still filling, or part closed at
    once elsewhere), or goes on under another id, else a newcomer."""
    since = desk.rows.get(row.id, poll.asked)
    filling = [p for p in desk.positions.values() if p.held and is_part(p, row)]
    known = filling[0] if filling else renaming.by_fills(desk, row, since)
    if known is not None:
        desk.keep(replace(renaming.called(known, row.id), shown=True))
        desk.rows.pop(row.id, None)
        return
    if beside := renaming.went_with(desk, row, since):
        desk.note("told-apart", f"position {row.id} has come as {beside[0].position_id} has gone")
    newcomer = _newcomer(desk, row, poll)
    missed.moved(desk, row.instrument, row.quantity, poll.asked, newcomer.suspects)
    desk.tell_position(newcomer, Why(at=poll.answered, price=row.average_price))


def is_part(position: PositionState, row: PositionRow) -> bool:
    if position.over or position.position_id is not None or position.instrument != row.instrument:
        return False
    whole = position.held + position.opening
    return whole * row.quantity > 0 and abs(row.quantity) < abs(whole)


def _fitting(desk: Desk, row: PositionRow, rows: dict[str, PositionRow]) -> PositionState | None:
    """The position of ours that this row can be: same instrument, side and size, then price, then age; one that has no
    id yet comes before one whose id would have changed."""
    fits = [p for p in desk.positions.values() if _can_be(p, row, rows)]
    fits.sort(key=lambda p: p.position_id is not None)
    priced = [p for p in fits if row.average_price is not None and _average(desk, p) == row.average_price] or fits
    if len(priced) > 1:
        desk.note("first-in-first-out", f"position {row.id}")
    return priced[0] if priced else None


def _average(desk: Desk, position: PositionState) -> Decimal | None:
    return next((o.average_price for o in desk.orders.values() if o.position == position.key), None)


def _can_be(position: PositionState, row: PositionRow, rows: dict[str, PositionRow]) -> bool:
    if position.over or position.instrument != row.instrument:
        return False
    if position.position_id is None:
        return row.quantity in (position.held, position.held + position.opening, position.total)
    before = rows.get(position.position_id)
    return (before is None or not before.quantity) and _goes_on_as(position, row)


def _goes_on_as(position: PositionState, row: PositionRow) -> bool:
    """Whether the row is what accepted calls leave of a position whose id is gone: some brokers give what was reversed,
    or the rest of what was closed in part, a new one."""
    return position.total == row.quantity and (position.turning or bool(position.closing))


def _stranger(desk: Desk, row: PositionRow, poll: PositionsShown) -> bool:
    """Whether a row that no call explains counts now."""
    since = desk.rows.setdefault(row.id, poll.asked)
    if not poll.firm and (since == poll.asked or not desk.calm(poll.asked, row.instrument)):
        return False
    before = [p.moved for p in desk.positions.values() if p.position_id == row.id and p.over and p.moved]
    if before and poll.asked < max(before) + GRACE:
        return False
    if poll.asked < since + PATIENCE and any(is_part(p, row) and p.opening for p in desk.positions.values()):
        return False
    return not explainers(desk, row.instrument, row.quantity) or out_of_doubt(desk, poll, since)


def out_of_doubt(desk: Desk, poll: PositionsShown, since: datetime) -> bool:
    """Orders that could explain it have been looked at again, and had their time."""
    orders = desk.polled.get("orders")
    return (orders is None or orders > since) and poll.asked >= since + GRACE


def explainers(desk: Desk, instrument: str, share: Decimal) -> list[OrderState | PlaceOrder]:
    """Orders and unanswered placements that may turn out to be the cause of `share`."""
    causes = [o for o in desk.orders.values() if _may_fill(o, instrument, share)]
    return [*causes, *desk.placements(instrument, 1 if share > 0 else -1)]


def names_of(causes: list[OrderState | PlaceOrder], share: Decimal) -> tuple[str, ...]:
    """The orders, and the flows of the placements, of exactly that size."""
    orders = tuple(c.id for c in causes if isinstance(c, OrderState) and c.quantity - c.filled == abs(share))
    return orders + tuple(c.flow for c in causes if isinstance(c, PlaceOrder) and c.quantity == abs(share))


def _may_fill(order: OrderState, instrument: str, share: Decimal) -> bool:
    """A cancel that came too late may still turn out to have been a fill."""
    left = order.quantity - order.filled if order.live or not order.sure else ZERO
    same_way = (order.side == "buy") == (share > 0)
    return order.instrument == instrument and bool(left) and same_way


def _newcomer(desk: Desk, row: PositionRow, poll: PositionsShown) -> PositionState:
    desk.rows.pop(row.id, None)
    return PositionState(
        key=f"p{desk.name('position', row.id)}", instrument=row.instrument, since=poll.asked, position_id=row.id,
        shown=True, held=row.quantity, changed=moment(poll),
        suspects=names_of(explainers(desk, row.instrument, row.quantity), row.quantity),
        suspected=poll.asked,
    )  # fmt: skip


def moment(poll: PositionsShown) -> datetime | None:
    """When a change that this poll shows was seen: for a while another that does not may just lag behind. A pushed
    frame is never repeated, so none may be taken for one that lags."""
    return None if poll.firm else poll.asked


def relink(desk: Desk, position_id: str, order_id: str) -> None:
    """The source says which order opened a position. A guess that it contradicts is exchanged while it still can be.

    Orders that have ended stay listed and go on to name the id that the position had before it got another.
    """
    is_news = desk.links.get(position_id) != order_id
    desk.links[position_id] = order_id
    order = desk.order(order_id)
    right = desk.positions.get(order.position) if order else None
    wrong = desk.position(position_id)
    if right is None or right.over or position_id in (right.position_id, *right.former):
        return
    if not is_news and _is_open(desk, right.position_id) and not _is_open(desk, position_id):
        return
    if wrong is None and right.position_id is not None:
        desk.keep(replace(right, position_id=position_id))
    elif wrong is not None and right.amount == wrong.amount:
        desk.keep(replace(right, position_id=position_id, shown=True))
        desk.keep(replace(wrong, position_id=right.position_id))


def _is_open(desk: Desk, position_id: str | None) -> bool:
    row = desk.panel.get(position_id or "")
    return row is not None and bool(row.quantity)
