"""One account on paper: one position per symbol, brackets that follow it, and a frame for everything."""

from decimal import Decimal as D
from itertools import count
from typing import Any

import pytest

from deploy.demo.forms import Refusal
from deploy.demo.paperbook import PaperBook
from deploy.demo.paperrules import PaperRules
from deploy.demo.rules import Price

EURUSD = "OANDA:EURUSD"
BUY = {"symbol": EURUSD, "type": "market", "qty": 1000, "side": "buy"}
SELL = BUY | {"side": "sell"}


class Desk:
    """A book whose frames are kept, and prices that stand still until they are moved."""

    def __init__(self, rules: PaperRules | None = None) -> None:
        self.now = 100.0
        self.frames: list[tuple[str, dict[str, Any]]] = []
        rules = rules or PaperRules()
        self.prices = {symbol.name: Price(D("1.08"), D("1.0801")) for symbol in rules.symbols}
        self.book = PaperBook(
            1234567, rules, count(1), self.prices, lambda name, said: self.frames.append((name, said))
        )

    def place(self, body: dict[str, Any]) -> dict[str, Any]:
        return self.book.place(body, self.now)

    def price(self, bid: str, ask: str, symbol: str = EURUSD) -> None:
        self.prices[symbol] = Price(D(bid), D(ask))
        self.book.advance(self.now)

    def heard(self) -> list[str]:
        """The frames since the last look, in short."""
        told, self.frames = self.frames, []
        return [short(name, said) for name, said in told if name in ("order_update", "position_update")]

    @property
    def held(self) -> D:
        return self.book.positions[EURUSD].qty

    @property
    def levels(self) -> dict[str, D | None]:
        return {label: bracket.price for label, bracket in self.book.positions[EURUSD].brackets.items()}


def short(name: str, said: dict[str, Any]) -> str:
    if name == "position_update":
        levels = "".join(f" {label} {said[label]}" for label in ("sl", "tp") if label in said)
        return f"{said['side']} {said['qty']}{levels}"
    return f"{said.get('label', said['type'])} {said['status']} {said['qty']}"


def test_a_market_order_with_brackets_is_filled_in_the_reply_and_told_in_this_order() -> None:
    desk = Desk()
    answer = desk.place(BUY | {"sl": 1.07, "tp": 1.09})
    assert (answer["status"], answer["price"], answer["close-date"]) == ("filled", D("1.0801"), 100)
    assert [name for name, _ in desk.frames] == [
        "order_update", "order_update", "order_update", "position_update", "execution_update", "journal_update",
    ]  # fmt: skip
    assert desk.heard() == [
        "market filled 1000", "sl working 1000", "tp working 1000", "buy 1000 sl 1.07 tp 1.09",
    ]  # fmt: skip
    sl, tp = (desk.book.orders[n] for n in (2, 3))
    assert (sl.type, sl.side, sl.parent, tp.type) == ("stop", "sell", 1, "limit")


def test_where_fills_take_a_moment_the_reply_says_so() -> None:
    desk = Desk(PaperRules(fills_at_once=False))
    assert desk.place(BUY)["status"] == "placing"
    assert desk.held == 0
    desk.book.advance(desk.now)
    assert desk.held == 1000


def test_adding_averages_and_resizes_the_brackets_and_its_own_brackets_replace_them() -> None:
    desk = Desk()
    desk.place(BUY | {"sl": 1.07})
    desk.price("1.09", "1.0901")
    desk.place(BUY | {"qty": 3000})
    position = desk.book.positions[EURUSD]
    assert (position.qty, position.average) == (D(4000), D("1.0876"))
    assert desk.book.orders[2].qty == 4000
    desk.heard()
    desk.place(BUY | {"sl": 1.075, "tp": 1.1})
    assert desk.levels == {"sl": D("1.075"), "tp": D("1.1")}
    assert "buy 5000 sl 1.075 tp 1.1" in desk.heard()


@pytest.mark.parametrize(("qty", "held", "levels"), [(400, 600, 1), (1000, 0, 0), (1500, -500, 0)])
def test_an_opposite_order_reduces_closes_or_turns_the_position(qty: int, held: int, levels: int) -> None:
    desk = Desk()
    desk.place(BUY | {"sl": 1.07})
    desk.price("1.09", "1.0901")
    desk.place(SELL | {"qty": qty})
    assert (desk.held, len(desk.levels)) == (D(held), levels)
    closed = min(qty, 1000)
    assert desk.book.balance == D(100_000) + closed * (D("1.09") - D("1.0801"))
    names = [name for name, _ in desk.frames]
    assert names[-2:] == ["account_change_update", "balance_update"]
    if held < 0:
        assert desk.book.positions[EURUSD].average == D("1.09")


