"""The rows that the stand-in broker lists: orders, positions, executions, named and shaped as TradingView wants them.

The records are the broker's own state, too: a row is the record without what is absent. Numbers are plain decimals.
"""

from decimal import Decimal
from typing import Literal

import msgspec
from msgspec import Struct

from deploy.demo.rules import OrderType, Side, Status, opposite


class Duration(Struct, omit_defaults=True):
    """How long an order is good for; `datetime` in unix seconds."""

    type: str
    datetime: int | None = None


class Field(Struct):
    """A value the protocol has no name for."""

    id: str
    value: str


class Message(Struct):
    """Why an order is what it is."""

    text: str
    type: str = "error"


class Order(Struct, kw_only=True, rename="camel", omit_defaults=True):
    """One order; a bracket is an order with a parent."""

    id: str
    instrument: str
    qty: Decimal
    side: Side
    type: OrderType
    status: Status
    last_modified: int
    filled_qty: Decimal | None = None
    avg_price: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    is_trailing_stop: bool = False
    trailing_stop_pips: Decimal | None = None
    parent_id: str | None = None
    parent_type: Literal["order", "position"] | None = None
    duration: Duration | None = None
    custom_fields: tuple[Field, ...] = ()
    message: Message | None = None

    @property
    def is_take_profit(self) -> bool:
        """Of a bracket: whether it is the limit above (below) the position and not the stop."""
        return self.type == "limit"


class Position(Struct, rename="camel"):
    """One open position; `qty` is positive."""

    id: str
    instrument: str
    qty: Decimal
    side: Side
    avg_price: Decimal
    unrealized_pl: Decimal = Decimal(0)

    @property
    def signed(self) -> Decimal:
        """Quantity with direction: long is positive."""
        return self.qty if self.side == "buy" else -self.qty


class Execution(Struct, kw_only=True, rename="camel"):
    """One fill."""

    id: str
    instrument: str
    price: Decimal
    time: int
    qty: Decimal
    side: Side
    order_id: str
    is_close: bool
    position_id: str


def closing(position: Position, amount: Decimal, order_id: str, now: int, *, names_position: bool) -> Order:
    """The market order that closes so much of a position, working from now on."""
    return Order(
        id=order_id, instrument=position.instrument, qty=amount, side=opposite(position.side), type="market",
        status="working", last_modified=now,
        custom_fields=(Field("PositionId", position.id),) if names_position else (),
    )  # fmt: skip


def execution(
    order: Order, position: Position, qty: Decimal, price: Decimal, execution_id: str, now: int, *, is_close: bool
) -> Execution:
    """One fill of an order, for or against a position."""
    return Execution(
        id=execution_id, instrument=order.instrument, price=price, time=now, qty=qty, side=order.side,
        order_id=order.id, is_close=is_close, position_id=position.id,
    )  # fmt: skip


_ENCODER = msgspec.json.Encoder(decimal_format="number")


def encode(body: object) -> bytes:
    """JSON with decimals as plain numbers."""
    return _ENCODER.encode(body)
