"""What is left of a position under another id is the same position where that is certain, and nothing else is."""

from decimal import Decimal

import pytest

from tests.ingest.story import NETTING, Story, bracket, order, position

D = Decimal
PRICE = 1.08513


def held(*sizes: float) -> Story:
    """Positions 51, 52 … of these sizes, at one price, that a trader has opened here; nothing is going on."""
    story = Story()
    story.orders()
    story.positions()
    for number, size in enumerate(sizes, start=1):
        story.place(str(number), qty=str(size), stopLoss="1.05")
    story.orders(*filled(*sizes))
    story.positions(*(position(f"5{number}", size) for number, size in enumerate(sizes, start=1)))
    story.wait(10)
    story.orders(*filled(*sizes))
    story.positions(*(position(f"5{number}", size) for number, size in enumerate(sizes, start=1)))
    del story.facts[:]
    return story


def filled(*sizes: float) -> list[dict[str, object]]:
    """The orders, which go on to name the ids that their positions had first."""
    rows = []
    for n, size in enumerate(sizes, start=1):
        fields = [{"id": "PositionId", "value": f"5{n}"}]
        rows.append(order(str(n), "filled", qty=size, filledQty=size, avgPrice=PRICE, customFields=fields))
    return rows


def told(story: Story) -> list[tuple[str, str, str | None, str]]:
    """Kind, position, its id at the source, and what is held, of each fact."""
    return [
        (kind, f.exposure.position, f.exposure.position_id, str(f.exposure.after.held))
        for kind, f in zip(story.kinds(), story.facts, strict=True)
    ]


@pytest.mark.parametrize("old", [(), (position("51", 0),)], ids=["gone", "listed as closed"])
@pytest.mark.parametrize("left", [0.06, 0.01])
def test_a_part_close_on_the_phone_after_which_the_rest_has_another_id_is_a_reduction(
    old: tuple[dict[str, object], ...], left: float
) -> None:
    story = held(0.1)
    for _ in range(6):
        story.orders(*filled(0.1), bracket("x", 1.05, "SL", "61"))
        story.positions(*old, position("61", left))
    assert told(story) == [("position.changed", "o1", "61", str(left))]
    (closed,) = story.call("DELETE", "/positions/61")
    assert (closed.exposure.position, closed.exposure.after.total) == ("o1", D(0))
    assert closed.levels.stop_loss == D("1.05")


def test_it_may_get_another_id_again_and_again() -> None:
    story = held(0.1)
    for name, left in (("61", 0.08), ("62", 0.05), ("63", 0.05), ("64", 0.01)):
        for _ in range(4):
            story.orders(*filled(0.1))
            story.positions(position(name, left))
    for _ in range(3):
        story.positions()
    assert {f.exposure.position for f in story.facts} == {"o1"}
    assert [str(f.exposure.after.held) for f in story.facts] == ["0.08", "0.05", "0.01", "0"]


@pytest.mark.parametrize("lagging", [1, 2, 3])
def test_a_poll_that_lags_behind_and_shows_the_old_id_takes_nothing_back_and_closes_nothing(lagging: int) -> None:
    story = held(0.1)
    story.positions(position("61", 0.06))
    for _ in range(lagging):
        story.positions(position("51"), after=0.5)
    for _ in range(4):
        story.positions(position("61", 0.06))
    assert told(story) == [("position.changed", "o1", "61", "0.06")]


def test_it_is_seen_too_while_a_call_on_the_instrument_has_no_reply() -> None:
    story = held(0.1, 0.4)
    path = "/accounts/10001/positions/52"
    story.hear(story.exchange("PUT", path, {"stopLoss": "1.06"}, status=None, left=0, flow="c"))
    story.positions(position("61", 0.06), position("52", 0.4))
    story.hear(story.exchange("PUT", path, {"stopLoss": "1.06"}, {"s": "error"}, left=1, flow="c"))
    for _ in range(6):
        story.positions(position("61", 0.06), position("52", 0.4))
    assert told(story) == [("position.changed", "o1", "61", "0.06")]


def test_a_call_may_name_the_new_id_at_once() -> None:
    story = held(0.1)
    story.positions(position("61", 0.06))
    (closed,) = story.call("DELETE", "/positions/61")
    assert (closed.exposure.position, closed.exposure.after.total) == ("o1", D(0))
    for _ in range(3):
        story.positions()
    assert [f.exposure.after.total for f in story.facts] == [0, 0]


def test_of_several_at_one_price_the_largest_rest_finds_the_position_that_it_fits() -> None:
    story = held(0.4, 0.1)
    for _ in range(4):
        story.orders(*filled(0.4, 0.1))
        story.positions(position("61", 0.05), position("62", 0.2))
    assert sorted(told(story)) == [
        ("position.changed", "o1", "62", "0.2"),
        ("position.changed", "o2", "61", "0.05"),
    ]
    assert "first-in-first-out" in story.noted()


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (position("61", 0.06, avgPrice=1.09), "it was opened at another price"),
        (position("61", 0.06, "sell"), "it is on the other side"),
        (position("61", 0.06, instrument="GBPUSD"), "it is another instrument"),
        (position("61", 0.2), "it is more than there was"),
        (position("61", 0.06, avgPrice=None), "nobody knows its price"),
    ],
)
def test_what_is_not_certain_is_told_as_it_looks(row: dict[str, object], why: str) -> None:
    story = held(0.1)
    for _ in range(6):
        story.orders(*filled(0.1))
        story.positions(row)
    assert sorted(kind for kind, *_ in told(story)) == ["position.closed", "position.opened"], why
    same = row["side"] == "buy" and row["instrument"] == "EURUSD"
    assert ("told-apart" in story.noted()) is same


