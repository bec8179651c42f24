"""Accepted calls on positions state what remains and what is not known any more."""

from decimal import Decimal

from msgspec import UNSET

from shared.facts import Levels, PositionChanged
from tests.ingest.story import NETTING, Story, order, position

D = Decimal


def short() -> Story:
    story = Story()
    story.orders()
    story.positions()
    story.place("1", side="sell", stopLoss="1.2")
    story.positions(position("55", 0.1, "sell"))
    return story


def test_levels_given_are_known_and_levels_not_given_are_not() -> None:
    (fact,) = short().call("PUT", "/positions/55", takeProfit="1.0")
    assert isinstance(fact, PositionChanged)
    assert fact.levels == Levels(stop_loss=UNSET, take_profit=D("1.0"), trailing=None)


def test_a_level_that_is_emptied_is_removed() -> None:
    (fact,) = short().call("PUT", "/positions/55", stopLoss="")
    assert fact.levels.stop_loss is None


def test_levels_that_are_as_they_were_are_no_fact() -> None:
    assert short().call("PUT", "/positions/55", stopLoss="1.2") == []


def test_a_short_position_is_closed_by_buying_at_the_ask() -> None:
    (fact,) = short().call("DELETE", "/positions/55", amount="0.03", currentBid="1.1", currentAsk="1.2")
    assert (fact.exposure.after.coming, fact.price) == (D("0.03"), D("1.2"))


def test_a_reversal_to_the_side_that_it_has_changes_nothing() -> None:
    story = short()
    assert story.call("PUT", "/positions/55", side="sell") == []
    (turned,) = story.call("PUT", "/positions/55", side="buy")
    assert turned.exposure.after.total == D("0.1")
    story.positions(position("55", 0.1, "buy"))
    assert story.picture.positions["o1"].held == D("0.1")
    assert not story.picture.positions["o1"].turning


def test_closing_a_netting_position_counts_orders_that_are_still_coming() -> None:
    story = Story(NETTING)
    story.orders()
    story.positions()
    story.place("1", qty="1")
    story.positions(position("n", 1))
    story.place("2", qty="2")
    (closed,) = story.call("DELETE", "/positions/n")
    assert closed.exposure.after.total == 0
    story.orders(order("1", "filled", qty=1), order("2", "rejected", qty=2))
    assert story.facts[-1].exposure.after.total == 0


def test_the_same_part_close_seen_twice_closes_once() -> None:
    story = short()
    close = story.exchange("DELETE", "/accounts/10001/positions/55", {"amount": "0.03"}, {"s": "ok"})
    assert len(story.hear(close)) == 1
    assert story.hear(close) == []
    assert story.facts[-1].exposure.after.total == D("-0.07")
