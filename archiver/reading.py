"""The door to PostgreSQL for those who only read: rows come as they are asked for, however many there are."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql

from archiver.patience import UNREADABLE, Away, one_line
from shared.process import UserError

FETCH = 500
"""Rows that are in memory at a time."""

SETTINGS: Mapping[str, Any] = {
    "application_name": "tradecopier-journal",
    "connect_timeout": 5,
    "client_encoding": "utf-8",
}
"""Laid over the dsn and over what the database has for defaults."""

Query = str | sql.Composed


def streamed(dsn: str, query: Query, values: Mapping[str, Any] | None = None) -> Iterator[Sequence[Any]]:
    """The rows of one query, times in UTC, all as of one moment. Raises Away, and UserError when the dsn is none."""
    try:
        yield from _streamed(dsn, query, values or {})
    except psycopg.Error as error:
        raise Away(one_line(error)) from error


def _opened(dsn: str) -> psycopg.Connection:
    try:
        return psycopg.connect(dsn, **SETTINGS)
    except psycopg.ProgrammingError:
        raise UserError(UNREADABLE) from None


def _streamed(dsn: str, query: Query, values: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
    with _opened(dsn) as connection:
        connection.execute("set time zone 'UTC'")
        connection.execute("set datestyle to 'ISO'")  # the driver reads no other
        with connection.cursor(name="rows") as cursor:
            cursor.itersize = FETCH
            yield from cursor.execute(query.encode() if isinstance(query, str) else query, values)
