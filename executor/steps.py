"""What can be asked of MT5 about one account, one step at a time.

*Opening* makes exposure, *reducing* takes some away, *setting* concerns levels and resting orders. Openings and part
closes are *marked*: they are found again by the mark they bear, so they need not be sent twice. The others are
absolute: they say how things shall be, so they can be repeated until that is so. Volumes are lots, prices the
account's.
"""

from datetime import datetime
from decimal import Decimal
from typing import assert_never

from msgspec import Struct

from shared.facts import OrderType, Side
from shared.outcomes import StepKind


class Open(Struct, frozen=True, kw_only=True):
    """Buy or sell at market. Marked. `reference` is the source's price that the drift guard compares with."""

    name: str
    link: str
    symbol: str
    side: Side
    volume: Decimal
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    reference: Decimal | None = None


class Rest(Struct, frozen=True, kw_only=True):
    """Place a pending order that mirrors the source's `order`. Marked."""

    name: str
    link: str
    order: str
    symbol: str
    type: OrderType
    side: Side
    volume: Decimal
    price: Decimal
    stop_limit: Decimal | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    expires: datetime | None = None

    @property
    def entry(self) -> Decimal:
        """The price at which it opens: of a stop-limit order the limit, not the price that sets it off."""
        return self.price if self.stop_limit is None else self.stop_limit


class Close(Struct, frozen=True, kw_only=True):
    """Close one position of ours whole, on a hedging account. Absolute: done when the position is gone."""

    name: str
    link: str
    ticket: int
    symbol: str
    side: Side
    volume: Decimal


class Reduce(Struct, frozen=True, kw_only=True):
    """Take `volume` off a position (`side` is the position's). Marked.

    `floor` is the position's volume that must remain: what is there less `floor` is the most that may be taken, so
    a repeat can never take too much. On a netting account it keeps foreign volume and stops at zero.
    """

    name: str
    link: str
    ticket: int
    symbol: str
    side: Side
    volume: Decimal
    floor: Decimal


class Protect(Struct, frozen=True, kw_only=True):
    """Set both levels of a position. Absolute; None removes a level."""

    name: str
    link: str
    ticket: int
    symbol: str
    stop_loss: Decimal | None
    take_profit: Decimal | None


class Move(Struct, frozen=True, kw_only=True):
    """State prices, levels and expiry of a pending order of ours anew. Absolute."""

    name: str
    link: str
    order: str
    ticket: int
    symbol: str
    price: Decimal
    stop_limit: Decimal | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    expires: datetime | None = None


class Withdraw(Struct, frozen=True, kw_only=True):
    """Remove a pending order of ours. Absolute: done when it is no longer there."""

    name: str
    link: str
    order: str
    ticket: int
    symbol: str


Opening = Open | Rest
Reducing = Close | Reduce
Setting = Protect | Move | Withdraw
Marked = Open | Rest | Reduce
Step = Open | Rest | Close | Reduce | Protect | Move | Withdraw


def kind(step: Step) -> StepKind:
    """Whether a step opens exposure, reduces it, or sets levels and resting orders."""
    match step:
        case Open() | Rest():
            return "open"
        case Close() | Reduce():
            return "reduce"
        case Protect() | Move() | Withdraw():
            return "set"
        case _:
            assert_never(step)
