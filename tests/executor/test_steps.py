"""Every step is of one kind, and only what can be doubled bears a mark."""

from decimal import Decimal
from typing import get_args

import pytest
from msgspec.structs import replace

from executor.steps import (
    Close,
    Marked,
    Move,
    Open,
    Opening,
    Protect,
    Reduce,
    Reducing,
    Rest,
    Setting,
    Step,
    Withdraw,
    kind,
)

ONE = Decimal(1)
STEPS: list[tuple[Step, str]] = [
    (Open(name="a", link="l", symbol="E", side="buy", volume=ONE), "open"),
    (Rest(name="a", link="l", order="o", symbol="E", type="limit", side="buy", volume=ONE, price=ONE), "open"),
    (Close(name="a", link="l", ticket=1, symbol="E", side="buy", volume=ONE), "reduce"),
    (Reduce(name="a", link="l", ticket=1, symbol="E", side="buy", volume=ONE, floor=ONE), "reduce"),
    (Protect(name="a", link="l", ticket=1, symbol="E", stop_loss=None, take_profit=None), "set"),
    (Move(name="a", link="l", order="o", ticket=1, symbol="E", price=ONE), "set"),
    (Withdraw(name="a", link="l", order="o", ticket=1, symbol="E"), "set"),
]
KINDS = {"open": get_args(Opening), "reduce": get_args(Reducing), "set": get_args(Setting)}


@pytest.mark.parametrize(("step", "expected"), STEPS, ids=lambda x: type(x).__name__)
def test_is_of_one_kind(step: Step, expected: str) -> None:
    assert kind(step) == expected
    assert [name for name, members in KINDS.items() if type(step) in members] == [expected]


def test_every_step_is_in_the_table() -> None:
    assert {type(step) for step, _ in STEPS} == set(get_args(Step))


def test_a_stop_limit_order_opens_at_its_limit() -> None:
    rest = Rest(name="a", link="l", order="o", symbol="E", type="stop", side="buy", volume=ONE, price=ONE)
    assert rest.entry == ONE
    assert replace(rest, type="stoplimit", stop_limit=ONE / 2).entry == ONE / 2


def test_openings_and_part_closes_are_marked() -> None:
    assert set(get_args(Marked)) == {Open, Rest, Reduce}
