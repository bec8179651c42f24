"""What a take-over bench found: the first call after a kill, what may have been sent apart, the distribution."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from deploy.bench.takeovers import Report, TakeOver, lines, record, run_line, taken
from shared.outcomes import Outcome, StepReport

KILLED = datetime(2026, 3, 2, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return KILLED + timedelta(seconds=seconds)


def outcome(entry: str, sent: float, committed: float) -> Outcome:
    step = StepReport(name="open", kind="open", action="open", symbol="EURUSD", result="done", sent=after(sent))
    return Outcome(
        fact=f"f{entry}",
        account="a1",
        result="filled",
        entry=entry,
        steps=(step,),
        captured=KILLED,
        read=KILLED,
        committed=after(committed),
    )


def report(*seconds: float, unsure: tuple[float, ...] = ()) -> Report:
    found = tuple(TakeOver(account="a1", first=s, unsure=unsure) for s in seconds)
    return Report(taken=found, kills=len(found), lease=10, grace=45, conditions={"machine": "m"})


def test_the_first_call_is_the_earliest_after_the_kill_of_what_was_not_delivered_before() -> None:
    told = [outcome("1-0", -0.1, 9.0), outcome("2-0", 8.5, 8.6), outcome("3-0", 8.2, 8.9), outcome("9-0", -1, -0.9)]

    found = taken("a1", KILLED, told, ["1-0"])

    assert found == TakeOver(account="a1", first=8.2, unsure=(9.0,))


def test_nothing_sent_after_the_kill_is_no_take_over_yet() -> None:
    assert taken("a1", KILLED, [outcome("1-0", -0.1, 0.1)], []) is None


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (report(9.9, 11.0), "met"),
        (report(9.9, 11.1), "NOT met"),
        (report(9.0, unsure=(55.9,)), "met"),
        (report(9.0, unsure=(56.1,)), "NOT met"),
    ],
)
def test_lease_and_a_second_are_allowed_and_the_grace_where_it_may_have_been_sent(found: Report, verdict: str) -> None:
    assert lines(found)[-1].endswith(verdict)


def test_the_distribution_counts_every_take_over() -> None:
    told = lines(report(8.1, 8.2, 9.5, 12.0, unsure=(3.0,)))

    bars = [line for line in told if "#" in line]
    assert sum(int(line.split("s ")[1].split()[0]) for line in bars) == 4
    assert "beyond" in bars[-1]
    assert any("8.10 to 12.00 s" in line for line in told)
    assert "ended after 3.00 s" in run_line(1, report(8.0, unsure=(3.0,)).taken)


def test_the_record_has_every_take_over() -> None:
    found = msgspec.json.decode(msgspec.json.encode(record(report(8.1, 8.2))))

    assert [each["first"] for each in found["taken"]] == [8.1, 8.2]
    assert (found["within"], found["met"]) == (11.0, True)