def test_a_position_is_closed_in_parts_without_an_order_that_is_shown() -> None:
    desk = Desk()
    desk.place(SELL)
    desk.heard()
    assert desk.book.close({"symbol": EURUSD, "qty": 400}, desk.now) == {}
    assert desk.heard() == ["sell -600"]
    desk.book.close({"symbol": EURUSD}, desk.now)
    assert desk.heard() == ["empty 0"]
    with pytest.raises(Refusal, match="not found"):
        desk.book.close({"symbol": EURUSD}, desk.now)


def test_the_closing_order_and_a_positive_short_are_shown_where_it_is_so() -> None:
    desk = Desk(PaperRules(shows_closing_orders=True, negative_shorts=False))
    desk.place(SELL)
    assert desk.heard()[-1] == "sell 1000"
    desk.book.close({"symbol": EURUSD}, desk.now)
    assert desk.heard() == ["market filled 1000", "empty 0"]


def test_while_levels_change_a_frame_without_them_comes_first() -> None:
    desk = Desk()
    desk.place(BUY | {"sl": 1.07})
    desk.heard()
    assert desk.book.modify_position({"symbol": EURUSD, "sl": 1.075, "tp": 1.09}, desk.now) == {"sl": 2, "tp": 4}
    assert desk.heard() == ["buy 1000", "sl working 1000", "tp working 1000", "buy 1000 sl 1.075 tp 1.09"]
    desk.book.modify_position({"symbol": EURUSD, "sl": None}, desk.now)
    assert desk.levels == {"tp": D("1.09")}
    assert desk.book.orders[2].status == "cancelled"
    assert desk.book.orders[2].price == D("1.075"), "a level that was removed still shows its price"


def test_a_level_that_moves_may_get_a_new_order() -> None:
    desk = Desk(PaperRules(new_children=True))
    desk.place(BUY | {"sl": 1.07})
    desk.book.modify_position({"symbol": EURUSD, "sl": 1.075}, desk.now)
    assert (desk.book.orders[2].status, desk.levels) == ("cancelled", {"sl": D("1.075")})
    assert desk.book.positions[EURUSD].brackets["sl"].parent == 1


def test_levels_on_the_wrong_side_are_refused() -> None:
    desk = Desk()
    desk.place(SELL)
    for wrong in ({"sl": 1.07}, {"tp": 1.09}):
        with pytest.raises(Refusal, match="wrong side"):
            desk.book.modify_position({"symbol": EURUSD, **wrong}, desk.now)


@pytest.mark.parametrize(("bid", "ask", "at"), [("1.069", "1.0691", "1.069"), ("1.095", "1.0951", "1.09")])
def test_a_level_that_is_reached_ends_the_position_and_the_other_level(bid: str, ask: str, at: str) -> None:
    desk = Desk()
    desk.place(BUY | {"sl": 1.07, "tp": 1.09})
    desk.price(bid, ask)
    assert (desk.held, desk.levels or None) == (D(0), None)
    assert sorted(order.status for order in desk.book.orders.values()) == ["cancelled", "filled", "filled"]
    assert desk.book.trades[-1].price == D(at)


def test_a_resting_order_is_changed_cancelled_filled_or_expires() -> None:
    desk = Desk(PaperRules(first_word=""))
    one, two, three = (
        desk.place(BUY | {"type": "limit", "price": 1.07, "expiration": 200 + n})["id"] for n in range(3)
    )
    assert desk.heard() == ["limit  1000"] * 3
    desk.book.modify({"id": one, "price": 1.06, "qty": 2000, "sl": 1.05}, desk.now)
    desk.book.cancel({"id": two}, desk.now)
    assert desk.heard() == ["limit working 2000", "limit cancelled 1000"]
    desk.price("1.0598", "1.0599")
    assert (desk.held, desk.levels) == (D(3000), {"sl": D("1.05")})
    late = desk.place(BUY | {"type": "stop", "price": 1.2, "expiration": 300})["id"]
    desk.now = 301
    desk.book.advance(desk.now)
    assert [desk.book.orders[n].status for n in (one, two, three, late)] == [
        "filled", "cancelled", "filled", "expired",
    ]  # fmt: skip
    with pytest.raises(Refusal, match="not active"):
        desk.book.cancel({"id": late}, desk.now)
    with pytest.raises(Refusal, match="not found"):
        desk.book.modify({"id": 99}, desk.now)


def test_an_order_past_its_trigger_is_accepted_and_fills_at_once() -> None:
    desk = Desk()
    assert desk.place(BUY | {"type": "stop", "price": 1.07})["status"] == "working"
    assert desk.held == 0
    desk.book.advance(desk.now)
    assert desk.held == 1000


def test_the_order_of_a_level_can_be_cancelled_and_moved_by_itself() -> None:
    desk = Desk()
    desk.place(BUY | {"sl": 1.07, "tp": 1.09})
    desk.book.modify({"id": 2, "price": 1.075}, desk.now)
    desk.book.cancel({"id": 3}, desk.now)
    assert desk.levels == {"sl": D("1.075")}
    assert desk.heard()[-1] == "buy 1000 sl 1.075"
    assert desk.book.shown()["positions"][0]["sl"] == D("1.075")
