"""The take-over bench: a real executor killed under load, and its standby."""

from pathlib import Path

from deploy.bench.takeover import ACCOUNTS, Bench, Wish
from shared.process import Stop
from tests.deploy.bench.told import telling


async def test_each_account_is_taken_over_by_the_standby_after_each_kill(tmp_path: Path) -> None:
    measuring, said = telling(Bench, tmp_path, Wish(runs=2, lease=1.0))
    report = await measuring.measure()
    assert report is not None
    assert len(report.taken) == 2 * ACCOUNTS
    assert all(0 < each.first < 30 for each in report.taken)
    assert any("grace 4.5 s" in line for line in said)
    assert sum(line.startswith("kill ") for line in said) == 2


async def test_a_stop_ends_it_without_a_report(tmp_path: Path) -> None:
    stop = Stop()
    measuring, said = telling(Bench, tmp_path, Wish(lease=1.0), stop)
    stop.request()
    assert await measuring.measure() is None
    assert not said
