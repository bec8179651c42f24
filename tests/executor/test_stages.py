"""The stages of a fact's way follow one another, add up to the whole, and each delay lands in its own."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from executor.change import Change
from executor.meter import Meter
from executor.metrics import Metrics
from executor.settings import Limits
from executor.stages import STAGES, stages
from shared.outcomes import Outcome, StepReport

START = datetime(2026, 1, 5, 12, tzinfo=UTC)
MS = timedelta(milliseconds=1)
USUAL = {"publish": 1, "queue": 2, "decide": 1, "terminal": 3, "commit": 2}
"""Milliseconds that each stage takes when nothing holds it up."""
delays = st.fixed_dictionaries({name: st.integers(0, 60_000) for name in USUAL})


def outcome(took: dict[str, int], number: int = 1, *, called: bool = True) -> tuple[Outcome, datetime]:
    """An outcome whose stages took so many milliseconds, and when its commit was done."""
    entered = START + took["publish"] * MS
    read = entered + took["queue"] * MS
    sent = read + took["decide"] * MS
    answered = sent + took["terminal"] * MS if called else sent
    step = StepReport(
        name="open",
        kind="open",
        action="open",
        symbol="EURUSD",
        result="done",
        retcode=10009,
        sent=sent,
        answered=answered,
    )
    found = Outcome(
        fact=f"f{number}",
        account="a",
        result="filled" if called else "ignored",
        captured=START,
        read=read,
        committed=answered,
        entry=f"{int(entered.timestamp() * 1000)}-0",
        steps=(step,) if called else (),
    )
    return found, answered + took["commit"] * MS


@given(delays)
def test_each_stage_takes_what_it_took_and_they_add_up(took: dict[str, int]) -> None:
    found = stages(*outcome(took))

    parts = {name: round(found[name] * 1000) for name in ("queue", "decide", "terminal", "commit")}
    assert parts == {name: took[name] for name in parts}
    assert round(found["end_to_end"] * 1000) == sum(took.values())


def test_a_fact_that_sent_nothing_has_no_terminal_stage() -> None:
    found = stages(*outcome(USUAL, called=False))

    assert "terminal" not in found
    assert round(found["decide"] * 1000) == USUAL["decide"]


def test_clocks_that_disagree_give_no_negative_time() -> None:
    found, done = outcome(USUAL)
    early = stages(Outcome(**{**{f: getattr(found, f) for f in found.__struct_fields__}, "read": START - MS}), done)

    assert early["queue"] == 0.0


def test_the_delays_of_200_trades_land_in_the_stage_that_was_delayed_and_nowhere_else() -> None:
    """Forty trades for each stage, two seconds more in it: only that stage and the whole are above a second."""
    registry, now = CollectorRegistry(), START
    meter = Meter(Metrics(registry, ["a"]), "a", Limits(), lambda: now)
    for number in range(200):
        slow = list(USUAL)[number % len(USUAL)]
        found, now = outcome({**USUAL, slow: USUAL[slow] + 2000}, number)
        meter.committed(Change(messages=[found]))

    def count(stage: str, **more: str) -> float:
        name = f"tradecopier_stage_seconds_{'bucket' if more else 'count'}"
        return registry.get_sample_value(name, {"stage": stage, "account": "a", **more}) or 0.0

    slow_ones = {stage: count(stage) - count(stage, le="1.0") for stage in STAGES}
    assert slow_ones == {"queue": 40, "decide": 40, "terminal": 40, "commit": 40, "end_to_end": 200}
    assert {count(stage) for stage in STAGES} == {200}
