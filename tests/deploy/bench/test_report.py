"""The report says what was measured, however it came out."""

import json

import msgspec
import pytest

from deploy.bench.report import Conditions, Half, Pair, Report, half, lines, pair_line, record
from deploy.bench.samples import Run, Sample

CONDITIONS = Conditions(machine="2 cores", versions="Python", synced="always", guards="on", traffic="one account")


def pair(ratio: float, missed: dict[str, int] | None = None) -> Pair:
    sample = Sample(total=ratio, published=0.5, delivered=0.25, sent=ratio - 0.75)
    return Pair(
        real=Half(p50=ratio, p99=ratio * 4, count=1),
        bare=Half(p50=1.0, p99=2.0, count=1),
        run=Run(samples=(sample,), missed=missed or {}),
    )


def report(*ratios: float) -> Report:
    return Report(pairs=tuple(map(pair, ratios)), conditions=CONDITIONS)


@pytest.mark.parametrize(("ratio", "verdict"), [(2.5, "met (2.50)"), (3.0, "met (3.00)"), (3.01, "NOT met (3.01)")])
def test_the_verdict_is_said_either_way(ratio: float, verdict: str) -> None:
    said = lines(report(*[ratio] * 7))
    assert said[-1] == f"target: at most 3 at p50: {verdict}"


def test_the_ratios_are_told_with_their_interval_and_p99_as_well() -> None:
    said = "\n".join(lines(report(*[float(n) for n in range(1, 16)])))
    assert "median of 15 ratios at p50: 8.00, 96.5% interval 4.00 to 12.00" in said
    assert "median of 15 ratios at p99: 16.00, 96.5% interval 8.00 to 24.00" in said
    assert "15 orders, capture -> order_send: p50 8.00 ms, p99 15.00 ms" in said
    assert "15 bare hops: p50 1.00 ms, p99 2.00 ms" in said


def test_too_few_runs_are_not_given_an_interval() -> None:
    assert "(too few runs for an interval)" in "\n".join(lines(report(2.0)))


def test_orders_that_were_not_sent_are_told() -> None:
    said = "\n".join(lines(Report(pairs=(pair(2.0, {"denied: too-old": 3}),), conditions=CONDITIONS)))
    assert "not sent and not counted: 3 x denied: too-old" in said


def test_the_record_has_every_pair_and_can_be_written_as_json() -> None:
    found = json.loads(msgspec.json.encode(record(report(2.0, 4.0))))
    assert [p["order"]["p50"] for p in found["pairs"]] == [2.0, 4.0]
    assert (found["ratio"]["p50"]["median"], found["met"], found["target"]) == (3.0, True, 3.0)
    assert set(found["milliseconds"]) == {"total", "published", "delivered", "sent"}
    assert found["conditions"]["synced"] == "always"


def test_a_run_is_kept_as_median_and_99th_percentile() -> None:
    assert half([float(n) for n in range(1, 101)]) == Half(p50=50.0, p99=99.0, count=100)


def test_a_pair_is_one_line() -> None:
    said = "pair 3 order 2.50 ms (p99 10.00) bare hop 1.00 ms (p99 2.00) ratio 2.50 (p99 5.00)"
    assert " ".join(pair_line(3, pair(2.5)).split()) == said


def test_conditions_are_a_line_each() -> None:
    assert [line.split()[0] for line in CONDITIONS.lines()] == ["machine", "versions", "synced", "guards", "traffic"]
