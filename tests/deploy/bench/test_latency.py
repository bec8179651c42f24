"""The latency bench: a small one with all processes, and what it does when too little can be measured."""

from pathlib import Path
from typing import cast

import pytest

from deploy.bench.journey import Journey, Told
from deploy.bench.latency import Bench, Wish
from deploy.bench.samples import Run, Sample
from shared.process import Stop, UserError
from tests.deploy.bench.told import telling

SAMPLE = Sample(total=2.0, published=0.5, delivered=0.5, sent=1.0)


async def test_every_order_goes_the_whole_way_and_each_run_has_its_bare_half(tmp_path: Path) -> None:
    measuring, said = telling(Bench, tmp_path, Wish(orders=12, runs=2))
    report = await measuring.measure()
    assert report is not None
    assert [(pair.real.count, pair.bare.count) for pair in report.pairs] == [(6, 6), (6, 6)]
    assert all(0 < s.total < 5000 and s.sent > 0 and s.delivered > -1 for s in report.samples)
    assert all(pair.p50 > 0 and not pair.run.missed for pair in report.pairs)
    assert any("appendfsync always" in line for line in said)
    assert any("Valkey 9" in line for line in said)
    assert sum(line.startswith("pair ") for line in said) == 2


async def test_a_stop_ends_it_without_a_report(tmp_path: Path) -> None:
    stop = Stop()
    measuring, said = telling(Bench, tmp_path, Wish(orders=1000, runs=2), stop)
    stop.request()
    assert await measuring.measure() is None
    assert not said


class Journeyed:
    """Gives a run that was made up."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def run(self, orders: int, pace: float, seed: int, told: Told) -> Run:
        told(orders)
        return self._run


@pytest.mark.parametrize(
    ("sent", "missed", "text"),
    [
        (8, {"denied: halted": 2}, r"only 8 of 10 orders reached the terminal \(2 x denied: halted\)"),
        (0, {}, "no facts"),
    ],
)
async def test_too_few_sent_orders_are_no_measurement(
    tmp_path: Path, sent: int, missed: dict[str, int], text: str
) -> None:
    measuring, _ = telling(Bench, tmp_path, Wish(orders=10, runs=1))
    way = cast(Journey, Journeyed(Run(samples=(SAMPLE,) * sent, missed=missed)))
    with pytest.raises(UserError, match=text):
        await measuring._real(way, 10, 1, "pair 1 of 1")


async def test_a_few_that_were_denied_do_not_stop_it(tmp_path: Path) -> None:
    measuring, _ = telling(Bench, tmp_path, Wish(orders=10, runs=1))
    run = Run(samples=(SAMPLE,) * 9, missed={"denied: too-old": 1}, entry_bytes=900)
    assert await measuring._real(cast(Journey, Journeyed(run)), 10, 1, "pair 1 of 1") == run


@pytest.mark.parametrize(("orders", "runs", "share"), [(2000, 15, 134), (10, 5, 2), (3, 2, 2), (1, 1, 1)])
def test_at_least_as_many_orders_are_measured_as_were_asked_for(orders: int, runs: int, share: int) -> None:
    wish = Wish(orders=orders, runs=runs)
    assert wish.share == share
    assert wish.share * runs >= orders
