"""One change of a picture: what it was and is now, and what shows it; all that a fact says but who publishes it."""

from datetime import datetime
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from ingest.calls import Call
from shared.facts import Amount, Ending, Evidence, Levels, Order, Quote, Side

Kind = Literal[
    "order.placed", "order.modified", "order.filled", "order.ended",
    "position.opened", "position.changed", "position.closed", "position.reversed",
]  # fmt: skip


class Why(Struct, frozen=True, kw_only=True):
    """Where a change comes from: when it was asked, what shows it, and at which price."""

    at: datetime
    asked: datetime | None = None
    evidence: Evidence = "poll"
    quote: Quote | None = None
    price: Decimal | None = None


class Change(Struct, frozen=True, kw_only=True):
    """One change of the picture with all that a fact says, except who publishes it and when it was captured."""

    kind: Kind
    object: str
    instrument: str
    position: str
    revision: int
    before: Amount
    after: Amount
    levels: Levels
    why: Why
    position_id: str | None = None
    order: Order | None = None
    reason: Ending | None = None
    text: str = ""
    anew: bool = False


def by_call(call: Call, price: Decimal | None = None) -> Why:
    """The evidence of an accepted call."""
    at = call.answered or call.asked
    return Why(at=at, asked=call.asked, evidence="call", quote=call.quote, price=price)


def kind_of(before: Amount, after: Amount) -> Kind:
    """What has become of a position whose quantity was `before` and is `after`."""
    if not after.total:
        return "position.closed" if before != after else "position.changed"
    if before.total * after.total < 0:
        return "position.reversed"
    return "position.opened" if before == Amount() else "position.changed"


def traded_price(call: Call, side: Side) -> Decimal | None:
    """The side of the trader's quote at which this trades."""
    return None if call.quote is None else call.quote.ask if side == "buy" else call.quote.bid
