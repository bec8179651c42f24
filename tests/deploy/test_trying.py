"""How a candidate is listed; what the command does is in test_replay."""

from datetime import UTC, timedelta

import pytest

from deploy.foresight import Outlook
from deploy.trying import lines
from executor.replay import Candidate, Original
from tests.shared.samples import MOMENT, placed

NOW = MOMENT.astimezone(UTC) + timedelta(minutes=3)
FACT = placed()


def candidate(buried: str = "", **changes: object) -> Candidate:
    original = Original(fact=FACT, entry="1-1", fields={}, buried=buried)
    return Candidate(original=original, **{"attempt": 1, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "outlook", "second", "third"),
    [
        (
            candidate(attempt=2, result="denied", reason="too-old"),
            Outlook("buy 0.1 EURUSD", "+0.10 %"),
            "  3 min old, price +0.10 % since; denied (too-old)",
            "  attempt 2 now: buy 0.1 EURUSD",
        ),
        (
            candidate(buried="malformed"),
            Outlook("nothing: x"),
            "  3 min old; dead letter (malformed)",
            "  attempt 1 now: nothing: x",
        ),
        (candidate(), Outlook("?"), "  3 min old; never answered", "  attempt 1 now: ?"),
    ],
    ids=["denied", "dead letter", "never answered"],
)
def test_a_candidate_is_what_it_was_how_it_ended_and_what_would_happen(
    found: Candidate, outlook: Outlook, second: str, third: str
) -> None:
    first = f"{FACT.id}: order.placed market buy 0.1 EURUSD"
    assert list(lines(found, outlook, NOW)) == [first, second, third]
