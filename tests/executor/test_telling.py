"""What is told of a fact names the fact, the account, the attempt and every step."""

from datetime import UTC, datetime
from decimal import Decimal

from executor.attempt import Attempt, Grace
from executor.book import Owing
from executor.change import Work
from executor.results import Done, StepResult
from executor.steps import Open
from executor.telling import Teller
from tests.shared.samples import MOMENT, placed

NOW = datetime(2026, 11, 25, 14, 0, tzinfo=UTC)
FACT = placed()
OPEN = Open(name="open", link="l", symbol="EURUSD", side="buy", volume=Decimal(1))
TELLER = Teller("main", lambda: NOW)


def attempt() -> Attempt:
    made = Attempt(
        work=Work(fact=FACT.id, attempt=2),
        meaning="m",
        fact=FACT,
        link="l",
        steps=[OPEN],
        grace=Grace(1.0),
        read=NOW,
        entry="1-1",
    )
    made.results["open"] = StepResult(OPEN, Done(ticket=7, volume=Decimal(1)))
    return made


def test_an_end_has_every_time_from_capture_to_commit() -> None:
    told = TELLER.ended(attempt(), FACT, "filled", "", "")

    assert (told.fact, told.account, told.attempt, told.entry) == (FACT.id, "main", 2, "1-1")
    assert (told.captured, told.read, told.committed) == (MOMENT, NOW, NOW)
    assert [(s.name, s.result, s.ticket) for s in told.steps] == [("open", "done", 7)]


def test_a_state_says_since_when_and_why() -> None:
    told = TELLER.unended(attempt(), FACT, "owed", "market-closed", "the market is closed")

    assert (told.state, told.since, told.reason, told.text) == ("owed", NOW, "market-closed", "the market is closed")
    assert (told.attempt, told.instrument) == (2, "EURUSD")


def test_the_end_of_what_was_owed_belongs_to_the_fact_that_waited() -> None:
    owing = Owing(fact="f", entry="3-3", captured=MOMENT, attempt=4)

    told = TELLER.paid(owing, NOW, "closed", "", "", attempt().reports())

    assert (told.fact, told.entry, told.attempt, told.captured) == ("f", "3-3", 4, MOMENT)
    assert len(told.steps) == 1
