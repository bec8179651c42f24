"""The vocabulary of calls and polls says which price an order waits at and which ends are ends."""

from decimal import Decimal
from typing import get_args

import pytest

from ingest.calls import ENDINGS, Asked, CancelOrder, OrderRow, Standing, price_of
from shared.facts import OrderType
from tests.ingest.story import START

D = Decimal


@pytest.mark.parametrize(("kind", "price"), [("limit", D(1)), ("stop", D(2)), ("stoplimit", D(1)), ("market", D(1))])
def test_a_stop_waits_at_its_trigger_and_a_limit_at_its_limit(kind: OrderType, price: Decimal) -> None:
    row = OrderRow(
        id="1", instrument="X", side="buy", type=kind, quantity=D(1), standing="live", limit_price=D(1), stop_price=D(2)
    )
    assert price_of(row) == price


def test_every_standing_is_alive_filled_or_an_end() -> None:
    assert set(ENDINGS) == set(get_args(Standing)) - {"live", "filled"}


def test_a_request_is_about_the_account_of_its_call() -> None:
    assert Asked(call=CancelOrder(account="7", flow="f", asked=START, order_id="1")).account == "7"
