"""The fan-out bench: a small one with real executors, one of whose terminals hangs."""

from pathlib import Path

from deploy.bench.fanout import Bench, Wish
from shared.process import Stop
from tests.deploy.bench.told import telling


async def test_every_order_reaches_all_accounts_whether_one_hangs_or_not(tmp_path: Path) -> None:
    measuring, said = telling(Bench, tmp_path, Wish(accounts=4, orders=6, runs=1))
    report = await measuring.measure()
    assert report is not None
    (pair,) = report.pairs
    assert [len(r.others) for r in (pair.well, pair.hung)] == [18, 18]
    assert all(0 < first <= last for first, last in zip(pair.well.first, pair.well.last, strict=True))
    assert (report.few.accounts, report.many.accounts) == (2, 4)
    assert all(u.cpu > 0 and u.per_account("pss") > 5 for u in (report.few, report.many))
    assert sum(line.startswith("pair ") for line in said) == 1


async def test_a_stop_ends_it_without_a_report(tmp_path: Path) -> None:
    stop = Stop()
    measuring, said = telling(Bench, tmp_path, Wish(), stop)
    stop.request()
    assert await measuring.measure() is None
    assert not said
