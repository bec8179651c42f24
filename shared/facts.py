"""The contract of the orders stream: what happened at the source, stated so that seeing it twice changes nothing.

A fact says what *is* after it (totals, levels, order state), never only what changed. Every fact about exposure
carries the position's revision and its signed quantity before and after, so a reader can act on the newest fact
alone, in any order of arrival. Kinds are never reused and new fields only come with defaults.
"""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

Side = Literal["buy", "sell"]
OrderType = Literal["market", "limit", "stop", "stoplimit"]
Unit = Literal["lots", "units", "contracts"]
Model = Literal["hedging", "netting"]
Ending = Literal["canceled", "expired", "rejected"]
Evidence = Literal["call", "poll"]

Level = Decimal | None | UnsetType
"""A price; `None` = there is none (removed); `UNSET` = not known to have changed, the next poll settles it."""


def _require_finite(*numbers: Decimal) -> None:
    if not all(n.is_finite() for n in numbers):
        raise ValueError("numbers must be finite")


def _require_positive(*numbers: Decimal) -> None:
    _require_finite(*numbers)
    if not all(n > 0 for n in numbers):
        raise ValueError("sizes and prices must be above 0")


def _require_price(kind: OrderType, *kinds: OrderType, price: Decimal | None, name: str) -> None:
    if kind in kinds and price is None:
        raise ValueError(f"a {kind} order needs {name}")
    if price is not None:
        _require_positive(price)


class Amount(Struct, frozen=True, kw_only=True):
    """Signed quantity of one position in the source's unit: long is positive, short negative.

    `held` is filled. `coming` was accepted and is not filled yet: market orders and closes; a resting order is
    not coming, it may never fill.
    """

    held: Decimal = Decimal(0)
    coming: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        _require_finite(self.held, self.coming)

    @property
    def total(self) -> Decimal:
        """What the position will be when everything that was accepted has filled."""
        return self.held + self.coming


class Exposure(Struct, frozen=True, kw_only=True):
    """One position of the source (netting: one instrument) before and after a fact.

    `position` is our key of it and never changes; `position_id` is the source's own id once it is known.
    `revision` counts this position's changes from 1; a lower one than already followed is out of date. `anew`: what was
    told of this position so far left out what had been held before anybody looked, so that `before` is what counts as
    followed from here on, whatever was followed.
    """

    position: str
    revision: int
    before: Amount
    after: Amount
    position_id: str | None = None
    anew: bool = False

    def __post_init__(self) -> None:
        if self.revision < 1:
            raise ValueError("a position's revision starts at 1")


