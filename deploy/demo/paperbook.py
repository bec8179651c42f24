"""One Paper Trading account of the stand-in: one position per symbol, and a frame for everything that happens.

No I/O and no clock in here: `now` is unix seconds, `push` takes the frames, and `advance` does whatever is due by then.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal

from deploy.demo import paperforms
from deploy.demo.forms import Refusal
from deploy.demo.paperforms import Body
from deploy.demo.paperrows import LABELS, Label, PaperOrder, PaperPosition, PaperStatus, PaperTrade, Push, Row
from deploy.demo.paperrules import PaperRules
from deploy.demo.rules import Price


class PaperBook:
    """Orders, positions and trades of one account. Accounts share `ids` and `prices` (by symbol)."""

    def __init__(
        self, account: int, rules: PaperRules, ids: Iterator[int], prices: Mapping[str, Price], push: Push
    ) -> None:
        self.account = account
        self.rules = rules
        self.balance = rules.balance
        self.orders: dict[int, PaperOrder] = {}
        self.positions = {s.name: PaperPosition(symbol=s.name, symbol_type=s.type) for s in rules.symbols}
        self.trades: list[PaperTrade] = []
        self._point_values = {s.name: s.point_value for s in rules.symbols}
        self._ids = ids
        self._prices = prices
        self._push = push

    # What a trader asks for. All raise Refusal.

    def place(self, body: Body, now: float) -> Row:
        """Accept an order; a market order fills at once, or when it is next looked at."""
        order = paperforms.order(body, self.rules, next(self._ids))
        self.orders[order.id] = order
        if order.type != "market":
            self._push("order_update", order.row() | {"status": self.rules.first_word})
        elif self.rules.fills_at_once:
            self._fill(order, now)
        return order.row()

    def modify(self, body: Body, now: float) -> Row:
        """Change a working order's price, quantity and levels, as far as they are said."""
        order = self._working(paperforms.order_id(body))
        order.price = paperforms.number(body, "price") or order.price
        order.qty = paperforms.number(body, "qty") or order.qty
        asked = paperforms.levels(body)
        order.stop_loss, order.take_profit = asked.get("sl", order.stop_loss), asked.get("tp", order.take_profit)
        self._push("order_update", order.row())
        if order.label is not None:
            self._push_position(self.positions[order.symbol])
        return order.row()

    def cancel(self, body: Body, now: float) -> Row:
        """Cancel a working order; that of a bracket removes the level."""
        order = self._working(paperforms.order_id(body))
        self._end(order, "cancelled", now)
        if order.label is not None:
            self._push_position(self.positions[order.symbol])
        return order.row()

    def close(self, body: Body, now: float) -> Row:
        """Close the position of a symbol, or `qty` of it."""
        position = self._open(body)
        amount = paperforms.number(body, "qty") or abs(position.qty)
        if amount > abs(position.qty):
            raise Refusal("qty is more than there is to close")
        order = PaperOrder(
            id=next(self._ids), symbol=position.symbol, symbol_type=position.symbol_type, qty=amount, type="market",
            side="sell" if position.qty > 0 else "buy", status="placing",
        )  # fmt: skip
        if self.rules.shows_closing_orders:
            self.orders[order.id] = order
        self._fill(order, now)
        return {}

    def modify_position(self, body: Body, now: float) -> Row:
        """State the levels of a symbol's position; one that is not said stays, null removes it."""
        position = self._open(body)
        asked = paperforms.levels(body)
        self._require_sane(position, asked)
        self._push_position(position, levels=False)  # as the real one does while it changes them
        self._set_levels(position, asked, None, now)
        self._push_position(position)
        return {label: bracket.id for label, bracket in position.brackets.items()}

    # What happens by itself.

    def advance(self, now: float) -> None:
        """Fill what the price has reached, end what has expired."""
        for order in list(self.orders.values()):
            if order.status == "placing" or (order.status == "working" and self._reached(order)):
                self._fill(order, now)
            elif order.status == "working" and order.expires is not None and order.expires <= now:
                self._end(order, "expired", now)

    def shown(self) -> Row:
        """What the page asks for every few seconds."""
        held = [p.row(signed=self.rules.negative_shorts) for p in self.positions.values() if p.qty]
        return {"balance": self.balance, "currency": "USD", "positions": held}

    def _fill(self, order: PaperOrder, now: float) -> None:
        price, position = self._price(order), self.positions[order.symbol]
        order.status, order.average, order.closed = "filled", price, int(now)
        if order.id in self.orders:
            self._push("order_update", order.row())
        if order.label is not None:
            position.brackets.pop(order.label, None)
        realised = self._take(position, order.signed, price)
        self._settle(position, order, now)
        self._push_position(position)
        self._note_trade(order, price, now)
        if realised is not None:
            self._earn(realised)

    def _take(self, position: PaperPosition, signed: Decimal, price: Decimal) -> Decimal | None:
        """Add a fill to the position; what it realised, None when it closed nothing."""
        before, after = position.qty, position.qty + signed
        position.qty = after
        if before * signed >= 0:
            position.average = round((position.average * abs(before) + price * abs(signed)) / abs(after), 8)
            return None
        closed = min(abs(signed), abs(before)) * (1 if before > 0 else -1)
        gain = (price - position.average) * closed * self._point_values[position.symbol]
        if before * after < 0:
            position.average = price
        return round(gain, 2)

    def _settle(self, position: PaperPosition, order: PaperOrder, now: float) -> None:
        """Brackets follow the position: an order's own replace them, else they are resized; they end with it."""
        own: dict[Label, Decimal | None] = {"sl": order.stop_loss, "tp": order.take_profit}
        turned = any(bracket.side == position.side for bracket in position.brackets.values())
        if position.qty == 0 or turned:
            self._set_levels(position, dict.fromkeys(LABELS), None, now)
        if position.side == order.side and any(own.values()):
            self._set_levels(position, own, order.id, now)
        for bracket in position.brackets.values():
            if bracket.qty != abs(position.qty):
                bracket.qty = abs(position.qty)
                self._push("order_update", bracket.row())

    def _set_levels(
        self, position: PaperPosition, asked: Mapping[Label, Decimal | None], parent: int | None, now: float
    ) -> None:
        for label, price in asked.items():
            known = position.brackets.get(label)
            if known is not None and (price is None or self.rules.new_children):
                parent = parent or known.parent
                self._end(known, "cancelled", now)
                known = None
            if price is not None:
                bracket = known or self._bracket(position, label, parent)
                bracket.price, bracket.qty = price, abs(position.qty)
                self._push("order_update", bracket.row())

    def _bracket(self, position: PaperPosition, label: Label, parent: int | None) -> PaperOrder:
        bracket = PaperOrder(
            id=next(self._ids), symbol=position.symbol, symbol_type=position.symbol_type, qty=abs(position.qty),
            side="sell" if position.qty > 0 else "buy", type="limit" if label == "tp" else "stop", status="working",
            label=label, parent=parent,
        )  # fmt: skip
        self.orders[bracket.id] = position.brackets[label] = bracket
        return bracket

    def _end(self, order: PaperOrder, status: PaperStatus, now: float) -> None:
        """An order is over unfilled; its price stays as it was."""
        order.status, order.closed = status, int(now)
        self._push("order_update", order.row())
        if order.label is not None:
            self.positions[order.symbol].brackets.pop(order.label, None)

    def _push_position(self, position: PaperPosition, *, levels: bool = True) -> None:
        self._push("position_update", position.row(signed=self.rules.negative_shorts, levels=levels))

    def _note_trade(self, order: PaperOrder, price: Decimal, now: float) -> None:
        self.trades.append(
            PaperTrade(
                id=next(self._ids), symbol=order.symbol, side=order.side, qty=order.qty, price=price, time=int(now),
                order=order.id,
            )
        )  # fmt: skip
        self._push("execution_update", {"symbol": order.symbol, "side": order.side, "qty": order.qty, "price": price})
        self._push("journal_update", {"text": f"Order {order.id} for symbol {order.symbol} has been executed"})

    def _earn(self, realised: Decimal) -> None:
        before, self.balance = self.balance, self.balance + realised
        self._push("account_change_update", {"before": before, "after": self.balance})
        self._push("balance_update", {"balance": self.balance})

    # Small things.

    def _price(self, order: PaperOrder) -> Decimal:
        market = self._market(order)
        return order.price if order.type == "limit" and order.price is not None else market

    def _market(self, order: PaperOrder) -> Decimal:
        price = self._prices[order.symbol]
        return price.ask if order.side == "buy" else price.bid

    def _reached(self, order: PaperOrder) -> bool:
        market, price = self._market(order), order.price
        assert price is not None, "only market orders have no price"
        return market <= price if (order.side == "buy") == (order.type == "limit") else market >= price

    def _working(self, order_id: int) -> PaperOrder:
        order = self.orders.get(order_id)
        if order is None or order.status != "working":
            raise Refusal("Order not found" if order is None else "Order is not active")
        return order

    def _open(self, body: Body) -> PaperPosition:
        position = self.positions[paperforms.symbol_of(body, self.rules).name]
        if position.qty == 0:
            raise Refusal("Position not found")
        return position

    def _require_sane(self, position: PaperPosition, asked: Mapping[Label, Decimal | None]) -> None:
        price, long = self._prices[position.symbol], position.qty > 0
        market = price.bid if long else price.ask
        for label, level in asked.items():
            if level is not None and (level < market) != ((label == "sl") == long):
                raise Refusal(f"Invalid {label}: it is on the wrong side of the price")
