"""A step is found again by its mark, and nothing else is taken for it."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor import marks
from executor.marks import Found, Traces
from executor.mt5.api import MAX_MAGIC, OrderState, OrderType
from executor.steps import Open, Reduce, Rest
from tests.executor.records import deal, order, position

OURS = marks.candidates("1@Demo", "fact", "open")
LOTS = Decimal("0.1")
OPEN = Open(name="open", link="l", symbol="EURUSD", side="buy", volume=LOTS)
REST = Rest(name="rest", link="l", order="o", symbol="EURUSD", type="limit", side="buy", volume=LOTS, price=Decimal(1))
REDUCE = Reduce(name="reduce:1", link="l", ticket=1, symbol="EURUSD", side="buy", volume=LOTS, floor=Decimal(0))


def traces(**seen: Any) -> Traces:
    return Traces(**{"positions": (), "orders": (), "history_orders": (), "deals": (), **seen})


@given(st.text(), st.text(), st.text())
def test_every_mark_is_ours_and_safe_in_a_double(identity: str, fact: str, step: str) -> None:
    for mark in marks.candidates(identity, fact, step):
        assert marks.is_ours(mark)
        assert 0 < mark <= MAX_MAGIC


def test_the_marks_of_a_step_are_the_same_each_time_and_four() -> None:
    assert marks.candidates("1@Demo", "fact", "open") == OURS
    assert len(set(OURS)) == marks.SALTS


@pytest.mark.parametrize("other", [("2@Demo", "fact", "open"), ("1@Demo", "fact2", "open"), ("1@Demo", "fact", "rest")])
def test_another_account_fact_or_step_has_other_marks(other: tuple[str, str, str]) -> None:
    assert not set(marks.candidates(*other)) & set(OURS)


@pytest.mark.parametrize("magic", [0, 1, 123456, 2**53, 2**60])
def test_other_numbers_are_not_ours(magic: int) -> None:
    assert not marks.is_ours(magic)


def test_the_first_free_mark_is_chosen() -> None:
    assert marks.choose(OURS, set()) == OURS[0]
    assert marks.choose(OURS, set(OURS[:2])) == OURS[2]
    assert marks.choose(OURS, set(OURS)) is None


@pytest.mark.parametrize("mark", OURS)
def test_an_opening_is_found_in_its_deals_under_any_of_its_marks(mark: int) -> None:
    deals = [
        deal(ticket=9, magic=mark, volume=0.04, price=1.0, order=7, position_id=7),
        deal(ticket=10, magic=mark, volume=0.06, price=2.0, order=7, position_id=7),
    ]

    assert marks.find(OURS, OPEN, traces(deals=deals)) == Found(
        state="filled", ticket=7, identifier=7, deal=9, volume=LOTS, price=Decimal("1.6"), mark=mark
    )


def test_of_an_opening_that_was_done_twice_the_first_one_is_found() -> None:
    twice = [
        deal(ticket=ticket, magic=OURS[0], volume=0.1, order=order, position_id=order)
        for ticket, order in ((9, 7), (10, 8))
    ]
    found = marks.find(OURS, OPEN, traces(deals=twice))
    assert found is not None
    assert (found.identifier, found.volume) == (7, Decimal("0.1"))


def test_what_a_part_close_took_twice_counts_whole() -> None:
    twice = [deal(ticket=t, magic=OURS[0], type=1, entry=1, volume=0.1, order=t) for t in (9, 10)]
    found = marks.find(OURS, REDUCE, traces(deals=twice))
    assert found is not None
    assert found.volume == Decimal("0.2")


def test_an_opening_is_found_by_its_position_while_the_history_lags() -> None:
    found = marks.find(OURS, OPEN, traces(positions=[position(magic=OURS[1], identifier=5, volume=0.1)]))

    assert found is not None
    assert (found.state, found.identifier, found.volume) == ("filled", 5, LOTS)


def test_an_order_that_still_works_is_told_from_one_that_filled() -> None:
    working = order(magic=OURS[0], ticket=5, state=OrderState.PLACED, type=OrderType.BUY_LIMIT)

    found = marks.find(OURS, REST, traces(orders=[working]))

    assert found is not None
    assert (found.state, found.ticket, found.volume) == ("working", 5, Decimal(0))


def test_an_order_that_ended_without_a_fill_is_no_effect() -> None:
    ended = order(magic=OURS[0], state=OrderState.REJECTED)

    found = marks.find(OURS, OPEN, traces(history_orders=[ended]))

    assert found is not None
    assert (found.state, found.volume) == ("ended", Decimal(0))


def test_a_part_close_is_found_by_the_opposite_deal() -> None:
    assert marks.find(OURS, REDUCE, traces(deals=[deal(magic=OURS[0], type=1, entry=1)])) is not None


STRANGERS = {
    "another mark": traces(deals=[deal(magic=OURS[0] + 1)]),
    "another symbol": traces(deals=[deal(magic=OURS[0], symbol="GBPUSD")]),
    "the other side": traces(deals=[deal(magic=OURS[0], type=1)]),
    "no mark at all": traces(positions=[position()], orders=[order()], deals=[deal()]),
}


@pytest.mark.parametrize("seen", STRANGERS.values(), ids=STRANGERS)
def test_is_not_taken_for_the_step(seen: Traces) -> None:
    assert marks.find(OURS, OPEN, seen) is None


def test_a_position_is_not_taken_for_the_part_close_that_bears_its_mark() -> None:
    assert marks.find(OURS, REDUCE, traces(positions=[position(magic=OURS[0], type=1)])) is None
