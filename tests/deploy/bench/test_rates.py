"""What an archive bench says of its pairs."""

import json
from pathlib import Path

import pytest

from deploy.bench.rates import Conditions, Rates, Report, Wish, lines, pair_line, record

CONDITIONS = Conditions(machine="m", versions="v", synced="s", rows="r")


def report(ratio: float, age: float, pairs: int = 9) -> Report:
    pair = Rates(real=20_000 * ratio, executemany=15_000, copy=20_000)
    return Report(conditions=CONDITIONS, pairs=(pair,) * pairs, ages=(age,) * 20)


def test_the_ratio_is_to_the_better_baseline() -> None:
    assert Rates(real=10, executemany=20, copy=40).ratio == 0.25
    assert Rates(real=10, executemany=20, copy=5).ratio == 0.5
    assert "ratio to the better  0.25" in pair_line(1, Rates(real=10, executemany=20, copy=40))


@pytest.mark.parametrize(
    ("ratio", "age", "met"), [(0.5, 100, True), (0.49, 20, False), (0.9, 101, False)], ids=["both", "slow", "late"]
)
def test_the_target_is_both_a_rate_and_an_age(ratio: float, age: float, met: bool) -> None:
    found = report(ratio, age)
    assert found.met is met
    assert lines(found)[-1].endswith(": met" if met else "NOT met")


def test_the_interval_is_told_or_why_there_is_none() -> None:
    assert any("96.1% interval 0.60 to 0.60" in line for line in lines(report(0.6, 20)))
    assert any("too few runs" in line for line in lines(report(0.6, 20, pairs=2)))


def test_the_record_is_json_with_every_pair() -> None:
    found = json.loads(json.dumps(record(report(0.6, 20))))
    assert (found["met"], len(found["rows_per_second"]), len(found["lone_ms"])) == (True, 9, 20)


def test_conditions_say_what_was_synced(tmp_path: Path) -> None:
    postgres = {"fsync": "on", "synchronous_commit": "on", "wal_sync_method": "fdatasync", "server_version": "18.1"}
    told = Conditions.of(Wish(rows=5, runs=1), tmp_path, 500, {"appendfsync": "always"}, postgres).lines()
    assert any(
        "fsync on, synchronous_commit on, by fdatasync" in line and "appendfsync always" in line for line in told
    )
