"""What a drain bench found: the ratio, the lines, the record."""

import msgspec
import pytest

from deploy.bench.drained import Pair, Report, lines, pair_line, record


def report(*rates: float) -> Report:
    return Report(
        pairs=tuple(Pair(real=rate, bare=2000.0, start=1.5, suspect=80.0, exit=30.0, facts=10_000) for rate in rates),
        conditions={"machine": "m"},
        grace=45.0,
    )


@pytest.mark.parametrize(("rates", "verdict"), [((500.0, 600.0), "met"), ((499.0,), "NOT met")])
def test_the_verdict_goes_by_the_median_of_the_ratios(rates: tuple[float, ...], verdict: str) -> None:
    assert lines(report(*rates))[-1] == f"target: at least 0.25: {verdict}"


def test_the_lines_have_both_rates_and_the_ratio_with_its_interval() -> None:
    told = "\n".join(lines(report(*[500.0] * 8)))

    assert "500 facts/s; bare loop 2000/s" in told
    assert "median of 8 ratios: 0.250 (99.2% interval 0.250 to 0.250)" in told
    assert "ratio 0.250   first outcome 1.5 s" in pair_line(1, report(500.0).pairs[0])


def test_the_lines_have_how_long_those_took_that_may_have_been_sent() -> None:
    told = "\n".join(lines(report(*[500.0] * 8)))

    assert "80.0 s, a grace of 45 s in it" in told
    assert "an exit that stood behind them all was done after 30.0 s" in told
    assert "of their rate to that of the others: 0.250 (99.2% interval 0.250 to 0.250)" in told
    assert "suspect 80.0 s, an exit behind them 30.0 s   ratio 0.250" in pair_line(1, report(500.0).pairs[0])


def test_the_record_has_every_pair() -> None:
    found = msgspec.json.decode(msgspec.json.encode(record(report(500.0, 700.0))))

    assert [pair["real"] for pair in found["pairs"]] == [500.0, 700.0]
    assert found["met"] is True
    assert [pair["suspect"] for pair in found["pairs"]] == [80.0, 80.0]
    assert found["grace"] == 45.0
