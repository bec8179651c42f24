"""What an opening's price is compared with, when the source told one and when it did not."""

from datetime import timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

from executor.book import Price
from executor.guards import guard
from executor.netting import CROSS
from executor.reasons import Reason
from executor.reference import KEPT, NEAR, UNTOLD, Compared, instead, remembered, shown_then, told
from executor.settings import Limits
from executor.steps import Close, Open, Step
from executor.translate import Plan, translate
from shared.facts import Quote, Side
from tests.executor import accounts
from tests.executor.accounts import NOW
from tests.executor.sources import Source

D = Decimal
FACT = replace(Source().accepted("o1", "1")[0], price=None, quote=None)
BOOK = accounts.book()
SECOND = timedelta(seconds=1)


def price(bid: str, before: float = 0) -> Price:
    return Price(bid=D(bid), ask=D(bid) + D("0.1"), seen=NOW - timedelta(seconds=before))


def test_what_was_paid_goes_before_what_was_quoted() -> None:
    quoted = replace(FACT, quote=Quote(bid=D(1), ask=D(2)))

    assert told(replace(quoted, price=D(3)), "buy") == D(3)
    assert (told(quoted, "buy"), told(quoted, "sell")) == (D(2), D(1))
    assert told(FACT, "buy") is None


@pytest.mark.parametrize(("side", "cost"), [("buy", "2.1"), ("sell", "2")])
def test_it_is_the_last_price_before_the_fact_was_captured(side: Side, cost: str) -> None:
    prices = (price("1", 3), price("2", 1), price("3", -1))

    assert shown_then(prices, NOW, side) == D(cost)


def test_a_price_of_long_before_or_of_later_says_nothing() -> None:
    assert shown_then((price("1", NEAR.total_seconds() + 1), price("2", -1)), NOW, "buy") is None


def test_prices_are_remembered_for_a_while() -> None:
    prices: tuple[Price, ...] = ()
    for second in range(200):
        prices = remembered(prices, price("1", -second))

    assert len(prices) == KEPT.total_seconds() + 1


@pytest.mark.parametrize(("then", "denied"), [("1.1", None), ("1.05", Reason.PRICE_RAN_AWAY)])
def test_the_guard_compares_with_what_the_account_showed_then(then: str, denied: Reason | None) -> None:
    step = Open(name="open", link="k", symbol="EURUSD", side="sell", volume=D("0.1"))
    book = replace(BOOK, earlier={"EURUSD": (price(then),)})

    found = guard(step, FACT, book, Limits(), NOW + SECOND, ())

    assert (found and found.reason) == denied
    assert guard(step, FACT, BOOK, Limits(), NOW + SECOND, ()) is None


OPEN = Open(name="open", link="k", symbol="EURUSD", side="sell", volume=D("0.1"))
CLOSE = Close(name="close:1", link="k", ticket=1, symbol="EURUSD", side="sell", volume=D("0.1"))


@pytest.mark.parametrize(
    ("step", "shown", "compared"),
    [
        (OPEN, "1.1", "account"),
        (OPEN, None, "none"),
        (replace(OPEN, reference=D("1.1")), "1.1", None),
        (replace(OPEN, name=CROSS), "1.1", None),
        (CLOSE, "1.1", None),
    ],
    ids=["own price", "nothing", "the source's", "an exit past zero", "an exit"],
)
def test_what_an_opening_is_compared_with_where_the_source_told_no_price_is_known(
    step: Step, shown: str | None, compared: Compared | None
) -> None:
    book = replace(BOOK, earlier={"EURUSD": (price(shown),)} if shown else {})

    assert instead(step, FACT, book) == compared
    assert instead(step, None, book) is None, "a debt has exits only"


def test_the_outcome_says_that_the_source_told_no_price() -> None:
    plans = [translate(fact, BOOK, accounts.settings()) for fact in (FACT, replace(FACT, price=D("1.1")))]

    assert [isinstance(plan, Plan) and UNTOLD in plan.note for plan in plans] == [True, False]
