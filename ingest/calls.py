"""The vocabulary between the protocols and the picture: what a trader's call asks, what a poll shows.

A protocol module turns an exchange into these values and knows nothing of the picture; the picture acts on them
and knows nothing of HTTP. Numbers are Decimal, prices absolute, quantities in the source's unit.
"""

from datetime import datetime
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from shared.facts import Ending, Levels, OrderType, Quote, Side, Unit

LevelName = Literal["stop_loss", "take_profit"]
Standing = Literal["live", "filled", "canceled", "expired", "rejected"]

ENDINGS: dict[Standing, Ending] = {"canceled": "canceled", "expired": "expired", "rejected": "rejected"}
"""The standings of an order that is over without (more) fill."""

NoteKind = Literal[
    "ignored",  # known traffic that says nothing about trading
    "unknown",  # traffic of the source that matches no known endpoint
    "other-account",
    "refused",  # the broker said no: nothing has happened
    "unanswered",  # a trading call whose effect is not known; the polls settle it
    "poll-failed",
    "malformed",  # an accepted call or a row that cannot be read
    "late",  # a poll that says nothing any more, or not yet
    "duplicate",
    "unknown-object",  # a call on an order or position that no poll has shown
    "reused-id",
    "first-in-first-out",  # equal candidates, told apart by age alone
    "told-apart",  # one position has gone as another came, which may be what is left of it
    "unsettled",  # accepted long ago and never carried out
    "baseline",  # what was open before anybody looked
    "unit-unknown",
    "model-unknown",
    "pip-unknown",
    "blind",  # trading without good polls
    "untold",  # it happened, and nobody could be told: see `ingest.missed`
    "foreign-origin",
]


class Note(Struct, frozen=True):
    """Something that is no fact but must not be silent. `kind` is a closed set, fit for a metric's label."""

    kind: NoteKind
    text: str = ""


class _Call(Struct, frozen=True, kw_only=True, tag_field="call", omit_defaults=True):
    """What every trading call says. `answered` is unset while the broker has not accepted it."""

    account: str
    flow: str
    asked: datetime
    answered: datetime | None = None
    quote: Quote | None = None


class PlaceOrder(_Call, frozen=True, kw_only=True, tag="place-order", omit_defaults=True):
    """A new order. `order_id` and `brackets` (child id, level) come with the reply, `standing` too where it is said.

    `request` is the page's name of the request, the same when a browser sends it again because no reply came.
    """

    instrument: str
    side: Side
    type: OrderType
    quantity: Decimal
    order_id: str = ""
    request: str = ""
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    duration: str | None = None
    expires: datetime | None = None
    levels: Levels = Levels()
    trailing_pips: Decimal | None = None
    brackets: tuple[tuple[str, LevelName], ...] = ()
    standing: Standing = "live"
    average_price: Decimal | None = None
    unit: Unit | None = None


class ModifyOrder(_Call, frozen=True, kw_only=True, tag="modify-order", omit_defaults=True):
    """New terms of a resting order or of a bracket. What is `None` or unset was not in the request."""

    order_id: str
    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    price: Decimal | None = None
    duration: str | None = None
    expires: datetime | None = None
    levels: Levels = Levels()
    trailing_pips: Decimal | None = None


class CancelOrder(_Call, frozen=True, kw_only=True, tag="cancel-order", omit_defaults=True):
    """An order or a bracket is taken back."""

    order_id: str


class ModifyPosition(_Call, frozen=True, kw_only=True, tag="modify-position", omit_defaults=True):
    """New levels of a position, or (with `side`) its native reversal. `position` is an id, or a netting symbol."""

    position: str
    levels: Levels = Levels()
    trailing_pips: Decimal | None = None
    side: Side | None = None


class ClosePosition(_Call, frozen=True, kw_only=True, tag="close-position", omit_defaults=True):
    """A position is closed, wholly or by `amount`."""

    position: str
    amount: Decimal | None = None


Call = PlaceOrder | ModifyOrder | CancelOrder | ModifyPosition | ClosePosition


