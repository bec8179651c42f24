import json
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from ingest.exchange import Exchange
from ingest.explain import Moment, explain
from tests.ingest.samples import BROKER, market_buy, request


def answered(exchange: Exchange, said: Any, seconds: float = 0.1) -> list[Moment]:
    """A request and its reply, as a recording holds them."""
    at = exchange.asked + timedelta(seconds=seconds)
    reply = replace(exchange, status=200, answer=json.dumps(said).encode(), answered=at)
    return [(exchange.asked, exchange), (at, reply)]


def told(*moments: list[Moment]) -> list[str]:
    return list(explain([m for some in moments for m in some], [BROKER]))


def test_a_call_is_told_with_the_fact_that_it_gives() -> None:
    form = {"instrument": "EURUSD", "qty": "0.1", "side": "buy", "type": "market", "stopLoss": "1.08"}
    lines = told(answered(request("POST", "/accounts/10001/orders", form), {"s": "ok", "d": {"orderId": "77"}}))
    assert lines[0] == "09:30:00.000000 demo: POST /accounts/10001/orders …"
    assert lines[1] == "09:30:00.100000 demo: POST /accounts/10001/orders -> 200"
    assert lines[2] == "    order.placed EURUSD order 77: buy 0.1, position o77 0 -> 0.1, SL 1.08, no TP, no trailing"


def test_a_call_without_a_fact_is_told_with_the_reason() -> None:
    lines = told(answered(market_buy(), {"s": "error", "errmsg": "Not enough money"}))
    assert lines[2:] == ["    refused: Not enough money"]


def test_what_is_not_about_one_account_is_told_too() -> None:
    lines = told(answered(request("GET", "/novelty"), {}))
    assert lines == ["09:30:00.100000 demo: GET /novelty -> 200", "    unknown: GET /novelty"]


def test_other_hosts_are_only_counted() -> None:
    lines = told([(m, replace(e, host="elsewhere.example")) for m, e in answered(market_buy(), {})])
    assert lines == ["2 requests, replies and messages belong to no configured source; hosts count exactly as written"]


def test_a_recording_is_told_in_the_order_of_its_moments() -> None:
    first, second = market_buy("f1", 0), market_buy("f2", 1)
    lines = told(
        answered(second, {"s": "ok", "d": {"orderId": "2"}}), answered(first, {"s": "ok", "d": {"orderId": "1"}})
    )
    assert [line.split(" order ")[1][:1] for line in lines if " order " in line] == ["1", "2"]
