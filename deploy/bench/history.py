"""`bench journal`: an archive of many trades over a year, made with COPY, and how long a month's journal takes from it.

The rows are made by the archive's own rules from a few hundred trades; then each is copied again and again under other
numbers and times, with message and jsonb of real sizes. Their signatures are those of the first copy, so such an
archive is for questions, not for `archiver verify`.
"""

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec
from msgspec import Struct

from archiver import journal, size
from archiver.rows import record as row_of
from archiver.tables import FactRow, ObservationRow, OutcomeRow, Row
from deploy.bench import bare_rows
from deploy.bench.bare_rows import Batch
from deploy.bench.trades import trades as told_trades
from deploy.embedded import Postgres
from shared.process import Stop
from shared.wire import Codec, Keyring

NAMESPACE = "main"
YEAR, MONTH = 2026, 6
START = datetime(YEAR, 1, 1, tzinfo=UTC)
SAMPLES = 400
KEYRING = Keyring(current="bench", keys={"bench": b"\x5a" * 32})
KINDS: tuple[type[Row], ...] = (FactRow, OutcomeRow, ObservationRow)

Told = Callable[[str], None]


class Stopped(Exception):
    """Somebody stopped the bench."""


class Answer(Struct, frozen=True, kw_only=True):
    """A month's journal: its trades, seconds until the first one and until the last, and PostgreSQL's plan."""

    trades: int
    first_s: float
    all_s: float
    plan: tuple[str, ...]


class Found(Struct, frozen=True, kw_only=True):
    """The archive as it was made, and the month's journal asked twice: cold as it can be had, and warm."""

    trades: int
    fill_s: float
    size: tuple[str, ...]
    first: Answer
    again: Answer


async def measure(stop: Stop, folder: Path, trades: int, progress: Told) -> Found | None:
    """Make the archive on a server of its own and ask it; None when it was stopped."""
    server, found = Postgres(folder / "postgres"), None

    def told(text: str) -> None:
        if stop.requested:
            raise Stopped
        progress(text)

    def work() -> Found:
        dsn = bare_rows.fresh(server.dsn)
        took = fill(dsn, trades, told)
        told("asking for a month")
        sizes = tuple(size.lines(dsn))
        return Found(trades=trades, fill_s=took, size=sizes, first=month(dsn), again=month(dsn))

    try:
        await server.started()
        with suppress(Stopped):
            found = await asyncio.to_thread(work)
    finally:
        await asyncio.to_thread(server.stop)
    return found


def lines(found: Found) -> list[str]:
    """What was found, the plan last and without the partitions' repetitions."""
    return [
        f"{found.trades:,} trades of a year made in {found.fill_s:.0f} s (COPY into the tables and all their indexes)",
        *found.size,
        *(
            f"journal of June, {name}: {answer.trades:,} trades, the first after {answer.first_s:.2f} s, "
            f"all after {answer.all_s:.2f} s"
            for name, answer in (("first time", found.first), ("again", found.again))
        ),
        f"partitions that the plan names for the trades: {', '.join(scanned(found.first.plan)) or 'none'}",
    ]


def scanned(plan: Sequence[str]) -> list[str]:
    """The partitions of outcomes in which the month's trades themselves are looked for."""
    return sorted({m[1] for line in plan if (m := re.search(r"on (outcomes_\d{4}_\d\d) o\b", line))})


def record(found: Found) -> dict[str, Any]:
    """The same for a machine to read."""
    return dict(msgspec.to_builtins(found))


def samples() -> list[list[Row]]:
    """The rows of a few hundred trades, by trade."""
    codec = Codec(NAMESPACE, KEYRING)
    found: list[list[Row]] = []
    for trade in told_trades(1, SAMPLES, START, timedelta(), "bench"):
        messages = [("orders", m) for m in trade.facts] + [("outcomes", m) for m in trade.answers]
        rows = [row_of(NAMESPACE, "0-0", codec.entry(stream, m), m) for stream, m in messages]
        found.append([row for row in rows if isinstance(row, Row)])
    return found


def renumbered(rows: Sequence[Row], number: int, opened: datetime) -> Iterator[Row]:
    """The rows of a sample trade as those of trade `number`, opened then."""
    later = opened - START
    for row in rows:
        yield msgspec.structs.replace(row, **_moved(row, later), **_named(row, number))


def _moved(row: Row, later: timedelta) -> dict[str, Any]:
    found = {}
    for name in row.__struct_fields__:
        value = getattr(row, name)
        if isinstance(value, datetime):
            found[name] = value + later
    return found


def _named(row: Row, number: int) -> dict[str, Any]:
    deals = {"deals_opened": [2 * number], "deals_reduced": [2 * number + 1]}
    match row:
        case FactRow():
            seq = 2 * number + row.revision
            return {"id": f"bench/10001/{number}/{row.revision}", "seq": seq, "position": f"p{number}"}
        case OutcomeRow():
            revision = 2 if row.result in {"closed", "ignored"} else 1
            numbers = {name: values for name, values in deals.items() if getattr(row, name)}
            tickets = {"tickets_opened": [number]} if row.tickets_opened else {}
            return {"fact": f"bench/10001/{number}/{revision}", **numbers, **tickets, **_marked(row, number)}
        case ObservationRow():
            deal = 2 * number + (row.direction == "out")
            return {"identity": str(deal), "deal": deal, "position_ticket": number, "mark": 2**52 + deal}


def _marked(row: OutcomeRow, number: int) -> dict[str, Any]:
    marks = {"marks_opened": [2**52 + 2 * number], "marks_reduced": [2**52 + 2 * number + 1]}
    return {name: values for name, values in marks.items() if getattr(row, name)}


def fill(dsn: str, count: int, told: Told, batch: int = 5000) -> float:
    """Store `count` trades of one year with COPY; seconds that it took."""
    patterns, pause = samples(), timedelta(days=365) / count
    began = monotonic()
    for start in range(0, count, batch):
        rows: list[Row] = []
        for number in range(start, min(start + batch, count)):
            rows += renumbered(patterns[number % len(patterns)], number, START + number * pause)
        bare_rows.store(dsn, _batches(rows), sorted({row.month for row in rows}), "COPY")
        told(f"{min(start + batch, count):,} of {count:,} trades")
    bare_rows.analyze(dsn)
    return monotonic() - began


def _batches(rows: Sequence[Row]) -> list[Batch]:
    return [
        Batch(kind=kind, values=[msgspec.structs.astuple(row) for row in rows if isinstance(row, kind)])
        for kind in KINDS
    ]


def month(dsn: str) -> Answer:
    """Ask for June's trades as `journal` does."""
    question = journal.Question(namespace=NAMESPACE, first=date(YEAR, MONTH, 1), last=date(YEAR, MONTH, 30))
    began, first, count = monotonic(), 0.0, 0
    for _ in journal.trades(dsn, question):
        count += 1
        first = first or monotonic() - began
    took = monotonic() - began
    text, values = journal.query(question)
    return Answer(trades=count, first_s=first, all_s=took, plan=tuple(bare_rows.plan(dsn, text, values)))
