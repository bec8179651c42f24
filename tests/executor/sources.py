"""A source account that states facts about what its trader does, by the contract of the orders stream."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from shared.facts import (
    Amount,
    Contract,
    Ending,
    Exposure,
    Fact,
    Levels,
    Model,
    Order,
    OrderEnded,
    OrderFilled,
    OrderModified,
    OrderPlaced,
    OrderType,
    PositionChanged,
    PositionClosed,
)
from tests.executor.accounts import NOW

LOTS = Contract(unit="lots", lot_size=Decimal(100000))
NO_LEVELS = Levels()


def key(position: str) -> str:
    """The key of our link to a position of this source."""
    return f"s/1/{position}"


class Source:
    """Positions by key (netting: by instrument); every method returns the facts that it makes."""

    def __init__(self, model: Model = "hedging", contract: Contract | None = LOTS, price: str = "1.1") -> None:
        self.model = model
        self.amounts: dict[str, Amount] = {}
        self.orders: dict[str, Order] = {}
        self._contract = contract
        self._price = Decimal(price)
        self._revisions: dict[str, int] = {}
        self._seq = 0

    def market(self, position: str, quantity: str | Decimal, levels: Levels = NO_LEVELS) -> list[Fact]:
        """A market order (signed quantity) that is accepted and then fills."""
        return [*self.accepted(position, quantity, levels), *self.filled(position)]

    def accepted(self, position: str, quantity: str | Decimal, levels: Levels = NO_LEVELS) -> list[Fact]:
        """A market order that is accepted."""
        size = Decimal(quantity)
        order = self._order(f"m{self._seq}", "market", size)
        exposure = self._moved(position, coming=size)
        self._pending = order
        return [OrderPlaced(**self._header(), order=order, exposure=exposure, levels=levels)]

    def filled(self, position: str) -> list[Fact]:
        """The newest market order fills."""
        order = self._pending
        exposure = self._moved(position, held=order.signed, coming=-order.signed)
        return [OrderFilled(**self._header(), order=replace(order, filled=order.quantity), exposure=exposure)]

    def rejected(self, position: str, reason: Ending = "rejected") -> list[Fact]:
        """The newest market order is rejected after it was accepted."""
        exposure = self._moved(position, coming=-self._pending.signed)
        return [OrderEnded(**self._header(), order=self._pending, exposure=exposure, reason=reason)]

    def close(self, position: str, quantity: str | Decimal | None = None) -> list[Fact]:
        """A close (unsigned quantity, all by default) of a hedging position: accepted, then filled."""
        held = self.amounts[position].held
        size = abs(held) if quantity is None else Decimal(quantity)
        off = -size if held > 0 else size
        exposure = self._moved(position, coming=off)
        kind = PositionClosed if exposure.after.total == 0 else PositionChanged
        done = kind(**self._header(), exposure=exposure)
        filled = kind(**self._header(), exposure=self._moved(position, held=off, coming=-off))
        return [done, filled]

    def levels(self, position: str, levels: Levels) -> list[Fact]:
        """Stop loss or take profit of a position are changed."""
        return [PositionChanged(**self._header(), exposure=self._moved(position), levels=levels)]

    def held_before(self, position: str, quantity: str | Decimal) -> list[Fact]:
        """It turns out that so much of a position is held, whatever was told of it."""
        anew = position in self.amounts
        self.amounts[position] = Amount(held=Decimal(quantity))
        exposure = replace(self._moved(position), anew=anew)
        return [PositionChanged(**self._header(), exposure=exposure)]

    def rest(
        self, position: str, order: str, quantity: str | Decimal, price: str = "1.09", levels: Levels = NO_LEVELS
    ) -> list[Fact]:
        """A limit order (signed quantity) is placed."""
        self.orders[order] = self._order(order, "limit", Decimal(quantity), Decimal(price))
        return [OrderPlaced(**self._header(), order=self.orders[order], exposure=self._same(position), levels=levels)]

    def move(
        self, position: str, order: str, price: str, quantity: str | None = None, levels: Levels = NO_LEVELS
    ) -> list[Fact]:
        """A resting order gets another price, and perhaps another (unsigned) quantity."""
        changed = replace(self.orders[order], limit_price=Decimal(price))
        if quantity is not None:
            changed = replace(changed, quantity=Decimal(quantity))
        self.orders[order] = changed
        return [OrderModified(**self._header(), order=changed, exposure=self._same(position), levels=levels)]

    def fill(self, position: str, order: str, quantity: str | Decimal | None = None) -> list[Fact]:
        """A resting order fills, wholly or by `quantity` more."""
        known = self.orders[order]
        more = known.quantity - known.filled if quantity is None else Decimal(quantity)
        self.orders[order] = replace(known, filled=known.filled + more)
        exposure = self._moved(position, held=more if known.side == "buy" else -more)
        return [OrderFilled(**self._header(), order=self.orders[order], exposure=exposure)]

    def end(self, position: str, order: str, reason: Ending = "canceled") -> list[Fact]:
        """A resting order is over without (more) fill."""
        known = self.orders.pop(order)
        return [OrderEnded(**self._header(), order=known, exposure=self._same(position), reason=reason)]

    def total(self, position: str) -> Decimal:
        """The position's signed quantity, accepted and filled."""
        return self.amounts.get(position, Amount()).total

    def _order(self, name: str, kind: OrderType, size: Decimal, price: Decimal | None = None) -> Order:
        return Order(id=name, type=kind, side="buy" if size > 0 else "sell", quantity=abs(size), limit_price=price)

    def _same(self, position: str) -> Exposure:
        amount = self.amounts.get(position, Amount())
        revision = max(1, self._revisions.get(position, 0))
        return Exposure(position=position, revision=revision, before=amount, after=amount)

    def _moved(self, position: str, held: Decimal = Decimal(0), coming: Decimal = Decimal(0)) -> Exposure:
        before = self.amounts.get(position, Amount())
        after = Amount(held=before.held + held, coming=before.coming + coming)
        self.amounts[position] = after
        self._revisions[position] = self._revisions.get(position, 0) + 1
        return Exposure(position=position, revision=self._revisions[position], before=before, after=after)

    def _header(self) -> dict[str, Any]:
        self._seq += 1
        return {
            "id": f"s/1/{self._seq}",
            "source": "s",
            "account": "1",
            "instrument": "EURUSD",
            "model": self.model,
            "producer": "p",
            "seq": self._seq,
            "captured": NOW + timedelta(milliseconds=self._seq),
            "price": self._price,
            "contract": self._contract,
        }
