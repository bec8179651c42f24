"""The questions a trader asks of the archive, and the answers as a table, CSV or JSON lines.

Days are UTC. Rows stream from the server, so a long export needs no memory.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain
from typing import Literal

from msgspec import Struct
from psycopg import sql

from archiver.reading import streamed

Cell = str | int | Decimal | datetime | list[int] | None
Form = Literal["table", "csv", "json"]

COLUMNS = (
    *("captured", "account", "instrument", "symbol", "side", "state", "lots", "lots_closed"),
    *("source_price", "price_opened", "price_closed", "slippage", "net", "sent_ms", "answered_ms"),
)
"""What the table shows of a trade."""
EXPORTED = (
    *COLUMNS,
    *("opened", "closed", "profit", "swap", "commission", "read_ms", "source", "source_account", "position"),
    *("facts", "first_fact", "last_fact", "tickets"),
)
"""What CSV and JSON have: all that the archive knows of a trade."""
HEADINGS = {
    "captured": "time (UTC)",
    "lots_closed": "closed",
    "source_price": "at source",
    "price_opened": "opened at",
    "price_closed": "closed at",
    "sent_ms": "ms to send",
    "answered_ms": "ms to fill",
}
END = "\r\n"
NUMBERS = frozenset(COLUMNS[6:])
WIDTHS = {"captured": 23, "account": 12, "side": 4, "state": 7, "lots": 6, "lots_closed": 6}


class Question(Struct, frozen=True, kw_only=True):
    """Which trades: opened at the source on these days (UTC, both included), of this account, in this instrument."""

    namespace: str
    first: date | None = None
    last: date | None = None
    account: str | None = None
    instrument: str | None = None


def query(question: Question, columns: Sequence[str] = COLUMNS) -> tuple[sql.Composed, dict[str, Cell]]:
    """The question as SQL with its parameters; days become a range of `captured`, which reaches the partitions."""
    conditions, values = _narrowed(question)
    names = sql.SQL(", ").join(sql.Identifier(name) for name in columns)
    text = sql.SQL("select {} from trades where {} order by captured, account").format(names, conditions)
    return text, values


def denials_query(question: Question) -> tuple[sql.Composed, dict[str, Cell]]:
    """How often each account denied or was refused for each reason, most frequent first."""
    conditions, values = _narrowed(question)
    text = sql.SQL(
        "select account, result, reason, count(*) from denials where {} group by 1, 2, 3 order by 1, 4 desc, 2, 3"
    )
    return text.format(conditions), values


def _narrowed(question: Question) -> tuple[sql.Composed, dict[str, Cell]]:
    asked: dict[str, tuple[str, Cell]] = {
        "namespace": ("namespace = %(namespace)s", question.namespace),
        "since": ("captured >= %(since)s", midnight(question.first)),
        "until": ("captured < %(until)s", midnight(question.last, days=1)),
        "account": ("account = %(account)s", question.account),
        "instrument": ("(instrument = %(instrument)s or symbol = %(instrument)s)", question.instrument),
    }
    given = {name: (condition, value) for name, (condition, value) in asked.items() if value is not None}
    conditions = sql.SQL(" and ").join(sql.SQL(condition) for condition, _ in given.values())
    return conditions, {name: value for name, (_, value) in given.items()}


def trades(dsn: str, question: Question, columns: Sequence[str] = COLUMNS) -> Iterator[Sequence[Cell]]:
    """The trades in the order of their opening, each with the values of the columns. Raises Away."""
    return streamed(dsn, *query(question, columns))


def denials(dsn: str, question: Question) -> Iterator[Sequence[Cell]]:
    """Account, result, reason and how often. Raises Away."""
    return streamed(dsn, *denials_query(question))


def columns(form: Form) -> Sequence[str]:
    """What is to be asked for, to be `written` in this form."""
    return COLUMNS if form == "table" else EXPORTED


def written(rows: Iterable[Sequence[Cell]], form: Form) -> Iterator[str]:
    """The answer as lines without their ends; each row has the values of `columns(form)`."""
    match form:
        case "table":
            return _table(rows)
        case "csv":
            return _csv(rows)
        case "json":
            return (json.dumps(dict(zip(EXPORTED, map(_plain, row), strict=True))) for row in rows)


def midnight(day: date | None, days: int = 0) -> datetime | None:
    """When a day (UTC) begins, or one so many days later."""
    return None if day is None else datetime.combine(day, time(), UTC) + timedelta(days=days)


def _table(rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """Columns have fixed widths, so that the first line need not wait for the last row."""
    yield _line(HEADINGS.get(name, name.replace("_", " ")) for name in COLUMNS)
    count = 0
    for count, row in enumerate(rows, 1):  # noqa: B007  the number of the last one is the number of all
        yield _line(_short(value) for value in row)
    yield "no trades" if not count else f"{count} trade{'s' if count > 1 else ''}"


def _line(words: Iterable[str]) -> str:
    cells = zip(COLUMNS, words, strict=True)
    return "  ".join(
        w.rjust(WIDTHS.get(n, 10)) if n in NUMBERS else w.ljust(WIDTHS.get(n, 10)) for n, w in cells
    ).rstrip()


def _short(value: Cell) -> str:
    match value:
        case None:
            return "-"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}.{value.microsecond // 1000:03d}"
        case Decimal():
            return f"{round(value, 8).normalize():f}"
        case _:
            # A name comes from a broker: what would move the cursor or colour the screen is shown as a question mark.
            return "".join(c if c.isprintable() else "?" for c in str(value))


def _csv(rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    line = io.StringIO()
    writer = csv.writer(line, lineterminator=END)  # which is what has to be quoted within a name
    for row in chain([EXPORTED], rows):
        writer.writerow([" ".join(map(str, value)) if isinstance(value, list) else _plain(value) for value in row])
        yield line.getvalue().removesuffix(END)
        line.seek(0)
        line.truncate()


def _plain(value: Cell) -> str | int | list[int] | None:
    """Exact: numbers with all their digits, times in ISO 8601."""
    match value:
        case datetime():
            return value.isoformat()
        case Decimal():
            digits = f"{value:f}"
            return digits.rstrip("0").rstrip(".") if "." in digits else digits
        case _:
            return value
