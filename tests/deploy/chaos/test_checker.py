"""The checker calls each way in which a trade can go wrong by its name."""

from decimal import Decimal
from typing import Any

import pytest

from deploy.chaos.checker import check, expected, settled, stops
from deploy.chaos.evidence import Deal, Evidence, Terminal
from deploy.chaos.story import Statement, Ticket, Totals

SIZE = Decimal("0.16")
OPENED = Statement(
    number=1,
    kind="order.placed",
    instrument="EURUSD",
    position="p1",
    revision=1,
    before=Totals(),
    after=Totals(coming=SIZE),
    order=Ticket(id="p1", buy=True, quantity=SIZE),
)
FACT = "chaos/1/position:p1/1"
STEP = {"name": "open", "action": "open", "result": "done", "volume": "0.16", "mark": 5}
FILLED: dict[str, Any] = {"kind": "outcome", "account": "first", "fact": FACT, "result": "filled", "steps": [STEP]}
DEAL = Deal(mark=5, order=11, symbol="EURUSD", lots=SIZE, position=11)


def evidence(**changes: Any) -> Evidence:
    """Everything as it should be after one opening."""
    terminal = Terminal(deals=(DEAL,), open={(11, "EURUSD", 5): SIZE}, resting=0)
    sides: dict[str, Any] = {
        "facts": (FACT,),
        "outcomes": (FILLED,),
        "pending": {"first": 0},
        "debts": {"first": 0},
        "dead": (),
        "terminals": {"first": terminal},
        "archived_facts": frozenset({FACT}),
        "archived_ends": (("first", FACT, 1),),
    }
    return Evidence(**{**sides, **changes})


def test_nothing_is_found_when_all_sides_agree() -> None:
    assert check([OPENED], evidence()) == []
    assert settled([OPENED], evidence())


TWICE = Terminal(
    deals=(DEAL, Deal(mark=5, order=12, symbol="EURUSD", lots=SIZE, position=12)),
    open={(11, "EURUSD", 5): SIZE, (12, "EURUSD", 5): SIZE},
    resting=0,
)
UNTOLD = Terminal(deals=(DEAL,), open={(11, "EURUSD", 5): SIZE, (13, "EURUSD", 6): SIZE}, resting=0)
NOTHING = Terminal(deals=(), open={}, resting=0)

WRONG = {
    "not in the stream": ({"facts": ()}, "lost"),
    "not in the archive": ({"archived_facts": frozenset()}, "lost"),
    "not in the terminal": ({"terminals": {"first": NOTHING}}, "lost"),
    "twice in the stream": ({"facts": (FACT, FACT)}, "doubled"),
    "twice in the terminal": ({"terminals": {"first": TWICE}}, "doubled"),
    "open and not told": ({"terminals": {"first": UNTOLD}}, "doubled"),
    "two ends": ({"outcomes": (FILLED, FILLED)}, "doubled"),
    "two ends in the archive": ({"archived_ends": (("first", FACT, 1), ("first", FACT, 1))}, "doubled"),
    "no end": ({"outcomes": ()}, "silent"),
    "no end in the archive": ({"archived_ends": ()}, "silent"),
    "pending": ({"pending": {"first": 1}}, "unresolved"),
    "owed": ({"debts": {"first": 1}}, "unresolved"),
    "a dead letter": ({"dead": ("unreadable",)}, "wrong"),
}


