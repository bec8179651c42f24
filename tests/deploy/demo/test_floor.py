"""Orders and positions at given prices; the book's own tests trade on the floor."""

from decimal import Decimal as D

import pytest

from deploy.demo.floor import Floor
from deploy.demo.rows import Order, Position
from deploy.demo.rules import OrderType, Price, Rules, Side

FLOOR = Floor(Rules(), {"EURUSD": Price(D("1.10"), D("1.11"))})


def order(side: Side, kind: OrderType, limit: str = "", stop: str = "") -> Order:
    return Order(
        id="1", instrument="EURUSD", qty=D(1), side=side, type=kind, status="working", last_modified=0,
        limit_price=D(limit) if limit else None, stop_price=D(stop) if stop else None,
    )  # fmt: skip


CASES: list[tuple[Side, OrderType, str, str, bool, str]] = [
    ("buy", "limit", "1.12", "", True, "1.11"),
    ("buy", "limit", "1.105", "", False, "1.105"),
    ("sell", "limit", "1.09", "", True, "1.10"),
    ("sell", "limit", "1.105", "", False, "1.105"),
    ("buy", "stop", "", "1.11", True, "1.11"),
    ("buy", "stop", "", "1.12", False, "1.11"),
    ("sell", "stop", "", "1.10", True, "1.10"),
    ("sell", "stop", "", "1.09", False, "1.10"),
    ("buy", "stoplimit", "1.12", "1.11", True, "1.11"),
    ("buy", "stoplimit", "1.105", "1.11", False, "1.105"),
    ("buy", "stoplimit", "1.13", "1.12", False, "1.11"),
]


@pytest.mark.parametrize(("side", "kind", "limit", "stop", "reached", "price"), CASES)
def test_which_orders_the_price_has_reached_and_what_they_fill_at(
    side: Side, kind: OrderType, limit: str, stop: str, reached: bool, price: str
) -> None:
    found = order(side, kind, limit, stop)
    assert FLOOR.reached(found) == reached
    assert FLOOR.price_of(found) == D(price)


@pytest.mark.parametrize(("side", "gain"), [("buy", "2000.00"), ("sell", "-3000.00")])
def test_what_closing_a_position_now_would_gain(side: Side, gain: str) -> None:
    assert FLOOR.unrealized(Position("1", "EURUSD", D(1), side, D("1.08"))) == D(gain)
