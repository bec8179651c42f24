"""Entries as they lie in the streams, and the rows they become, for tests of the archive."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal as D
from typing import Any

import psycopg

from archiver.rows import record
from archiver.tables import Row
from shared import facts, outcomes, wire
from shared.streams import Entry
from tests.shared.samples import MOMENT, amount, exposure, header

KEYRING = wire.Keyring(current="k1", keys={"k1": b"0123456789abcdef"})
CODEC = wire.Codec("main", KEYRING)
FIRST_MS = int(MOMENT.timestamp() * 1000) + 1

Message = facts.Fact | outcomes.Message


def stream_of(message: Message) -> str:
    return "outcomes" if isinstance(message, outcomes.Message) else "orders"


def entry(message: Message, number: int = 0) -> Entry:
    return Entry(f"{FIRST_MS}-{number}", CODEC.entry(stream_of(message), message))


def signed(message: Message) -> Any:
    """The fields of an entry, for Redis to add."""
    return dict(entry(message).fields)


def judged(message: Message, number: int = 0) -> Any:
    found = entry(message, number)
    read = CODEC.outcome if stream_of(message) == "outcomes" else CODEC.fact
    return record("main", found.id, found.fields, read(found.fields))


def rows(messages: Iterable[Message]) -> list[Row]:
    return [judged(message, number) for number, message in enumerate(messages)]


def fact(seq: int, **changes: Any) -> facts.PositionOpened:
    fields = {"id": f"demo/10001/position:o1/{seq}", "seq": seq, "exposure": exposure(amount(), amount("0.1"), seq)}
    return facts.PositionOpened(**header(**{**fields, **changes}))


def later(seconds: float) -> datetime:
    return MOMENT + timedelta(seconds=seconds)


def step(**changes: Any) -> outcomes.StepReport:
    fields = {"name": "open", "kind": "open", "action": "buy", "symbol": "EURUSD", "result": "done", "volume": D("0.1")}
    return outcomes.StepReport(**{**fields, **changes})


def outcome(of: facts.Fact, *steps: outcomes.StepReport, **changes: Any) -> outcomes.Outcome:
    taken = {"captured": of.captured, "read": of.captured, "committed": of.captured + timedelta(milliseconds=9)}
    fields = {"fact": of.id, "account": "one", "result": "filled", "instrument": of.instrument, **taken}
    return outcomes.Outcome(**{**fields, **changes, "steps": steps})


def select(dsn: str, text: str, *values: Any) -> Sequence[tuple[Any, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("set time zone 'UTC'")
        cursor = connection.execute(text.encode(), values)
        return cursor.fetchall() if cursor.description else []
