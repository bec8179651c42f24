"""The checker finds what it is there to find, in models small enough to check by hand."""

from collections.abc import Iterator

import pytest

from tests.model.checker import Counterexample, Report, Step, explore, fault, progress


class Counter:
    """Counts up to `top`; a fault may set it to `broken_at`; `loop` makes it go round instead of settling."""

    def __init__(self, top: int, *, wrong: int = -1, missing: bool = False, loop: bool = False) -> None:
        self.top, self.wrong, self.missing, self.loop = top, wrong, missing, loop

    def start(self) -> int:
        return 0

    def steps(self, state: int) -> Iterator[Step[int]]:
        if state < self.top:
            yield progress("up", state + 1)
            yield progress("stay", state)
        elif self.loop:
            yield progress("round", 1)
        yield fault("jump", self.top)

    def broken(self, state: int) -> str | None:
        return "wrong" if state == self.wrong else None

    def unfinished(self, state: int) -> str | None:
        return "missing" if self.missing else None


def test_every_state_is_visited_once() -> None:
    assert explore(Counter(4)) == Report(states=5, transitions=13, settled=1, depth=3)


def test_a_broken_state_is_reported_with_the_shortest_trace_to_it() -> None:
    with pytest.raises(Counterexample) as found:
        explore(Counter(4, wrong=2))
    assert (found.value.why, found.value.trace) == ("wrong", ["up", "up"])


def test_a_settled_state_in_which_something_is_missing_is_reported() -> None:
    with pytest.raises(Counterexample, match="missing"):
        explore(Counter(4, missing=True))


def test_going_round_for_ever_is_not_settling() -> None:
    with pytest.raises(Counterexample, match="never settles"):
        explore(Counter(4, loop=True))


def test_too_many_states_are_an_error_and_not_a_pass() -> None:
    with pytest.raises(RuntimeError, match="more than 3 states"):
        explore(Counter(10), limit=3)
