"""What was held before anybody looked: stated as unchanged, so that it is known and nobody follows it by itself."""

from decimal import Decimal

from msgspec.structs import replace

from ingest.changes import Why
from ingest.desk import Desk
from ingest.state import ZERO, PositionState


def tell(desk: Desk, position: PositionState, quantity: Decimal, why: Why) -> None:
    """Put down that the first look shows `quantity` (signed) of a position.

    Who was told of the position before that look learns that all of it counts as followed. What was told against an
    older holding opened nothing at the source: it is told as closed first.
    """
    told, known = position.held, position.revision > 0
    if told * (quantity - told) < 0:
        desk.tell_position(replace(position, held=ZERO), why)
    position = desk.keep(replace(desk.positions[position.key], held=quantity, unbased=False))
    if quantity:
        desk.note("baseline", f"{quantity} {position.instrument}")
        desk.tell_again(position, position.amount, why)
        desk.said[-1] = replace(desk.said[-1], anew=known)
