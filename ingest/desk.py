"""A working copy of a picture: the one place where orders and positions change, and where each change is put down.

Everything that changes exposure goes through `place`, `fill`, `end` and `move`, so that held, coming and revisions
cannot disagree. Nothing outside one `apply` ever sees a desk.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from msgspec import UNSET
from msgspec.structs import replace

from ingest.calls import Call, Instrument, Note, NoteKind, OrdersShown, PlaceOrder, PositionRow, PositionsShown
from ingest.changes import Change, Kind, Why, kind_of
from ingest.sheet import Sheet
from ingest.state import ZERO, Bracket, Missed, Move, OpenCall, OrderState, Outrun, Passing, Picture, PositionState
from shared.facts import Amount, Ending, Levels, Model

GRACE = timedelta(seconds=3)
"""How long one kind of poll may lag behind another before their disagreement counts."""
PATIENCE = timedelta(seconds=30)
"""How long a reply, or the execution of what was accepted, may take before it is taken for missing."""
SUSPICION = timedelta(seconds=60)
"""How long a quantity that the polls showed by itself may wait for the order that explains it."""

ALL = "*"

_FIELDS = frozenset(Picture.__struct_fields__) - {"source", "account"}
_WHOLE = frozenset({"instruments", "panel", "withheld", "passed", "used"})
"""Replaced and never written on."""


class Desk:
    """See the module. The attributes are the picture's, as copies that may be written on.

    A picture remembers much and an event touches little of it, so that each is copied when it is first asked for.
    """

    model: Model | None
    orders: dict[str, OrderState]
    positions: dict[str, PositionState]
    brackets: dict[str, Bracket]
    instruments: dict[str, Instrument]
    open: dict[str, OpenCall]
    unsettled: tuple[OpenCall, ...]
    quiet: dict[str, datetime]
    polled: dict[str, datetime]
    answered: dict[str, datetime]
    rows: dict[str, datetime]
    strangers: dict[str, datetime]
    links: dict[str, str]
    uses: dict[str, int]
    used: dict[str, int]
    panel: dict[str, PositionRow]
    listed: frozenset[str]
    flows: dict[str, bool]
    waiting: tuple[OrdersShown | PositionsShown, ...]
    early: tuple[OrdersShown | PositionsShown, ...]
    early_calls: tuple[Call, ...]
    removed: tuple[OrdersShown, ...]
    withheld: dict[str, tuple[str, Amount]]
    outrun: dict[str, Outrun]
    late: dict[str, OrdersShown | PositionsShown]
    looked: datetime | None
    gaps: tuple[tuple[datetime, datetime], ...]
    passed: dict[str, bool]
    passing: tuple[Passing, ...]
    moves: tuple[Move, ...]
    fills: tuple[Passing, ...]
    missed: tuple[Missed, ...]

    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self._living: list[str] | None = None
        self.said: list[Change | Note] = []

    if not TYPE_CHECKING:  # a name that is none stays an error for the type checker

        def __getattr__(self, name: str) -> Any:
            if name not in _FIELDS:
                raise AttributeError(name)
            value = getattr(self._picture, name)
            value = Sheet(value) if isinstance(value, dict) and name not in _WHOLE else value
            setattr(self, name, value)
            return value

    def picture(self) -> Picture:
        """The picture as it is now; of what has not changed, the very same objects."""
        changed = {}
        for name, new in vars(self).items():
            old = getattr(self._picture, name) if name in _FIELDS else new
            if new is not old and (new.written if isinstance(new, Sheet) else new != old):
                changed[name] = new
        return replace(self._picture, **changed) if changed else self._picture

    def note(self, kind: NoteKind, text: str = "") -> None:
        """Put down something that is no change."""
        self.said.append(Note(kind, text))

    # --- names -----------------------------------------------------------------------------------------------------

    def name(self, kind: Literal["order", "position"], source_id: str) -> str:
        """A name for a new object with that id: the id itself, then `#2`, `#3` … when the source uses it again."""
        uses = self.uses_of(kind, source_id) + 1
        known = f"{kind}:{source_id}"
        self.uses.pop(known, None)
        self.uses[known] = uses
        return source_id if uses == 1 else f"{source_id}#{uses}"

    def uses_of(self, kind: Literal["order", "position"], source_id: str) -> int:
        """How often the source has used that id, as far as it is remembered."""
        known = f"{kind}:{source_id}"
        return self.uses.get(known) or self.used.get(known, 0)

    def order(self, source_id: str) -> OrderState | None:
        """The newest order with that id at the source."""
        uses = self.uses_of("order", source_id)
        return self.orders.get(source_id if uses <= 1 else f"{source_id}#{uses}")

    def position(self, position_id: str) -> PositionState | None:
        """The living position that has or had that id at the source; on a netting account also by its instrument."""
        found = [p for p in self.positions.values() if p.position_id == position_id and not p.over]
        found = found or [p for p in self.positions.values() if position_id in p.former and not p.over]
        if not found and self.model == "netting":
            return self.positions.get(position_id)
        return found[-1] if found else None

    def living(self) -> list[OrderState]:
        """The orders that can still fill, oldest first. What has ended never lives again and is passed over once."""
        before = self._picture.orders
        if self._living is None:
            self._living = [name for name, order in before.items() if order.live]
        names = (*self._living, *islice(self.orders, len(before), None))
        return [order for name in names if (order := self.orders[name]).live]

    # --- when a poll may speak ---------------------------------------------------------------------------------------

    def hush(self, instrument: str, at: datetime) -> None:
        """From now on polls that left before `at` say nothing about this instrument."""
        self.quiet[instrument] = max(at, self.quiet.get(instrument, at))

    def busy(self, instrument: str) -> bool:
        """Whether a trading request on this instrument waits for its reply."""
        return any(o.instrument in (ALL, instrument) for o in self.open.values())

    def trusts(self, poll: OrdersShown | PositionsShown, instrument: str) -> bool:
        """Whether a poll says something about this instrument: not while a call has no reply, and not when its request
        had left before the last reply. A pushed frame that had to wait for a reply still says it."""
        silent = self.quieted(instrument)
        return (poll.firm or silent is None or poll.asked >= silent) and not self.busy(instrument)

    def quieted(self, instrument: str) -> datetime | None:
        """When the last call on this instrument was answered, or given up."""
        return max((q for name in (ALL, instrument) if (q := self.quiet.get(name))), default=None)

    def calm(self, asked: datetime, instrument: str) -> bool:
        """Whether the last call on this instrument is so long ago that every poll must show its effect by now."""
        last = self.quieted(instrument)
        return last is None or asked >= last + GRACE

    def orders_are_polled(self, at: datetime) -> bool:
        """Whether orders are listed regularly, so that their fills need not be guessed from positions.

        When polls begin again after a while, that of orders is given the time to come.
        """
        last, positions = self.polled.get("orders"), self.polled.get("positions", at)
        return last is not None and (at - last < 3 * GRACE or at - positions >= 3 * GRACE)

    def placements(self, instrument: str, sign: int) -> list[PlaceOrder]:
        """Placements that were asked and have no reply: they may explain what the polls show."""
        calls = [o.call for o in (*self.open.values(), *self.unsettled)]
        return [
            c for c in calls
            if isinstance(c, PlaceOrder) and c.instrument == instrument and (sign > 0) == (c.side == "buy")
        ]  # fmt: skip

    # --- changes ---------------------------------------------------------------------------------------------------

    def keep(self, position: PositionState) -> PositionState:
        """Store a position without saying anything."""
        self.positions[position.key] = position
        return position

    def tell_order(
        self, kind: Kind, order: OrderState, position: PositionState, why: Why, *, levels: Levels | None = None,
        reason: Ending | None = None, text: str = "",
    ) -> None:  # fmt: skip
        """Store an order and its position and put down the change."""
        before = self.positions.get(position.key)
        position = self._revised(before, position)
        self.orders[order.id] = order = replace(order, revision=order.revision + 1)
        self._say(kind, f"order:{order.id}/{order.revision}", before, position, why, levels, order, reason, text)

    def tell_position(self, position: PositionState, why: Why) -> None:
        """Store a position and put down what has become of it; nothing when a reader would see no difference."""
        before = self.positions.get(position.key)
        position = self._revised(before, position)
        if before is not None and before.revision == position.revision:
            return
        kind = kind_of(before.amount if before else Amount(), position.amount)
        self._say(kind, f"position:{position.key}/{position.revision}", before, position, why)

    def tell_again(self, position: PositionState, before: Amount, why: Why) -> None:
        """Put down a position as it is now, for readers who have not been told more of it than `before`."""
        position = self.keep(replace(position, revision=position.revision + 1))
        name = f"position:{position.key}/{position.revision}"
        self._say(kind_of(before, position.amount), name, None, position, why)
        self.said[-1] = replace(self.said[-1], before=before)

    def _revised(self, before: PositionState | None, position: PositionState) -> PositionState:
        same = before is not None and before.amount == position.amount and stated(before) == stated(position)
        if not same or position.revision == 0:
            position = replace(position, revision=position.revision + 1)
        return self.keep(position)

    def _say(
        self, kind: Kind, name: str, before: PositionState | None, after: PositionState, why: Why,
        levels: Levels | None = None, order: OrderState | None = None, reason: Ending | None = None, text: str = "",
    ) -> None:  # fmt: skip
        change = Change(
            kind=kind, object=name, instrument=after.instrument, position=after.key, revision=after.revision,
            before=before.amount if before else Amount(), after=after.amount, position_id=after.position_id,
            levels=stated(after) if levels is None else levels, why=why, order=order.stated() if order else None,
            reason=reason, text=text,
        )  # fmt: skip
        self.said.append(change)

    def fill(self, order: OrderState, filled: Decimal, why: Why, *, moved: datetime | None = None) -> None:
        """`order` has filled up to `filled` in all. `moved`: when an orders poll that shows it had left."""
        share = (filled - order.filled) * (1 if order.side == "buy" else -1)
        position = self.positions[order.position]
        absorbed = clip(share, position.surplus) if self.suspects(position, order.id, why.at) else ZERO
        position = replace(
            position, held=position.held + share - absorbed, surplus=position.surplus - absorbed, over=False,
            opening=position.opening - (share if order.type == "market" and order.live else ZERO),
            moved=moved or position.moved, doubt=None if moved else position.doubt,
        )  # fmt: skip
        opens = position.held * share > 0 and (not order.filled or (position.held - share + absorbed) * share <= 0)
        if self.model == "netting" and opens and order.type != "market":  # what only reduces has levels for nothing
            position = replace(position, levels=order.levels.over(position.levels))
        done = filled == order.quantity
        average = why.price or order.average_price
        order = replace(order, filled=filled, live=order.live and not done, doubt=None, average_price=average)
        order = replace(order, ended=order.ended or (why.at if not order.live else None))
        self.tell_order("order.filled", order, position, why)

    def suspects(self, position: PositionState, order_id: str, at: datetime) -> bool:
        """Whether the polls may have shown the effect of that order's fill before they listed the fill."""
        recent = position.suspected is not None and at - position.suspected < SUSPICION
        return recent and order_id in position.suspects

    def end(self, order: OrderState, reason: Ending, why: Why, *, sure: bool, text: str = "") -> None:
        """`order` will fill no more; what had been coming of it no longer is."""
        position = self.positions[order.position]
        if order.coming:
            position = self.bounded(replace(position, opening=position.opening - order.coming), ended=order.id)
        if self.model == "hedging" and not position.held and not position.opening:
            position = replace(position, over=True, closing=ZERO)
        order = replace(order, live=False, sure=sure, ended=why.at, doubt=None)
        self.tell_order("order.ended", order, position, why, levels=Levels(), reason=reason, text=text)

    def bounded(self, position: PositionState, *, ended: str = "") -> PositionState:
        """A close that is still coming closes no more than was there, or coming, when it was accepted; only a native
        reversal goes through zero. `ended`: an order that no longer counts."""
        if position.turning or not position.closing:
            return position
        before = [o for o in self.orders.values() if o.position == position.key and o.id != ended]
        since = position.closing_since
        coming = sum((o.coming for o in before if since is None or o.since <= since), ZERO)
        return replace(position, closing=clip(position.closing, -(position.held + coming)))

    def settle(self, position: PositionState, at: datetime) -> PositionState:
        """A hedging position with nothing left is over from `at` on; a flat netting position has no levels."""
        if not position.closing:
            position = replace(position, turning=False)
        if position.held or position.opening or position.closing:
            return position
        position = replace(position, excused=ZERO, surplus=ZERO, suspects=(), suspected=None)
        if self.model == "netting":
            return replace(position, levels=Levels(), unsure=())
        rests = any(o.position == position.key for o in self.living())
        return replace(position, over=not rests, doubt=None, moved=at)


def stated(position: PositionState) -> Levels:
    """A position's levels as a fact states them: not those that a call may have removed."""
    return replace(position.levels, **dict.fromkeys(position.unsure, UNSET))


def clip(share: Decimal, bound: Decimal) -> Decimal:
    """The part of `share` that lies between 0 and `bound`; 0 when their signs differ."""
    if share * bound <= 0:
        return ZERO
    return min(share, bound) if share > 0 else max(share, bound)
