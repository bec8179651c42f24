"""The door to PostgreSQL: rows go in, each once, a batch per transaction.

A row that PostgreSQL refuses for its own sake is found by halving the batch and handed back with the server's words;
everything else is stored in the order it came. Whatever else goes wrong is `Away`: the same rows are to be saved again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from types import TracebackType
from typing import Any, Self

import msgspec
import psycopg
from msgspec import Struct
from psycopg import AsyncConnection, AsyncCursor, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from archiver.patience import Away, one_line
from archiver.tables import FactRow, ObservationRow, OutcomeRow, Row

COPY_ABOVE = 50
"""Above so many rows of a table COPY is faster than a pipelined insert (measured: twice as fast at 500)."""

SETTINGS = {
    "application_name": "tradecopier-archiver",
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
    "client_encoding": "utf-8",
}
OPTIONS = "-c timezone=UTC -c statement_timeout=60s -c lock_timeout=30s"
"""Laid over the dsn and over what the database has for defaults: a dead server is noticed within half a minute, we
hold nobody up for longer than one, and every name can be written.
"""

SAVE_TIMEOUT_S = 90.0
"""A server that neither takes rows nor refuses them (stopped, a dead network) counts as away after this time."""

FAULTS = ("22", "23", "54")
"""SQLSTATE classes in which the row is at fault: bad data, a broken constraint, a limit of the server's."""


KINDS: tuple[type[Row], ...] = (FactRow, OutcomeRow, ObservationRow)
Way = Callable[[AsyncConnection, type[Row], Sequence[Row]], Awaitable[None]]


class Poisoned(Struct, frozen=True):
    """A row that PostgreSQL will never take, and why, in its words."""

    row: Row
    text: str


