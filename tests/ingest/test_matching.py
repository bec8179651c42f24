"""A different quantity in a poll is explained, doubted, or believed, and each at the right time."""

from decimal import Decimal

import pytest

from shared.facts import Amount
from tests.ingest.story import NETTING, Story, bracket, order, position

D = Decimal


def long(source_size: float = 0.1) -> Story:
    story = Story()
    story.orders()
    story.positions()
    story.place("1", qty=source_size)
    story.orders(order("1", "filled", qty=source_size))
    story.positions(position("55", source_size))
    return story


@pytest.mark.parametrize("shown", [0.04, 0.2])
def test_a_quantity_that_nothing_explains_counts_when_two_polls_agree(shown: float) -> None:
    story = long()
    story.wait(5)
    assert story.positions(position("55", shown)) == []
    (changed,) = story.positions(position("55", shown))
    assert changed.exposure.after.held == D(str(shown))
    assert story.kinds()[-1] == "position.changed"


def test_of_two_different_doubtful_polls_the_newer_counts() -> None:
    story = long()
    story.wait(5)
    story.positions(position("55", 0.08))
    (changed,) = story.positions(position("55", 0.06))
    assert changed.exposure.after.held == D("0.06")


def test_a_closed_row_with_quantity_zero_is_a_closed_position() -> None:
    story = long()
    story.call("DELETE", "/positions/55")
    story.positions(position("55", 0))
    assert story.picture.positions["o1"].over


def test_a_part_close_elsewhere_while_a_whole_close_is_coming_ends_flat() -> None:
    story = long()
    story.wait(5)
    story.call("DELETE", "/positions/55", amount="0.05")
    for _ in range(5):
        story.positions()
    assert story.facts[-1].exposure.after.total == 0
    assert story.facts[-1].exposure.after.coming == 0
    assert all(f.exposure.after.total >= 0 for f in story.facts)


def test_a_flat_poll_while_a_row_cannot_be_read_closes_nothing_unlinked() -> None:
    story = Story()
    story.orders()
    story.positions()
    story.place("1")
    story.orders(order("1", "filled"))
    story.wait(5)
    for _ in range(4):
        story.positions({"id": "55", "instrument": "EURUSD", "qty": None, "side": "buy"})
    assert story.facts[-1].exposure.after.total == D("0.1")
    assert "malformed" in story.noted()


def test_a_netting_fill_shown_by_positions_first_is_counted_once() -> None:
    story = Story(NETTING)
    story.orders()
    story.positions()
    story.place("1", qty="1", type="limit", limitPrice="1.05")
    story.wait(5)
    resting = order("1", qty=1, type="limit", limitPrice=1.05)
    for _ in range(6):
        story.positions(position("n", 1))
        story.orders(resting)
    story.orders(resting | {"status": "filled"})
    story.positions(position("n", 1))
    assert [f.exposure.after.total for f in story.facts] == [0, 1, 1]
    assert story.kinds() == ["order.placed", "position.opened", "order.filled"]


def test_netting_orders_fill_first_in_first_out_when_only_positions_tell() -> None:
    story = Story(NETTING)
    story.positions()
    story.place("1", qty="1")
    story.place("2", qty="2")
    story.positions(position("n", 2))
    assert [f.order.filled for f in story.facts[2:]] == [1, 1]  # type: ignore[union-attr]
    assert story.facts[-1].exposure.after.total == 3


def test_polls_that_are_overtaken_say_nothing_any_more() -> None:
    story = long()
    story.wait(5)
    for _ in range(2):
        story.positions(position("55", 0.04))
    assert story.facts[-1].exposure.after.held == D("0.04")
    before = len(story.facts)
    for left in (6, 5):
        story.positions(position("55", 0.1), left=left, after=0.1)
    assert len(story.facts) == before
    assert "late" in story.noted()


def test_one_poll_that_comes_in_twice_does_not_agree_with_itself() -> None:
    story = long()
    story.wait(5)
    answer = {"s": "ok", "d": [position("55", 0.04)]}
    poll = story.exchange("GET", "/accounts/10001/positions", {}, answer)
    assert story.hear(poll) == []
    assert story.hear(poll) == []


