"""What was executed twice by a pause inside the vendor's call is found and closed, and counted apart."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from deploy.chaos.evidence import Deal, Evidence, Terminal
from deploy.chaos.pipeline import MIXED, Servers
from deploy.chaos.story import Statement
from deploy.chaos.timing import SCALE, shipped
from deploy.chaos.twice import KIND, doubled, judged, story, twice

SIZE = story()[0].after.total
FACT = "chaos/1/position:p1/1"


def terminal(*lots: Decimal, left: Decimal) -> Terminal:
    deals = tuple(Deal(mark=5, order=n, symbol="EURUSD", lots=each, position=n) for n, each in enumerate(lots, start=1))
    return Terminal(deals=deals, open={(1, "EURUSD", 5): left}, resting=0)


def evidence(there: Terminal) -> Evidence:
    step = {"name": "open", "action": "open", "result": "done", "volume": str(SIZE), "mark": 5}
    outcome: dict[str, Any] = {"kind": "outcome", "account": "first", "fact": FACT, "result": "filled", "steps": [step]}
    return Evidence(
        facts=(FACT,),
        outcomes=(outcome,),
        pending={"first": 0},
        debts={"first": 0},
        dead=(),
        terminals={"first": there},
        archived_facts=frozenset({FACT}),
        archived_ends=(("first", FACT, 1),),
    )


@pytest.fixture
def told() -> list[Statement]:
    """One opening."""
    return story()[:1]


def test_a_mark_under_which_two_orders_were_executed_is_a_double() -> None:
    assert doubled(terminal(SIZE, SIZE, left=SIZE)) == {5}
    assert doubled(terminal(SIZE, left=SIZE)) == set()


def test_a_double_that_was_closed_is_no_finding_and_one_that_is_open_is(told: list[Statement]) -> None:
    assert judged(told, evidence(terminal(SIZE, SIZE, left=SIZE))) == []
    assert [f.fault for f in judged(told, evidence(terminal(SIZE, SIZE, left=2 * SIZE)))] == ["wrong"]


def test_a_trial_without_doubles_shows_nothing(told: list[Statement]) -> None:
    (found,) = judged(told, evidence(terminal(SIZE, left=SIZE)))

    assert "nothing was shown" in found.text


@pytest.mark.slow  # the last of each 25 seeds is this very trial
async def test_each_opening_is_doubled_on_each_account_and_each_double_is_closed(pair: Servers, tmp_path: Path) -> None:
    result = await twice(24, pair, tmp_path / "twice", shipped().over(SCALE))

    assert result.findings == ()
    assert result.doubles == len(story()) * len(MIXED)
    assert result.faults == {KIND: len(story()) * len(MIXED)}
