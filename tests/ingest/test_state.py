"""A picture survives on disk, and what is coming is only what will surely fill."""

from decimal import Decimal

import msgspec
import pytest

from ingest.state import OrderState, Picture, PositionState
from shared.facts import OrderType
from tests.ingest.story import START, Story, bracket, order, position

D = Decimal


def test_a_picture_is_the_same_after_a_restart() -> None:
    story = Story()
    story.orders()
    story.place("1", stopLoss="1.08")
    story.orders(order("1", "filled"), bracket("s", 1.08, "SL", "1", parentType="order"))
    story.positions(position("55"), position("x", 0.4))
    story.place("2", type="limit", limitPrice="1.01")
    story.hear(story.exchange("DELETE", "/accounts/10001/positions/55", {}, status=None, left=0))
    kept = msgspec.json.encode(story.picture)
    assert msgspec.json.decode(kept, type=Picture) == story.picture
    assert story.picture.open


@pytest.mark.parametrize(
    ("kind", "live", "coming"), [("market", True, "-0.7"), ("limit", True, "0"), ("market", False, "0")]
)
def test_only_the_rest_of_a_living_market_order_is_coming(kind: OrderType, live: bool, coming: str) -> None:
    found = OrderState(
        id="1",
        source_id="1",
        instrument="X",
        side="sell",
        type=kind,
        quantity=D(1),
        filled=D("0.3"),
        position="p",
        since=START,
        live=live,
    )
    assert found.coming == D(coming)


def test_the_total_of_a_position_counts_what_opens_and_what_closes() -> None:
    found = PositionState(key="p", instrument="X", since=START, held=D("1.0"), opening=D("0.5"), closing=D("-0.50"))
    assert found.total == 1
    assert (str(found.amount.held), str(found.amount.coming)) == ("1", "0")
