"""What was over before anybody looked is listed once, and what was told is not."""

from datetime import datetime, timedelta

import pytest

from ingest.missed import LINES, lines, seen
from tests.ingest.story import BROKER, NETTING, PAPER, START, Story, order, position
from tests.ingest.test_paper import pushed

ASKED = {"instrument": "EURUSD", "qty": "0.1", "side": "buy", "type": "market"}
WAS_BOUGHT = order("901", "filled", filledQty=0.1, avgPrice=1.08513)
WAS_SOLD = order("902", "filled", filledQty=0.1, side="sell", avgPrice=1.09)


def looked(story: Story | None = None) -> Story:
    """Somebody looks at the account before anything happens."""
    story = story or Story()
    polls(story, 2)
    return story


def polls(story: Story, seconds: int, *orders: object, held: tuple[object, ...] = ()) -> None:
    for _ in range(seconds):
        story.orders(*orders, after=0.5)
        story.positions(*held, after=0.5)


def listed(story: Story) -> list[str]:
    """What the operator is shown, without the times."""
    return [f"{one.what}: {one.why}" for one in story.picture.missed]


def times(story: Story) -> list[datetime]:
    return [one.at for one in story.picture.missed]


# --- placements without a reply --------------------------------------------------------------------------------------


def asked_without_reply(story: Story, **form: object) -> None:
    story.wait(1)
    story.hear(story.exchange("POST", "/accounts/10001/orders", ASKED | form, error="cut"))


def test_an_order_that_had_no_reply_and_that_no_poll_shows_is_listed_after_five_minutes() -> None:
    story = looked()
    asked_without_reply(story, type="limit", limitPrice="1.05")
    at = story.now - timedelta(seconds=0.1)
    polls(story, 280)
    assert story.picture.missed == ()
    polls(story, 60)
    assert listed(story) == [
        "asked to buy 0.1 EURUSD limit 1.05: no reply came, and no poll has shown such an order since"
    ]
    assert times(story) == [at]
    assert "untold" in story.noted()
    assert story.facts == []


def test_it_is_listed_too_when_nobody_polls_for_an_hour() -> None:
    story = looked()
    asked_without_reply(story)
    story.wait(3600)
    polls(story, 20)
    assert story.picture.missed == ()
    polls(story, 20)
    assert listed(story) == [
        "asked to buy 0.1 EURUSD at market: no reply came, and no poll has shown such an order since"
    ]


def test_a_day_without_any_poll_is_long_enough() -> None:
    story = looked()
    asked_without_reply(story)
    story.wait(25 * 3600)
    story.hear(story.exchange("GET", "/accounts/10001/orders", error="cut"))
    story.place("77")
    assert listed(story) == ["asked to buy 0.1 EURUSD at market: no reply came, and no poll has come in since"]


@pytest.mark.parametrize(
    ("orders", "held"),
    [
        ([order("77", "filled", filledQty=0.1)], [position("55")]),
        ([order("77", "rejected")], []),
        ([], [position("55")]),
    ],
    ids=["the order is shown", "the order is shown as rejected", "a position of that size is shown"],
)
def test_what_the_polls_show_in_time_is_not_listed(orders: list[object], held: list[object]) -> None:
    story = looked()
    asked_without_reply(story)
    polls(story, 400, *orders, held=tuple(held))
    assert story.facts
    assert story.picture.missed == ()


def test_a_close_without_a_reply_is_shown_by_the_position_and_never_listed() -> None:
    story = looked()
    story.place("1")
    polls(story, 5, order("1", "filled", filledQty=0.1), held=(position("55"),))
    story.wait(1)
    story.hear(story.exchange("DELETE", "/accounts/10001/positions/55", error="cut"))
    polls(story, 400, order("1", "filled", filledQty=0.1))
    assert story.kinds()[-1] == "position.closed"
    assert story.picture.missed == ()


# --- orders of others that have filled -------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [BROKER, NETTING], ids=["hedging", "netting"])
def test_a_trade_that_came_and_went_between_two_polls_is_listed_once(source: object) -> None:
    story = looked(Story(source))  # type: ignore[arg-type]
    polls(story, 60, WAS_BOUGHT, WAS_SOLD)
    polls(story, 60)
    assert listed(story) == [
        "bought 0.1 EURUSD at 1.08513 (order 901): it was undone before a poll of positions showed it",
        "sold 0.1 EURUSD at 1.09 (order 902): it was undone before a poll of positions showed it",
    ]
    assert story.facts == []


@pytest.mark.parametrize("source", [BROKER, NETTING], ids=["hedging", "netting"])
def test_a_trade_from_elsewhere_that_polls_showed_is_not_listed(source: object) -> None:
    story = looked(Story(source))  # type: ignore[arg-type]
    polls(story, 60, WAS_BOUGHT, held=(position("55"),))
    polls(story, 60, WAS_BOUGHT, WAS_SOLD)
    assert [str(f.exposure.after.total) for f in story.facts] == ["0.1", "0"]
    assert story.picture.missed == ()


def test_what_was_there_before_anybody_looked_is_not_listed() -> None:
    story = Story()
    polls(story, 100, WAS_BOUGHT, WAS_SOLD)
    assert story.picture.missed == ()


