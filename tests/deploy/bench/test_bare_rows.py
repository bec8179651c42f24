"""The baselines store what the archive stores, and nothing but that."""

import msgspec
import pytest

from archiver.tables import FactRow
from deploy.bench import bare_rows
from deploy.bench.bare_rows import Batch, Way
from tests.archiver.entries import fact, rows, select
from tests.conftest import Database

ROWS = rows([fact(n) for n in range(1, 31)])
BATCHES = [Batch(kind=FactRow, values=[msgspec.structs.astuple(row) for row in ROWS])]


@pytest.mark.parametrize("way", ["executemany", "COPY"])
def test_both_ways_store_every_row(postgres: Database, way: Way) -> None:
    dsn = bare_rows.fresh(postgres.dsn)
    assert bare_rows.store(dsn, BATCHES, [(2026, 11)], way) > 0
    assert bare_rows.counted(dsn) == 30
    assert select(dsn, "select count(distinct m) from facts") == [(30,)]


def test_each_run_begins_with_an_empty_archive(postgres: Database) -> None:
    bare_rows.store(bare_rows.fresh(postgres.dsn), BATCHES, [(2026, 11)], "COPY")
    assert bare_rows.counted(bare_rows.fresh(postgres.dsn)) == 0


def test_the_server_says_what_it_syncs(postgres: Database) -> None:
    assert bare_rows.promises(postgres.dsn)["fsync"] == "on"


def test_a_watcher_sees_a_row_once_it_is_committed(postgres: Database) -> None:
    dsn = bare_rows.fresh(postgres.dsn)
    watcher = bare_rows.Watcher(dsn)
    assert not watcher.has(fact(1).id)
    bare_rows.store(dsn, BATCHES, [(2026, 11)], "COPY")
    assert watcher.has(fact(1).id)
    watcher.close()
