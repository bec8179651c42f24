"""A row of /positions is the right position: what the source says first, then what fits, then age."""

from decimal import Decimal

from tests.ingest.story import Story, bracket, order, position

D = Decimal


def begun() -> Story:
    story = Story()
    story.orders()
    story.positions()
    return story


def test_a_stranger_is_not_taken_for_part_of_an_order_that_has_not_filled() -> None:
    story = begun()
    story.place("1", qty="0.5")
    for _ in range(5):
        story.orders(order("1", "working", qty=0.5))
        story.positions(position("77", 0.2))
    assert story.kinds() == ["order.placed"]
    story.orders(order("1", "filled", qty=0.5))
    story.positions(position("77", 0.2), position("55", 0.5))
    story.positions(position("77", 0.2), position("55", 0.5))
    assert story.picture.positions["o1"].position_id == "55"
    assert story.picture.positions["p77"].held == D("0.2")


def test_part_of_an_order_that_is_filling_is_its_position() -> None:
    story = begun()
    story.place("1", qty="0.5")
    for _ in range(6):
        story.orders(order("1", "working", qty=0.5, filledQty=0.2))
        story.positions(position("55", 0.2))
    assert story.picture.positions["o1"].position_id == "55"
    assert story.kinds() == ["order.placed", "order.filled"]


def test_a_position_may_bear_the_id_of_its_order() -> None:
    story = begun()
    story.place("1")
    story.place("2")
    story.positions(position("2"), position("9"))
    assert story.picture.positions["o2"].position_id == "2"
    assert story.picture.positions["o1"].position_id == "9"


def test_of_equal_orders_the_one_with_the_row_s_price_is_meant() -> None:
    story = begun()
    story.place("1")
    story.place("2")
    story.orders(order("1", "filled", avgPrice=1.1), order("2", "filled", avgPrice=1.2))
    story.positions(position("b", avgPrice=1.2), position("a", avgPrice=1.1))
    assert story.picture.positions["o2"].position_id == "b"
    assert "first-in-first-out" not in story.noted()


def test_a_call_may_name_a_position_that_only_a_poll_in_flight_has_shown() -> None:
    story = begun()
    story.place("1")
    story.place("2", qty="0.3")
    story.positions(position("55"), position("56", 0.3), left=1.5)
    (closed,) = story.call("DELETE", "/positions/56")
    assert closed.exposure.position == "o2"


def test_a_call_on_a_position_that_nobody_has_shown_is_left_to_the_polls() -> None:
    story = begun()
    story.place("1")
    story.place("2", qty="0.3")
    assert story.call("DELETE", "/positions/56") == []
    assert "unknown-object" in story.noted()


def test_a_link_that_contradicts_a_sole_guess_moves_the_id() -> None:
    story = begun()
    story.place("1")
    story.positions(position("77"))
    assert story.picture.positions["o1"].position_id == "77"
    story.orders(order("1", "filled", customFields=[{"id": "PositionId", "value": "55"}]))
    story.wait(5)
    for _ in range(3):
        story.positions(position("77"), position("55"))
    assert story.picture.positions["o1"].position_id == "55"
    assert story.picture.positions["p77"].held == D("0.1")


def test_two_opposite_orders_are_never_confused() -> None:
    story = begun()
    story.place("1")
    story.place("2", side="sell")
    story.positions(position("b", 0.1, "sell"), position("a"))
    assert story.picture.positions["o2"].position_id == "b"
    assert "first-in-first-out" not in story.noted()


def test_a_position_taken_for_a_stranger_s_is_adopted_by_the_order_that_explains_it() -> None:
    story = begun()
    story.place("1", type="limit", limitPrice="1.05")
    story.wait(5)
    resting = order("1", type="limit", limitPrice=1.05)
    for _ in range(6):
        story.positions(position("55"))
        story.orders(resting)
    story.orders(resting | {"status": "filled"})
    story.positions(position("55"))
    assert sum(p.total for p in story.picture.positions.values()) == D("0.1")
    assert story.kinds() == ["order.placed", "position.opened", "order.filled"]
    assert story.facts[-1].exposure.position == "p55"


