"""Pure: what an account's state lets through, and what the operator's commands do to it.

    state        open   reduce   set
    active       yes    yes      yes
    close-only   no     yes      yes
    halted       no     no       no
    shadow       no     as long as something of ours is open

`halted` is the one state that stops exits, so it wants to be typed out and raises an alarm.
"""

from enum import StrEnum
from typing import Literal, assert_never

from msgspec import Struct

from shared.outcomes import StepKind

OPERATOR = "operator"
"""The reason of a state that an operator has set."""

Command = Literal["pause", "close-only", "flatten", "resume", "shadow"]


class AccountState(StrEnum):
    """What may be done on an account."""

    ACTIVE = "active"
    CLOSE_ONLY = "close-only"
    HALTED = "halted"
    SHADOW = "shadow"


class Transition(Struct, frozen=True):
    """What a command does: the state from now on, whether everything of ours is closed, whether it is an alarm."""

    state: AccountState
    flatten: bool = False
    alarm: bool = False


def allows(state: AccountState, kind: StepKind, live_links: bool) -> bool:
    """Whether a step of `kind` may be sent. `live_links`: something of ours is open on the account."""
    match state:
        case AccountState.ACTIVE:
            return True
        case AccountState.CLOSE_ONLY:
            return kind != "open"
        case AccountState.HALTED:
            return False
        case AccountState.SHADOW:
            return kind != "open" and live_links
        case _:
            assert_never(state)


def after(command: Command, *, live: bool) -> Transition:
    """What a command does. `live`: the operator has written that this account trades; else `resume` is to shadow.

    `flatten` stops openings first and keeps them stopped until `resume`; so does `pause` with everything.
    """
    match command:
        case "pause":
            return Transition(AccountState.HALTED, alarm=True)
        case "close-only":
            return Transition(AccountState.CLOSE_ONLY)
        case "flatten":
            return Transition(AccountState.CLOSE_ONLY, flatten=True, alarm=True)
        case "resume":
            return Transition(AccountState.ACTIVE if live else AccountState.SHADOW)
        case "shadow":
            return Transition(AccountState.SHADOW)
        case _:
            assert_never(command)


def stricter(one: AccountState, two: AccountState) -> AccountState:
    """The one that lets less through: what counts when two servers disagree about an account's state."""
    order = (AccountState.ACTIVE, AccountState.SHADOW, AccountState.CLOSE_ONLY, AccountState.HALTED)
    return max(one, two, key=order.index)
