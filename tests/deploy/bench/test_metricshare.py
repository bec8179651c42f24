"""What counting costs beside the way on which it counts: read from the metrics, in a whole run, and said in words."""

from pathlib import Path

from deploy.bench.metricshare import Bench, Report, Spent, Wish, lines, record, summed
from shared.process import Stop

TEXT = """
# TYPE tradecopier_metering_seconds counter
tradecopier_metering_seconds_total{account="a"} 0.5
tradecopier_metering_seconds_total{account="b"} 0.25
# TYPE tradecopier_stage_seconds histogram
tradecopier_stage_seconds_sum{stage="queue",account="a"} 100
tradecopier_stage_seconds_sum{stage="decide",account="a"} 1
tradecopier_stage_seconds_sum{stage="terminal",account="a"} 10
tradecopier_stage_seconds_sum{stage="commit",account="b"} 4
tradecopier_stage_seconds_sum{stage="end_to_end",account="b"} 400
# TYPE tradecopier_outcomes counter
tradecopier_outcomes_total{account="a",result="filled"} 7
tradecopier_outcomes_total{account="b",result="closed"} 3
"""


def test_only_what_lies_between_reading_and_the_commit_is_the_way() -> None:
    assert summed(TEXT) == Spent(counting=0.75, way=15.0, facts=10)
    assert summed(TEXT).since(Spent(counting=0.25, way=5.0, facts=4)) == Spent(counting=0.5, way=10.0, facts=6)


def test_the_verdict_is_about_the_median_of_the_runs() -> None:
    def told(*shares: float) -> list[str]:
        return [*lines(Report(runs=tuple(Spent(counting=share, way=1.0, facts=1) for share in shares)))]

    assert told(0.9, 0.05, 0.04)[1] == "target: at most 5%: kept"
    assert told(0.9, 0.06, 0.04)[1] == "target: at most 5%: MISSED"
    assert "5.00%" in told(0.9, 0.05, 0.04)[0]


async def test_a_small_one_with_all_processes_finds_a_share(tmp_path: Path) -> None:
    said: list[str] = []
    report = await Bench(Stop(), tmp_path, Wish(orders=6, runs=2), said.append, lambda _: None).measure()
    assert report is not None
    assert len(said) == len(report.runs) == 2
    assert all(run.facts >= 6 and 0 < run.counting < run.way for run in report.runs)
    assert record(report)["target"] == 0.05


async def test_a_stop_ends_it_without_a_report(tmp_path: Path) -> None:
    stop = Stop()
    stop.request()
    assert await Bench(stop, tmp_path, Wish(orders=6, runs=2), lambda _: None, lambda _: None).measure() is None
