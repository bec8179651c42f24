"""Pure: what a trader does, from a seed. Each action is stated as ingest would state it, totals before and after.

Sizes are powers of two of the smallest lot, so that halves stay whole and the checker can be exact.
"""

from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import Literal

from msgspec import Struct

Kind = Literal[
    "order.placed", "order.modified", "order.filled", "order.ended", "position.opened", "position.changed",
    "position.closed", "position.reversed",
]  # fmt: skip

ZERO = Decimal(0)
SIZES = (Decimal("0.16"), Decimal("0.32"), Decimal("0.64"))
SMALLEST, STEP = Decimal("0.02"), Decimal("0.01")
PRICES = {
    "EURUSD": (Decimal("1.08504"), Decimal("1.08512")),
    "GBPUSD": (Decimal("1.26504"), Decimal("1.26514")),
}
"""The instruments of the story, with the bid and ask at which they stand still."""
MOST_OPEN = 6


class Totals(Struct, frozen=True):
    """Signed quantity of a position: filled, and accepted but not filled yet."""

    held: Decimal = ZERO
    coming: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        """What it will be when everything that was accepted has filled."""
        return self.held + self.coming


class Ticket(Struct, frozen=True, kw_only=True):
    """The order of a statement. A price makes it a limit order."""

    id: str
    buy: bool
    quantity: Decimal
    filled: Decimal = ZERO
    price: Decimal | None = None


class Statement(Struct, frozen=True, kw_only=True):
    """One action as it is told. `number` counts them from 1; one that is told `again` has the same revision.

    `fact` is the id under which it is in the stream, where it was not this suite that chose it.
    """

    number: int
    kind: Kind
    instrument: str
    position: str
    revision: int
    before: Totals
    after: Totals
    order: Ticket | None = None
    stop: Decimal | None = None
    again: bool = False
    fact: str = ""


class Position:
    """One position of the trader."""

    def __init__(self, name: str, instrument: str) -> None:
        self.name = name
        self.instrument = instrument
        self.totals = Totals()
        self.earlier = Totals()
        self.revision = 0
        self.unfilled: Ticket | None = None
        self.resting: Ticket | None = None


SIDES = {"EURUSD": True, "GBPUSD": False}
"""Which instrument is only bought, and which only sold, in a story without opposed positions."""


class Trader:
    """Acts at random, within what a trader can do. `opposed`: long and short in one instrument, and reversals."""

    def __init__(self, random: Random, *, opposed: bool) -> None:
        self._random = random
        self._opposed = opposed
        self._open: list[Position] = []
        self._names = 0
        self._number = 0
        self._last: Statement | None = None

    def act(self) -> Statement:
        """The next action."""
        busy = [p for p in self._open if p.totals.total or p.resting]
        self._open = busy
        dice = self._random.random()
        if not busy or (dice < 0.3 and len(busy) < MOST_OPEN):
            statement = self._opening()
        elif self._last is not None and dice < 0.34:
            statement = self._again(self._last)
        else:
            position = self._random.choice(busy)
            statement = self._cancel(position) if position.resting else self._turn(position)
        self._last = statement
        return statement

    def close_all(self) -> Iterator[Statement]:
        """Close most of what is open, so that the end is not only a balance."""
        for position in self._open[: max(1, len(self._open) - 2)]:
            if position.resting:
                yield self._cancel(position)
            elif position.totals.total:
                yield self._to(position, "position.closed", ZERO)

    def _opening(self) -> Statement:
        self._names += 1
        position = Position(f"p{self._names}", self._random.choice(sorted(PRICES)))
        self._open.append(position)
        size, buy = self._random.choice(SIZES), self._random.random() < 0.6
        buy = buy if self._opposed else SIDES[position.instrument]
        if self._random.random() < 0.15:
            bid, ask = PRICES[position.instrument]
            price = (bid * Decimal("0.95") if buy else ask * Decimal("1.05")).quantize(Decimal("0.00001"))
            position.resting = Ticket(id=position.name, buy=buy, quantity=size, price=price)
            return self._said(position, "order.placed", position.totals, position.resting)
        return self._order(position, size if buy else -size)

    def _turn(self, position: Position) -> Statement:
        total, dice = position.totals.total, self._random.random()
        side = 1 if total > 0 else -1
        if position.unfilled is not None and dice < 0.25:
            return self._filled(position, position.unfilled)
        if dice < 0.5 and abs(total) >= 2 * SMALLEST and not total / 2 % STEP:
            return self._to(position, "position.changed", total / 2)
        if dice < 0.62:
            return self._order(position, side * SIZES[0])
        if dice < 0.7 and self._opposed:
            return self._to(position, "position.reversed", -side * SIZES[0])
        if dice < 0.8:
            return self._stop(position, side)
        if dice < 0.86:
            return self._overlapping(position)
        return self._to(position, "position.closed", ZERO)

    def _order(self, position: Position, quantity: Decimal) -> Statement:
        ticket = Ticket(id=f"{position.name}-{position.revision + 1}", buy=quantity > 0, quantity=abs(quantity))
        position.unfilled = ticket
        totals = Totals(position.totals.held, position.totals.coming + quantity)
        return self._said(position, "order.placed", totals, ticket)

    def _filled(self, position: Position, ticket: Ticket) -> Statement:
        """The source tells that everything is filled: the total is what it was."""
        position.unfilled = None
        filled = Ticket(id=ticket.id, buy=ticket.buy, quantity=ticket.quantity, filled=ticket.quantity)
        return self._said(position, "order.filled", Totals(position.totals.total), filled)

    def _cancel(self, position: Position) -> Statement:
        ticket, position.resting = position.resting, None
        return self._said(position, "order.ended", position.totals, ticket)

    def _to(self, position: Position, kind: Kind, total: Decimal) -> Statement:
        position.unfilled = None
        return self._said(position, kind, Totals(position.totals.held, total - position.totals.held))

    def _stop(self, position: Position, side: int) -> Statement:
        price = PRICES[position.instrument][0] * (1 - side * Decimal("0.05"))
        stop = (price * (1 - side * Decimal(self._random.randint(0, 9)) / 1000)).quantize(Decimal("0.00001"))
        return self._said(position, "position.changed", position.totals, stop=stop)

    def _overlapping(self, position: Position) -> Statement:
        """A poll after a pause: the change that it shows contains one that was told already."""
        return self._said(position, "position.changed", position.totals, before=position.earlier)

    def _again(self, told: Statement) -> Statement:
        """The same once more, as a new owner of the source states what it takes over."""
        self._number += 1
        return Statement(
            **{name: getattr(told, name) for name in told.__struct_fields__} | {"number": self._number, "again": True}
        )

    def _said(
        self,
        position: Position,
        kind: Kind,
        after: Totals,
        order: Ticket | None = None,
        stop: Decimal | None = None,
        before: Totals | None = None,
    ) -> Statement:
        self._number += 1
        position.revision += 1
        start = position.totals
        if after.total != start.total:
            position.earlier = start
        position.totals = after
        return Statement(
            number=self._number,
            kind=kind,
            instrument=position.instrument,
            position=position.name,
            revision=position.revision,
            before=start if before is None else before,
            after=after,
            order=order,
            stop=stop,
        )


def story(seed: int, actions: int, *, opposed: bool) -> list[Statement]:
    """`actions` actions and the closes after them."""
    trader = Trader(Random(seed), opposed=opposed)
    told = [trader.act() for _ in range(actions)]
    return [*told, *trader.close_all()]
