"""What each state lets through, and what the operator's commands do."""

from typing import get_args

import pytest

from executor.states import AccountState, after, allows, stricter
from shared.outcomes import StepKind

S = AccountState


@pytest.mark.parametrize(
    ("state", "live", "allowed"),
    [
        (S.ACTIVE, True, {"open", "reduce", "set"}),
        (S.ACTIVE, False, {"open", "reduce", "set"}),
        (S.CLOSE_ONLY, True, {"reduce", "set"}),
        (S.CLOSE_ONLY, False, {"reduce", "set"}),
        (S.HALTED, True, set()),
        (S.HALTED, False, set()),
        (S.SHADOW, True, {"reduce", "set"}),
        (S.SHADOW, False, set()),
    ],
)
def test_the_table_of_states(state: AccountState, live: bool, allowed: set[str]) -> None:
    assert {kind for kind in get_args(StepKind) if allows(state, kind, live)} == allowed


def test_only_halted_stops_the_exit_of_something_open() -> None:
    assert [state for state in S if not allows(state, "reduce", live_links=True)] == [S.HALTED]


@pytest.mark.parametrize(
    ("command", "state"),
    [
        ("pause", S.HALTED),
        ("close-only", S.CLOSE_ONLY),
        ("flatten", S.CLOSE_ONLY),
        ("resume", S.ACTIVE),
        ("shadow", S.SHADOW),
    ],
)
def test_commands_lead_to_states(command: str, state: AccountState) -> None:
    assert after(command, live=True).state is state  # type: ignore[arg-type]


def test_only_flatten_closes_everything() -> None:
    assert after("flatten", live=True).flatten
    assert not after("close-only", live=True).flatten


def test_resuming_an_account_that_was_never_armed_is_shadow() -> None:
    assert after("resume", live=False).state is S.SHADOW


def test_of_two_states_the_stricter_counts() -> None:
    assert stricter(S.ACTIVE, S.HALTED) is S.HALTED
    assert stricter(S.CLOSE_ONLY, S.SHADOW) is S.CLOSE_ONLY
