"""What storing costs by itself: the archive's own rows, ready in memory, written with nothing around it.

One connection, the same tables with the same indexes, a transaction per batch, each as durable as the archive's. No
stream, no signature, no check whether a row is there already. The figures are what the whole path is compared with.
"""

from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any, Literal

import psycopg
from msgspec import Struct
from psycopg import sql

from archiver.migrate import migrate
from archiver.tables import Row

Way = Literal["executemany", "COPY"]
FRESH = "bench"
ASKED = ("server_version", "fsync", "synchronous_commit", "wal_sync_method", "full_page_writes", "shared_buffers")


class Batch(Struct, frozen=True, kw_only=True):
    """Rows of one table as they are stored together."""

    kind: type[Row]
    values: Sequence[tuple[Any, ...]]


def fresh(dsn: str) -> str:
    """An empty archive on the server of `dsn`, in the place of the one before; returns its dsn."""
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(FRESH)))
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(FRESH)))
        # What the rows before have left to be written is not to be paid for by those that come.
        admin.execute("checkpoint")
    address = psycopg.conninfo.make_conninfo(dsn, dbname=FRESH)
    migrate(address)
    return address


def store(dsn: str, batches: Sequence[Batch], months: Sequence[tuple[int, int]], way: Way) -> float:
    """Store all batches into an empty archive; seconds that it took. Raises psycopg errors."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for year, month in months:
            connection.execute("select make_month(make_date(%s, %s, 1))", [year, month])
        began = monotonic()
        for batch in batches:
            with connection.transaction(), connection.cursor() as cursor:
                if way == "COPY":
                    _copy(cursor, batch)
                else:
                    cursor.executemany(_insert(batch.kind), batch.values)
        return monotonic() - began


def counted(dsn: str) -> int:
    """How many rows the archive has."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        tables = ("facts", "outcomes", "observations")
        counts = [connection.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(t))) for t in tables]
        return sum(int(count.fetchall()[0][0]) for count in counts)


def promises(dsn: str) -> dict[str, str]:
    """What the server says of itself and of what it syncs."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        found = connection.execute("select name, setting from pg_settings where name = any (%s)", [list(ASKED)])
        return dict(found.fetchall())


class Watcher:
    """Looks whether a row is there; a connection of its own."""

    def __init__(self, dsn: str) -> None:
        self._connection = psycopg.connect(dsn, autocommit=True)

    def has(self, fact: str) -> bool:
        """Whether this fact is in the archive, for everybody to see."""
        return self._connection.execute("select from facts where id = %s", [fact]).rowcount > 0

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def _copy(cursor: psycopg.Cursor, batch: Batch) -> None:
    with cursor.copy(sql.SQL("copy {} ({}) from stdin").format(*_target(batch.kind))) as copy:
        for values in batch.values:
            copy.write_row(values)


def _insert(kind: type[Row]) -> sql.Composed:
    places = sql.SQL(", ").join(sql.Placeholder() for _ in kind.__struct_fields__)
    return sql.SQL("insert into {} ({}) values ({})").format(*_target(kind), places)


def _target(kind: type[Row]) -> tuple[sql.Identifier, sql.Composed]:
    columns = sql.SQL(", ").join(sql.Identifier(name) for name in kind.__struct_fields__)
    return sql.Identifier(kind.table), columns


def analyze(dsn: str) -> None:
    """Have the server look at what it holds, as its own daemon does in time."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("vacuum analyze")


def plan(dsn: str, query: sql.Composed, values: Mapping[str, Any]) -> list[str]:
    """How the server would answer, for a reader who takes the rows as they come."""
    with psycopg.connect(dsn) as connection:
        return [line for (line,) in connection.execute(sql.SQL("explain ") + query, values)]
