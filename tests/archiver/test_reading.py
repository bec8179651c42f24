"""Rows stream, all as of one moment and in UTC; a server that is away is `Away`."""

import resource
from datetime import UTC, datetime

import pytest

from archiver import migrate
from archiver.patience import Away
from archiver.reading import FETCH, streamed
from shared.process import UserError
from tests.archiver.entries import select
from tests.conftest import Database


def test_times_are_utc(postgres: Database) -> None:
    ((found,),) = streamed(postgres.dsn, "select timestamptz '2026-03-02 10:00+05'")
    assert (found, found.tzinfo.utcoffset(found)) == (datetime(2026, 3, 2, 5, tzinfo=UTC), UTC.utcoffset(None))


def test_memory_stays_flat_however_many_rows_there_are(postgres: Database) -> None:
    query = "select n, repeat('x', 1000) from generate_series(1, %(count)s) n"
    assert sum(1 for _ in streamed(postgres.dsn, query, {"count": 20 * FETCH})) == 20 * FETCH
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(1 for _ in streamed(postgres.dsn, query, {"count": 400 * FETCH})) == 400 * FETCH
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000, "kB, for 200 MB of rows"


def test_what_changes_meanwhile_is_not_seen(postgres: Database) -> None:
    select(postgres.dsn, "create table t as select generate_series(1, 1200) as n")
    rows = streamed(postgres.dsn, "select n from t")
    next(iter(rows))
    select(postgres.dsn, "insert into t values (0)")
    assert sum(1 for _ in rows) == 1199


@pytest.mark.parametrize("query", ["select 1", "select from nothing_of_this_name"])
def test_a_server_that_cannot_answer_is_away(postgres: Database, query: str) -> None:
    dsn = postgres.dsn if "nothing" in query else "postgresql://x@127.0.0.1:1/x"
    with pytest.raises(Away):
        list(streamed(dsn, query))


@pytest.mark.parametrize("dsn", ["postgresql://u:hush%zz@server/db", "host=server hush", "hush"])
def test_a_dsn_that_is_none_is_one_line_without_its_password(dsn: str) -> None:
    for ask in (lambda: list(streamed(dsn, "select 1")), lambda: migrate.check(dsn)):
        with pytest.raises(UserError, match="not a PostgreSQL connection string") as caught:
            ask()
        assert "hush" not in str(caught.value)
        assert caught.value.__cause__ is None
