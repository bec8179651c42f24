"""The drain bench: a small one with a real executor, and nothing left of one that was stopped."""

from pathlib import Path

import pytest

from deploy.bench.drain import Bench, Wish
from shared.process import Stop, UserError
from tests.deploy.bench.told import telling


async def test_every_fact_that_waited_has_its_effect_in_order_at_each_restart(tmp_path: Path) -> None:
    measuring, said = telling(Bench, tmp_path, Wish(facts=120, runs=2, scale=5.0))
    report = await measuring.measure()
    assert report is not None
    assert [pair.facts for pair in report.pairs] == [120, 120]
    assert all(pair.real > 1 and pair.bare > 1 and pair.start > 0 for pair in report.pairs)
    assert all(0 < pair.exit <= pair.suspect and pair.suspect >= report.grace for pair in report.pairs)
    assert any("appendfsync always" in line for line in said)
    assert sum(line.startswith("pair ") for line in said) == 2


async def test_a_stop_ends_it_without_a_report(tmp_path: Path) -> None:
    stop = Stop()
    measuring, said = telling(Bench, tmp_path, Wish(), stop)
    stop.request()
    assert await measuring.measure() is None
    assert not said


async def test_facts_that_had_no_effect_are_no_measurement(tmp_path: Path) -> None:
    measuring, _ = telling(Bench, tmp_path, Wish(facts=100, runs=1))
    await measuring._crowd.start()
    try:
        facts = await measuring._waiting(4)
        wrong = [*facts[:2], facts[3], facts[2]]
        with pytest.raises(UserError, match="4 of 4 facts had their effect in order"):
            await measuring._real(wrong, "run")
    finally:
        await measuring._crowd.stop()