@pytest.mark.parametrize(("changes", "fault"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_has_its_name(changes: dict[str, Any], fault: str) -> None:
    assert fault in {finding.fault for finding in check([OPENED], evidence(**changes))}


def test_what_came_too_late_is_told_before_its_end_too() -> None:
    """Its end says what was closed for it, which may be what was opened first."""
    late = {**FILLED, "kind": "pending", "state": "owed", "reason": "late"}
    closed = {**FILLED, "result": "closed", "steps": [{**STEP, "action": "close", "mark": 6}]}
    assert check([OPENED], evidence(outcomes=(late, closed))) == []
    assert "doubled" in {finding.fault for finding in check([OPENED], evidence(outcomes=(closed,)))}


STOP = Decimal("1.03")
STOPPED = Statement(
    number=2,
    kind="position.changed",
    instrument="EURUSD",
    position="p1",
    revision=2,
    before=OPENED.after,
    after=OPENED.after,
    stop=STOP,
)


@pytest.mark.parametrize(("stop", "good"), [(STOP, True), (Decimal(0), False), (Decimal("1.02"), False)])
def test_a_stop_that_is_not_where_it_was_set_is_lost(stop: Decimal, good: bool) -> None:
    terminal = Terminal(deals=(DEAL,), open={(11, "EURUSD", 5): SIZE}, resting=0, stops={(11, "EURUSD", 5): stop})
    outcome = {"kind": "outcome", "account": "first", "fact": "chaos/1/position:p1/2", "result": "modified"}
    sides = evidence(
        terminals={"first": terminal},
        facts=(FACT, outcome["fact"]),
        outcomes=(FILLED, outcome),
        archived_facts=frozenset({FACT, outcome["fact"]}),
        archived_ends=(("first", FACT, 1), ("first", outcome["fact"], 1)),
    )

    found = check([OPENED, STOPPED], sides)

    assert [f.fault for f in found] == ([] if good else ["lost"])


def test_nobody_says_where_the_stop_of_a_position_belongs_that_was_turned_round() -> None:
    turned = Statement(
        number=3,
        kind="position.reversed",
        instrument="EURUSD",
        position="p1",
        revision=3,
        before=OPENED.after,
        after=Totals(coming=-SIZE),
    )

    assert stops([OPENED]) == {"p1": 0}
    assert stops([OPENED, STOPPED]) == {"p1": STOP}
    assert stops([OPENED, STOPPED, turned]) == {}


def test_what_was_refused_is_not_expected_and_what_shrinks_shrinks_in_proportion() -> None:
    half = Statement(
        number=2,
        kind="position.changed",
        instrument="EURUSD",
        position="p1",
        revision=2,
        before=OPENED.after,
        after=Totals(coming=SIZE / 2),
    )

    assert expected([OPENED, half], {FACT})[0]["p1"] == SIZE / 2
    assert expected([OPENED, half], set()) == ({"p1": Decimal(0)}, {"p1"})


@pytest.mark.parametrize(("lots", "good"), [("0", True), ("-0.08", True), ("-0.16", False)])
@pytest.mark.parametrize("account", ["first", "net"])
def test_what_was_refused_may_have_been_caught_up_with_by_what_was_told_after_it(
    account: str, lots: str, good: bool
) -> None:
    """The reversal was passed over as too old; the fact after it brought the account to the source's total, or not."""
    told = [OPENED, told_of(2, "position.reversed", -SIZE), told_of(3, "position.changed", -SIZE / 2)]
    ends = [{**FILLED, "account": account, "fact": f"chaos/1/position:p1/{n}", "steps": []} for n in (2, 3)]
    step = {**STEP, "mark": 7}
    first = {**FILLED, "account": account}
    shrunk = [first, ends[0], {**ends[1], "steps": [step]}]
    there = {(13, "EURUSD", 7): Decimal(lots)} if Decimal(lots) else {}
    terminal = Terminal(deals=(DEAL,), open=there, resting=0)
    facts = tuple(f"chaos/1/position:p1/{n}" for n in (1, 2, 3))
    sides = evidence(
        facts=facts,
        outcomes=tuple(shrunk),
        pending={},
        debts={},
        terminals={account: terminal},
        archived_facts=frozenset(facts),
        archived_ends=tuple((account, fact, 1) for fact in facts),
    )

    assert (check(told, sides) == []) is good


def told_of(revision: int, kind: Any, total: Decimal) -> Statement:
    before = OPENED.after if revision == 2 else Totals(coming=-SIZE)
    return Statement(
        number=revision,
        kind=kind,
        instrument="EURUSD",
        position="p1",
        revision=revision,
        before=before,
        after=Totals(coming=total),
    )
