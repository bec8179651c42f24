"""What a fan-out bench found: fills per order, how far one that hangs moves the others, what an account costs."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from deploy.bench.fills import MIB, Pair, Report, Run, Usage, gathered, lines, pair_line, record
from deploy.bench.processes import Cost
from shared.outcomes import Outcome, StepReport

START = datetime(2026, 3, 2, tzinfo=UTC)


def outcome(fact: str, account: str, milliseconds: float, result: str = "done") -> Outcome:
    answered = START + timedelta(milliseconds=milliseconds)
    step = StepReport(name="open", kind="open", action="open", symbol="EURUSD", result=result, answered=answered)  # type: ignore[arg-type]
    return Outcome(
        fact=fact, account=account, result="filled", captured=START, read=START, committed=answered, steps=(step,)
    )


def usage(accounts: int, each: int, cpu: float) -> Usage:
    cost = Cost(pss=accounts * each * MIB, rss=2 * accounts * each * MIB)
    return Usage(accounts=accounts, executor=cost, children=cost, terminals=cost, cpu=cpu, idle=0.01)


def run(*milliseconds: float) -> Run:
    return Run(first=(1.0,), last=(9.0,), others=milliseconds)


def report(hung: float = 10.0, many: Usage | None = None) -> Report:
    pair = Pair(well=run(10.0), hung=run(hung))
    return Report(pairs=(pair,), few=usage(4, 10, 3.0), many=many or usage(16, 10, 3.0), conditions={"machine": "m"})


def test_first_and_last_fill_are_taken_of_each_order_among_those_that_never_hang() -> None:
    told = [outcome("f1", "a2", 5), outcome("f1", "a3", 7), outcome("f2", "a2", 4), outcome("f1", "a1", 900)]

    found = gathered(told, ["a2", "a3"])

    assert (found.first, found.last, found.others) == ((5.0, 4.0), (7.0, 4.0), (5.0, 7.0, 4.0))


def test_what_had_no_effect_is_no_fill() -> None:
    assert gathered([outcome("f1", "a2", 5, "denied")], ["a2"]).others == ()


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (report(), "met"),
        (report(hung=11.5), "NOT met"),
        (report(many=usage(16, 13, 3.0)), "NOT met"),
        (report(many=usage(16, 10, 4.0)), "NOT met"),
    ],
    ids=["all is well", "the others wait", "memory grows", "work grows"],
)
def test_the_verdict_is_about_the_others_and_about_what_grows(found: Report, verdict: str) -> None:
    assert lines(found)[-1].endswith(f": {verdict}")


def test_the_lines_have_fills_and_what_an_account_costs() -> None:
    told = "\n".join(lines(report()))

    assert "first 1.0 ms (p99 1.0), last 9.0 ms (p99 9.0)" in told
    assert "16 accounts: 20.0 MiB PSS, 40.0 MiB RSS each (executor 10.0 + child 10.0;" in told
    assert "pss x 1.00, rss x 1.00, cpu per trade x 1.00" in told
    assert "with one hung 10.0 ms, ratio 1.00" in pair_line(1, report().pairs[0])


def test_the_record_has_every_pair() -> None:
    found = msgspec.json.decode(msgspec.json.encode(record(report())))

    assert found["pairs"][0]["well"]["last"] == [9.0]
    assert [each["accounts"] for each in found["usage"]] == [4, 16]
