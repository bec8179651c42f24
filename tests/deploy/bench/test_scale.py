"""The shard bench: a small one on a real server, and nothing left of one that was stopped."""

from pathlib import Path

from deploy.bench.scale import Wish, lines, measure
from shared.process import Stop


async def test_every_account_follows_every_fact_and_the_server_says_what_it_cost(tmp_path: Path) -> None:
    report = await measure(Stop(), tmp_path, Wish(accounts=5, facts=40), lambda _: None)

    assert report is not None
    assert (report.accounts, report.facts) == (5, 40)
    assert report.following > 0
    assert report.per_second > 0
    assert any("5 accounts followed 40 facts" in line for line in lines(report))
    assert "appendfsync always" in str(report.conditions)


async def test_a_stop_ends_it_without_a_report(tmp_path: Path) -> None:
    stop = Stop()
    stop.request()
    assert await measure(stop, tmp_path, Wish(), lambda _: None) is None
