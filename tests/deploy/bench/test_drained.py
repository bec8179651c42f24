"""What a drain bench found: the ratio, the lines, the record."""

import msgspec
import pytest

from deploy.bench.drained import Pair, Report, lines, pair_line, record


def report(*rates: float) -> Report:
    return Report(
        pairs=tuple(Pair(real=rate, bare=2000.0, start=1.5, facts=10_000) for rate in rates),
        conditions={"machine": "m"},
    )


@pytest.mark.parametrize(("rates", "verdict"), [((500.0, 600.0), "met"), ((499.0,), "NOT met")])
def test_the_verdict_goes_by_the_median_of_the_ratios(rates: tuple[float, ...], verdict: str) -> None:
    assert lines(report(*rates))[-1] == f"target: at least 0.25: {verdict}"


def test_the_lines_have_both_rates_and_the_ratio_with_its_interval() -> None:
    told = "\n".join(lines(report(*[500.0] * 8)))

    assert "500 facts/s; bare loop 2000/s" in told
    assert "median of 8 ratios: 0.250 (99.2% interval 0.250 to 0.250)" in told
    assert "ratio 0.250   first outcome 1.5 s" in pair_line(1, report(500.0).pairs[0])


def test_the_record_has_every_pair() -> None:
    found = msgspec.json.decode(msgspec.json.encode(record(report(500.0, 700.0))))

    assert [pair["real"] for pair in found["pairs"]] == [500.0, 700.0]
    assert found["met"] is True