def test_a_row_that_was_shown_before_the_fill_was_listed_is_that_order_s_and_no_other_can_be_a_part_of_it() -> None:
    """It was closed on the phone before another poll could show it together with its order's fill."""
    story = Story()
    story.orders()
    story.positions()
    story.place("1", type="limit", limitPrice="1.05", qty="0.4")
    story.wait(5)
    story.positions(position("a", 0.4))
    (filled,) = story.orders(order("1", "filled", type="limit", limitPrice=1.05, qty=0.4, filledQty=0.4))
    assert filled.exposure.after.held == D("0.4")
    for _ in range(6):
        story.positions(position("b", 0.15, avgPrice=1.09))
        story.orders(order("1", "filled", type="limit", limitPrice=1.05, qty=0.4, filledQty=0.4))
    told = [(f.exposure.position, f.exposure.after.held) for f in story.facts[2:]]
    assert sorted(told) == [("o1", D(0)), ("pb", D("0.15"))]


FILLED = order("1", "filled", filledQty=0.1, avgPrice=1.08513, customFields=[{"id": "PositionId", "value": "55"}])
"""It stays listed, and goes on to name the id that its position had first."""


def held() -> Story:
    story = begun()
    story.place("1", stopLoss="1.05")
    story.orders(FILLED, bracket("1.SL.1", 1.05, "SL", "55"))
    story.positions(position("55"))
    story.wait(5)
    return story


def test_the_rest_of_a_part_close_may_have_another_id() -> None:
    story = held()
    for name, left in (("56", 0.06), ("57", 0.02)):
        before = str(story.picture.positions["o1"].position_id)
        story.call("DELETE", f"/positions/{before}", amount="0.04")
        for _ in range(5):
            story.orders(bracket("1.SL.1", 1.05, "SL", "55", "cancelled"), bracket("x", 1.05, "SL", name), FILLED)
            story.positions(position("55", 0), position(name, left))
        assert story.picture.positions["o1"].position_id == name
    story.call("DELETE", "/positions/57")
    story.positions()
    assert {f.exposure.position for f in story.facts} == {"o1"}
    totals = [f.exposure.after.total for f in story.facts[2:]]
    assert totals == [D("0.06"), D("0.06"), D("0.02"), D("0.02"), D(0), D(0)]
    assert {f.levels.stop_loss for f in story.facts} == {D("1.05")}


def test_a_call_may_name_the_new_id_before_a_poll_that_counts_has_shown_it() -> None:
    story = held()
    story.call("DELETE", "/positions/55", amount="0.04")
    story.positions(position("56", 0.06), left=1.5)
    (closed,) = story.call("DELETE", "/positions/56")
    assert (closed.exposure.position, closed.exposure.after.total) == ("o1", D(0))


def test_what_was_reversed_under_a_new_id_is_not_called_by_the_old_one_again() -> None:
    story = held()
    story.call("PUT", "/positions/55", side="sell")
    for rows in ((), *[(position("77", 0.1, "sell"),)] * 8):
        story.orders(FILLED, bracket("1.SL.1", 1.05, "SL", "55", "cancelled"))
        story.positions(*rows)
    assert story.picture.positions["o1"].position_id == "77"
    assert {f.exposure.position for f in story.facts} == {"o1"}
    assert {f.exposure.after.total for f in story.facts[2:]} == {D("-0.1")}


def test_a_new_order_of_the_same_size_is_not_taken_for_the_rest_of_a_part_close() -> None:
    story = held()
    story.call("DELETE", "/positions/55", amount="0.04")
    story.place("2", qty="0.06")
    story.positions(position("56", 0.06, avgPrice=1.09))
    assert story.picture.positions["o2"].position_id == "56"
