"""What accepted calls on positions do to the picture: levels, native reversal, closes whole and in part."""

from msgspec import UNSET
from msgspec.structs import replace

from ingest import identity, levels, renaming
from ingest.calls import ClosePosition, ModifyPosition
from ingest.changes import by_call, traded_price
from ingest.desk import Desk, clip
from ingest.state import Move, PositionState
from shared.facts import Side


def _target(desk: Desk, name: str) -> PositionState | None:
    """The position that a call names, also when no poll that counts has linked its id yet."""
    known = desk.position(name)
    if known is not None:
        return known
    found = identity.named(desk, name)
    if found is None:
        desk.note("unknown-object", f"position {name}")
        return None
    desk.note("first-in-first-out", f"position {name}")
    return desk.keep(renaming.called(found, name))


def modify(desk: Desk, call: ModifyPosition) -> None:
    position = _target(desk, call.position)
    if position is None:
        return
    given = levels.asked_for(desk, position.instrument, call.levels, call.trailing_pips)
    if call.side is None:
        levels.change(desk, position, given, by_call(call), unsure=levels.absent(position.levels, given))
        return
    _reverse(desk, replace(position, levels=given.over(position.levels)), call, call.side)


def _reverse(desk: Desk, position: PositionState, call: ModifyPosition, side: Side) -> None:
    """The same size on the other side. Its levels would be on the wrong side of the price: unknown until shown."""
    turns = position.total < 0 if side == "buy" else position.total > 0
    if not turns:
        levels.change(desk, position, call.levels, by_call(call))
        return
    turned = replace(position, closing=position.closing - 2 * position.total, closing_since=call.answered, turning=True)
    unsure = tuple(n for n in levels.NAMES if getattr(call.levels, n) is UNSET and getattr(position.levels, n))
    desk.tell_position(replace(turned, unsure=unsure), by_call(call, traded_price(call, side)))


def close(desk: Desk, call: ClosePosition) -> None:
    position = _target(desk, call.position)
    if position is None:
        return
    left = position.total
    share = clip(left.copy_sign(-left) if call.amount is None else call.amount.copy_sign(-left), -left)
    if share:
        side: Side = "sell" if left > 0 else "buy"
        closing = replace(position, closing=position.closing + share, closing_since=call.answered)
        if call.amount is None and desk.model == "netting":
            all_of_it = Move(instrument=position.instrument, quantity=share, at=call.answered or call.asked)
            closing = replace(closing, swept=all_of_it)
        desk.tell_position(closing, by_call(call, traded_price(call, side)))
