"""Stop loss and take profit belong to the right position, and are removed only by what removes them."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec import UNSET

from shared.facts import Levels
from tests.ingest.story import NETTING, Story, bracket, order, position

D = Decimal
LIMIT: dict[str, Any] = {"type": "limit", "limitPrice": 1.05}
FILLED = (order("1", "filled", qty=1), order("2", "filled", qty=1))


def netting(*, stops: bool = True) -> Story:
    """A netting account that is long 2: two orders, each with a stop loss of its own."""
    story = Story(NETTING)
    story.orders()
    story.positions()
    for name, price in (("1", 1.01), ("2", 1.02)):
        story.place(name, qty="1", **({"stopLoss": price} if stops else {}))
    story.wait(4)
    story.orders(*(rows() if stops else FILLED))
    story.orders(*(rows() if stops else FILLED))
    story.positions(position("n", 2))
    return story


def rows(first: str = "working", second: str = "working") -> list[dict[str, object]]:
    return [
        *FILLED,
        bracket("s1", 1.01, "SL", "1", first, parentType="order"),
        bracket("s2", 1.02, "SL", "2", second, parentType="order"),
    ]


def test_the_newest_order_with_a_bracket_sets_the_level_of_a_netting_position() -> None:
    story = netting()
    assert story.picture.positions["EURUSD"].levels.stop_loss == D("1.02")


def test_an_order_that_only_reduces_a_netting_position_leaves_its_levels() -> None:
    """Its brackets are on the other side: the stop of a sale is above the price, and protects no purchase."""
    story = netting()
    story.place("3", side="sell", qty="1", stopLoss="1.5")
    assert story.picture.positions["EURUSD"].levels.stop_loss == D("1.02")
    story.place("4", side="sell", qty="3", stopLoss="1.6")
    assert story.picture.positions["EURUSD"].levels.stop_loss == D("1.6")


def test_a_resting_order_gives_a_netting_position_its_levels_when_it_turns_it() -> None:
    story = netting()
    sale: dict[str, Any] = {"side": "sell", "qty": 3, "type": "limit", "limitPrice": 1.2}
    story.place("3", stopLoss="1.5", **{**sale, "qty": "3", "limitPrice": "1.2"})
    stops = []
    for filled in (1, 2, 2.5):
        story.wait(4)
        story.orders(*rows(), order("3", **sale, filledQty=filled))
        stops.append(story.picture.positions["EURUSD"].levels.stop_loss)
    assert stops == [D("1.02"), D("1.02"), D("1.5")]


SALE = {"side": "sell", "type": "limit", "limitPrice": 1.2}


def sold(story: Story, how: str, quantity: int, held: int, child: str, *others: object) -> list[str]:
    """What becomes of the stop while polls show a sale, then that it has filled, and later its own stop as `child`."""
    sale: dict[str, Any] = {**SALE, "qty": quantity} if how != "market" else {"side": "sell", "qty": quantity}
    stop = bracket("s3", 1.5, "SL", "3", "inactive", parentType="order", side="buy")
    if how != "by others":
        story.place("3", stopLoss="1.5", **{name: str(value) for name, value in sale.items()})
    for _ in range(0 if how == "market" else 3):
        story.orders(*others, order("3", **sale), stop)
        story.positions(position("n", 2))
    stops = []
    for status in (*["working"] * 5, *[child] * 5):
        story.orders(*others, order("3", "filled", **sale, filledQty=quantity), stop | {"status": status})
        story.positions(position("n", abs(held), "buy" if held > 0 else "sell"))
        stops.append(str(story.picture.positions["EURUSD"].levels.stop_loss))
    return stops


@pytest.mark.parametrize("child", ["working", "cancelled"])
@pytest.mark.parametrize("how", ["market", "limit", "by others"])
def test_what_polls_list_of_an_order_that_only_reduces_is_no_level_of_the_position(how: str, child: str) -> None:
    story = netting(stops=False)
    count = len(story.facts)
    assert set(sold(story, how, 1, 1, child, *FILLED)) == {"UNSET"}, "nothing says that it has one"
    assert all(f.exposure.after.held >= 1 and f.exposure.position == "EURUSD" for f in story.facts[count:])
    assert "position.changed" not in story.kinds()[count:]
    for method, form in (("PUT", {"stopPrice": "1.6"}), ("DELETE", {})):
        assert story.call(method, "/orders/s3", **form) == [], "nor is what the trader does with it"
    assert story.picture.positions["EURUSD"].levels.stop_loss is UNSET


@pytest.mark.parametrize("how", ["market", "limit", "by others"])
def test_a_position_that_was_turned_has_the_levels_of_the_order_that_turned_it_alone(how: str) -> None:
    stops = sold(netting(), how, 3, -1, "cancelled", *rows())
    assert (stops[0], stops[4], stops[-1]) == ("1.5", "1.5", "None")


def test_removing_one_of_two_stops_removes_nothing_until_the_polls_say_what_is_left() -> None:
    story = netting()
    assert story.call("DELETE", "/orders/s2") == []
    story.wait(4)
    (changed,) = story.orders(*rows(second="cancelled"))
    assert changed.levels.stop_loss == D("1.01")
    (removed,) = story.call("DELETE", "/orders/s1")
    assert removed.levels.stop_loss is None


def test_the_brackets_of_a_cancelled_order_do_not_touch_the_netting_position() -> None:
    story = netting()
    story.place("3", qty="1", stopLoss="1.0", **LIMIT)
    resting = order("3", qty=1, **LIMIT)
    child = bracket("s3", 1.0, "SL", "3", "inactive", parentType="order")
    story.wait(4)
    story.orders(*rows(), resting, child)
    (canceled,) = story.call("DELETE", "/orders/3")
    assert canceled.exposure.after.total == 2
    story.wait(4)
    for _ in range(3):
        assert story.orders(*rows(), resting | {"status": "cancelled"}, child | {"status": "cancelled"}) == []
    assert story.picture.positions["EURUSD"].levels.stop_loss == D("1.02")


def test_a_cancelled_order_s_bracket_is_no_removal_even_where_no_other_is_listed() -> None:
    story = Story(NETTING)
    story.orders()
    story.positions()
    story.place("1", qty="1", stopLoss="1.01")
    story.place("3", qty="1", stopLoss="1.0", **LIMIT)
    filled, resting = order("1", "filled", qty=1), order("3", qty=1, **LIMIT)
    child = bracket("s3", 1.0, "SL", "3", "inactive", parentType="order")
    story.wait(4)
    story.orders(filled, resting, child)
    story.positions(position("n", 1))
    story.call("DELETE", "/orders/3")
    story.wait(4)
    for _ in range(3):
        assert story.orders(filled, resting | {"status": "cancelled"}, child | {"status": "cancelled"}) == []
    assert story.picture.positions["EURUSD"].levels.stop_loss == D("1.01")


def test_a_bracket_of_a_resting_order_changes_the_order() -> None:
    story = Story()
    story.orders()
    story.place("1", stopLoss="1.0", **LIMIT)
    story.orders(order("1", **LIMIT), bracket("s", 1.0, "SL", "1", "inactive", parentType="order"))
    (changed,) = story.call("PUT", "/orders/s", stopPrice="1.01")
    assert story.kinds()[-1] == "order.modified"
    assert changed.levels.stop_loss == D("1.01")


def test_brackets_that_vanish_with_their_position_are_no_news() -> None:
    story = Story()
    story.orders()
    story.positions()
    story.place("1", stopLoss="1.0")
    filled = order("1", "filled")
    child = bracket("s", 1.0, "SL", "55")
    story.orders(filled, child)
    story.positions(position("55"))
    story.orders(filled, child)
    story.call("DELETE", "/positions/55")
    story.orders(filled, child | {"status": "cancelled"})
    story.positions()
    story.orders(filled, child | {"status": "cancelled"})
    assert story.kinds() == ["order.placed", "order.filled", "position.closed", "position.closed"]


def test_brackets_that_were_never_listed_are_not_removed_by_their_absence() -> None:
    story = Story()
    story.orders()
    story.positions()
    story.place("1", stopLoss="1.0", takeProfit="1.2")
    story.wait(5)
    for _ in range(5):
        story.orders(order("1", "filled"))
        story.positions(position("55"))
    assert story.kinds() == ["order.placed", "order.filled"]
    assert story.picture.positions["o1"].levels == Levels(stop_loss=D("1.0"), take_profit=D("1.2"), trailing=None)


def test_a_level_that_no_poll_lists_is_gone_when_its_sibling_is_listed_long_after_the_last_call() -> None:
    """It was taken back while nobody looked: its order is not listed any more, and never was."""
    story = Story()
    story.orders()
    story.positions()
    story.place("1", stopLoss="1.0", takeProfit="1.2")
    story.positions(position("55"))
    rows = (order("1", "filled"), bracket("s", 1.0, "SL", "55"))
    for _ in range(5):
        story.orders(*rows)
    assert story.kinds() == ["order.placed", "order.filled"], "it may be listed later"
    story.wait(30)
    assert story.orders(*rows) == []
    (removed,) = story.orders(*rows)
    assert removed.levels == Levels(stop_loss=D("1.0"), take_profit=None, trailing=None)
    story.wait(30)
    assert story.orders(*rows) == story.orders(*rows) == []


def test_a_bracket_that_two_polls_no_longer_list_is_removed() -> None:
    story = Story()
    story.orders()
    story.positions()
    story.place("1", stopLoss="1.0")
    story.orders(order("1", "filled"), bracket("s", 1.0, "SL", "55"))
    story.positions(position("55"))
    story.orders(order("1", "filled"), bracket("s", 1.0, "SL", "55"))
    story.wait(5)
    assert story.orders(order("1", "filled")) == []
    (removed,) = story.orders(order("1", "filled"))
    assert removed.levels.stop_loss is None


def test_a_stop_that_lags_behind_the_call_that_moved_it_is_not_moved_back() -> None:
    story = Story()
    story.orders()
    story.positions()
    story.place("1", stopLoss="1.0")
    child = bracket("s", 1.0, "SL", "55")
    story.orders(order("1", "filled"), child)
    story.positions(position("55"))
    story.orders(order("1", "filled"), child)
    story.call("PUT", "/positions/55", stopLoss="1.01")
    for _ in range(2):
        assert story.orders(order("1", "filled"), child) == []
    assert story.orders(order("1", "filled"), child | {"stopPrice": 1.01}) == []


def test_a_trailing_distance_without_a_pip_size_is_said() -> None:
    story = Story()
    story.orders()
    story.positions()
    story.place("1")
    story.positions(position("55"))
    story.call("PUT", "/positions/55", trailingStopPips="15", stopLoss="1.0")
    assert "pip-unknown" in story.noted()
    assert story.facts[-1].levels.trailing in (None, UNSET)
