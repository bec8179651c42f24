"""What a run's facts and outcomes say about how long an order took."""

from datetime import timedelta

import pytest

from deploy.bench.samples import gathered
from shared.outcomes import Outcome, StepReport
from tests.shared.samples import MOMENT, placed

CAPTURED = MOMENT.replace(microsecond=0)
ENTRY_MS = int(CAPTURED.timestamp() * 1000) + 1


def after(ms: float) -> timedelta:
    return timedelta(milliseconds=ms)


def outcome(fact: str, *sent: float | None, result: str = "filled", reason: str = "") -> Outcome:
    steps = tuple(
        StepReport(
            name=str(number), kind="open", action="open", symbol="EURUSD", result="done",
            sent=None if ms is None else CAPTURED + after(ms),
        )
        for number, ms in enumerate(sent)
    )  # fmt: skip
    return Outcome(
        fact=fact, account="hedging", result=result, reason=reason, captured=CAPTURED, read=CAPTURED + after(3),  # type: ignore[arg-type]
        committed=CAPTURED + after(9), steps=steps,
    )  # fmt: skip


def test_the_stages_add_up_to_the_whole() -> None:
    fact = placed(id="a", captured=CAPTURED)
    (sample,) = gathered([(f"{ENTRY_MS}-0", fact)], {"a": outcome("a", 4.25)}, 900).samples
    assert sample.total == pytest.approx(4.25)
    assert sample.published == pytest.approx(1.5)  # the id says 1 ms, which on average is half of one early
    assert sample.delivered == pytest.approx(1.5)
    assert sample.sent == pytest.approx(1.25)
    assert sample.total == pytest.approx(sample.published + sample.delivered + sample.sent)


def test_of_several_steps_the_first_call_counts() -> None:
    run = gathered([(f"{ENTRY_MS}-0", placed(id="a", captured=CAPTURED))], {"a": outcome("a", None, 7, 5)}, 900)
    assert [sample.total for sample in run.samples] == [pytest.approx(5)]


def test_what_was_not_sent_is_counted_by_what_became_of_it() -> None:
    facts = [(f"{ENTRY_MS}-{n}", placed(id=name, seq=n + 1)) for n, name in enumerate("abcd")]
    outcomes = {
        "a": outcome("a", 4),
        "b": outcome("b", None, result="denied", reason="too-old"),
        "c": outcome("c", result="denied", reason="too-old"),
    }
    run = gathered(facts, outcomes, 900)
    assert len(run.samples) == 1
    assert run.missed == {"denied: too-old": 2, "no outcome": 1}
    assert run.entry_bytes == 900
