"""One account at the stand-in broker: what a call asks is accepted or refused at once, and fills come later.

No I/O and no clock in here: `now` is unix seconds, and `advance` does whatever is due by then. The account's brackets
are kept by `brackets`; they end with their position, and one that fills reduces it.
"""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal

from deploy.demo import forms, rows
from deploy.demo.brackets import Brackets, end
from deploy.demo.floor import Floor
from deploy.demo.forms import Form, Refusal
from deploy.demo.rows import Execution, Field, Message, Order, Position
from deploy.demo.rules import FINAL, Price, Rules, Side, opposite

INITIAL_BALANCE = Decimal(100_000)


class Book:
    """Orders, positions and executions of one account. Accounts of one broker share `ids` and `prices`."""

    def __init__(self, account: str, rules: Rules, ids: Iterator[int], prices: Mapping[str, Price]) -> None:
        self.account = account
        self.rules = rules
        self.orders: dict[str, Order] = {}
        self.positions: dict[str, Position] = {}
        self.executions: list[Execution] = []
        self.balance = INITIAL_BALANCE
        self._ids = ids
        self._floor = Floor(rules, prices)
        self._due: list[tuple[float, Callable[[float], None]]] = []
        self._closing: dict[str, Decimal] = {}
        self._brackets = Brackets(self.orders, rules, self._next_id)

    # What a trader asks for. All raise Refusal.

    def place(self, form: Form, now: float) -> Order:
        """Accept an order; a market order fills after the delay."""
        order = forms.order(form, self.rules, self._next_id(), now)
        asked = forms.brackets(form)
        forms.check_levels(asked, order.side, forms.entry_price(order, self._floor.prices[order.instrument]))
        self.orders[order.id] = order
        self._brackets.for_order(order, asked, now)
        if order.type == "market":
            self._later(now, lambda at: self._fill(order, at))
        return order

    def brackets_of(self, order: Order) -> list[Order]:
        """The brackets that were accepted with an order that has not filled yet."""
        return self._brackets.of_order(order)

    def modify(self, order_id: str, form: Form, now: float) -> None:
        """State a working order's price, quantity and brackets anew; a bracket that is not stated is removed."""
        order = self._open_order(order_id)
        instrument = self._floor.instruments[order.instrument]
        asked = forms.quantity(forms.number(form, "qty") or order.qty, instrument, self.rules)
        if order.limit_price is not None:
            order.limit_price = forms.number(form, "limitPrice") or order.limit_price
        if order.stop_price is not None:
            order.stop_price = forms.number(form, "stopPrice") or order.stop_price
        order.qty, order.last_modified = asked, int(now)
        order.duration = forms.duration_of(form) or order.duration
        if order.parent_id is None:
            self._brackets.for_order(order, forms.brackets(form), now)

    def cancel(self, order_id: str, now: float) -> None:
        """End a working order and its brackets; a bracket ends alone."""
        order = self._open_order(order_id)
        self._brackets.end_all(self._brackets.of_order(order), now)
        end(order, "cancelled", now)

    def move(self, position_id: str, form: Form, now: float) -> None:
        """State a position's brackets anew, or reverse it when the form names the other side."""
        position = self._open_position(position_id)
        if "side" in form:
            self._reverse(position, forms.side_of(form), now)
            return
        if not self.rules.position_brackets:
            raise Refusal("position brackets are not supported: change the bracket order itself")
        asked = forms.brackets(form)
        forms.check_levels(asked, position.side, self._floor.market(position.instrument, opposite(position.side)))
        self._brackets.for_position(position, asked, now)

    def close(self, position_id: str, form: Form, now: float) -> None:
        """Close a position, or `amount` of it, after the delay."""
        position = self._open_position(position_id)
        if not self.rules.close_position:
            raise Refusal("closing a position is not supported: place an opposite order")
        left = position.qty - self._closing.get(position.id, Decimal(0))
        amount = forms.number(form, "amount") or left
        if left == 0 or amount > left:
            raise Refusal(f"only {left} of the position is left to close")
        if amount < position.qty and not self.rules.partial_close:
            raise Refusal("partial close is not supported")
        self._closing[position.id] = position.qty - left + amount
        order = self._closing_order(position, amount, now)
        self._later(now, lambda at: self._fill_close(order, position, at))

    # What happens by itself.

    def advance(self, now: float) -> None:
        """Do everything that is due: fills, trailing stops, resting orders that the price has reached, forgetting."""
        due = [work for at, work in self._due if at <= now]
        self._due = [(at, work) for at, work in self._due if at > now]
        for work in due:
            work(now)
        for order in list(self.orders.values()):
            self._brackets.trail(order, self._floor.instruments[order.instrument], self._floor.prices[order.instrument])
            if order.status == "working" and order.type != "market" and self._floor.reached(order):
                self._fill(order, now)
        forgotten = [o.id for o in self.orders.values() if o.status in FINAL and self._outlived(o, now)]
        for order_id in forgotten:
            del self.orders[order_id]

    def shown_positions(self) -> list[Position]:
        """The positions a poll shows, valued at the present price."""
        for position in self.positions.values():
            position.unrealized_pl = self._floor.unrealized(position)
        return list(self.positions.values())

    def _fill(self, order: Order, now: float) -> None:
        if order.status in FINAL:
            return
        guarded = self._brackets.position_of(order)
        if guarded is None and self.rules.reject_above is not None and order.qty > self.rules.reject_above:
            self._reject(order, now)
            return
        price = self._filled(order, now)
        if guarded is None:
            self._enter(order, price, now)
        else:
            self._reduce(self.positions[guarded], order, price, now)

    def _reject(self, order: Order, now: float) -> None:
        order.message = Message("Rejected by the exchange: the quantity is above today's limit")
        self._brackets.end_all(self._brackets.of_order(order), now)
        end(order, "rejected", now)

    def _enter(self, order: Order, price: Decimal, now: float) -> None:
        """An order that guards nothing has filled: it opens a position, or changes a netting instrument's only one."""
        held = None if self.rules.multiposition else self._held(order.instrument)
        if held is not None and held.side != order.side:
            self._oppose(held, order, price, now)
        else:
            held = self._grow(held or self._opened(order), order.qty, price)
            self._executed(order, held, order.qty, price, is_close=False, now=now)
        if self.rules.names_positions:
            order.custom_fields = (Field("PositionId", held.id),)
        if held.qty and held.side == order.side:
            self._brackets.hand_over(order, held, now)
        else:
            self._brackets.end_all(self._brackets.of_order(order), now)

    def _oppose(self, held: Position, order: Order, price: Decimal, now: float) -> None:
        """Fill an order against a position; what is left of it turns the position round."""
        rest = order.qty - held.qty
        self._reduce(held, order, price, now)
        if rest > 0:
            held.side = order.side
            self.positions[held.id] = self._grow(held, rest, price)
            self._executed(order, held, rest, price, is_close=False, now=now)

    def _grow(self, position: Position, qty: Decimal, price: Decimal) -> Position:
        total = position.qty + qty
        position.avg_price = round((position.avg_price * position.qty + price * qty) / total, 8)
        position.qty = total
        return position

    def _opened(self, order: Order) -> Position:
        position = Position(self._next_id(), order.instrument, Decimal(0), order.side, Decimal(0))
        self.positions[position.id] = position
        return position

    def _reduce(self, position: Position, order: Order, price: Decimal, now: float) -> None:
        """Take an order that fills against a position out of it; at 0 it is over."""
        amount = min(order.qty, position.qty)
        gain = (price - position.avg_price) * (amount if position.side == "buy" else -amount)
        self.balance += self._floor.money(gain, position)
        position.qty -= amount
        self._executed(order, position, amount, price, is_close=True, now=now)
        self._brackets.resize(position)
        if position.qty == 0:
            self._brackets.end_all(self._brackets.of_position(position), now)
            if not self.rules.keeps_closed:
                del self.positions[position.id]

    def _closing_order(self, position: Position, amount: Decimal, now: float) -> Order:
        order = rows.closing(position, amount, self._next_id(), int(now), names_position=self.rules.names_positions)
        if self.rules.shows_closing_orders:
            self.orders[order.id] = order
        return order

    def _fill_close(self, order: Order, position: Position, now: float) -> None:
        self._closing[position.id] -= order.qty
        if position.qty == 0:
            end(order, "cancelled", now)
        else:
            self._reduce(position, order, self._filled(order, now), now)

    def _reverse(self, position: Position, side: Side, now: float) -> None:
        if not self.rules.native_reverse or side == position.side:
            raise Refusal("the position cannot be reversed")
        order = self._closing_order(position, position.qty * 2, now)
        self._later(now, lambda at: self._turn(position, order, at))

    def _turn(self, position: Position, order: Order, now: float) -> None:
        """Fill a reversal; of a position that was closed meanwhile nothing is left to turn round."""
        if position.qty == 0:
            end(order, "cancelled", now)
        else:
            self._oppose(position, order, self._filled(order, now), now)

    # Small things.

    def _next_id(self) -> str:
        return str(next(self._ids))

    def _later(self, now: float, work: Callable[[float], None]) -> None:
        self._due.append((now + self.rules.fill_delay, work))

    def _filled(self, order: Order, now: float) -> Decimal:
        """Mark the order as filled and return its price: a limit's own or better, else the market's."""
        price = self._floor.price_of(order)
        order.filled_qty, order.avg_price = order.qty, price
        end(order, "filled", now)
        return price

    def _executed(
        self, order: Order, position: Position, qty: Decimal, price: Decimal, *, is_close: bool, now: float
    ) -> None:
        fill = rows.execution(order, position, qty, price, f"EX{self._next_id()}", int(now), is_close=is_close)
        self.executions.append(fill)

    def _held(self, instrument: str) -> Position | None:
        return next((p for p in self.positions.values() if p.instrument == instrument and p.qty), None)

    def _outlived(self, order: Order, now: float) -> bool:
        return order.last_modified + self.rules.keep_final < now

    def _open_order(self, order_id: str) -> Order:
        order = self.orders.get(order_id)
        if order is None:
            raise Refusal("Order not found")
        if order.status in FINAL:
            raise Refusal("Too late")
        return order

    def _open_position(self, position_id: str) -> Position:
        position = self.positions.get(position_id)
        if position is None or position.qty == 0:
            raise Refusal("Position not found")
        return position
