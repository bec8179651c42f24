"""Debts change what the totals of later facts are shares of, and what shows up late is brought to the newest total."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from executor.book import Book, Debt, Figures, Holding, Link, Owing, Part
from executor.owing import at_target, brought_up, joined, probe, relieved, renamed, when_paid
from executor.settle import Settled
from executor.steps import Close
from executor.translate import Plan
from shared.facts import Fact
from tests.executor.rig import account
from tests.shared.samples import amount, exposure, placed

D = Decimal
NOW = datetime(2026, 11, 25, tzinfo=UTC)
KEY = "demo/10001/o1"
FACT: Fact = placed()


def part(number: int, volume: str) -> Part:
    return Part(ticket=number, identifier=number, volume=D(volume), side="buy")


def link(*parts: Part, followed: str = "0.1", revision: int = 1) -> Link:
    return Link(
        key=KEY, instrument="EURUSD", symbol="EURUSD", revision=revision, followed=D(followed), parts=tuple(parts)
    )


def debt(target: str = "0") -> Debt:
    return Debt(link=KEY, fact="f", entry="1-1", target=D(target), since=NOW, captured=NOW)


def book(held: Link | None, *parts: Part) -> Book:
    holdings = {
        p.ticket: Holding(
            ticket=p.ticket, identifier=p.identifier, symbol="EURUSD", side=p.side, volume=p.volume, price=D(1)
        )
        for p in parts
    }
    figures = Figures(currency="USD", balance=D(1), equity=D(1), margin_free=D(1))
    return Book(
        account="a", identity="1@Demo", margin="hedging", figures=figures, specifications={}, prices={},
        holdings=holdings, restings={}, links={KEY: held} if held else {},
    )  # fmt: skip


@given(st.lists(st.decimals("0.01", "5", places=2), min_size=1, max_size=5), st.decimals(0, 10, places=2))
def test_a_paid_debt_leaves_its_target_or_all_there_is_if_that_is_less(volumes: list[Decimal], target: Decimal) -> None:
    before = link(*(part(n, str(v)) for n, v in enumerate(volumes)))

    assert at_target(before, target).own == min(before.own, target)


def test_the_oldest_parts_go_first() -> None:
    assert at_target(link(part(1, "0.1"), part(2, "0.2")), D("0.15")).parts == (part(2, "0.15"),)


def test_only_links_that_owe_are_seen_as_paid() -> None:
    before = book(link(part(1, "0.1")))

    assert when_paid(before, {}) is before
    assert when_paid(before, {KEY: debt("0.04")}).links[KEY].own == D("0.04")


def test_a_later_exit_moves_the_target_and_waits_with_the_first() -> None:
    moved = joined(debt("0.5"), D("0.2"), FACT, "2-2")

    assert moved.target == D("0.2")
    assert [o.fact for o in moved.owing] == ["f", FACT.id]


def test_later_tries_have_other_names() -> None:
    step = Close(name="close:1", link=KEY, ticket=1, symbol="EURUSD", side="buy", volume=D(1))

    assert [s.name for s in renamed([step], 0)] == ["close:1"]
    assert [s.name for s in renamed([step], 2)] == ["close:1/2"]


GROWS: dict[str, tuple[Any, Any, str | None]] = {
    "one that opens": (amount(), amount("0.1"), "buy"),
    "one that adds to a short": (amount("-0.1"), amount("-0.2"), "sell"),
    "one that reverses into more": (amount("0.1"), amount("-0.2"), "sell"),
    "one that reduces, with facts missing before it": (amount("0.2"), amount("0.1"), "buy"),
    "one that closes": (amount("0.2"), amount(), None),
}


@pytest.mark.parametrize(("before", "after", "side"), GROWS.values(), ids=GROWS)
def test_what_could_have_opened_is_probed(before: Any, after: Any, side: str | None) -> None:
    plan = probe(placed(exposure=exposure(before, after)), "EURUSD", account())

    assert (plan.steps[0].side if plan else None) == side  # type: ignore[union-attr]


def settled(*parts: Part) -> tuple[Plan, Settled]:
    planned = link(followed="0.1", revision=1)
    return Plan(link=planned), Settled(link=link(*parts, followed="0.1"), debt=None, result="filled")


def test_what_shows_up_in_time_is_settled_as_it_is() -> None:
    plan, found = settled(part(1, "0.1"))

    assert brought_up(FACT, D(0), plan, found, book(None), None, NOW) is found


LATE: dict[str, tuple[str, Decimal | None]] = {
    "closed meanwhile": ("0", D(0)),
    "halved meanwhile": ("0.05", D("0.05")),
    "grown meanwhile": ("0.3", None),
    "reversed meanwhile": ("-0.1", D(0)),
}


@pytest.mark.parametrize(("followed", "target"), LATE.values(), ids=LATE)
def test_what_shows_up_late_is_brought_to_the_newest_total(followed: str, target: Decimal | None) -> None:
    plan, found = settled(part(1, "0.1"))
    newest = link(followed=followed, revision=2)

    after = brought_up(FACT, D(0), plan, found, book(newest, part(1, "0.1")), None, NOW)

    assert after.link is not None
    assert (after.link.revision, after.link.parts) == (2, (part(1, "0.1"),))
    assert (after.debt.target if after.debt else None) == target
    assert after.result == ("filled" if target is None else None)


def test_of_a_late_increase_only_what_the_newest_total_still_has_of_it_is_kept() -> None:
    """0.2 became 0.4 unseen, then 0.1: nothing of the increase is left, and half of what was there before."""
    planned = link(part(1, "0.2"), followed="0.4", revision=2)
    found = Settled(link=link(part(1, "0.2"), part(2, "0.2"), followed="0.4", revision=2), debt=None, result="filled")
    newest = link(part(1, "0.1"), followed="0.1", revision=3)

    after = brought_up(
        FACT, D("0.2"), Plan(link=planned), found, book(newest, part(1, "0.1"), part(2, "0.2")), None, NOW
    )

    assert after.debt is not None
    assert after.debt.target == D("0.1")


def test_what_a_reducing_fact_opened_by_its_total_is_brought_to_the_newest_one() -> None:
    """0.4 was never seen, 0.2 was opened and not answered, and then 0.1 came."""
    planned = link(followed="0.2", revision=2)
    found = Settled(link=link(part(1, "0.2"), followed="0.2", revision=2), debt=None, result="filled")
    newest = link(followed="0.1", revision=3)

    after = brought_up(FACT, D("0.4"), Plan(link=planned), found, book(newest, part(1, "0.2")), None, NOW)

    assert after.debt is not None
    assert after.debt.target == D("0.1")


def test_on_a_netting_account_the_position_is_seen_as_paid_too() -> None:
    """Or what is still owed would look like volume of somebody else."""
    before = replace(book(link(part(1, "0.3")), part(1, "0.5")), margin="netting")

    after = when_paid(before, {KEY: debt("0.1")})

    assert (after.links[KEY].own, after.holdings[1].volume) == (D("0.1"), D("0.3"))
    flat = when_paid(replace(before, holdings={}), {KEY: debt("0.1")}).holdings[1]
    assert (flat.side, flat.volume) == ("sell", D("0.2"))


def test_a_fact_that_comes_again_waits_for_a_debt_once() -> None:
    """It has one outcome."""
    once = joined(debt("0.5"), D("0.2"), FACT, "2-2")

    assert joined(once, D("0.2"), FACT, "3-3") == once


@pytest.mark.parametrize(
    ("over", "left"), [([], ["f", "g", "h"]), (["f"], ["g", "h"]), (["g"], ["f", "h"]), (["f", "g", "h"], [])]
)
def test_what_has_its_end_waits_for_a_debt_no_more(over: list[str], left: list[str]) -> None:
    also = tuple(Owing(fact=name, entry="1-2", captured=NOW) for name in ("g", "h"))
    owed = replace(debt(), also=also)
    found = relieved(owed, [each for each in owed.owing if each.fact in over])
    assert [each.fact for each in found.owing] == left
    assert replace(found, fact=owed.fact, also=also) == owed
    assert relieved(found, []) == found
