"""Positions as polls show them: which row is which position, and what a different quantity means.

A quantity that accepted calls explain moves from coming to held at once. What nothing explains counts when two
consecutive polls show it, both of which left after everything that could still explain it.
"""

from collections.abc import Callable
from decimal import Decimal

from msgspec.structs import replace

from ingest import firstlook, levels, missed, renaming, swept
from ingest.calls import PositionRow, PositionsShown
from ingest.changes import Why
from ingest.desk import GRACE, PATIENCE, Desk, clip
from ingest.identity import explainers, identify, is_part, moment, names_of, out_of_doubt, without_cause
from ingest.state import ZERO, PositionState
from shared.facts import Levels


def see(desk: Desk, poll: PositionsShown, *, first: bool) -> None:
    """Bring positions in line with a poll. The very `first` one is the baseline: what it adds is no news."""
    before = desk.panel
    if poll.complete:
        desk.panel = {row.id: row for row in poll.rows}
    if desk.model == "netting":
        _see_netting(desk, poll, first)
    else:
        _see_hedging(desk, poll, first, before)


def _see_netting(desk: Desk, poll: PositionsShown, first: bool) -> None:
    rows: dict[str, list[PositionRow]] = {}
    for row in poll.rows:
        rows.setdefault(row.instrument, []).append(row)
    absent = [k for k in desk.positions if k not in rows and poll.complete and not poll.unreadable]
    for instrument in (*rows, *absent):
        if desk.trusts(poll, instrument):
            _net(desk, instrument, rows.get(instrument, []), poll, first)


def _net(desk: Desk, instrument: str, rows: list[PositionRow], poll: PositionsShown, first: bool) -> None:
    quantity = sum((row.quantity for row in rows), ZERO)
    position = desk.positions.get(instrument)
    if position is None:
        position = PositionState(key=instrument, instrument=instrument, since=poll.asked, unbased=_unbased(desk, first))
    # What was closed may stay listed with a quantity of 0, beside what is open under another id.
    row = next((row for row in rows if row.quantity), rows[0] if rows else None)
    if row:
        position = replace(position, position_id=row.id, shown=True)
    desk.keep(position)
    if not position.unbased:
        compare(desk, position, quantity, poll, row)
    elif not position.opening and not position.closing:
        firstlook.tell(desk, position, quantity, Why(at=poll.answered))
    if row and quantity and row.levels != Levels():
        levels.change(desk, desk.positions[instrument], row.levels, Why(at=poll.answered))


def _unbased(desk: Desk, first: bool) -> bool:
    return first or "positions" not in desk.polled


def _see_hedging(desk: Desk, poll: PositionsShown, first: bool, before: dict[str, PositionRow]) -> None:
    rows = {row.id: row for row in poll.rows}
    renaming.follow(desk, poll, rows, before)
    for row in sorted(_nameless(desk, rows, poll), key=_by_link(desk)):
        identify(desk, row, rows)
    for row in _nameless(desk, rows, poll):
        without_cause(desk, row, poll, first)
    desk.rows = {k: v for k, v in desk.rows.items() if k in rows or not poll.complete}
    for position in [p for p in desk.positions.values() if not p.over]:
        found = rows.get(position.position_id or "")
        if _speaks(desk, position, found, poll) and not any(
            r.id in desk.rows and is_part(position, r) for r in poll.rows
        ):
            compare(desk, desk.positions[position.key], found.quantity if found else ZERO, poll, found)


def _nameless(desk: Desk, rows: dict[str, PositionRow], poll: PositionsShown) -> list[PositionRow]:
    """The rows that no position of ours bears the id of, or only one that is open by another id now."""
    strange = [r for r in rows.values() if r.quantity and not _is_borne(desk, r.id, rows)]
    return [r for r in strange if desk.trusts(poll, r.instrument)]


def _is_borne(desk: Desk, name: str, rows: dict[str, PositionRow]) -> bool:
    known = desk.position(name)
    return known is not None and (known.position_id == name or not renaming.is_open(known.position_id, rows))


def _speaks(desk: Desk, position: PositionState, row: PositionRow | None, poll: PositionsShown) -> bool:
    """Whether the poll says something about this position, be it by the absence of its row."""
    if not desk.trusts(poll, position.instrument) or position.position_id in poll.unreadable:
        return False
    return row is not None or (poll.complete and not (position.position_id is None and poll.unreadable))


def _by_link(desk: Desk) -> Callable[[PositionRow], bool]:
    """Rows that the source itself links come first, so that guesses choose among what is left."""
    return lambda row: row.id not in desk.links


def compare(
    desk: Desk, position: PositionState, quantity: Decimal, poll: PositionsShown, row: PositionRow | None
) -> None:
    """Bring one position in line with the signed quantity that a poll shows."""
    opened = row is not None and not position.held
    why = Why(at=poll.answered, price=row.average_price if row and opened else None)
    _carry_out(desk, position, quantity, poll, why)
    position = desk.positions[position.key]
    rest = quantity - position.held
    if rest:
        _unexplained(desk, position, rest, poll, why)
    else:
        _agrees(desk, position, poll, why)