def test_on_a_netting_account_a_close_elsewhere_is_not_taken_for_the_fill_of_an_order() -> None:
    story = Story(NETTING)
    story.orders()
    story.positions()
    story.place("1", qty="4", side="sell")
    story.orders(order("1", "filled", qty=4, side="sell"))
    story.positions(position("n", 4, "sell"))
    story.wait(5)
    story.place("2", qty="3")
    pending = order("2", "working", qty=3)
    for _ in range(4):
        story.positions()
        story.orders(order("1", "filled", qty=4, side="sell"), pending)
    assert story.facts[-1].exposure.after.total == 3
    story.orders(order("1", "filled", qty=4, side="sell"), pending | {"status": "filled"})
    story.positions(position("n", 3))
    assert [f.exposure.after.total for f in story.facts] == [-4, -4, -1, 3, 3]


@pytest.mark.parametrize("lagging", [1, 2, 3])
def test_polls_that_lag_behind_a_newer_one_close_nothing_and_take_back_nothing(lagging: int) -> None:
    story = Story()
    story.orders()
    story.positions()
    story.place("1")
    story.wait(5)
    story.positions(position("55"))
    for _ in range(lagging):
        story.positions(after=0.5)
    story.positions(position("55", 0.1), after=0.5)
    assert [str(f.exposure.after.held) for f in story.facts] == ["0", "0.1"]
    story.wait(10)
    for _ in range(2):
        story.positions(position("55", 0.06))
    for _ in range(lagging):
        story.positions(position("55"), after=0.5)
    assert [str(f.exposure.after.held) for f in story.facts] == ["0", "0.1", "0.06"]


def test_on_a_netting_account_nothing_is_taken_for_a_fill_by_the_first_poll_after_a_gap() -> None:
    """Somebody has closed a part meanwhile; whether the order has filled is for the orders to say, which come next."""
    story = Story(NETTING)
    story.orders()
    story.positions()
    story.place("1", qty="4", side="sell")
    sold = order("1", "filled", qty=4, side="sell")
    story.orders(sold)
    story.positions(position("n", 4, "sell"))
    story.place("2", qty="3")
    story.wait(20)
    assert story.positions(position("n", 2, "sell")) == []
    for _ in range(8):
        story.orders(sold, order("2", "working", qty=3))
        story.positions(position("n", 2, "sell"))
    assert [str(f.exposure.after) for f in story.facts[-1:]] == [str(Amount(held=D(-2), coming=D(3)))]
    assert "order.filled" not in story.kinds()[2:]


def test_on_a_netting_account_a_market_order_that_polls_do_not_list_is_not_counted_beside_its_fill() -> None:
    """A broker may drop what has filled from its list at once; until that is clear, nothing is said."""
    story = Story(NETTING)
    story.orders()
    story.positions()
    story.place("1", qty="1")
    for _ in range(60):
        story.orders()
        story.positions(position("n", 1))
    assert [f.exposure.after.total for f in story.facts] == [1, 1]
    assert story.kinds() == ["order.placed", "order.filled"]


def test_on_a_netting_account_the_row_that_is_open_counts_and_not_one_that_was_closed() -> None:
    """A broker may list what was closed in this session with a quantity of 0, and give what is opened then a new id."""
    story = Story(NETTING)
    story.orders()
    story.positions(position("old", 0))
    story.place("1", qty="2", stopLoss="1.01")
    filled, rows = order("1", "filled", qty=2), (position("old", 0), position("new", 2, avgPrice=1.1))
    for stop in (1.01, 1.01, 1.02, 1.02, 1.02, 1.02):
        story.wait(2)
        story.orders(filled, bracket("9", stop, "SL", "new", qty=2))
        story.positions(*rows)
    assert story.picture.positions["EURUSD"].position_id == "new"
    assert [f.levels.stop_loss for f in story.facts][-1] == D("1.02")


def test_what_arithmetic_with_doubles_leaves_is_no_news() -> None:
    story = long(0.3)
    for left, shown in ((0.2, 0.19999999999999998), (0.1, 0.09999999999999998), (0, 2.7755575615628914e-17)):
        story.wait(5)
        story.call("DELETE", "/positions/55", amount="0.1")
        for _ in range(5):
            story.positions(position("55", shown))
        assert story.facts[-1].exposure.after == Amount(held=D(str(left)))
    assert [f.exposure.after.total for f in story.facts[2:]] == [D(left) for left in ("0.2", "0.2", "0.1", "0.1", 0, 0)]
    assert story.picture.positions["o1"].over


