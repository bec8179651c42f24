"""A level that is moved may be pushed as two frames: the old child is canceled, a new one works.

Between the two nothing has been removed. So the end of a bracket that was pushed is held for a moment, until another
has taken its place or none has.
"""

from datetime import datetime, timedelta

from msgspec.structs import replace

from ingest import levels
from ingest.calls import ENDINGS, OrderRow, OrdersShown, PositionsShown, price_of
from ingest.desk import Desk

HOLD = timedelta(seconds=1)
"""Frames of one action come within a few tenths of a second."""


def is_held(desk: Desk, poll: OrdersShown | PositionsShown) -> bool:
    """Whether this frame says that a bracket has ended, and is kept until it is clear whether another replaces it."""
    if not isinstance(poll, OrdersShown) or not any(r.level and r.standing in ENDINGS for r in poll.rows):
        return False
    desk.removed = (*desk.removed, poll)
    return True


def due(desk: Desk, now: datetime) -> list[OrdersShown]:
    """The frames that say a removal after all, oldest first; those that were replaced are forgotten."""
    left, found = [], []
    for poll in desk.removed:
        if any(_replaced(desk, row) for row in poll.rows):
            _forget(desk, poll.rows)
        elif now - poll.answered >= HOLD and not any(desk.busy(row.instrument) for row in poll.rows):
            found.append(poll)
        else:
            left.append(poll)
    desk.removed = tuple(left) if len(left) < len(desk.removed) else desk.removed
    return found


def _replaced(desk: Desk, row: OrderRow) -> bool:
    """Whether another bracket has the place of this one, or its bearer is known to have another price by now."""
    who = levels.bearer(desk, row.parent, row.id)
    if who is None or row.level is None:
        return False
    same = [b for b in desk.brackets.values() if b.live and b.shown and b.level == row.level and b.id != row.id]
    known, price = getattr(who.levels, row.level), price_of(row)
    moved = bool(known) and price is not None and known != price
    return moved or any(levels.bearer(desk, b.parent, b.id) == who for b in same)


def _forget(desk: Desk, rows: tuple[OrderRow, ...]) -> None:
    for row in rows:
        if row.id in desk.brackets:
            desk.brackets[row.id] = replace(desk.brackets[row.id], live=False)
