"""A month's journal from a large archive reads its own partitions through indexes; a small such archive shows it."""

import re
from pathlib import Path

import pytest

from deploy.bench import bare_rows
from deploy.bench.history import MONTH, START, fill, lines, measure, month, renumbered, samples, scanned
from deploy.fleet import folder_mode
from shared.process import Stop
from tests.archiver.entries import select
from tests.conftest import Database

TRADES = 4000


def test_copies_of_a_trade_are_trades_of_their_own() -> None:
    pattern = samples()[0]
    first, second = (list(renumbered(pattern, n, START)) for n in (1, 2))
    assert {row.month for row in first} == {(2026, 1)}
    for name in ("id", "fact", "deal", "seq", "identity", "tickets_opened", "marks_opened"):
        ours = [getattr(row, name) for row in first if getattr(row, name, None)]
        assert ours
        assert ours != [getattr(row, name) for row in second if getattr(row, name, None)]


def test_a_months_journal_reads_indexes_of_its_own_partitions(postgres: Database) -> None:
    dsn = bare_rows.fresh(postgres.dsn)
    fill(dsn, TRADES, lambda _: None, batch=1000)
    answer = month(dsn)
    followed = select(dsn, "select count(*) from trades")[0][0]
    assert 0.9 * TRADES < followed < TRADES
    assert 0.07 * TRADES < answer.trades < 0.09 * TRADES
    assert 0 < answer.first_s <= answer.all_s
    assert scanned(answer.plan) == [f"outcomes_2026_{MONTH:02d}"]
    large = r"Seq Scan on (facts|outcomes|observations)_2026"
    assert [line for line in answer.plan if re.search(large, line)] == [], "no month is read from end to end"


def test_money_and_deals_belong_to_their_trades(postgres: Database) -> None:
    dsn = bare_rows.fresh(postgres.dsn)
    fill(dsn, 500, lambda _: None)
    found = select(dsn, "select count(*), count(net), count(*) filter (where state = 'closed') from trades")[0]
    assert found[0] == found[1] == found[2] > 450
    told = select(dsn, "select sum(profit) + sum(commission) from deals")
    assert select(dsn, "select sum(net) from trades") == told


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tmp_path.chmod(folder_mode())
    return tmp_path


async def test_the_whole_bench_in_small_and_its_words(folder: Path) -> None:
    said: list[str] = []
    found = await measure(Stop(), folder, 1000, said.append)
    assert found is not None
    text = "\n".join(lines(found))
    assert "1,000 trades of a year made in" in text
    assert "journal of June, again:" in text
    assert "outcomes_2026_06" in text
    assert said[-1] == "asking for a month"


async def test_a_stop_ends_it(folder: Path) -> None:
    stop = Stop()
    stop.request()
    assert await measure(stop, folder, 1000, lambda _: None) is None
