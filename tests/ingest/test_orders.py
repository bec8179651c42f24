"""Orders are what the polls make of them: filled, ended, changed elsewhere, or gone."""

from decimal import Decimal
from typing import Any

import pytest

from shared.facts import OrderEnded, OrderFilled, OrderModified, OrderPlaced
from tests.ingest.story import Story, order, position

D = Decimal
LIMIT: dict[str, Any] = {"type": "limit", "limitPrice": 1.05}


def resting() -> Story:
    story = Story()
    story.orders()
    story.positions()
    story.place("1", **LIMIT)
    story.orders(order("1", **LIMIT))
    return story


def test_terms_changed_elsewhere_count_when_two_polls_agree() -> None:
    story = resting()
    story.wait(5)
    moved = order("1", type="limit", limitPrice=1.04, qty=0.2)
    assert story.orders(moved) == []
    (fact,) = story.orders(moved)
    assert isinstance(fact, OrderModified)
    assert (fact.order.limit_price, fact.order.quantity, fact.evidence) == (D("1.04"), D("0.2"), "poll")


def test_terms_that_lag_behind_a_call_are_not_taken_back() -> None:
    story = resting()
    (fact,) = story.call("PUT", "/orders/1", limitPrice="1.06", qty="0.1")
    assert isinstance(fact, OrderModified)
    for _ in range(2):
        assert story.orders(order("1", **LIMIT)) == []
    assert story.orders(order("1", type="limit", limitPrice=1.06)) == []


@pytest.mark.parametrize(
    ("status", "reason"), [("cancelled", "canceled"), ("expired", "expired"), ("rejected", "rejected")]
)
def test_an_order_that_the_broker_ends_is_over(status: str, reason: str) -> None:
    story = resting()
    (ended,) = story.orders(order("1", status, **LIMIT))
    assert isinstance(ended, OrderEnded)
    assert ended.reason == reason
    assert story.orders(order("1", status, **LIMIT)) == []


def test_partial_fills_add_up_and_the_rest_is_taken_back() -> None:
    story = resting()
    story.orders(order("1", filledQty=0.04, **LIMIT))
    story.positions(position("55", 0.04))
    fill, ended = story.orders(order("1", "cancelled", filledQty=0.06, **LIMIT))
    assert isinstance(fill, OrderFilled)
    assert fill.order.filled == D("0.06")
    assert isinstance(ended, OrderEnded)
    assert ended.exposure.after.total == D("0.06")
    story.positions(position("55", 0.06))
    assert story.kinds().count("order.filled") == 2


def test_a_poll_that_shows_less_filled_than_known_changes_nothing() -> None:
    story = resting()
    story.orders(order("1", filledQty=0.04, **LIMIT))
    assert story.orders(order("1", filledQty=0.02, **LIMIT)) == []


def test_an_order_that_two_polls_no_longer_list_is_over() -> None:
    story = resting()
    story.wait(5)
    assert story.orders() == []
    story.wait(3)
    (ended,) = story.orders()
    assert isinstance(ended, OrderEnded)
    assert "unsettled" in story.noted()


def test_a_market_order_that_is_nowhere_is_given_up_only_after_half_a_minute() -> None:
    story = Story()
    story.orders()
    story.positions()
    story.place("1")
    for _ in range(13):
        assert story.orders() == []
        story.positions()
    story.wait(10)
    (ended,) = story.orders()
    assert isinstance(ended, OrderEnded)
    assert (ended.reason, ended.exposure.after.total) == ("rejected", D(0))


def test_a_cancelled_order_that_lives_on_is_a_new_order() -> None:
    story = resting()
    story.call("DELETE", "/orders/1")
    assert story.orders(order("1", **LIMIT)) == []
    story.wait(5)
    assert story.orders(order("1", **LIMIT)) == []
    (again,) = story.orders(order("1", **LIMIT))
    assert isinstance(again, OrderPlaced)
    assert again.order.id == "1#2"


def test_an_order_placed_elsewhere_that_is_filling_already_is_left_to_the_positions() -> None:
    story = Story()
    story.orders()
    story.positions()
    for _ in range(2):
        assert story.orders(order("9", filledQty=0.02, **LIMIT)) == []
    story.positions(position("55", 0.02))
    (opened,) = story.positions(position("55", 0.02))
    assert opened.exposure.position == "p55"


def test_orders_that_had_ended_before_anybody_looked_are_no_fact() -> None:
    story = Story()
    story.orders(order("1", "filled"), order("2", "rejected"), order("3", "cancelled", **LIMIT))
    story.orders(order("1", "filled"), order("2", "rejected"), order("3", "cancelled", **LIMIT))
    assert story.facts == []


def test_an_unreadable_order_is_not_a_missing_one() -> None:
    story = resting()
    for _ in range(4):
        story.wait(4)
        assert story.orders({"id": "1", "instrument": "EURUSD", "status": "odd"}) == []


def test_where_an_end_and_a_fill_are_shown_at_once_the_end_comes_first() -> None:
    story = resting()
    story.place("2")
    ended, filled = story.orders(order("1", "filled", **LIMIT), order("2", "rejected"))
    assert isinstance(ended, OrderEnded)
    assert isinstance(filled, OrderFilled)
