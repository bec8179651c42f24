"""Whether the archive still says what was signed: each row against its own signature, each producer against its count.

Pure. A row is made again from its signed message and compared column by column, so that a change shows wherever it was
made; what was signed by nobody is an addition; a number that a producer must have used and nobody finds is a fact that
is missing. Outcomes and observations have no numbers: a change or an addition shows, a removal does not.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

import msgspec
from msgspec import Struct

from archiver.rows import Held, Unreadable, record
from archiver.tables import FactRow, ObservationRow, OutcomeRow, Row
from shared.wire import Codec

KINDS: tuple[type[Row], ...] = (FactRow, OutcomeRow, ObservationRow)


class Finding(Struct, frozen=True, kw_only=True):
    """Something that is not as it was signed; `what` names the row, `text` says how it differs."""

    verdict: Literal["changed", "missing", "added", "not checked"]
    table: str
    what: str
    text: str

    def line(self) -> str:
        """In one line."""
        return f"{self.verdict}: {self.table} {self.what}: {self.text}"


class Step(Struct, frozen=True, kw_only=True):
    """A number of a producer's facts, and the one before it in the archive (None: it is the first)."""

    producer: str
    seq: int
    previous: int | None
    id: str


def query(kind: type[Row], *, since: bool, until: bool) -> str:
    """All rows of a kind in one namespace and period; the values of `kind`'s fields in their order."""
    time = "captured" if kind is FactRow else "at"
    columns = ", ".join('body::text as "body"' if name == "body" else f'"{name}"' for name in kind.__struct_fields__)
    conditions = ["namespace = %(namespace)s"]
    conditions += [f"{time} >= %(since)s"] if since else []
    conditions += [f"{time} < %(until)s"] if until else []
    return " ".join(["select", columns, "from", kind.table, "where", " and ".join(conditions)])


STEPS = """
select producer, seq, previous, id from (
    select producer, seq, id, lag(seq) over (partition by producer order by seq) as previous
    from facts where namespace = %(namespace)s
) as counted
where previous is distinct from seq - 1
"""
"""Where the numbers of a producer do not follow one another; its first one is among them."""

LASTS = "select producer, max(seq) from facts where namespace = %(namespace)s group by producer"


def checked(codec: Codec, kind: type[Row], values: Sequence[Any]) -> Finding | None:
    """What is wrong with a row, given the values of its kind's fields; None when it is as it was signed."""
    row = dict(zip(kind.__struct_fields__, values, strict=True))
    fields = {b"m": bytes(row["m"]), b"k": row["k"].encode(), b"s": row["s"].encode()}
    verdict = codec.fact(fields) if kind is FactRow else codec.outcome(fields)
    made = record(row["namespace"], row["entry"], fields, verdict)
    match made:
        case Unreadable(reason="bad-signature"):
            return _finding(kind, row, "changed", "its message is not what was signed, or nobody signed it")
        case Unreadable():
            return _finding(kind, row, "changed", f"its message cannot be read: {made.text}")
        case Held():
            return _finding(kind, row, "not checked", made.text)
        case _:
            return _compared(kind, row, made)


def missing(steps: Iterable[Step]) -> Iterator[Finding]:
    """The gaps and doubles in the producers' numbers. A producer's first number is 1."""
    for step in steps:
        previous = step.previous or 0
        what = f"{step.producer} {step.seq}"
        if step.seq == previous:
            text = f"{step.id} has a number that another fact has"
            yield Finding(verdict="added", table="facts", what=what, text=text)
        elif step.seq > previous + 1:
            yield _gap(step.producer, previous + 1, step.seq - 1)


def unseen(archived: Mapping[str, int], published: Mapping[str, int]) -> Iterator[Finding]:
    """The facts that were published after a producer's last archived one, when everything published was archived."""
    for producer, last in sorted(published.items()):
        if last > archived.get(producer, 0):
            yield _gap(producer, archived.get(producer, 0) + 1, last)


def _gap(producer: str, first: int, last: int) -> Finding:
    numbers = str(first) if first == last else f"{first} to {last}"
    text = "this fact is not in the archive" if first == last else f"{last - first + 1} facts are not in the archive"
    return Finding(verdict="missing", table="facts", what=f"{producer} {numbers}", text=text)


def _compared(kind: type[Row], row: Mapping[str, Any], made: Row) -> Finding | None:
    wanted = msgspec.structs.asdict(made)
    differing = [n for n in kind.__struct_fields__ if n not in {"m", "body"} and row[n] != wanted[n]]
    if not isinstance(made, kind):
        differing = ["kind"]
    elif _json(row["body"]) != _json(wanted["body"]):
        differing.append("body")
    if not differing:
        return None
    text = ", ".join(f"{n} is {_short(row[n])}, signed was {_short(wanted[n])}" for n in differing)
    return _finding(kind, row, "changed", text)


def _finding(kind: type[Row], row: Mapping[str, Any], verdict: Literal["changed", "not checked"], text: str) -> Finding:
    names = {FactRow: ("producer", "seq", "id"), OutcomeRow: ("account", "fact", "attempt", "result")}
    what = " ".join(str(row[name]) for name in names.get(kind, ("account", "kind", "identity")))
    return Finding(verdict=verdict, table=kind.table, what=what, text=text)


def _json(text: str) -> Any:
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