class Asked(Struct, frozen=True, kw_only=True):
    """A trading request has come in and waits for its reply."""

    call: Call

    @property
    def account(self) -> str:
        """The source account that is asked."""
        return self.call.account


class Refused(Struct, frozen=True, kw_only=True):
    """The broker said no: the call of `flow` had no effect."""

    account: str
    flow: str
    answered: datetime
    text: str = ""


class Unanswered(Struct, frozen=True, kw_only=True):
    """Nobody knows whether the call of `flow` had an effect: no reply, or one that cannot be read."""

    account: str
    flow: str
    at: datetime
    call: Call | None = None
    text: str = ""


class _Poll(Struct, frozen=True, kw_only=True, tag_field="poll", omit_defaults=True):
    """What every poll says. `asked` is when its request left; what it shows is at least that new.

    `complete` polls list everything, so that an absent row says something; a pushed frame lists one object.
    `firm` ones are pushed once and never repeated, so they need no second one to agree.
    """

    account: str
    flow: str
    asked: datetime
    answered: datetime
    complete: bool = True
    firm: bool = False
    unreadable: frozenset[str] = frozenset()


class OrderRow(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One order as a poll shows it. `level` says that it is a bracket of `parent`."""

    id: str
    instrument: str
    side: Side
    type: OrderType
    quantity: Decimal
    standing: Standing
    filled: Decimal = Decimal(0)
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    average_price: Decimal | None = None
    level: LevelName | None = None
    parent: str = ""
    parent_type: str = ""
    trailing_pips: Decimal | None = None
    duration: str | None = None
    expires: datetime | None = None
    position_id: str = ""
    text: str = ""
    levels: Levels = Levels()


class PositionRow(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One position as a poll shows it; `quantity` is signed, 0 when it is closed."""

    id: str
    instrument: str
    quantity: Decimal
    average_price: Decimal | None = None
    levels: Levels = Levels()


class Fill(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What has filled of an order by the source's history; `quantity` is signed, `at` is the source's own time."""

    order_id: str
    instrument: str
    quantity: Decimal
    at: datetime
    price: Decimal | None = None


class ExecutionRow(Struct, frozen=True, kw_only=True):
    """One fill as a poll shows it; it links an order to its position. `fill` where all of it is said."""

    id: str
    instrument: str
    order_id: str
    position_id: str
    closes: bool = False
    fill: Fill | None = None


class Instrument(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the source says about an instrument. `unit` only where it can be told for certain."""

    name: str
    unit: Unit | None = None
    lot_size: Decimal | None = None
    tick_size: Decimal | None = None
    pip_size: Decimal | None = None
    quantity_step: Decimal | None = None
    quantity_minimum: Decimal | None = None
    currency: str | None = None


class OrdersShown(_Poll, frozen=True, kw_only=True, tag="orders"):
    """The orders of the account."""

    rows: tuple[OrderRow, ...]


class PositionsShown(_Poll, frozen=True, kw_only=True, tag="positions"):
    """The positions of the account."""

    rows: tuple[PositionRow, ...]


class ExecutionsShown(_Poll, frozen=True, kw_only=True, tag="executions"):
    """Fills of the account."""

    rows: tuple[ExecutionRow, ...]


class HistoryShown(_Poll, frozen=True, kw_only=True, tag="history"):
    """Orders of the account that have filled, some of them long ago."""

    rows: tuple[Fill, ...]


class InstrumentsShown(_Poll, frozen=True, kw_only=True, tag="instruments"):
    """The instruments that the account can trade."""

    rows: tuple[Instrument, ...]


class AccountShown(_Poll, frozen=True, kw_only=True, tag="account"):
    """What the login's account list says about one account."""

    hedging: bool | None


Poll = OrdersShown | PositionsShown | ExecutionsShown | HistoryShown | InstrumentsShown | AccountShown
Event = Asked | Call | Refused | Unanswered | Poll | Note


def price_of(row: OrderRow) -> Decimal | None:
    """The price at which an order waits: a stop's trigger, else its limit."""
    return row.stop_price if row.type == "stop" else row.limit_price
