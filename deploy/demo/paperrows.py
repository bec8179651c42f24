"""The objects of Paper Trading as the stand-in keeps them, and as it shows them in answers and frames."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal

from msgspec import Struct, field

from deploy.demo.rules import Side

Label = Literal["sl", "tp"]
LABELS: tuple[Label, ...] = ("sl", "tp")
PaperType = Literal["market", "limit", "stop"]
PaperStatus = Literal["placing", "inactive", "working", "filled", "cancelled", "rejected", "expired"]
Row = dict[str, Any]
Push = Callable[[str, Row], None]
"""Takes a frame's name and what it says."""


class PaperOrder(Struct, kw_only=True):
    """One order; one with a label is a bracket of a position. Moments are unix seconds."""

    id: int
    symbol: str
    symbol_type: str
    side: Side
    qty: Decimal
    type: PaperType
    status: PaperStatus
    price: Decimal | None = None
    average: Decimal | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    expires: int | None = None
    closed: int | None = None
    label: Label | None = None
    parent: int | None = None

    @property
    def signed(self) -> Decimal:
        """Quantity with direction."""
        return self.qty if self.side == "buy" else -self.qty

    def row(self) -> Row:
        """As it is shown; what is absent is left out."""
        shown = {
            "id": self.id, "symbol": self.symbol, "symboltype": self.symbol_type, "side": self.side, "qty": self.qty,
            "type": self.type, "status": self.status, "price": self.average or self.price, "avg_price": self.average,
            "sl": self.stop_loss, "tp": self.take_profit, "expiration": self.expires, "close-date": self.closed,
            "label": self.label, "parent": self.parent,
        }  # fmt: skip
        return {name: value for name, value in shown.items() if value is not None}


class PaperPosition(Struct, kw_only=True):
    """What is held of one symbol: signed, 0 when flat. `brackets` are its stop loss and take profit at work."""

    symbol: str
    symbol_type: str
    qty: Decimal = Decimal(0)
    average: Decimal = Decimal(0)
    brackets: dict[Label, PaperOrder] = field(default_factory=dict)

    @property
    def side(self) -> Literal["buy", "sell", "empty"]:
        """Which way, in the protocol's words."""
        return "empty" if self.qty == 0 else "buy" if self.qty > 0 else "sell"

    def row(self, *, signed: bool, levels: bool = True) -> Row:
        """As it is shown, a short one below 0 or not, with or without its levels."""
        shown: Row = {"symbol": self.symbol, "symboltype": self.symbol_type, "side": self.side}
        shown["qty"] = self.qty if signed else abs(self.qty)
        if self.qty:
            shown["avg_price"] = self.average
        if levels:
            shown |= {label: bracket.price for label, bracket in self.brackets.items()}
        return shown


class PaperTrade(Struct, frozen=True, kw_only=True):
    """One fill as `get_trades` lists it."""

    id: int
    symbol: str
    side: Side
    qty: Decimal
    price: Decimal
    time: int
    order: int
    commission: Decimal = Decimal(0)
