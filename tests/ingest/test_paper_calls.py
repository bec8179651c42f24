"""A body that could not be carried out is no call."""

import json
from decimal import Decimal

import pytest

from ingest.calls import PlaceOrder
from ingest.paper_calls import Place, call_of
from tests.ingest.story import PAPER, Story

D = Decimal
GOOD = {"symbol": "A:B", "type": "market", "qty": 1, "side": "buy"}


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("place", GOOD | {"qty": 0}),
        ("place", GOOD | {"side": "x"}),
        ("place", GOOD | {"type": "limit"}),
        ("place", []),
        ("place", GOOD | {"symbol": ""}),
        ("place", GOOD | {"sl": "x"}),
        ("place", GOOD | {"qty": True}),
        ("place", GOOD | {"type": "stoplimit", "price": 1}),
        ("cancel", {}),
        ("modify", {"id": 1, "price": -1}),
        ("modify", {}),
        ("close_position", {}),
        ("close_position", {"symbol": "A", "qty": 0}),
        ("modify_position", {"sl": 1}),
        ("nothing", GOOD),
    ],
)
def test_bodies_that_are_no_call(action: str, body: object) -> None:
    exchange = Story(PAPER, "1").exchange("POST", f"/trading/{action}/1", json.dumps(body).encode())
    assert call_of(exchange, Place(action, "1")) is None


def test_a_stop_limit_with_both_prices_is_read() -> None:
    body = GOOD | {"type": "stoplimit", "limit_price": 2, "stop_price": 3}
    exchange = Story(PAPER, "1").exchange("POST", "/trading/place/1", json.dumps(body).encode())
    found = call_of(exchange, Place("place", "1"))
    assert isinstance(found, PlaceOrder)
    assert (found.limit_price, found.stop_price) == (D(2), D(3))
