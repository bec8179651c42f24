"""A close of all that a netting position held, and a resting order that had filled just before it, unseen.

The close was told as one of what was known, and has taken more than that, or less. Which of the two came first decides
what is held, and two answers say so: the order by which the broker has closed, listed with what it took; or a poll of
positions that shows nothing, and left so long after the fill was listed that it cannot lag behind it.
"""

from collections.abc import Iterable
from decimal import Decimal

from msgspec.structs import replace

from ingest import missed
from ingest.calls import OrderRow, OrdersShown, PositionsShown
from ingest.changes import Why
from ingest.desk import GRACE, PATIENCE, Desk
from ingest.state import ZERO, Move, OrderState, PositionState


def see(desk: Desk, poll: OrdersShown) -> None:
    """Look for the orders that have closed what was told to be closed wholly; before their fills are told."""
    swept = [p for p in desk.positions.values() if p.swept is not None] if desk.model == "netting" else []
    for position in swept:
        if position.swept is None or poll.asked > position.swept.at + PATIENCE:
            desk.keep(replace(position, swept=None))
        elif desk.trusts(poll, position.instrument):
            _see_closing(desk, position, position.swept, poll)


def _see_closing(desk: Desk, position: PositionState, told: Move, poll: OrdersShown) -> None:
    rows = [row for row in poll.rows if row.instrument == position.instrument and row.level is None]
    strange = [row for row in rows if row.filled and row.standing != "live" and missed.is_strange(desk, row.id)]
    way = 1 if told.quantity > 0 else -1
    closing = [row for row in strange if _signed(row.side, row.filled) * way > 0]
    if len(closing) != 1 or len(strange) > 1 or desk.placements(position.instrument, way):
        return
    more = way * closing[0].filled - told.quantity
    filling = [o for row in rows if (o := desk.order(row.id)) and _has_filled(o, row)]
    before = _filled_since(desk, position, told)
    now = sum((_signed(o.side, row.filled - o.filled) for o in filling for row in rows if row.id == o.source_id), ZERO)
    if more and now + before == -more:
        missed.remember(desk, closing[0].id)
        _take(desk, position, [o.id for o in filling], now, before, poll)


def _take(
    desk: Desk, position: PositionState, filling: Iterable[str], now: Decimal, before: Decimal, poll: OrdersShown
) -> None:
    """What fills `now` is told as filled and changes nothing; what was told `before` is taken back."""
    position = desk.keep(replace(position, swept=None))
    if before:
        coming = bool(position.closing)
        after = replace(
            position, held=position.held - (ZERO if coming else before),
            closing=position.closing - (before if coming else ZERO), doubt=None,
        )  # fmt: skip
        desk.tell_position(desk.settle(after, poll.asked), Why(at=poll.answered))
    if now:
        position = desk.positions[position.key]
        suspects = tuple(dict.fromkeys((*position.suspects, *filling)))
        desk.keep(replace(position, surplus=now, suspects=suspects, suspected=poll.asked))


def is_why(desk: Desk, position: PositionState, rest: Decimal, poll: PositionsShown) -> bool:
    """Whether nothing is held any more since a close of all took what had filled too; no second poll need say so."""
    told = position.swept
    if told is None or position.held + rest or poll.asked > told.at + PATIENCE:
        return False
    return poll.asked >= (position.moved or told.at) + GRACE and _filled_since(desk, position, told) == -rest


def _filled_since(desk: Desk, position: PositionState, told: Move) -> Decimal:
    """What orders that rested have filled, as far as it was seen after the close."""
    mine = [o for o in desk.orders.values() if o.position == position.key and o.type != "market" and o.filled]
    return sum((_signed(o.side, o.filled) for o in mine if o.ended is not None and o.ended >= told.at), ZERO)


def _has_filled(order: OrderState, row: OrderRow) -> bool:
    return order.type != "market" and row.filled > order.filled == 0


def _signed(side: str, quantity: Decimal) -> Decimal:
    return quantity if side == "buy" else -quantity
