from datetime import timedelta

from ingest.state import OrderState, Picture
from ingest.times import not_after
from tests.ingest.story import START, Story, order, position


def full() -> Picture:
    story = Story()
    story.orders()
    story.positions()
    story.place("1", stopLoss="1.07")
    story.orders(order("1", "filled", filledQty=0.1))
    story.positions(position("55"))
    story.hear(story.exchange("DELETE", "/accounts/10001/positions/55", {}, status=None, flow="c"))
    return story.picture


def test_no_time_at_any_depth_is_later() -> None:
    early = START + timedelta(seconds=2)
    found = not_after(full(), early)
    assert set(found.polled.values()) == {early}
    (waiting,) = found.open.values()
    assert waiting.call.asked == early
    assert isinstance(found.orders["1"], OrderState)
    assert found.orders["1"].since == early
    assert found.orders["1"].quantity == full().orders["1"].quantity


def test_what_is_early_enough_stays_the_very_same() -> None:
    picture = full()
    assert not_after(picture, START + timedelta(days=1)) is picture
    found = not_after(picture, START + timedelta(seconds=2))
    assert found.instruments is picture.instruments