# --- two changes within one poll, on a netting account -------------------------------------------------------------


def four() -> Story:
    """Long 4, for a while."""
    story = Story(NETTING)
    story.orders()
    story.positions()
    story.place("1", qty="4")
    for _ in range(3):
        story.wait(4)
        story.orders(FOUR)
        story.positions(position("n", 4))
    return story


FOUR = order("1", "filled", qty=4, filledQty=4)


def elsewhere(name: str, quantity: float) -> dict[str, object]:
    """An order of the phone's that has filled; quantity is signed."""
    size = abs(quantity)
    return order(name, "filled", qty=size, filledQty=size, side="buy" if quantity > 0 else "sell")


def held(story: Story) -> list[str]:
    return [f"{f.exposure.after.held:f}" for f in story.facts[2:]]


def test_a_fill_of_ours_and_a_close_elsewhere_within_one_poll_are_told_apart_by_the_orders() -> None:
    story = four()
    story.place("2", qty="2")
    story.orders(FOUR, order("2", "filled", qty=2, filledQty=2), elsewhere("901", -1))
    (changed,) = story.positions(position("n", 5))
    assert (changed.exposure.before.held, changed.exposure.after.held) == (D(6), D(5))
    assert held(story) == ["4", "6", "5"]


def test_two_trades_elsewhere_within_one_poll_are_one_change_that_one_poll_is_enough_for() -> None:
    story = four()
    story.orders(FOUR, elsewhere("901", 3), elsewhere("902", -1))
    assert [f.exposure.after.held for f in story.positions(position("n", 6))] == [6]


def test_a_trade_elsewhere_is_not_taken_for_the_fill_of_an_order_of_ours_that_rests() -> None:
    story = four()
    story.place("2", qty="1", type="limit", limitPrice="1.05")
    resting = order("2", qty=1, type="limit", limitPrice=1.05)
    story.wait(5)
    story.orders(FOUR, resting)
    story.positions(position("n", 4))
    story.orders(FOUR, resting, elsewhere("901", 1))
    assert [f.exposure.after.held for f in story.positions(position("n", 5))] == [5]
    story.orders(FOUR, resting | {"status": "filled", "filledQty": 1}, elsewhere("901", 1))
    story.positions(position("n", 6))
    assert held(story) == ["4", "5", "6"]


def test_it_is_not_when_positions_show_it_long_before_the_orders_do() -> None:
    story = four()
    story.place("2", qty="1", type="limit", limitPrice="1.05")
    resting = order("2", qty=1, type="limit", limitPrice=1.05)
    for _ in range(8):
        story.orders(FOUR, resting)
        story.positions(position("n", 5))
    story.orders(FOUR, resting, elsewhere("901", 1))
    story.orders(FOUR, resting | {"status": "filled", "filledQty": 1}, elsewhere("901", 1))
    story.positions(position("n", 6))
    assert held(story) == ["4", "5", "6"]


def test_the_order_by_which_a_close_of_ours_was_carried_out_explains_nothing_else() -> None:
    """Else a poll that lags behind would be taken for a second close of that size."""
    story = four()
    story.call("DELETE", "/positions/n", amount="1")
    rows = [FOUR, elsewhere("901", -1)]
    story.orders(*rows)
    story.positions(position("n", 3))
    story.place("2", qty="1")
    story.orders(*rows, order("2", "filled", qty=1, filledQty=1))
    story.positions(position("n", 3), after=0.5)
    for _ in range(3):
        story.positions(position("n", 4))
    assert held(story) == ["4", "3", "3", "4"]


@pytest.mark.parametrize("shown", [3, 5, -2, 0])
def test_where_no_orders_tell_what_happened_the_end_is_right_all_the_same(shown: int) -> None:
    """An order of ours fills, and a broker does not list by which order the rest came about."""
    story = four()
    story.place("2", qty="2", type="limit", limitPrice="1.05")
    story.wait(5)
    rows = [FOUR, order("2", "filled", qty=2, filledQty=2, type="limit", limitPrice=1.05)]
    held_now = [position("n", abs(shown), "buy" if shown > 0 else "sell")] if shown else []
    for _ in range(8):
        story.positions(*held_now)
        story.orders(*rows)
    after = story.facts[-1].exposure.after
    assert (after.held, after.coming) == (D(shown), D(0))
