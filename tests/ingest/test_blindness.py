import math
from datetime import timedelta

from ingest.album import Album
from ingest.blindness import age, complaints
from tests.ingest.story import Story, order, position


def album(story: Story) -> Album:
    found = Album({})
    found.put(story.picture)
    return found


def polled() -> Story:
    story = Story()
    story.orders()
    story.positions()
    return story


def test_without_anything_open_nobody_needs_to_look() -> None:
    story = polled()
    assert complaints(album(story), ["fusion"], story.now + timedelta(days=1)) == []


def test_a_position_that_nobody_looks_at_for_a_minute_is_said() -> None:
    story = polled()
    story.place("1")
    story.orders(order("1", "filled", filledQty=0.1))
    story.positions(position("55"))
    assert complaints(album(story), ["fusion"], story.now + timedelta(seconds=59)) == []
    (said,) = complaints(album(story), ["fusion"], story.now + timedelta(seconds=61))
    assert said == "fusion/10001 is blind: something is open and the last good poll is 61 s old"
    assert complaints(album(story), ["another"], story.now + timedelta(seconds=61)) == []


def test_a_resting_order_and_a_call_without_a_reply_count_too() -> None:
    for kind in ("order", "call"):
        story = polled()
        if kind == "order":
            story.place("1", type="limit", limitPrice="1.05")
        else:
            story.hear(story.exchange("DELETE", "/accounts/10001/positions/5", {}, status=None, flow="c"))
        assert len(complaints(album(story), ["fusion"], story.now + timedelta(seconds=90))) == 1


def test_trading_without_any_poll_is_said_at_once() -> None:
    story = Story()
    story.place("1")
    assert complaints(album(story), ["fusion"], story.now) == [
        "fusion/10001 is blind: something is open and no good poll has come in yet"
    ]


def test_a_failed_poll_is_none() -> None:
    story = polled()
    story.place("1")
    story.wait(70)
    story.hear(story.exchange("GET", "/accounts/10001/orders", answer={"s": "error"}))
    assert len(complaints(album(story), ["fusion"], story.now)) == 1


def test_the_age_of_the_last_good_poll() -> None:
    story = polled()
    assert age(album(story), "fusion", lambda: story.now + timedelta(seconds=5)) == 5
    assert math.isnan(age(album(Story()), "fusion", lambda: story.now))
