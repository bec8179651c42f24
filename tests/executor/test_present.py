"""What an account opens now of what the source holds: its present size and levels, and never more than is missing."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from msgspec.structs import replace

from executor import present
from executor.book import Link, Part
from executor.guards import guard
from executor.present import Present
from executor.reasons import Ignored, Reason
from executor.settings import Limits, Sizing
from executor.steps import Move, Open, Protect, Rest
from executor.translate import Ignore
from shared.facts import Fact, Levels, OrderPlaced, Quote
from tests.executor.accounts import NOW, PerfectAccount, book, settings
from tests.executor.sources import Source, key

D = Decimal
LATER = NOW + timedelta(hours=3)
O1 = key("o1")


def opened(plan: Present | Ignore) -> list[tuple[str, Decimal]]:
    assert isinstance(plan, Present), plan
    return [(s.side, s.volume) for s in plan.plan.steps if isinstance(s, Open)]


def held(*facts: list[Fact]) -> Fact:
    """The newest fact of what a source did."""
    return [fact for some_facts in facts for fact in some_facts][-1]


def test_a_position_of_which_nothing_is_ours_is_opened_whole_as_it_is_now() -> None:
    source = Source()
    newest = held(source.market("o1", "1", Levels(stop_loss=D("1.05"))), source.close("o1", "0.4"))
    plan = present.position(newest, book(), settings(), LATER, told=None)
    assert opened(plan) == [("buy", D("0.60"))]
    assert isinstance(plan, Present)
    assert (plan.plan.link.followed, plan.plan.link.revision) == (D("0.6"), newest.exposure.revision)


def test_levels_are_those_of_now_and_where_nothing_is_said_those_that_were_told() -> None:
    source = Source()
    told = source.market("o1", "1", Levels(stop_loss=D("1.05"), take_profit=D("1.3")))[0]
    newest = source.levels("o1", Levels(take_profit=D("1.25")))[0]
    plan = present.position(newest, book(), settings(), LATER, told)
    assert isinstance(plan, Present)
    (step,) = plan.plan.steps
    assert isinstance(step, Open)
    assert (step.stop_loss, step.take_profit) == (D("1.05000"), D("1.25000"))
    assert plan.fact.id == told.id


def test_only_the_age_counts_from_the_asking_and_the_price_from_the_source() -> None:
    newest = replace(held(Source().market("o1", "1")), price=D("1.0"), captured=NOW - timedelta(days=2))
    plan = present.position(newest, book(), settings(), LATER)
    assert isinstance(plan, Present)
    (step,) = plan.plan.steps
    limits, now = Limits(), {name: replace(price, seen=LATER) for name, price in book().prices.items()}
    assert plan.fact.captured == LATER
    refused = guard(step, plan.fact, replace(book(), prices=now), limits, LATER, ())
    assert refused is not None
    assert refused.reason is Reason.PRICE_RAN_AWAY
    late = guard(step, plan.fact, book(), limits, LATER + timedelta(seconds=11), ())
    assert late is not None
    assert late.reason is Reason.TOO_OLD


def test_the_price_of_an_earlier_fact_counts_where_the_newest_has_none() -> None:
    source = Source()
    told = replace(source.market("o1", "1")[0], price=None, quote=Quote(bid=D("1.09"), ask=D("1.091")))
    newest = replace(source.levels("o1", Levels(stop_loss=D(1)))[0], price=None, quote=None)
    plan = present.position(newest, book(), settings(), LATER, told)
    assert isinstance(plan, Present)
    assert [s.reference for s in plan.plan.steps if isinstance(s, Open)] == [D("1.091")]


ABSENT: list[tuple[str, Any]] = [
    ("it is not in the picture", lambda source: None),
    ("it is closed", lambda source: source.close("o1")[-1]),
]


@pytest.mark.parametrize("newest", [row[1] for row in ABSENT], ids=[row[0] for row in ABSENT])
def test_what_the_source_shows_no_more_is_not_opened(newest: Any) -> None:
    source = Source()
    told = source.market("o1", "1")[0]
    plan = present.position(newest(source), book(), settings(), LATER, told)
    assert isinstance(plan, Ignore)
    assert plan.reason is Ignored.NOT_SHOWN


def test_what_has_turned_since_is_another_position() -> None:
    source = Source("netting")
    told = source.market("o1", "1")[0]
    newest = held(source.market("o1", "-3"))
    plan = present.position(newest, book(), settings(), LATER, told)
    assert isinstance(plan, Ignore)
    assert plan.reason is Ignored.NOT_SHOWN
    assert opened(present.position(newest, book(), settings(), LATER)) == [("sell", D("2.00"))]


def test_what_was_closed_by_hand_stays_closed_and_an_old_picture_says_nothing() -> None:
    newest = held(Source().market("o1", "1"))
    link = Link(key=O1, instrument="EURUSD", symbol="EURUSD", revision=1, followed=D(1))
    closed = book(links=[replace(link, tombstone=True)])
    ahead = book(links=[replace(link, revision=9)])
    for there, reason in ((closed, Ignored.CLOSED_HERE), (ahead, Ignored.SUPERSEDED)):
        plan = present.position(newest, there, settings(), LATER)
        assert isinstance(plan, Ignore)
        assert plan.reason is reason


def with_part(volume: str, followed: str, remainder: str = "0") -> Link:
    part = Part(ticket=7, identifier=7, volume=D(volume), side="buy")
    return Link(
        key=O1, instrument="EURUSD", symbol="EURUSD", revision=1, followed=D(followed), parts=(part,),
        remainder=D(remainder),
    )  # fmt: skip


def test_of_a_position_that_is_ours_in_part_the_rest_is_opened() -> None:
    source = Source()
    newest = held(source.market("o1", "1"), source.market("o1", "1"))
    there = book(links=[with_part("1", "2")])
    assert opened(present.position(newest, there, settings(), LATER)) == [("buy", D("1.00"))]


def test_where_each_opening_has_its_own_size_what_is_there_is_its_size() -> None:
    newest = held((s := Source()).market("o1", "1"), s.market("o1", "1"))
    fixed = settings(sizing=Sizing(mode="fixed", lots=D("0.5")))
    plan = present.position(newest, book(links=[with_part("0.5", "2")]), fixed, LATER)
    assert isinstance(plan, Ignore)
    assert plan.reason is Ignored.ALREADY_THERE
    assert opened(present.position(newest, book(), fixed, LATER)) == [("buy", D("0.50"))]


def test_levels_that_are_new_are_set_on_what_is_there_too() -> None:
    source = Source()
    newest = held(source.market("o1", "1"), source.market("o1", "1"), source.levels("o1", Levels(stop_loss=D("1.02"))))
    plan = present.position(newest, book(links=[with_part("1", "2")]), settings(), LATER)
    assert isinstance(plan, Present)
    assert [type(s) for s in plan.plan.steps] == [Open, Protect]


@given(
    own=some.integers(0, 300),
    source=some.integers(1, 200),
    remainder=some.integers(-4, 4),
    side=some.sampled_from([1, -1]),
)
def test_it_fills_up_to_the_present_size_and_never_reduces(own: int, source: int, remainder: int, side: int) -> None:
    """Whatever is there: afterwards it is the source's size, or more where there was more before."""
    trader, account = Source(), PerfectAccount(account=settings())
    newest = held(trader.market("o1", D(source) / 100 * side))
    volume = D(own) / 100
    if own:
        part = Part(ticket=7, identifier=7, volume=volume, side="buy" if side > 0 else "sell")
        link = replace(with_part("1", "5"), parts=(part,), remainder=D(remainder) / 1000 * side, followed=D(5 * side))
        account.book = replace(account.book, links={O1: link})
    plan = present.position(newest, account.book, settings(), LATER)
    steps = plan.plan.steps if isinstance(plan, Present) else ()
    assert all(isinstance(step, Open) for step in steps)
    after = volume + sum((s.volume for s in steps if isinstance(s, Open)), D(0))
    assert abs(after - max(volume, D(source) / 100)) < D("0.01")


