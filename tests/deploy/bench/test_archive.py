"""The archive bench: a small one with the real archiver, and nothing left of one that was stopped."""

from pathlib import Path

from deploy.bench.archive import Bench
from deploy.bench.rates import Wish
from deploy.fleet import folder_mode
from shared.process import Stop


def bench(folder: Path, wish: Wish, stop: Stop | None = None) -> tuple[Bench, list[str]]:
    said: list[str] = []
    folder.chmod(folder_mode())
    return Bench(stop or Stop(), folder, wish, said.append, lambda _: None), said


async def test_every_row_is_stored_all_three_ways_and_lone_ones_are_timed(tmp_path: Path) -> None:
    measuring, said = bench(tmp_path, Wish(rows=1500, runs=2, lone=3))
    report = await measuring.measure()
    assert report is not None
    assert all(min(p.real, p.executemany, p.copy) > 10 for p in report.pairs)
    assert len(report.pairs) == 2
    assert len(report.ages) == 3
    assert all(1 < age < 5000 for age in report.ages)
    assert any("fsync on" in line and "appendfsync always" in line for line in said)


async def test_a_stop_ends_it_without_a_report(tmp_path: Path) -> None:
    stop = Stop()
    measuring, said = bench(tmp_path, Wish(rows=1000, runs=2), stop)
    stop.request()
    assert await measuring.measure() is None
    assert not said