def _carry_out(desk: Desk, position: PositionState, quantity: Decimal, poll: PositionsShown, why: Why) -> None:
    """Move what is explained from coming to held: market orders first in, first out, then closes.

    On a netting account other changes look like fills; where orders are polled, they tell which it was.
    """
    told = desk.model == "netting" and desk.orders_are_polled(poll.asked)
    position = _fill(desk, position, quantity, poll, why, unlisted=told)
    part = clip(quantity - position.held, position.closing)
    if part:
        missed.moved(desk, position.instrument, part, poll.asked)
        after = replace(
            position, held=position.held + part, closing=position.closing - part, doubt=None,
            changed=moment(poll),
        )  # fmt: skip
        desk.tell_position(desk.settle(after, poll.asked), replace(why, price=None))


def _fill(
    desk: Desk, position: PositionState, quantity: Decimal, poll: PositionsShown, why: Why, *, unlisted: bool
) -> PositionState:
    """Take what is shown for fills of orders that are coming; `unlisted`: only of those that the newest poll of orders
    does not list, for they would never be told to have filled, and count beside it."""
    for order in [o for o in desk.living() if o.position == position.key and o.coming]:
        part = clip(quantity - desk.positions[position.key].held, order.coming)
        if part and (order.doubt is not None or not unlisted):
            desk.fill(order, order.filled + abs(part), why)
            desk.keep(replace(desk.positions[position.key], changed=moment(poll)))
    return desk.positions[position.key]


def _agrees(desk: Desk, position: PositionState, poll: PositionsShown, why: Why) -> None:
    late = position.closing_since is not None and poll.asked > position.closing_since + PATIENCE
    calm = position.moved is None or poll.asked >= position.moved + GRACE
    position = replace(position, doubt=None, excused=ZERO if calm else position.excused)
    over = calm and desk.model == "netting" and not position.held and not position.turning  # no close goes through zero
    if position.closing and (late or over) and not position.opening:
        if not over:
            desk.note("unsettled", f"close of position {position.key}")
        desk.tell_position(desk.settle(replace(position, closing=ZERO), poll.asked), why)
    else:
        desk.keep(desk.settle(position, poll.asked))


def _unexplained(desk: Desk, position: PositionState, rest: Decimal, poll: PositionsShown, why: Why) -> None:
    if desk.model == "netting" and missed.explained(desk, position.instrument, rest, poll.asked):
        after = replace(position, held=position.held + rest, doubt=None, changed=moment(poll))
        desk.tell_position(desk.settle(desk.bounded(after), poll.asked), why)
        return
    is_swept = swept.is_why(desk, position, rest, poll)
    if not is_swept and not _excused(position, rest) and not _settled(desk, position, rest, poll):
        return
    if not is_swept and not _counts(desk, position, rest, poll):
        desk.keep(_in_doubt(desk, position, rest, poll))
        return
    after = replace(position, held=position.held + rest, doubt=None, excused=ZERO, changed=moment(poll))
    suspects = names_of(explainers(desk, position.instrument, rest), rest) if desk.model == "netting" else ()
    missed.moved(desk, position.instrument, rest, poll.asked, suspects)
    after = replace(after, surplus=rest if suspects else ZERO, suspects=suspects, suspected=poll.asked)
    desk.tell_position(desk.settle(desk.bounded(after), poll.asked), why)


def _settled(desk: Desk, position: PositionState, rest: Decimal, poll: PositionsShown) -> bool:
    """Whether a lagging poll can be ruled out. What reduces need not wait for a call's effect to be shown."""
    moved = position.moved is not None and poll.asked < position.moved + GRACE
    moved |= not poll.firm and position.changed is not None and poll.asked < position.changed + GRACE
    grows = rest * position.held >= 0
    return not moved and (not grows or poll.firm or desk.calm(poll.asked, position.instrument))


def _in_doubt(desk: Desk, position: PositionState, rest: Decimal, poll: PositionsShown) -> PositionState:
    """Doubted since now, or since before; while orders could be the cause, another quantity is another doubt."""
    shown = position.held + rest
    if position.doubt is None or (position.doubted != shown and _causes(desk, position, rest)):
        return replace(position, doubt=poll.asked, doubted=shown)
    return position


def _excused(position: PositionState, rest: Decimal) -> bool:
    return position.excused > 0 and position.held * rest < 0 and abs(rest) <= position.excused


def _causes(desk: Desk, position: PositionState, rest: Decimal) -> bool:
    """Whether orders have to be looked at first: on a netting account one may have filled, by itself or with others."""
    if desk.model == "hedging":
        return False
    return bool(position.opening) or bool(explainers(desk, position.instrument, rest))


def _counts(desk: Desk, position: PositionState, rest: Decimal, poll: PositionsShown) -> bool:
    if _excused(position, rest):
        return True
    causes = _causes(desk, position, rest)
    if causes and position.doubted != position.held + rest:
        return False
    if position.doubt is None or position.doubt == poll.asked:
        return poll.firm and not causes
    return not causes or out_of_doubt(desk, poll, position.doubt)