def test_the_order_with_which_a_broker_carries_out_a_close_of_ours_is_not_listed() -> None:
    story = looked()
    story.place("1")
    ours = order("1", "filled", filledQty=0.1)
    polls(story, 5, ours, held=(position("55"),))
    story.call("DELETE", "/positions/55", amount="0.04")
    parts = order("903", "filled", qty=0.04, filledQty=0.04, side="sell")
    polls(story, 5, ours, parts, held=(position("55", 0.06),))
    story.call("DELETE", "/positions/55")
    rest = order("904", "filled", qty=0.06, filledQty=0.06, side="sell")
    polls(story, 60, ours, parts, rest)
    assert story.kinds()[-1] == "position.closed"
    assert story.picture.missed == ()


def test_parts_of_an_order_may_be_told_one_by_one_and_only_the_rest_is_listed() -> None:
    story = looked(Story(NETTING))
    bought = {"qty": 5, "filledQty": 5, "instrument": "MNQ", "avgPrice": 1.5}
    held = {"instrument": "MNQ"}
    polls(story, 10, order("905", "working", **bought | {"filledQty": 1}), held=(position("9", 1, **held),))
    polls(story, 10, order("905", "working", **bought | {"filledQty": 3}), held=(position("9", 3, **held),))
    polls(story, 60, order("905", "filled", **bought), held=(position("9", 3, **held),))
    assert story.facts[-1].exposure.after.total == 3
    assert listed(story) == ["bought 2 MNQ at 1.5 (order 905): it was undone before a poll of positions showed it"]


def test_what_the_history_shows_of_a_time_in_which_nobody_looked_is_listed() -> None:
    story = looked()
    story.place("1")
    polls(story, 5, order("1", "filled", filledQty=0.1), held=(position("55"),))
    story.wait(1800)
    unseen = (story.now - timedelta(seconds=900)).timestamp()
    before = (story.now - timedelta(seconds=86_400)).timestamp()
    ours = order("1", "filled", filledQty=0.1, lastModified=(START + timedelta(seconds=5)).timestamp())
    polls(story, 2, held=(position("55"),))
    past = [
        order("800", "filled", filledQty=0.1, lastModified=before), ours, WAS_SOLD | {"lastModified": unseen},
        WAS_BOUGHT | {"lastModified": unseen}, order("906", "cancelled", lastModified=unseen), order("907", "filled"),
    ]  # fmt: skip
    story.poll("ordersHistory", past)
    polls(story, 60, held=(position("55"),))
    story.poll("ordersHistory", past)
    polls(story, 60, held=(position("55"),))
    assert [line.partition(" EURUSD")[0] for line in listed(story)] == ["sold 0.1", "bought 0.1"]


def test_executions_of_that_time_are_added_up_by_order() -> None:
    story = looked()
    story.wait(1800)
    time = (story.now - timedelta(seconds=900)).timestamp()
    polls(story, 2)
    row = {"instrument": "EURUSD", "price": 1.085, "time": time, "side": "buy", "isClose": False}
    story.poll("executions", [row | {"id": f"E{n}", "qty": 0.05, "orderId": "908"} for n in (1, 2)])
    polls(story, 60)
    assert [line.partition(" at")[0] for line in listed(story)] == ["bought 0.1 EURUSD"]


def test_executions_of_a_time_in_which_somebody_looked_say_nothing() -> None:
    story = looked()
    polls(story, 10)
    row = {"id": "E1", "instrument": "EURUSD", "price": 1.085, "time": story.now.timestamp(), "side": "buy"}
    polls(story, 10)
    story.poll("executions", [row | {"qty": 0.05, "orderId": "909"}])
    polls(story, 60)
    assert story.picture.missed == ()


def test_paper_trading_pushes_a_fill_and_the_position_that_is_its_effect() -> None:
    story = Story(PAPER, "1234567")
    story.hear(story.exchange("POST", "/trading/account/1234567", b"{}", {"balance": 1, "positions": []}))
    fill = {"id": 5, "symbol": "OANDA:EURUSD", "symboltype": "forex", "side": "buy", "qty": 1000, "type": "market",
            "status": "filled", "price": 1.1}  # fmt: skip
    told = {"symbol": "OANDA:EURUSD", "symboltype": "forex", "side": "buy", "qty": 1000, "avg_price": 1.1}
    story.hear(pushed("order_update", story, fill))
    story.hear(pushed("position_update", story, told))
    held = {"balance": 1, "positions": [told]}
    for _ in range(60):
        story.wait(1)
        story.hear(story.exchange("POST", "/trading/account/1234567", b"{}", held))
    assert story.facts
    assert story.picture.missed == ()
    assert story.picture.passing == ()


# --- for the operator ------------------------------------------------------------------------------------------------


def test_a_line_says_when_who_what_and_why_and_ends_when_it_was_seen() -> None:
    story = looked()
    polls(story, 60, WAS_BOUGHT, WAS_SOLD)
    first = lines(story.picture)[0]
    assert first == (
        "2026-01-05 09:00:01 UTC, 10001: bought 0.1 EURUSD at 1.08513 (order 901): "
        "it was undone before a poll of positions showed it"
    )
    last = story.picture.missed[-1].noted
    assert seen(story.picture, last - timedelta(seconds=10)).missed == story.picture.missed
    assert seen(story.picture, last).missed == ()


def test_the_list_is_bounded() -> None:
    story = looked()
    rows = [order(f"f{n}", "filled", filledQty=0.1) for n in range(LINES + 20)]
    polls(story, 60, *rows)
    assert len(story.picture.missed) == LINES
    assert story.picture.missed[-1].what.endswith(f"(order f{LINES + 19})")
