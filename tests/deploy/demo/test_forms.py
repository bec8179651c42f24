"""Forms as the browser sends them: every value is text, and every one is checked."""

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.demo import forms
from deploy.demo.forms import Brackets, Refusal
from deploy.demo.rules import EURUSD, Price, Rules, Side

KINDS = st.sampled_from(["market", "limit", "stop", "stoplimit", "other", ""])
ODD = st.sampled_from(["0", "1e400", "sNaN", "-0", "Infinity"])
VALUES = st.one_of(st.text(max_size=8), st.decimals().map(str), ODD)
FIELDS = st.sampled_from(["qty", "limitPrice", "stopPrice", "side", "instrument"])


@given(form=st.dictionaries(FIELDS, VALUES), kind=KINDS)
def test_any_form_gives_an_order_that_can_be_traded_or_a_refusal(form: dict[str, str], kind: str) -> None:
    try:
        order = forms.order({"instrument": "EURUSD", "side": "buy", **form, "type": kind}, Rules(), "1", 0)
    except Refusal:
        return
    assert EURUSD.min_qty <= order.qty <= EURUSD.max_qty
    assert all(price is None or (price.is_finite() and price > 0) for price in (order.limit_price, order.stop_price))
    assert (order.limit_price is not None) == ("limit" in order.type)


def test_an_order_takes_everything_the_form_says() -> None:
    form = {
        "instrument": "EURUSD", "qty": "0.1", "side": "sell", "type": "stoplimit", "limitPrice": "1.0905",
        "stopPrice": "1.09", "durationType": "GTD", "durationDateTime": "1753620560",
    }  # fmt: skip
    order = forms.order(form, Rules(), "7", 1.9)
    assert (order.id, order.side, order.qty, order.status, order.last_modified) == ("7", "sell", D("0.1"), "working", 1)
    assert (order.limit_price, order.stop_price) == (D("1.0905"), D("1.09"))
    assert order.duration is not None
    assert (order.duration.type, order.duration.datetime) == ("GTD", 1753620560)


@pytest.mark.parametrize(
    ("side", "stop", "target", "good"),
    [
        ("buy", "1.0", "1.2", True),
        ("buy", "1.1", None, False),
        ("buy", None, "1.1", False),
        ("sell", "1.2", "1.0", True),
        ("sell", "1.0", None, False),
        ("sell", None, "1.2", False),
        ("buy", None, None, True),
    ],
)
def test_levels_must_be_on_the_right_side_of_the_price(
    side: Side, stop: str | None, target: str | None, good: bool
) -> None:
    asked = Brackets(stop_loss=D(stop) if stop else None, take_profit=D(target) if target else None)
    try:
        forms.check_levels(asked, side, D("1.1"))
        assert good
    except Refusal:
        assert not good


@pytest.mark.parametrize(
    ("kind", "more", "price"),
    [
        ("market", {}, "1.2"),
        ("limit", {"limitPrice": "1.1"}, "1.1"),
        ("stop", {"stopPrice": "1.3"}, "1.3"),
    ],
)
def test_an_order_enters_at_its_own_price_or_at_the_markets(kind: str, more: dict[str, str], price: str) -> None:
    form = {"instrument": "EURUSD", "qty": "1", "side": "buy", "type": kind, **more}
    assert forms.entry_price(forms.order(form, Rules(), "1", 0), Price(D("1.19"), D("1.2"))) == D(price)
