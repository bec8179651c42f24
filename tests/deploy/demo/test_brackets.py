"""Bracket orders by themselves; with their account they are in `test_book`."""

from decimal import Decimal as D
from itertools import count

import pytest

from deploy.demo import forms
from deploy.demo.brackets import Brackets, kind_of
from deploy.demo.rows import Order, Position
from deploy.demo.rules import EURUSD, Price, Rules

ASKED = forms.Brackets(stop_loss=D("1.0"), take_profit=D("1.2"), trailing_pips=D(10))


def entry() -> Order:
    return Order(id="1", instrument="EURUSD", qty=D(1), side="buy", type="market", status="working", last_modified=0)


def made(rules: Rules) -> tuple[dict[str, Order], Brackets]:
    orders: dict[str, Order] = {}
    ids = count(2)
    return orders, Brackets(orders, rules, lambda: str(next(ids)))


@pytest.mark.parametrize(("dotted", "ids"), [(True, ["1.TP.5000", "1.SL.5000", "1.TS.5000"]), (False, ["2", "3", "4"])])
def test_their_ids_say_what_they_belong_to_where_the_broker_does_it_so(dotted: bool, ids: list[str]) -> None:
    orders, brackets = made(Rules(dotted_ids=dotted))
    brackets.for_order(entry(), ASKED, 5)
    assert list(orders) == ids
    assert [kind_of(order) for order in orders.values()] == ["TP", "SL", "TS"]


def test_they_wait_for_their_order_then_guard_its_position() -> None:
    _, brackets = made(Rules())
    order, position = entry(), Position("9", "EURUSD", D(3), "buy", D("1.1"))
    brackets.for_order(order, ASKED, 5)
    first = brackets.of_order(order)[0]
    assert (brackets.position_of(first), brackets.of_position(position)) == (None, [])
    brackets.hand_over(order, position, 6)
    assert brackets.of_order(order) == []
    assert [b.qty for b in brackets.of_position(position)] == [D(3)] * 3
    assert brackets.position_of(first) == "9"


def test_new_brackets_take_the_place_of_a_positions_old_ones() -> None:
    _, brackets = made(Rules())
    position = Position("9", "EURUSD", D(1), "buy", D("1.1"))
    brackets.for_position(position, ASKED, 5)
    order = entry()
    brackets.for_order(order, forms.Brackets(stop_loss=D("1.05")), 6)
    brackets.hand_over(order, position, 7)
    assert [(kind_of(b), b.stop_price) for b in brackets.of_position(position)] == [("SL", D("1.05"))]
    without = entry()
    brackets.hand_over(without, position, 8)
    assert len(brackets.of_position(position)) == 1


def test_a_trailing_stop_of_a_short_position_comes_down_with_the_price() -> None:
    orders, brackets = made(Rules())
    position = Position("9", "EURUSD", D(1), "sell", D("1.1"))
    brackets.for_position(position, forms.Brackets(trailing_pips=D(10)), 5)
    (stop,) = orders.values()
    levels = []
    for ask in ("1.1", "1.09", "1.095"):
        brackets.trail(stop, EURUSD, Price(D(ask), D(ask)))
        levels.append(stop.stop_price)
    assert levels == [D("1.101"), D("1.091"), D("1.091")]


def test_those_of_a_position_that_is_over_keep_the_quantity_that_they_had() -> None:
    """An order for nothing is a row that no reader could make sense of."""
    _, brackets = made(Rules())
    position = Position("9", "EURUSD", D(3), "buy", D("1.1"))
    brackets.for_position(position, ASKED, 5)
    present = brackets.of_position(position)
    for left, shown in ((D(2), D(2)), (D(0), D(2))):
        position.qty = left
        brackets.resize(position)
        assert {bracket.qty for bracket in present} == {shown}
