"""Every result says what it has to, and nothing needs to be filled in to say the least."""

from decimal import Decimal

from executor.reasons import Obstacle
from executor.results import Already, Done, Owed, Rejected, Skipped


def test_what_was_done_says_how_much_and_not_how_much_was_asked() -> None:
    assert Done(volume=Decimal("0.3")) != Done(volume=Decimal("0.4"))
    assert Done().volume == 0


def test_a_refusal_for_good_is_not_one_that_can_pass() -> None:
    assert not isinstance(Rejected(10019, Obstacle.NO_MONEY), Owed)


def test_a_step_that_was_not_asked_is_not_one_that_needed_nothing() -> None:
    assert not isinstance(Skipped(), Already)
    assert Skipped(shadow=True) != Skipped(superseded=True)
