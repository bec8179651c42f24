"""Only the endpoints that trade are calls."""

import pytest

from ingest.rest_calls import Place, is_trading

TRADING = {
    ("POST", "orders", ""),
    ("PUT", "orders", "7"),
    ("DELETE", "orders", "7"),
    ("PUT", "positions", "7"),
    ("DELETE", "positions", "7"),
}
RESOURCES = ("orders", "positions", "executions", "previewOrder", "trackLatency", "state", "")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"])
@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("item", ["", "7"])
def test_five_endpoints_trade(method: str, resource: str, item: str) -> None:
    assert is_trading(method, Place("10001", resource, item)) == ((method, resource, item) in TRADING)
