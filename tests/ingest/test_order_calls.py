"""Accepted calls on orders change the picture at once, and impossible ones are said."""

from decimal import Decimal

from msgspec import UNSET

from shared.facts import Levels, OrderModified, OrderPlaced
from tests.ingest.story import NETTING, Story, order

D = Decimal
LIMIT = {"type": "limit", "limitPrice": "1.05"}


def test_an_order_without_brackets_has_no_levels() -> None:
    (placed,) = Story().place("1")
    assert isinstance(placed, OrderPlaced)
    assert placed.levels == Levels(stop_loss=None, take_profit=None, trailing=None)


def test_on_a_netting_account_an_order_without_brackets_leaves_the_levels_alone() -> None:
    story = Story(NETTING)
    (placed,) = story.place("1", qty="1")
    assert isinstance(placed, OrderPlaced)
    assert placed.levels == Levels()


def test_new_terms_are_stated_whole() -> None:
    story = Story()
    story.place("1", stopLoss="1.0", takeProfit="1.2", **LIMIT)
    (fact,) = story.call("PUT", "/orders/1", qty="0.2", limitPrice="1.06", stopLoss="1.01", durationType="GTC")
    assert isinstance(fact, OrderModified)
    assert (fact.order.quantity, fact.order.limit_price, fact.order.duration) == (D("0.2"), D("1.06"), "GTC")
    assert fact.levels == Levels(stop_loss=D("1.01"), take_profit=UNSET, trailing=None)


def test_a_modification_that_changes_nothing_is_no_fact() -> None:
    story = Story()
    story.place("1", stopLoss="1.0", **LIMIT)
    assert story.call("PUT", "/orders/1", qty="0.1", limitPrice="1.05", stopLoss="1.0") == []


def test_a_quantity_below_what_has_filled_is_said() -> None:
    story = Story()
    story.orders()
    story.place("1", **LIMIT)
    story.orders(order("1", type="limit", limitPrice=1.05, filledQty=0.05))
    assert story.call("PUT", "/orders/1", qty="0.04") == []
    assert "malformed" in story.noted()


def test_calls_on_unknown_or_ended_orders_are_said() -> None:
    story = Story()
    story.place("1", **LIMIT)
    story.call("DELETE", "/orders/1")
    before = len(story.facts)
    story.call("DELETE", "/orders/1")
    story.call("PUT", "/orders/1", qty="1")
    story.call("DELETE", "/orders/nobody")
    assert len(story.facts) == before
    assert [n.kind for n in story.notes].count("unknown-object") == 3


def test_the_same_order_told_by_another_exchange_is_not_new() -> None:
    story = Story()
    story.place("1", **LIMIT)
    assert story.place("1", **LIMIT) == []
    assert "duplicate" in story.noted()


def test_a_bracket_named_by_the_reply_can_be_removed_before_any_poll_shows_it() -> None:
    story = Story()
    form = {"instrument": "EURUSD", "qty": "0.1", "side": "buy", "type": "market", "takeProfit": "1.2"}
    story.call("POST", "/orders", {"s": "ok", "d": {"orderId": "1", "takeProfitOrderId": "t"}}, **form)
    (removed,) = story.call("DELETE", "/orders/t")
    assert removed.exposure.position == "o1"
    assert removed.levels.take_profit is None
