"""The proxy bench: a small one with all processes."""

from pathlib import Path

from deploy.bench.calls import KINDS
from deploy.bench.proxy import BESIDE, HOOKS, Bench, Wish
from shared.process import Stop
from tests.deploy.bench.told import telling
from tests.e2e.processes import belonging_to


async def test_every_run_measures_each_kind_of_call_on_all_ways(tmp_path: Path) -> None:
    measuring, said = telling(Bench, tmp_path, Wish(runs=2, calls=6, connections=3))
    report = await measuring.measure()
    assert report is not None
    assert set(report.runs) == set(KINDS)
    for runs in report.runs.values():
        assert len(runs) == 2
        # Ours costs something, and not more than the call that it is part of: the right hooks were read.
        assert all(0 < run.hooks < 3 * run.tapped and run.direct > 0 for run in runs)
        assert all(run.beside > 0 for run in runs)
    assert len(said) == 2
    assert "Python" in report.conditions["versions"]
    assert belonging_to(tmp_path) == {}


async def test_a_stop_ends_it_without_a_report(tmp_path: Path) -> None:
    stop = Stop()
    measuring, said = telling(Bench, tmp_path, Wish(runs=50, calls=100, connections=100), stop)
    stop.request()
    assert await measuring.measure() is None
    assert not said


def test_all_hooks_count() -> None:
    text = (
        "# HELP tradecopier_ingest_hook_seconds x\n"
        'tradecopier_ingest_hook_seconds_bucket{hook="request",le="0.1"} 9.0\n'
        'tradecopier_ingest_hook_seconds_sum{hook="request"} 0.5\n'
        'tradecopier_ingest_hook_seconds_sum{hook="response"} 2.5e-05\n'
        'tradecopier_ingest_hook_seconds_count{hook="response"} 4.0\n'
        'tradecopier_ingest_beside_seconds_bucket{le="0.1"} 9.0\n'
        "tradecopier_ingest_beside_seconds_sum 0.25\n"
    )
    assert HOOKS.findall(text) == ["0.5", "2.5e-05"]
    assert BESIDE.findall(text) == ["0.25"], "and what they put off by itself"
