"""After a confirmed step the book shows what the terminal will show at its next reading."""

from decimal import Decimal
from typing import Any

import pytest

from executor.book import Book, Figures, Holding, Margin
from executor.effects import applied
from executor.results import Done
from executor.steps import Close, Move, Open, Protect, Reduce, Rest, Step, Withdraw

D = Decimal
HELD = Holding(ticket=1, identifier=1, symbol="EURUSD", side="buy", volume=D("0.3"), price=D("1.1"))


def book(margin: Margin = "hedging", *holdings: Holding) -> Book:
    figures = Figures(currency="USD", balance=D(1), equity=D(1), margin_free=D(1))
    return Book(
        account="a",
        identity="1@Demo",
        margin=margin,
        figures=figures,
        specifications={},
        prices={},
        holdings={h.ticket: h for h in holdings},
        restings={},
        links={},
    )


def opening(side: Any = "buy", volume: str = "0.1") -> Open:
    return Open(name="open", link="l", symbol="EURUSD", side=side, volume=D(volume), stop_loss=D(1))


def volumes(after: Book) -> list[tuple[int, str, Decimal]]:
    return [(h.ticket, h.side, h.volume) for h in after.holdings.values()]


NETTED = {
    "more of the same": (opening("buy"), [(1, "buy", D("0.4"))]),
    "less": (opening("sell"), [(1, "buy", D("0.2"))]),
    "through zero": (opening("sell", "0.5"), [(1, "sell", D("0.2"))]),
}


@pytest.mark.parametrize(("step", "expected"), NETTED.values(), ids=NETTED)
def test_on_a_netting_account_an_opening_changes_the_one_position(
    step: Open, expected: list[tuple[int, str, Decimal]]
) -> None:
    done = Done(ticket=9, identifier=1, volume=step.volume)

    assert volumes(applied(book("netting", HELD), step, done)) == expected


def test_on_a_hedging_account_an_opening_is_a_position_of_its_own() -> None:
    after = applied(book("hedging", HELD), opening(), Done(ticket=9, identifier=9, volume=D("0.1"), mark=7))

    assert volumes(after) == [(1, "buy", D("0.3")), (9, "buy", D("0.1"))]
    assert (after.holdings[9].stop_loss, after.holdings[9].magic) == (D(1), 7)


REDUCED = {
    "a part": ("0.1", [(1, "buy", D("0.2"))]),
    "all of it": ("0.3", []),
}


@pytest.mark.parametrize(("volume", "expected"), REDUCED.values(), ids=REDUCED)
def test_a_reduction_takes_what_was_really_closed(volume: str, expected: list[tuple[int, str, Decimal]]) -> None:
    step = Reduce(name="r", link="l", ticket=1, symbol="EURUSD", side="buy", volume=D("0.3"), floor=D(0))

    assert volumes(applied(book("hedging", HELD), step, Done(volume=D(volume)))) == expected


def test_a_close_leaves_nothing() -> None:
    step = Close(name="c", link="l", ticket=1, symbol="EURUSD", side="buy", volume=D("0.3"))

    assert volumes(applied(book("hedging", HELD), step, Done(volume=D("0.3")))) == []


def test_levels_are_both_as_they_were_stated() -> None:
    step = Protect(name="p", link="l", ticket=1, symbol="EURUSD", stop_loss=None, take_profit=D(2))

    after = applied(book("hedging", HELD), step, Done())

    assert (after.holdings[1].stop_loss, after.holdings[1].take_profit) == (None, D(2))


def test_a_resting_order_is_placed_moved_and_removed() -> None:
    rest = Rest(name="r", link="l", order="o", symbol="EURUSD", type="limit", side="buy", volume=D(1), price=D(1))
    placed = applied(book(), rest, Done(ticket=5))
    assert placed.restings[5].price == D(1)

    move = Move(name="m", link="l", order="o", ticket=5, symbol="EURUSD", price=D("0.9"), take_profit=D(2))
    moved = applied(placed, move, Done())
    assert (moved.restings[5].price, moved.restings[5].take_profit) == (D("0.9"), D(2))

    removed = applied(moved, Withdraw(name="w", link="l", order="o", ticket=5, symbol="EURUSD"), Done())
    assert removed.restings == {}


GONE: list[Step] = [
    Protect(name="p", link="l", ticket=8, symbol="EURUSD", stop_loss=None, take_profit=None),
    Move(name="m", link="l", order="o", ticket=8, symbol="EURUSD", price=D(1)),
    Reduce(name="r", link="l", ticket=8, symbol="EURUSD", side="buy", volume=D(1), floor=D(0)),
    Close(name="c", link="l", ticket=8, symbol="EURUSD", side="buy", volume=D(1)),
    Withdraw(name="w", link="l", order="o", ticket=8, symbol="EURUSD"),
]


@pytest.mark.parametrize("step", GONE, ids=lambda s: type(s).__name__)
def test_what_is_not_in_the_book_changes_nothing(step: Step) -> None:
    before = book("hedging", HELD)

    assert applied(before, step, Done(volume=D(1))) == before
