"""An attempt knows which of its steps may have been sent, and when their absence is believed."""

from datetime import UTC, datetime
from decimal import Decimal

from executor.attempt import Attempt, Grace
from executor.change import Work
from executor.results import Already, StepResult
from executor.steps import Close, Open

NOW = datetime(2026, 11, 25, tzinfo=UTC)
CLOSE = Close(name="close:1", link="l", ticket=1, symbol="EURUSD", side="buy", volume=Decimal(1))
OPEN = Open(name="open", link="l", symbol="EURUSD", side="sell", volume=Decimal(1))


def attempt(*, suspect: bool = False) -> Attempt:
    return Attempt(
        work=Work(fact="f"),
        meaning="m",
        fact=None,
        link="l",
        steps=[CLOSE, OPEN],
        grace=Grace(3.0),
        read=NOW,
        suspect=suspect,
    )


def test_a_grace_is_outlasted_by_what_was_read_after_it_alone() -> None:
    grace = Grace(3.0)
    assert not grace.outlasted(99.0, 1)

    for now in (10.0, 12.9):
        grace.run(now, 1)

    assert [grace.outlasted(began, 1) for began in (9.0, 10.0, 12.9, 13.0)] == [False, False, False, True]


def test_a_grace_starts_over_when_the_link_was_lost() -> None:
    grace = Grace(3.0)
    for now, breaks in ((10.0, 1), (12.0, 2), (14.9, 2)):
        grace.run(now, breaks)

    assert [grace.outlasted(began, 2) for began in (13.0, 14.9, 15.0)] == [False, False, True]
    assert not grace.outlasted(15.0, 3)


def test_a_grace_starts_over_when_something_is_sent() -> None:
    grace = Grace(3.0)
    grace.run(10.0, 1)
    grace.stop()
    assert not grace.outlasted(99.0, 1)

    grace.run(13.0, 1)

    assert [grace.outlasted(began, 1) for began in (13.0, 15.9, 16.0)] == [False, False, True]


def test_a_fresh_attempt_has_sent_nothing() -> None:
    fresh = attempt()

    assert fresh.untouched
    assert not fresh.maybe_sent(OPEN)


def test_every_step_of_a_suspect_may_have_been_sent_until_it_is_known_to_be_absent() -> None:
    suspect = attempt(suspect=True)
    assert suspect.maybe_sent(CLOSE)
    assert suspect.maybe_sent(OPEN)

    suspect.absent.add("close:1")

    assert not suspect.maybe_sent(CLOSE)
    assert suspect.maybe_sent(OPEN)


def test_a_step_without_an_answer_may_have_been_sent() -> None:
    unanswered = attempt()
    unanswered.unknown.add("open")

    assert unanswered.maybe_sent(OPEN)
    assert not unanswered.untouched


def test_it_waits_for_its_opening_until_that_has_a_result() -> None:
    waiting = attempt()
    waiting.results["close:1"] = StepResult(CLOSE, Already())
    before = waiting.waiting_opening

    waiting.results["open"] = StepResult(OPEN, Already())

    assert (before, waiting.waiting_opening) == (OPEN, None)
    assert [r.result for r in waiting.reports()] == ["already", "already"]
