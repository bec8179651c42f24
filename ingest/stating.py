"""How a change of the picture becomes a fact: complete, stamped, and in a unit that is known."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from msgspec import Struct

from ingest.calls import Instrument, Note
from ingest.changes import Change
from ingest.source import Source
from ingest.state import Picture
from shared.facts import (
    Amount,
    Contract,
    Exposure,
    Fact,
    OrderEnded,
    OrderFilled,
    OrderModified,
    OrderPlaced,
    PositionChanged,
    PositionClosed,
    PositionOpened,
    PositionReversed,
    Unit,
)  # fmt: skip

_KINDS: dict[str, Any] = {
    "order.placed": OrderPlaced,
    "order.modified": OrderModified,
    "order.filled": OrderFilled,
    "order.ended": OrderEnded,
    "position.opened": PositionOpened,
    "position.changed": PositionChanged,
    "position.closed": PositionClosed,
    "position.reversed": PositionReversed,
}


class Stamp(Struct, frozen=True, kw_only=True):
    """What the outbox adds: its name, the next free place in it, and when this was captured (UTC).

    `uncertainty` is by how many seconds `captured` may differ from the Redis server's clock.
    """

    producer: str
    seq: int
    captured: datetime
    uncertainty: float = 0.0


def facts(
    picture: Picture, changes: Iterable[Change], source: Source, stamp: Stamp
) -> tuple[tuple[Fact, ...], tuple[Note, ...]]:
    """The facts that state `changes`, with `seq` counting on from the stamp's, and a note for each that cannot be.

    An opening in a unit that nobody knows is refused: a size is never guessed. What reduces is always stated.
    """
    stated: list[Fact] = []
    notes: list[Note] = []
    for change in changes:
        contract = contract_of(picture.instruments.get(change.instrument), source)
        if contract is None and (opens(change) or _untold(picture, change)):
            notes.append(Note("unit-unknown", change.instrument))
        else:
            stated.append(_fact(picture, change, contract, stamp, stamp.seq + len(stated)))
    return tuple(stated), tuple(notes)


def _untold(picture: Picture, change: Change) -> bool:
    """Whether it only changes what nobody has been told of; a reader must not take it for what is followed already."""
    found = picture.withheld.get(f"position:{change.position}")
    return found is not None and found[1] == Amount() and bool(change.after.total)


def opens(change: Change) -> bool:
    """Whether a reader could open something because of it, whether it follows what is accepted or what is filled."""
    before, after = change.before, change.after
    rests = change.kind == "order.placed" and before.total == after.total
    return rests or _grows(before.total, after.total) or _grows(before.held, after.held)


def _grows(before: Decimal, after: Decimal) -> bool:
    return abs(after) > abs(before) or before * after < 0


def contract_of(found: Instrument | None, source: Source) -> Contract | None:
    """What one unit of quantity means, `None` when neither the settings nor the source say."""
    unit: Unit | None = source.quantity_unit if source.quantity_unit != "auto" else found.unit if found else None
    if unit is None:
        return None
    if found is None:
        return Contract(unit=unit)
    return Contract(
        unit=unit, lot_size=found.lot_size, tick_size=found.tick_size, pip_size=found.pip_size,
        quantity_step=found.quantity_step, quantity_minimum=found.quantity_minimum, currency=found.currency,
    )  # fmt: skip


def _fact(picture: Picture, change: Change, contract: Contract | None, stamp: Stamp, seq: int) -> Fact:
    exposure = Exposure(
        position=change.position, revision=change.revision, before=change.before, after=change.after,
        position_id=change.position_id, anew=change.anew,
    )  # fmt: skip
    more: dict[str, Any] = {} if change.order is None else {"order": change.order}
    if change.kind == "order.ended":
        more |= {"reason": change.reason, "text": change.text}
    found: Fact = _KINDS[change.kind](
        id=f"{picture.source}/{picture.account}/{change.object}", source=picture.source, account=picture.account,
        instrument=change.instrument, model=picture.model or "hedging", producer=stamp.producer, seq=seq,
        captured=stamp.captured, uncertainty=stamp.uncertainty, asked=change.why.asked, evidence=change.why.evidence,
        price=change.why.price, quote=change.why.quote, contract=contract, exposure=exposure, levels=change.levels,
        **more,
    )  # fmt: skip
    return found
