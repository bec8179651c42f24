"""What a proxy bench found: shares, lines, record."""

import msgspec
import pytest

from deploy.bench.calls import KINDS
from deploy.bench.shares import Report, Run, lines, record, run_line

QUICK = Run(direct=1.0, bare=3.0, tapped=3.5, hooks=0.1, beside=0.321)
SLOW = Run(direct=1.0, bare=3.0, tapped=3.5, hooks=0.5)


def report(*runs: Run) -> Report:
    return Report(runs=dict.fromkeys(KINDS, runs), calls={"kept connection": 100}, conditions={"machine": "m"})


def test_the_share_is_of_the_time_in_the_proxy_and_not_of_the_broker() -> None:
    assert (QUICK.own, QUICK.added) == (2.0, 0.5)
    assert QUICK.share == pytest.approx(0.1 / 2.1)
    assert Run(direct=3.0, bare=2.9, tapped=3.0, hooks=0.1).share == 1.0, "noise must not look like success"


def test_the_verdict_is_told_whatever_it_is() -> None:
    assert lines(report(QUICK, QUICK))[-1] == "target: hooks at most 5% for every kind of call: met"
    missed = lines(report(QUICK, SLOW, SLOW))[-1]
    assert "NOT met" in missed
    assert all(kind.title in missed for kind in KINDS)


def test_every_kind_has_its_milliseconds_and_its_share_with_an_interval() -> None:
    told = "\n".join(lines(report(*[QUICK] * 8)))
    assert told.count("4.8%, 99.2% interval 4.8% to 4.8%") == len(KINDS)
    assert told.count("0.100") == len(KINDS)
    assert told.count("0.321") == len(KINDS), "what is put off is told, and in no share"
    assert told.count("20.0%, 99.2% interval 20.0% to 20.0%") == len(KINDS)
    assert "too few runs" in "\n".join(lines(report(QUICK)))
    assert "poll/kept   2.00 + 0.100" in run_line(3, dict.fromkeys(KINDS, QUICK))


def test_the_record_has_every_run() -> None:
    found = msgspec.json.decode(msgspec.json.encode(record(report(QUICK, SLOW))))
    assert set(found["kinds"]) == {kind.title for kind in KINDS}
    one = found["kinds"][KINDS[0].title]
    assert [run["hooks"] for run in one["runs"]] == [0.1, 0.5]
    assert one["milliseconds"]["own"] == 2.0
    assert one["milliseconds"]["beside"] == pytest.approx(0.1605)