class Levels(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Stop loss and take profit as absolute source prices, and the trailing distance in price units."""

    stop_loss: Level = UNSET
    take_profit: Level = UNSET
    trailing: Level = UNSET

    def __post_init__(self) -> None:
        _require_positive(*(x for x in (self.stop_loss, self.take_profit, self.trailing) if isinstance(x, Decimal)))

    def over(self, known: "Levels") -> "Levels":
        """These levels where they say something, `known` where they do not."""
        return Levels(
            stop_loss=known.stop_loss if self.stop_loss is UNSET else self.stop_loss,
            take_profit=known.take_profit if self.take_profit is UNSET else self.take_profit,
            trailing=known.trailing if self.trailing is UNSET else self.trailing,
        )


class Quote(Struct, frozen=True, kw_only=True):
    """Bid and ask that the trader saw at the source."""

    bid: Decimal
    ask: Decimal

    def __post_init__(self) -> None:
        _require_positive(self.bid, self.ask)


class Contract(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one unit of quantity means at the source. Sizes are in base units per lot, ticks in price units."""

    unit: Unit
    lot_size: Decimal | None = None
    tick_size: Decimal | None = None
    pip_size: Decimal | None = None
    quantity_step: Decimal | None = None
    quantity_minimum: Decimal | None = None
    currency: str | None = None


class Order(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An order at the source as it stands after the fact. `id` ends in `#2`, `#3` … when the source reuses one."""

    id: str
    type: OrderType
    side: Side
    quantity: Decimal
    filled: Decimal = Decimal(0)
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    duration: str | None = None
    expires: datetime | None = None
    average_price: Decimal | None = None

    def __post_init__(self) -> None:
        _require_positive(self.quantity)
        _require_finite(self.filled)
        if self.filled < 0 or self.filled > self.quantity:
            raise ValueError("filled must lie between 0 and the quantity")
        _require_price(self.type, "limit", "stoplimit", price=self.limit_price, name="limit_price")
        _require_price(self.type, "stop", "stoplimit", price=self.stop_price, name="stop_price")

    @property
    def signed(self) -> Decimal:
        """The order's quantity with its direction: a buy is positive."""
        return self.quantity if self.side == "buy" else -self.quantity


class _Fact(Struct, frozen=True, kw_only=True, tag_field="kind", omit_defaults=True):
    """What every fact says.

    `id` is (source, source account, object, revision of that object) and is the same whoever publishes it.
    `producer` + `seq` are its place in one outbox, without gaps. `captured` is when the reply had passed us (UTC),
    true within `uncertainty` seconds of the Redis server's clock. `asked` is when the trader's request came in.
    `price` is the source's price of this happening: the fill's average, else the side of the quote that trades.
    """

    id: str
    source: str
    account: str
    instrument: str
    model: Model
    producer: str
    seq: int
    captured: datetime
    uncertainty: float = 0.0
    asked: datetime | None = None
    evidence: Evidence = "call"
    price: Decimal | None = None
    quote: Quote | None = None
    contract: Contract | None = None

    def __post_init__(self) -> None:
        if self.seq < 1:
            raise ValueError("seq starts at 1")
        if self.captured.tzinfo is None:
            raise ValueError("captured must carry a time zone")
        if self.price is not None:
            _require_positive(self.price)


class OrderPlaced(_Fact, frozen=True, kw_only=True, tag="order.placed", omit_defaults=True):
    """The source accepted an order. A market order's quantity is `coming` in the exposure, a resting order's is not.

    `levels` are the brackets asked for with the order; they belong to the position it opens.
    """

    order: Order
    exposure: Exposure
    levels: Levels = Levels()


class OrderModified(_Fact, frozen=True, kw_only=True, tag="order.modified", omit_defaults=True):
    """A resting order has new prices, quantity, duration or brackets; all of them are stated as they are now."""

    order: Order
    exposure: Exposure
    levels: Levels = Levels()


class OrderFilled(_Fact, frozen=True, kw_only=True, tag="order.filled", omit_defaults=True):
    """An order has filled, wholly or in part (`order.filled` says how much so far)."""

    order: Order
    exposure: Exposure
    levels: Levels = Levels()


class OrderEnded(_Fact, frozen=True, kw_only=True, tag="order.ended", omit_defaults=True):
    """An order is over without (more) fill. The exposure no longer counts what had been coming of it."""

    order: Order
    exposure: Exposure
    reason: Ending
    text: str = ""
    levels: Levels = Levels()


class PositionOpened(_Fact, frozen=True, kw_only=True, tag="position.opened", omit_defaults=True):
    """The polls show a position that no order seen by us explains."""

    exposure: Exposure
    levels: Levels = Levels()


class PositionChanged(_Fact, frozen=True, kw_only=True, tag="position.changed", omit_defaults=True):
    """A position's remaining quantity or its levels are different now."""

    exposure: Exposure
    levels: Levels = Levels()


class PositionClosed(_Fact, frozen=True, kw_only=True, tag="position.closed", omit_defaults=True):
    """A position is closed, or its close was accepted (then the exposure's total is 0 while some is still held)."""

    exposure: Exposure
    levels: Levels = Levels()


class PositionReversed(_Fact, frozen=True, kw_only=True, tag="position.reversed", omit_defaults=True):
    """A position changed its side in one go."""

    exposure: Exposure
    levels: Levels = Levels()


OrderFact = OrderPlaced | OrderModified | OrderFilled | OrderEnded
PositionFact = PositionOpened | PositionChanged | PositionClosed | PositionReversed
Fact = (
    OrderPlaced
    | OrderModified
    | OrderFilled
    | OrderEnded
    | PositionOpened
    | PositionChanged
    | PositionClosed
    | PositionReversed
)


def objects(fact: Fact) -> Iterator[tuple[str, bool]]:
    """The source objects that `fact` is the newest statement about, each with whether it still lives.

    The names are the fields of the source's picture in Redis: `position:KEY` and `order:ID`.
    """
    after = fact.exposure.after
    yield f"position:{fact.exposure.position}", bool(after.held or after.coming)
    if isinstance(fact, OrderFact):
        done = isinstance(fact, OrderEnded) or fact.order.filled == fact.order.quantity
        yield f"order:{fact.order.id}", not done
