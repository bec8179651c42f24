from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.steady import Steady

S = 1_000_000_000


class Clocks:
    """A computer's two clocks; only one of them can be set."""

    def __init__(self, wall: int = 1_800_000_000 * S) -> None:
        self.wall = wall
        self.monotonic = 5 * S
        self.steady = Steady(lambda: self.wall, lambda: self.monotonic)

    def pass_by(self, seconds: float, step: float = 0) -> float:
        """Time goes by, then the clock is set; how far ours is ahead of it."""
        self.wall += int((seconds + step) * S)
        self.monotonic += int(seconds * S)
        return (self.steady.nanoseconds() - self.wall) / S


def test_it_tells_what_the_system_tells() -> None:
    clocks = Clocks()
    assert clocks.pass_by(1.5) == 0
    assert clocks.steady.now() == datetime.fromtimestamp(1_800_000_001.5, UTC)


def test_it_follows_forward_at_once() -> None:
    assert Clocks().pass_by(1, step=3600) == 0


def test_set_back_it_goes_on_at_half_speed_until_both_agree(caplog: pytest.LogCaptureFixture) -> None:
    clocks = Clocks()
    assert clocks.pass_by(1, step=-11) == pytest.approx(10.5)
    assert clocks.steady.ahead == pytest.approx(10.5)
    assert clocks.pass_by(10) == pytest.approx(5.5)
    assert clocks.pass_by(10) == pytest.approx(0.5)
    assert clocks.pass_by(10) == 0
    assert caplog.text.count("was set back by 10.5 s") == 1
    clocks.pass_by(1, step=-5)
    assert caplog.text.count("was set back") == 2


@given(st.lists(st.tuples(st.floats(0.001, 100), st.floats(-1000, 1000)), max_size=30))
def test_what_comes_later_has_a_later_time(moves: list[tuple[float, float]]) -> None:
    clocks = Clocks()
    told = clocks.steady.nanoseconds()
    for seconds, step in moves:
        ahead = clocks.pass_by(seconds, step)
        assert ahead >= 0
        assert clocks.steady.nanoseconds() > told
        told = clocks.steady.nanoseconds()
