"""What the page's JSON may ask for."""

from decimal import Decimal as D
from typing import Any

import pytest

from deploy.demo import paperforms
from deploy.demo.forms import Refusal
from deploy.demo.paperrules import PaperRules

BUY = {"symbol": "OANDA:EURUSD", "type": "market", "qty": 1000, "side": "buy"}


def test_an_order_is_what_the_json_says() -> None:
    body = BUY | {"type": "stop", "price": 1.09, "sl": 1.087, "tp": None, "expiration": 1753620560, "qty": 0.5}
    order = paperforms.order(body, PaperRules(), 7)
    assert (order.id, order.price, order.stop_loss, order.take_profit, order.expires, order.qty) == (
        7, D("1.09"), D("1.087"), None, 1753620560, D("0.5"),
    )  # fmt: skip
    assert (order.status, order.symbol_type) == ("working", "forex")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"symbol": "EURUSD"}, "no symbol"),
        ({"type": "stoplimit"}, "type"),
        ({"side": "long"}, "side"),
        ({"qty": "1000"}, "number"),
        ({"qty": True}, "number"),
        ({"qty": 0}, "number"),
        ({"qty": float("nan")}, "number"),
        ({"qty": None}, "qty is missing"),
        ({"type": "limit"}, "price is missing"),
        ({"qty": 2_000_000}, "buying power"),
        ({"sl": -1}, "sl must"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(Refusal, match=told):
        paperforms.order(BUY | wrong, PaperRules(), 7)


def test_a_level_that_is_null_is_not_one_that_is_absent() -> None:
    assert paperforms.levels({"sl": None, "symbol": "x"}) == {"sl": None}
    assert paperforms.levels({"tp": 1.5}) == {"tp": D("1.5")}


@pytest.mark.parametrize("wrong", ["7", None, True, 7.0])
def test_an_order_is_named_by_a_number(wrong: object) -> None:
    with pytest.raises(Refusal, match="number"):
        paperforms.order_id({"id": wrong})
    assert paperforms.order_id({"id": 7}) == 7