def test_what_came_before_the_other_had_gone_is_another_position() -> None:
    story = held(0.1)
    for _ in range(5):
        story.positions(position("51"), position("61", 0.06))
    for _ in range(5):
        story.positions(position("61", 0.06))
    assert told(story) == [("position.opened", "p61", "61", "0.06"), ("position.closed", "o1", "51", "0")]


CLOSED = order("8", "filled", qty=0.04, side="sell", filledQty=0.04, avgPrice=1.09)
OPENED = order("9", "filled", qty=0.06, filledQty=0.06, avgPrice=1.09)
ALL_CLOSED = order("7", "filled", qty=0.1, side="sell", filledQty=0.1, avgPrice=1.09)


def test_fills_that_close_the_difference_say_so_where_the_price_does_not() -> None:
    story = held(0.1)
    for _ in range(6):
        story.orders(*filled(0.1), CLOSED)
        story.positions(position("61", 0.06, avgPrice=1.085))
    assert told(story) == [("position.changed", "o1", "61", "0.06")]


@pytest.mark.parametrize("whole", [True, False], ids=["one fill", "two of one order"])
def test_executions_say_it_too(whole: bool) -> None:
    story = held(0.1)
    story.positions(position("61", 0.06, avgPrice=1.085))
    fill = {"id": "E1", "instrument": "EURUSD", "price": 1.09, "time": int(story.now.timestamp()), "qty": 0.04,
            "side": "sell", "orderId": "8", "isClose": True, "positionId": "51"}  # fmt: skip
    rest = [fill | {"id": "E2", "qty": 0.02}, fill | {"qty": 0.02}]
    story.poll("executions", [fill] if whole else rest)
    for _ in range(5):
        story.positions(position("61", 0.06, avgPrice=1.085))
    assert told(story) == [("position.changed", "o1", "61", "0.06")]


@pytest.mark.parametrize("closing", [(ALL_CLOSED,), (CLOSED, ALL_CLOSED | {"id": "6", "qty": 0.06, "filledQty": 0.06})])
def test_fills_that_close_all_and_open_anew_say_the_opposite(closing: tuple[dict[str, object], ...]) -> None:
    story = held(0.1)
    for _ in range(6):
        story.orders(*filled(0.1), *closing, OPENED)
        story.positions(position("61", 0.06, avgPrice=1.09))
    assert sorted(kind for kind, *_ in told(story)) == ["position.closed", "position.opened"]


def test_an_addition_that_gives_the_whole_another_id_is_an_addition_where_fills_say_so() -> None:
    story = held(0.1)
    for _ in range(6):
        story.orders(*filled(0.1), order("8", "filled", qty=0.05, filledQty=0.05, avgPrice=1.09))
        story.positions(position("61", 0.15, avgPrice=1.0867))
    assert told(story) == [("position.changed", "o1", "61", "0.15")]


def test_an_id_that_was_given_up_may_be_used_again() -> None:
    story = held(0.1)
    for _ in range(4):
        story.positions(position("61", 0.06))
    for _ in range(5):
        story.positions(position("61", 0.06), position("51", 0.3, avgPrice=1.1))
    assert told(story)[1:] == [("position.opened", "p51", "51", "0.3")]
    (closed,) = story.call("DELETE", "/positions/51")
    assert closed.exposure.position == "p51"


def test_a_whole_close_and_an_order_that_is_as_large_as_a_rest_are_what_they_are() -> None:
    story = held(0.1)
    story.call("DELETE", "/positions/51")
    story.place("2", qty="0.06")
    for _ in range(4):
        story.orders(*filled(0.1), order("2", "filled", qty=0.06, filledQty=0.06, avgPrice=PRICE))
        story.positions(position("61", 0.06))
    assert story.picture.positions["o1"].over
    assert story.picture.positions["o2"].position_id == "61"


@pytest.mark.parametrize("first", ["orders", "positions"])
def test_an_order_that_has_waited_at_the_very_price_has_opened_what_comes_as_another_position_goes(first: str) -> None:
    story = held(0.1)
    story.place("2", qty="0.06", type="limit", limitPrice=str(PRICE))
    del story.facts[:]
    for number in range(6):
        if number or first == "orders":
            story.orders(*filled(0.1), order("2", "filled", qty=0.06, type="limit", filledQty=0.06, avgPrice=PRICE))
        story.positions(position("61", 0.06))
    assert sorted(told(story)) == [("order.filled", "o2", None, "0.06"), ("position.closed", "o1", "51", "0")]
    assert story.picture.positions["o2"].position_id == "61"


def test_on_a_netting_account_ids_come_and_go_and_the_instrument_is_the_position() -> None:
    story = Story(NETTING)
    story.orders()
    story.positions()
    story.place("1", qty="4")
    for name, size in (("a", 4), ("b", 1), ("c", 3)):
        story.wait(5)
        for _ in range(4):
            story.orders(order("1", "filled", qty=4))
            story.positions(position(name, size))
    assert [str(f.exposure.after.held) for f in story.facts] == ["0", "4", "1", "3"]
    assert {f.exposure.position for f in story.facts} == {"EURUSD"}
    assert story.facts[-1].exposure.position_id == "c"
