"""A change names what has become of a position, and at which price it happened."""

from decimal import Decimal

import pytest

from ingest.calls import CancelOrder
from ingest.changes import Kind, by_call, kind_of, traded_price
from shared.facts import Amount, Quote
from tests.ingest.story import START

D = Decimal


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ((0, 0), (1, 0), "position.opened"),
        ((1, 0), (1, -1), "position.closed"),
        ((1, -1), (0, 0), "position.closed"),
        ((2, 0), (2, -1), "position.changed"),
        ((1, 0), (1, 0), "position.changed"),
        ((1, 0), (1, -2), "position.reversed"),
        ((1, -1), (1, 0), "position.changed"),
        ((0, 0), (0, 0), "position.changed"),
        ((-1, 0), (2, 0), "position.reversed"),
    ],
)
def test_the_kind_follows_from_what_was_and_what_is(
    before: tuple[int, int], after: tuple[int, int], kind: Kind
) -> None:
    was, now = Amount(held=D(before[0]), coming=D(before[1])), Amount(held=D(after[0]), coming=D(after[1]))
    assert kind_of(was, now) == kind


def test_a_buy_trades_at_the_ask_and_a_sell_at_the_bid() -> None:
    call = CancelOrder(account="1", flow="f", asked=START, order_id="1", quote=Quote(bid=D(1), ask=D(2)))
    assert (traded_price(call, "buy"), traded_price(call, "sell")) == (D(2), D(1))
    assert by_call(call).evidence == "call"
