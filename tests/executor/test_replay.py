"""Which facts can be tried again, and what is said about them beforehand."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from msgspec.structs import replace

from executor import again
from executor.book import Book, Link, Part
from executor.replay import (
    Candidate,
    Known,
    Original,
    Wish,
    aged,
    candidates,
    described,
    drifted,
    foreseen,
    worded,
)
from executor.settings import Account, Limits
from executor.states import AccountState
from executor.steps import Close, Move, Protect, Reduce, Withdraw
from shared.facts import Fact, Levels
from shared.outcomes import REPLAYABLE, Outcome, Result
from tests.executor.accounts import NOW, book, holding, settings
from tests.executor.sources import Source, key

D = Decimal
SOURCE = Source()
FACTS = [SOURCE.market(f"o{n}", "1")[0] for n in range(4)]
RESULTS: tuple[Result, ...] = ("filled", "accepted", "closed", "denied", "rejected", "ignored", "dead")


def original(fact: Fact, number: int = 1, **changes: Any) -> Original:
    return Original(**{"fact": fact, "entry": f"{number}-0", "fields": {}, **changes})


def outcome(fact: Fact, result: Result = "denied", attempt: int = 1, reason: str = "too-old") -> Outcome:
    return Outcome(
        fact=fact.id, account="a", result=result, captured=NOW, read=NOW, committed=NOW, attempt=attempt, reason=reason,
        text="why",
    )  # fmt: skip


def known(*told: Outcome, **changes: Any) -> Known:
    ends: dict[str, dict[int, str]] = {}
    for each in told:
        ends.setdefault(each.fact, {})[each.attempt] = each.result
    return Known(**{"ends": ends, "told": {o.fact: o for o in told}, "place": "9-0", **changes})


def ids(found: tuple[Candidate, ...]) -> list[tuple[str, int]]:
    return [(c.fact.id, c.attempt) for c in found]


@pytest.mark.parametrize("result", RESULTS)
def test_a_fact_comes_again_only_after_an_end_without_effect(result: Result) -> None:
    found = candidates([original(FACTS[0])], known(outcome(FACTS[0], result)), Wish(id=FACTS[0].id), {"s"})
    assert ids(found) == ([(FACTS[0].id, 2)] if result in REPLAYABLE else [])


@given(some.lists(some.sampled_from(RESULTS), min_size=1, max_size=5))
def test_it_is_the_last_attempt_that_counts(results: list[Result]) -> None:
    told = [outcome(FACTS[0], result, attempt) for attempt, result in enumerate(results, start=1)]
    found = candidates([original(FACTS[0])], known(*told), Wish(id=FACTS[0].id), {"s"})
    assert ids(found) == ([(FACTS[0].id, len(results) + 1)] if results[-1] in REPLAYABLE else [])


WISHES: list[tuple[str, Wish, list[int]]] = [
    ("denied for a reason", Wish(denied="too-old"), [0]),
    ("denied for whatever reason", Wish(denied="any"), [0, 1]),
    ("denied for another reason", Wish(denied="spread"), []),
    ("given up", Wish(dead=True), [2]),
    ("never answered", Wish(unfinished=True), [3]),
    ("one of them", Wish(id=FACTS[1].id), [1]),
    ("a period has what ended without effect", Wish(since=NOW - timedelta(days=1)), [0, 1, 2]),
    ("a period before all of them", Wish(until=NOW), []),
    ("both kinds", Wish(dead=True, denied="no-money"), [1, 2]),
]


@pytest.mark.parametrize(("wish", "meant"), [w[1:] for w in WISHES], ids=[w[0] for w in WISHES])
def test_what_is_meant(wish: Wish, meant: list[int]) -> None:
    told = known(
        outcome(FACTS[0]), outcome(FACTS[1], "rejected", reason="no-money"), outcome(FACTS[2], "dead", reason="")
    )
    found = candidates([original(f, n + 1) for n, f in enumerate(FACTS)], told, wish, {"s"})
    assert wish.says_something
    assert [c.fact for c in found] == [FACTS[n] for n in meant]


def test_without_a_wish_nothing_is_meant() -> None:
    assert not Wish().says_something


def test_what_is_under_way_unread_or_of_another_source_is_no_candidate() -> None:
    wish, origin = Wish(unfinished=True), original(FACTS[0], 5)
    assert candidates([origin], known(), wish, {"s"}) != ()
    for there in (known(busy={FACTS[0].id}), known(busy={"5-0"}), known(place="4-0")):
        assert candidates([origin], there, wish, {"s"}) == ()
    assert candidates([origin], known(), wish, {"other"}) == ()


def test_a_dead_letter_that_was_never_answered_is_given_up() -> None:
    found = candidates([original(FACTS[0], buried="malformed")], known(), Wish(dead=True), {"s"})
    assert ids(found) == [(FACTS[0].id, 1)]


def test_each_fact_comes_once_oldest_first_and_says_when_only_the_archive_knows_its_end() -> None:
    many = [original(FACTS[1], 7), original(FACTS[0], 3), original(FACTS[0], 8)]
    told = known(outcome(FACTS[0]), outcome(FACTS[1]), ends={FACTS[1].id: {1: "denied"}})
    found = candidates(many, told, Wish(denied="any"), {"s"})
    assert [(c.original.entry, c.archived) for c in found] == [("3-0", True), ("7-0", False)]


# -- in words


def now(fact: Fact, there: Book, account: Account, mode: AccountState | None = None) -> str:
    plan = again.now(fact, (fact,), (fact,), there, account, NOW)
    return foreseen(plan, there, account, mode, NOW)


def test_what_would_happen_is_said_as_a_trader_would() -> None:
    fact = Source().market("o1", "1", Levels(stop_loss=D("1.05")))[0]
    live = settings()
    assert now(fact, book(), live) == "buy 1 EURUSD at 1.10001, SL 1.05"
    assert now(fact, book(), live, AccountState.HALTED) == "nothing: the account is halted"
    assert now(fact, book(), settings(mode="shadow")) == "nothing: the account is shadow"
    tight = settings(limits=Limits(max_lots_per_order=D("0.1")))
    assert now(fact, book(), tight) == "denied: 1 lots in one order; 0.1 are allowed"
    assert now(replace(fact, instrument="NOSUCH"), book(), live).startswith("denied: NOSUCH has no symbol")
    rest = Source().rest("o1", "L", "1")[0]
    assert now(rest, book(), live) == "limit buy 1 EURUSD at 1.09"
    closed = Source()
    closed.market("o1", "1")
    assert now(closed.close("o1")[0], book(), live) == "nothing: nothing of it is on this account"


def test_a_close_is_foreseen_even_where_nothing_may_be_opened() -> None:
    source = Source()
    source.market("o1", "1")
    part = Part(ticket=7, identifier=7, volume=D(1), side="buy")
    link = Link(key=key("o1"), instrument="EURUSD", symbol="EURUSD", followed=D(1), revision=1, parts=(part,))
    there = replace(book(links=[link]), holdings={7: holding(7)})
    text = now(source.close("o1")[0], there, settings(), AccountState.CLOSE_ONLY)
    assert text == "close 1 of position 7, EURUSD"


def test_every_step_has_its_words() -> None:
    common = {"name": "n", "link": "l", "ticket": 7, "symbol": "EURUSD"}
    reduce = Reduce(**common, side="buy", volume=D("0.5"), floor=D(0))  # type: ignore[arg-type]
    close = Close(**common, side="buy", volume=D("0.5"))  # type: ignore[arg-type]
    assert worded(reduce, book()) == worded(close, book()) == "close 0.5 of position 7, EURUSD"
    protect = Protect(**common, stop_loss=None, take_profit=D(2))  # type: ignore[arg-type]
    assert worded(protect, book()) == "set the levels of position 7, TP 2"
    assert worded(Move(**common, order="L", price=D("1.2")), book()) == "move order 7 to 1.2"  # type: ignore[arg-type]
    assert worded(Withdraw(**common, order="L"), book()) == "remove order 7"  # type: ignore[arg-type]


def test_how_far_the_price_went_is_from_the_sources_price_then() -> None:
    fact = replace(FACTS[0], price=D("1.0"))
    assert drifted(fact, book(), settings()) == "+10.00 %"
    assert drifted(replace(fact, price=None, quote=None), book(), settings()) == ""
    assert drifted(replace(fact, instrument="NOSUCH"), book(), settings()) == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(-5, "0 s"), (7, "7 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (400_000, "4 d")]
)
def test_an_age_is_said_in_its_own_unit(seconds: int, text: str) -> None:
    assert aged(NOW - timedelta(seconds=seconds), NOW) == text


def test_a_fact_is_described_by_what_it_said() -> None:
    source = Source()
    assert described(source.market("o1", "1")[0]) == "order.placed market buy 1 EURUSD"
    assert described(source.close("o1", "0.4")[0]) == "position.changed EURUSD 1 to 0.6"
