"""The bracket orders of one account at the stand-in broker: made, handed over to the position, restated, ended.

A bracket guards an order until that has filled and a position from then on. Where the broker has position brackets
the position becomes its parent; where it has none, the parent stays the order and only we know the position.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Literal

from deploy.demo import forms
from deploy.demo.rows import Order, Position
from deploy.demo.rules import FINAL, Instrument, Price, Rules, Status, opposite

Kind = Literal["TP", "SL", "TS"]


def end(order: Order, status: Status, now: float) -> None:
    """An order, or a bracket, is over."""
    order.status, order.last_modified = status, int(now)


class Brackets:
    """The brackets among an account's `orders`, which is the account's own collection and is added to in place."""

    def __init__(self, orders: dict[str, Order], rules: Rules, next_id: Callable[[], str]) -> None:
        self._orders = orders
        self._rules = rules
        self._next_id = next_id
        self._guards: dict[str, str] = {}

    def position_of(self, bracket: Order) -> str | None:
        """The id of the position that the order guards, None when it guards none (yet)."""
        return self._guards.get(bracket.id)

    def of_order(self, order: Order) -> list[Order]:
        """The brackets that wait for an order to fill."""
        return [o for o in self._open() if o.parent_id == order.id and o.id not in self._guards]

    def of_position(self, position: Position) -> list[Order]:
        """The brackets at work for a position."""
        return [o for o in self._open() if self._guards.get(o.id) == position.id]

    def for_order(self, order: Order, asked: forms.Brackets, now: float) -> None:
        """State an order's brackets; one that is there and not asked for is removed."""
        self._restate(self.of_order(order), asked, order, "order", now)

    def for_position(self, position: Position, asked: forms.Brackets, now: float) -> None:
        """State a position's brackets; one that is there and not asked for is removed."""
        self._restate(self.of_position(position), asked, position, "position", now)

    def hand_over(self, order: Order, position: Position, now: float) -> None:
        """The order has filled: its brackets, if it has any, are the position's from now on instead of those before."""
        waiting = self.of_order(order)
        if waiting:
            self.end_all(self.of_position(position), now)
        for bracket in waiting:
            self._guards[bracket.id] = position.id
            bracket.status, bracket.last_modified = "working", int(now)
            if self._rules.position_brackets:
                bracket.parent_id, bracket.parent_type = position.id, "position"
        self.resize(position)

    def resize(self, position: Position) -> None:
        """Brackets are for the whole position; those of one that is over are ended, with the quantity that they had."""
        for bracket in self.of_position(position) if position.qty else ():
            bracket.qty = position.qty

    def end_all(self, brackets: list[Order], now: float) -> None:
        """Cancel brackets."""
        for bracket in brackets:
            end(bracket, "cancelled", now)

    def trail(self, order: Order, instrument: Instrument, price: Price) -> None:
        """Move a trailing stop after the price, never away from it."""
        if order.status != "working" or order.trailing_stop_pips is None:
            return
        distance = order.trailing_stop_pips * instrument.pip_size
        if order.side == "sell":
            order.stop_price = max(order.stop_price or Decimal(0), price.bid - distance)
        else:
            level = price.ask + distance
            order.stop_price = min(order.stop_price or level, level)

    def _open(self) -> list[Order]:
        return [o for o in self._orders.values() if o.parent_id is not None and o.status not in FINAL]

    def _restate(
        self,
        present: list[Order],
        asked: forms.Brackets,
        parent: Order | Position,
        parent_type: Literal["order", "position"],
        now: float,
    ) -> None:
        levels: dict[Kind, Decimal | None]
        levels = {"TP": asked.take_profit, "SL": asked.stop_loss, "TS": asked.trailing_pips}
        for kind, level in levels.items():
            known = next((b for b in present if kind_of(b) == kind), None)
            if level is None and known is not None:
                end(known, "cancelled", now)
            elif level is not None:
                bracket = known or self._made(kind, parent, parent_type, now)
                bracket.qty, bracket.last_modified = parent.qty, int(now)
                _set(bracket, kind, level)

    def _made(
        self, kind: Kind, parent: Order | Position, parent_type: Literal["order", "position"], now: float
    ) -> Order:
        bracket = Order(
            id=f"{parent.id}.{kind}.{int(now * 1000)}" if self._rules.dotted_ids else self._next_id(),
            instrument=parent.instrument,
            qty=parent.qty,
            side=opposite(parent.side),
            type="limit" if kind == "TP" else "stop",
            status="inactive" if parent_type == "order" else "working",
            last_modified=int(now),
            parent_id=parent.id,
            parent_type=parent_type,
            is_trailing_stop=kind == "TS",
        )
        self._orders[bracket.id] = bracket
        if parent_type == "position":
            self._guards[bracket.id] = parent.id
        return bracket


def kind_of(bracket: Order) -> Kind:
    """Take profit, stop loss or trailing stop."""
    if bracket.type == "limit":
        return "TP"
    return "TS" if bracket.is_trailing_stop else "SL"


def _set(bracket: Order, kind: Kind, level: Decimal) -> None:
    match kind:
        case "TP":
            bracket.limit_price = level
        case "SL":
            bracket.stop_price = level
        case "TS":
            bracket.trailing_stop_pips = level