def test_a_resting_order_is_placed_for_what_it_has_still_to_fill() -> None:
    source = Source()
    newest = source.rest("o1", "L", "1")[0]
    assert isinstance(newest, OrderPlaced)
    filled = replace(newest, order=replace(newest.order, filled=D("0.3")))
    plan = present.order(filled, book(), settings(), LATER)
    assert isinstance(plan, Present)
    (step,) = plan.plan.steps
    assert isinstance(step, Rest)
    assert (step.volume, step.order, plan.fact.captured) == (D("0.70"), "L", LATER)


def test_an_order_that_rests_here_already_is_brought_up_to_date() -> None:
    source, account = Source(), PerfectAccount()
    account.follow(source.rest("o1", "L", "1")[0])
    moved = source.move("o1", "L", "1.01")[0]
    plan = present.order(moved, account.book, settings(), LATER)
    assert isinstance(plan, Present)
    assert [(type(s), s.price) for s in plan.plan.steps if isinstance(s, Move)] == [(Move, D("1.01000"))]


@pytest.mark.parametrize("gone", ["nothing", "ended", "filled", "a market order"])
def test_an_order_that_rests_no_more_is_not_placed(gone: str) -> None:
    source = Source()
    placed = source.rest("o1", "L", "1")[0]
    newest: Fact | None = None
    match gone:
        case "ended":
            newest = source.end("o1", "L")[0]
        case "filled":
            newest = source.fill("o1", "L")[0]
        case "a market order":
            newest = source.market("o2", "1")[0]
    plan = present.order(newest, book(), settings(), LATER, placed)
    assert isinstance(plan, Ignore)
    assert plan.reason is Ignored.NOT_SHOWN
