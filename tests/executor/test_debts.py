"""What is really ours of a position that owes an exit stays known, whatever newer facts make of its total."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from executor.book import Debt, Link, Margin, Part
from executor.change import Change
from executor.debts import Debts, unpaid
from executor.reasons import Obstacle
from executor.results import Done, Owed, StepResult
from executor.steps import Reduce
from executor.telling import Teller
from executor.translate import Plan
from shared.outcomes import Pending
from tests.executor.accounts import book
from tests.executor.test_parking import closing, opening, parked
from tests.shared.samples import placed

D = Decimal
NOW = datetime(2026, 11, 25, tzinfo=UTC)
REAL = Link(
    key="a",
    instrument="EURUSD",
    symbol="EURUSD",
    revision=1,
    followed=D(1),
    parts=(Part(ticket=1, identifier=1, volume=D(1), side="buy"),),
)
PLANNED = replace(REAL, revision=2, followed=D("0.5"), parts=())


def debt(target: str = "0.5", **changes: Any) -> Debt:
    fields: dict[str, Any] = {
        "link": "a",
        "fact": "f0",
        "entry": "0-1",
        "target": D(target),
        "since": NOW,
        "captured": NOW,
    }
    return Debt(**{**fields, **changes})


def debts(*known: Debt) -> Debts:
    return Debts({d.link: d for d in known}, Teller("main", lambda: NOW), lambda: NOW)


def known(reason: str = "market-closed", **changes: Any) -> Debts:
    """A lane's debts, with one that it has made itself."""
    made = debts()
    made.take_over(Change(debts={"a": debt(reason=reason, **changes)}))
    return made


def test_of_which_exits_nobody_knows_whether_they_were_done() -> None:
    links = {"a": REAL}

    assert debts(debt()).unsure("EURUSD", links), "another lane has left it"
    assert not known().unsure("EURUSD", links)
    assert known(Obstacle.NO_ANSWER).unsure("EURUSD", links)
    assert known(sought=("reduce",)).unsure("EURUSD", links)
    assert not known(Obstacle.NO_ANSWER).unsure("XAUUSD", links)
    assert not known(Obstacle.NO_ANSWER).unsure("EURUSD", links, besides="a")
    over = known(Obstacle.NO_ANSWER)
    over.take_over(Change(debts={"a": None}))
    assert not over.unsure("EURUSD", links)


@pytest.mark.parametrize(
    ("margin", "link", "contested"), [("netting", "b", True), ("netting", "a", False), ("hedging", "b", False)]
)
def test_an_exit_beside_an_unknown_one_is_contested_in_a_shared_position(
    margin: Margin, link: str, contested: bool
) -> None:
    account = book(margin, links=[REAL, replace(REAL, key="b")])
    attempt = parked("1-1", link, closing()).attempt

    known(Obstacle.NO_ANSWER).contest(attempt, account)

    assert attempt.contested is contested


def test_a_later_exit_moves_the_target_and_keeps_what_is_ours() -> None:
    fact = parked("1-1", "a", closing())
    fact.plan = Plan(link=PLANNED, steps=(closing(),), reduced=D("0.2"))

    change = debts(debt()).joining(fact, REAL)

    moved = change.debts["a"]
    assert moved is not None
    assert (moved.target, [o.fact for o in moved.owing]) == (D("0.2"), ["f0", placed().id])
    assert change.links["a"] == replace(PLANNED, parts=REAL.parts)
    assert [end.entry for end in change.ends] == ["1-1"]
    assert [m.state for m in change.messages if isinstance(m, Pending)] == ["owed"]


@pytest.mark.parametrize(("target", "moves"), [("0", True), ("0.5", False)])
def test_a_reversal_moves_the_target_once(target: str, moves: bool) -> None:
    fact = parked("1-1", "a", closing(), opening())
    fact.plan = Plan(link=PLANNED, steps=(closing(), opening()), reduced=D(target))

    assert (debts(debt()).moving(fact) is not None) == moves


def test_a_postponed_fact_waits_for_a_debt_that_is_nobodys() -> None:
    fact = parked("1-1", "a", closing(), opening())

    change = debts().postponing(fact, debt("0"), REAL, REAL)

    made = change.debts["a"]
    assert made is not None
    assert (made.owing, made.target, made.meaning) == ((), D(0), "m")
    assert not change.ends


def test_a_second_debt_of_a_position_is_the_first_one_with_another_who_waits() -> None:
    attempt = parked("1-1", "a", closing()).attempt

    made = debts().made(attempt, placed(), debt("0.1", fact="f1"), debt("0.5"))

    assert (made.fact, made.target, len(made.owing)) == ("f0", D("0.1"), 2)


def test_a_new_debt_remembers_which_steps_nobody_knows_the_end_of() -> None:
    step = Reduce(name="reduce", link="a", ticket=1, symbol="EURUSD", side="buy", volume=D(1), floor=D(0))
    second = replace(step, name="reduce:2")
    attempt = parked("1-1", "a", step, second).attempt
    attempt.results["reduce"] = StepResult(step, Done(volume=D(1)))
    attempt.results["reduce:2"] = StepResult(second, Owed(Obstacle.NO_ANSWER))

    made = debts().made(attempt, placed(), debt(), None)

    assert (made.sought, made.attempts, made.meaning) == (("reduce:2",), 1, "m")


def test_what_an_order_gave_comes_on_top_of_what_a_debt_leaves() -> None:
    more = replace(REAL, parts=(*REAL.parts, Part(ticket=2, identifier=2, volume=D("0.1"), side="buy")))

    change = debts(debt("0.5")).adding(REAL, more)

    assert change is not None
    moved = change.debts["a"]
    assert moved is not None
    assert moved.target == D("0.6")
    assert debts().adding(REAL, more) is None


def test_only_what_was_committed_is_taken_over() -> None:
    known = debts(debt())

    known.take_over(Change(debts={"a": None, "b": debt(link="b")}))

    assert list(known) == ["b"]


def test_what_an_operator_or_a_limit_closes_is_given_up() -> None:
    known = debts(debt(reason="drawdown"), debt(link="b", reason="market-closed"))
    known.take_over(Change(debts={"c": debt(link="c", reason="operator"), "d": debt(link="d"), "b": None}))

    assert known.given_up == {"a", "c"}


def test_an_attempt_that_changed_what_is_ours_says_so_itself() -> None:
    attempt = parked("1-1", "a", closing()).attempt
    assert unpaid(attempt, PLANNED, REAL).parts == REAL.parts

    attempt.results["close:1"] = StepResult(closing(), Done(volume=D(1)))

    assert unpaid(attempt, PLANNED, REAL) == PLANNED


def test_a_debt_is_owed_by_a_fact_and_by_the_attempt_that_made_it() -> None:
    fact = placed()
    owing = debts(debt(fact=fact.id, attempt=2))

    assert [owing.owes(fact, attempt) for attempt in (None, 1, 2)] == [True, False, True]
    assert not owing.owes(placed(id="another"))
