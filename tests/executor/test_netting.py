"""Bringing our part down to a target, on both kinds of account."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from executor.book import Book, Link, Margin, Part
from executor.netting import alone, crosses, foreign, left, reducing, uncovered
from executor.owing import renamed
from executor.steps import Close, Open, Reduce
from tests.executor import accounts
from tests.executor.accounts import EURUSD, holding

D = Decimal


def link(*volumes: str, name: str = "k") -> Link:
    """A link with a part per volume; a negative one is a sell. Parts have the tickets 1, 2, …"""
    parts = tuple(
        Part(ticket=i, identifier=i, volume=abs(D(v)), side="buy" if D(v) > 0 else "sell")
        for i, v in enumerate(volumes, 1)
    )
    return Link(key=name, instrument="EURUSD", symbol="EURUSD", parts=parts)


def shown(*volumes: str, margin: Margin = "hedging", links: tuple[Link, ...] = ()) -> Book:
    """A book whose terminal shows these positions (tickets 1, 2, …)."""
    held = {i: holding(i, "buy" if D(v) > 0 else "sell", str(abs(D(v)))) for i, v in enumerate(volumes, 1)}
    return replace(accounts.book(margin, links=links), holdings=held)


def asked(has: Link, target: str, book: Book) -> list[tuple[str, Decimal]]:
    return [(s.name, s.volume) for s in reducing(has, D(target), book)]


@pytest.mark.parametrize(
    ("parts", "target", "steps"),
    [
        (("1",), "0", [("close:1", D(1))]),
        (("1",), "0.6", [("reduce:1", D("0.4"))]),
        (("1",), "0.655", [("reduce:1", D("0.34"))]),
        (("1",), "1", []),
        (("1",), "2", []),
        (("0.5", "0.5"), "0.7", [("reduce:1", D("0.3"))]),
        (("0.5", "0.5"), "0.3", [("close:1", D("0.5")), ("reduce:2", D("0.2"))]),
        (("0.5", "0.5"), "0", [("close:1", D("0.5")), ("close:2", D("0.5"))]),
        (("-1",), "-0.4", [("reduce:1", D("0.6"))]),
        (("1",), "-1", [("close:1", D(1))]),
        (("1", "-0.5"), "0.5", [("reduce:1", D("0.5")), ("close:2", D("0.5"))]),
        (("1", "-0.5"), "0", [("close:1", D(1)), ("close:2", D("0.5"))]),
        (("0.01",), "0.005", []),
        (("0.3",), "0.2000000000000000001", [("reduce:1", D("0.1"))]),
    ],
)
def test_a_hedging_account_closes_the_oldest_first(
    parts: tuple[str, ...], target: str, steps: list[tuple[str, Decimal]]
) -> None:
    assert asked(link(*parts), target, shown(*parts)) == steps


def test_names_do_not_depend_on_what_the_terminal_shows() -> None:
    has = link("0.5", "0.5")
    assert asked(has, "0.2", shown("0.5", "0.5")) == asked(has, "0.2", shown())


def test_a_reduce_keeps_what_must_remain_whatever_happened_before() -> None:
    (step,) = reducing(link("1"), D("0.6"), shown("1"))
    assert isinstance(step, Reduce)
    assert step.floor == D("0.6")


def test_what_remains_can_still_be_closed() -> None:
    rules = replace(EURUSD, volume_min=D("0.1"))
    book = replace(shown("0.25"), specifications={"EURUSD": rules})
    assert asked(link("0.25"), "0.05", book) == [("reduce:1", D("0.15"))]
    assert asked(link("0.15"), "0.07", book) == []


def test_an_exit_without_known_rules_still_goes() -> None:
    book = replace(shown("1"), specifications={})
    assert asked(link("1"), "0", book) == [("close:1", D(1))]
    assert asked(link("1"), "0.5", book) == [("reduce:1", D("0.5"))]


def test_a_position_is_named_by_the_ticket_it_has_now() -> None:
    book = replace(accounts.book(), holdings={7: holding(7, identifier=1)})
    (step,) = reducing(link("1"), D(0), book)
    assert isinstance(step, Close)
    assert (step.name, step.ticket) == ("close:1", 7)


def netting(position: str, *links: Link) -> Book:
    return shown(position, margin="netting", links=links)


def test_a_netting_account_gives_no_more_than_ours_and_keeps_foreign_volume() -> None:
    has = link("1")
    (step,) = reducing(has, D(0), netting("3", has))
    assert isinstance(step, Reduce)
    assert (step.name, step.volume, step.floor) == ("reduce", D(1), D(2))
    assert foreign(has, netting("3", has)) == 2


def test_a_netting_account_never_goes_through_zero() -> None:
    has = link("1")
    (step,) = reducing(has, D(0), netting("0.4", has))
    assert isinstance(step, Reduce)
    assert step.floor == 0


def test_a_repeat_after_the_reduction_finds_nothing_to_take() -> None:
    has = link("1")
    (step,) = reducing(has, D("0.4"), netting("0.4", has))
    assert isinstance(step, Reduce)
    assert step.floor == D("0.4")


def test_closing_one_of_two_links_that_stand_against_each_other_crosses_zero_by_an_opening() -> None:
    buy, sell = link("1", name="a"), link("-0.4", name="b")
    steps = reducing(buy, D(0), netting("0.6", buy, sell))
    assert [(s.name, s.volume) for s in steps] == [("reduce", D("0.6")), ("cross", D("0.4"))]
    assert isinstance(steps[1], Open)
    assert steps[1].side == "sell"
    assert left(buy, steps) == 0


def test_an_exit_of_which_a_piece_would_be_too_small_crosses_zero_in_one_order() -> None:
    """The broker takes no order below 0.1, so the 0.05 down to zero could not be sent by itself."""
    buy, sell = link("0.15", name="a"), link("-0.1", name="b")
    book = netting("0.05", buy, sell)
    assert asked(buy, "0", book) == [("reduce", D("0.05")), ("cross", D("0.1"))]
    rules = replace(EURUSD, volume_min=D("0.1"))
    assert asked(buy, "0", replace(book, specifications={"EURUSD": rules})) == [("cross", D("0.15"))]


def test_an_exit_past_zero_respects_the_largest_order_too() -> None:
    buy, sell = link("100", "100", name="a"), link("-100", "-100", name="b")
    steps = reducing(buy, D(0), replace(netting("1", buy, sell), holdings={}))
    assert [(s.name, s.volume) for s in steps] == [("cross", D(100)), ("cross:2", D(100))]
    assert all(crosses(step) for step in (*steps, *renamed(steps, 3)))


@pytest.mark.parametrize(
    ("position", "links", "lots"),
    [
        ("1", ("1",), "1"),
        ("3", ("1",), "3"),
        ("-3", ("1",), "4"),
        ("", ("1", "-1"), "1"),
        ("", ("2", "1", "-3"), "3"),
        ("-1", ("2", "-3"), "3"),
        ("0.5", ("2", "-1"), "1.5"),
    ],
)
def test_how_far_exits_alone_can_bring_a_netting_position(position: str, links: tuple[str, ...], lots: str) -> None:
    """Somebody else's volume in it stays: with 3 sold and 1 of ours bought, 4 of theirs are sold without ours."""
    ours = tuple(link(volume, name=str(n)) for n, volume in enumerate(links))
    book = shown(*filter(None, [position]), margin="netting", links=ours)
    assert uncovered("EURUSD", book) == D(lots)


def test_an_exit_on_a_netting_account_respects_the_largest_order() -> None:
    has = link("100", "100")
    assert asked(has, "0", netting("200", has)) == [("reduce", D(100)), ("reduce:2", D(100))]
    floors = [s.floor for s in reducing(has, D(0), netting("200", has)) if isinstance(s, Reduce)]
    assert floors == [D(100), D(0)]


def test_levels_are_ours_where_nobody_else_is_in_the_position() -> None:
    has, other = link("1"), link("0.5", name="o")
    assert alone(has, netting("1", has))
    assert not alone(has, netting("1.5", has))
    assert not alone(has, netting("1.5", has, other))
