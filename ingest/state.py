"""What a picture of one source account is made of; plain frozen values that survive a restart as JSON.

Orders and positions are kept under our own names (`id`, `key`), which stay unique when the source reuses an id.
"""

from datetime import datetime
from decimal import Decimal

from msgspec import Struct

from ingest.calls import Call, Instrument, LevelName, OrdersShown, PositionRow, PositionsShown
from ingest.exchange import plain
from shared.facts import Amount, Levels, Model, Order, OrderType, Side

ZERO = Decimal(0)


class OrderState(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An order that a call placed or the polls showed.

    `live` orders can still fill. `sure` is set when a poll has confirmed how the order ended; until then the polls may
    still contradict the reply. `doubt` is when the first of two polls disagreed with what is known.
    """

    id: str
    source_id: str
    instrument: str
    side: Side
    type: OrderType
    quantity: Decimal
    position: str
    since: datetime
    filled: Decimal = ZERO
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    duration: str | None = None
    expires: datetime | None = None
    average_price: Decimal | None = None
    levels: Levels = Levels()
    live: bool = True
    sure: bool = False
    revision: int = 0
    doubt: datetime | None = None
    ended: datetime | None = None

    @property
    def remaining(self) -> Decimal:
        """The signed quantity that can still fill."""
        left = self.quantity - self.filled if self.live else ZERO
        return left if self.side == "buy" else -left

    @property
    def coming(self) -> Decimal:
        """The signed quantity that is on its way; nothing of a resting order is."""
        return self.remaining if self.type == "market" else ZERO

    def stated(self) -> Order:
        """The order as a fact states it."""
        return Order(
            id=self.id,
            type=self.type,
            side=self.side,
            quantity=self.quantity,
            filled=self.filled,
            limit_price=self.limit_price,
            stop_price=self.stop_price,
            duration=self.duration,
            expires=self.expires,
            average_price=self.average_price,
        )


class Move(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A change of what is held, signed, that a poll left at `at` showed and that no fill of a known order is."""

    instrument: str
    quantity: Decimal
    at: datetime


class PositionState(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A position: on a hedging account one trade, on a netting account one instrument.

    `opening` and `closing` are signed and together what is coming: market orders, and closes that were accepted.
    `doubt` is when the first poll disagreed with what is known, `doubted` what was held according to it. `unsure`
    names levels that a call may have removed. `excused` is what filled brackets may have closed already, `surplus`
    what the polls showed before the fill of one of `suspects` explained it. `turning`: a native reversal is under
    way, so that `closing` goes through zero. `unbased`: nobody knows yet what was held before our first order.
    `former` are the ids that the source has called it by before. `moved`: when an orders poll that changed `held`, or
    the poll that ended the position, had left; `changed`: when a positions poll that did had left. `swept`: what a
    close of all that a netting position held was told to close, for a while.
    """

    key: str
    instrument: str
    since: datetime
    position_id: str | None = None
    held: Decimal = ZERO
    opening: Decimal = ZERO
    closing: Decimal = ZERO
    levels: Levels = Levels()
    unsure: tuple[LevelName, ...] = ()
    revision: int = 0
    over: bool = False
    shown: bool = False
    unbased: bool = False
    doubt: datetime | None = None
    doubted: Decimal = ZERO
    level_doubt: datetime | None = None
    moved: datetime | None = None
    changed: datetime | None = None
    closing_since: datetime | None = None
    excused: Decimal = ZERO
    surplus: Decimal = ZERO
    suspects: tuple[str, ...] = ()
    suspected: datetime | None = None
    turning: bool = False
    former: tuple[str, ...] = ()
    swept: Move | None = None

    @property
    def total(self) -> Decimal:
        """What the position will be when everything that was accepted has been carried out."""
        return self.held + self.opening + self.closing

    @property
    def amount(self) -> Amount:
        """The quantity as a fact states it."""
        return Amount(held=plain(self.held), coming=plain(self.opening + self.closing))


class Bracket(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A child order that is a level of an order's or a position's. `shown`: a poll has listed it alive."""

    id: str
    level: LevelName
    parent: str
    shown: bool = False
    live: bool = True
    filled: Decimal = ZERO


class OpenCall(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A trading request without its reply, and the instrument whose polls wait for it (`*`: all of them).

    `since`: when it was given up that a reply comes. `shown`: something was told that may be its effect.
    """

    call: Call
    instrument: str
    since: datetime | None = None
    shown: bool = False


class Outrun(Struct, frozen=True, kw_only=True):
    """Values that something had, oldest first, until a call changed it at `at`; frames may still show them."""

    values: tuple[str, ...]
    at: datetime


class Passing(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A filled order that nothing of ours explains, until it is clear whether its effect was told.

    `quantity` is signed; it has filled at `since` at the earliest, and was first seen at `seen`.
    """

    order: str
    instrument: str
    quantity: Decimal
    since: datetime
    seen: datetime
    price: Decimal | None = None


class Missed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happened, at `at` or a little later, and was not told: what it was and why, noted at `noted`."""

    at: datetime
    what: str
    why: str
    noted: datetime


class Picture(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One source account as its calls and polls show it.

    `quiet` holds, per instrument (`*`: all), up to when polls that left earlier say nothing; `polled` when the newest
    poll of each kind that was used had left, `answered` when the newest good one came in, which tells a blind source.
    `rows` and `strangers` are position and order ids that no call explains, with the first poll that showed them;
    `panel` are the rows of the newest poll of positions, believed or not: what the trader sees. `uses` counts how often
    the source has used an id, `used` the same of long ago; `listed` are the orders in the newest poll before any
    request that waits, `flows` the calls already applied, `waiting` pushed frames that came while a call on their
    instrument had no reply. `early` is the first look while the model is not known, `early_calls`
    what was accepted before it; `withheld` names what could not be told for want of a unit (`order:ID`, `position:KEY`)
    with its instrument and what was told of it last. `removed` are pushed ends of brackets that may be replaced yet.
    `outrun` are values that frames may show although a call has changed them, `late` the frames that did.
    `looked` is since when orders and positions are both polled, `gaps` are times in which they were not. `passed` are
    filled orders of others that were seen, `passing` those whose effect may be told yet, `moves` what may be theirs;
    `fills` are what executions have shown lately of any order;
    `missed` is what the operator has to be shown, since nobody could be told of it.
    """

    source: str
    account: str
    model: Model | None = None
    orders: dict[str, OrderState] = {}
    positions: dict[str, PositionState] = {}
    brackets: dict[str, Bracket] = {}
    instruments: dict[str, Instrument] = {}
    open: dict[str, OpenCall] = {}
    unsettled: tuple[OpenCall, ...] = ()
    quiet: dict[str, datetime] = {}
    polled: dict[str, datetime] = {}
    answered: dict[str, datetime] = {}
    rows: dict[str, datetime] = {}
    strangers: dict[str, datetime] = {}
    links: dict[str, str] = {}
    uses: dict[str, int] = {}
    used: dict[str, int] = {}
    panel: dict[str, PositionRow] = {}
    listed: frozenset[str] = frozenset()
    flows: dict[str, bool] = {}
    early: tuple[OrdersShown | PositionsShown, ...] = ()
    early_calls: tuple[Call, ...] = ()
    removed: tuple[OrdersShown, ...] = ()
    withheld: dict[str, tuple[str, Amount]] = {}
    waiting: tuple[OrdersShown | PositionsShown, ...] = ()
    outrun: dict[str, Outrun] = {}
    late: dict[str, OrdersShown | PositionsShown] = {}
    looked: datetime | None = None
    gaps: tuple[tuple[datetime, datetime], ...] = ()
    passed: dict[str, bool] = {}
    passing: tuple[Passing, ...] = ()
    moves: tuple[Move, ...] = ()
    fills: tuple[Passing, ...] = ()
    missed: tuple[Missed, ...] = ()