class Store:
    """One connection, made when it is needed. Not to be used by two tasks at once."""

    def __init__(self, dsn: str) -> None:
        given = conninfo_to_dict(dsn).get("options") or ""  # a schema of the operator's own, for example
        self._dsn = make_conninfo(dsn, **SETTINGS, options=f"{given} {OPTIONS}".strip())
        self._connection: AsyncConnection | None = None
        self._months: set[tuple[int, int]] = set()

    async def save(self, rows: Sequence[Row]) -> list[Poisoned]:
        """Store `rows` durably, those that are there already excepted; returns the ones that cannot be stored.

        Raises Away: some of the rows, from the first on, may be stored, the rest is not.
        """
        try:
            async with asyncio.timeout(SAVE_TIMEOUT_S):
                return await self._save(await self._connected(), rows)
        except (psycopg.Error, OSError) as error:
            await self.close()
            raise Away(one_line(error)) from error

    async def make_months(self, months: set[tuple[int, int]]) -> None:
        """Have the partitions of these months (year, month). Raises Away."""
        try:
            async with asyncio.timeout(SAVE_TIMEOUT_S):
                await self._make_months(await self._connected(), months)
        except (psycopg.Error, OSError) as error:
            await self.close()
            raise Away(one_line(error)) from error

    async def close(self) -> None:
        """Give the connection up; the next call makes a new one."""
        connection, self._connection = self._connection, None
        self._months.clear()
        if connection is not None:
            await connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def _connected(self) -> AsyncConnection:
        if self._connection is None:
            self._connection = await AsyncConnection.connect(self._dsn, autocommit=True)
        return self._connection

    async def _save(self, connection: AsyncConnection, rows: Sequence[Row]) -> list[Poisoned]:
        if not rows:
            return []
        try:
            await self._insert(connection, rows)
        except psycopg.Error as error:
            if not _row_at_fault(error):
                raise
            if len(rows) == 1:
                return await self._alone(connection, rows[0])
            middle = len(rows) // 2
            return await self._save(connection, rows[:middle]) + await self._save(connection, rows[middle:])
        return []

    async def _alone(self, connection: AsyncConnection, row: Row) -> list[Poisoned]:
        # Once more with the partition asked for anew: an operator may have detached it since we last looked.
        self._months.clear()
        try:
            await self._insert(connection, [row])
        except psycopg.Error as error:
            if not _row_at_fault(error):
                raise
            return [Poisoned(row, one_line(error))]
        return []

    async def _insert(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        """One transaction. Most batches are new, so COPY goes straight into the table, at half the cost of a merge."""
        await self._make_months(connection, {row.month for row in rows})
        try:
            await _write(connection, rows, _copy)
        except psycopg.errors.UniqueViolation:
            await _write(connection, rows, _merge)

    async def _make_months(self, connection: AsyncConnection, months: set[tuple[int, int]]) -> None:
        for year, month in sorted(months - self._months):
            await connection.execute("select make_month(make_date(%s, %s, 1))", [year, month])
            self._months.add((year, month))


async def _write(connection: AsyncConnection, rows: Sequence[Row], many: Way) -> None:
    batches = [(kind, mine) for kind in KINDS if (mine := [row for row in rows if isinstance(row, kind)])]
    ways = [(many if len(mine) > COPY_ABOVE else _insert_each, kind, mine) for kind, mine in batches]
    # One COPY is a transaction already; to say so costs two more ways to the server and back.
    async with nullcontext() if [way for way, _, _ in ways] == [_copy] else connection.transaction():
        for way, kind, mine in ways:
            await way(connection, kind, mine)


async def _insert_each(connection: AsyncConnection, kind: type[Row], rows: Sequence[Row]) -> None:
    places = sql.SQL(", ").join(sql.Placeholder() for _ in _names(kind))
    statement = sql.SQL("insert into {} ({}) values ({}) on conflict do nothing")
    async with connection.cursor() as cursor:
        await cursor.executemany(statement.format(sql.Identifier(kind.table), _columns(kind), places), _values(rows))


async def _copy(connection: AsyncConnection, kind: type[Row], rows: Sequence[Row]) -> None:
    async with connection.cursor() as cursor:
        await _fill(cursor, sql.Identifier(kind.table), kind, rows)


async def _merge(connection: AsyncConnection, kind: type[Row], rows: Sequence[Row]) -> None:
    table, columns = sql.Identifier(kind.table), _columns(kind)
    incoming = sql.Identifier(f"incoming_{kind.table}")
    async with connection.cursor() as cursor:
        await cursor.execute(sql.SQL("create temp table {} (like {}) on commit drop").format(incoming, table))
        await cursor.execute(sql.SQL("alter table {} alter archived drop not null").format(incoming))
        await _fill(cursor, incoming, kind, rows)
        merge = sql.SQL("insert into {} ({}) select {} from {} order by ctid on conflict do nothing")
        await cursor.execute(merge.format(table, columns, columns, incoming))


async def _fill(cursor: AsyncCursor, table: sql.Identifier, kind: type[Row], rows: Sequence[Row]) -> None:
    async with cursor.copy(sql.SQL("copy {} ({}) from stdin").format(table, _columns(kind))) as copy:
        for values in _values(rows):
            await copy.write_row(values)


def _names(kind: type[Row]) -> tuple[str, ...]:
    return kind.__struct_fields__


def _columns(kind: type[Row]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in _names(kind))


def _values(rows: Sequence[Row]) -> list[Sequence[Any]]:
    """Arrays as PostgreSQL writes them: the driver would ask for the type of each element."""
    return [[_array(v) if type(v) is list else v for v in msgspec.structs.astuple(row)] for row in rows]


def _array(numbers: Sequence[int]) -> str:
    return "{" + ",".join(map(str, numbers)) + "}"


def _row_at_fault(error: psycopg.Error) -> bool:
    """Whether the row would be refused again. What the driver itself cannot send (a NUL in a text) has no SQLSTATE."""
    if error.sqlstate is None:
        return isinstance(error, psycopg.DataError)
    return error.sqlstate[:2] in FAULTS
