"""Whether the archive still says what was signed: each row against its own signature, each producer against its count.

Pure. A row is made again from its signed message and compared column by column, so that a change shows wherever it was
made; what was signed by nobody is an addition; a number that a producer must have used and nobody finds is a fact that
is missing. Outcomes have no numbers, but every fact ends on every account that follows its source, so an end that is
missing leaves a fact without one; and an outcome names its deals, so a deal that is missing is named by what it left.
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

SILENT = """
with placed as (
    select id, captured, source, published,
        split_part(entry, '-', 1)::numeric * 1e9::numeric + split_part(entry, '-', 2)::numeric as place
    from facts where namespace = %(namespace)s
), followed as (
    select o.account, f.source, min(f.place) as first, max(f.place) as last
    from outcomes o join placed f on (f.id, f.captured) = (o.fact, o.at)
    where o.namespace = %(namespace)s and o.final
    group by o.account, f.source
), waiting as (
    select u.account, min(f.place) as place
    from unfinished u join placed f on f.id = u.fact
    where u.namespace = %(namespace)s and u.state = 'unresolved'
    group by u.account
), passed as (
    select a.account, f.id, min(f.place) as place
    from followed a
    join placed f on f.source = a.source and f.place > a.first
    left join waiting w on w.account = a.account
    where (f.place < a.last or a.account = any(%(done)s) and f.published < %(as_of)s)
      and (w.place is null or f.place < w.place)
    group by a.account, f.id
)
select p.account, p.id
from passed p
where not exists (select from outcomes o where (o.namespace, o.account, o.fact) = (%(namespace)s, p.account, p.id))
order by p.place, p.account
"""
"""Facts that an account has passed without an end or a state. What came before its first end was before it joined; what
came after its last one only counts for the accounts in `done`, which had finished everything as of a time; and openings
may wait behind one whose end nobody knows yet.
"""

UNTOLD = """
select o.account, o.fact, named.deal
from outcomes o
cross join unnest(o.deals) as named (deal)
join (
    select account, max(seen) as last from observations
    where namespace = %(namespace)s and kind = 'deal' group by account
) told using (account)
where o.namespace = %(namespace)s and o.final and o.committed < told.last - interval '1 minute'
  and not exists (
    select from observations d
    where d.kind = 'deal' and (d.namespace, d.account, d.deal) = (%(namespace)s, o.account, named.deal)
  )
order by o.committed, named.deal
"""
"""Deals that an outcome names, and that nobody told although later ones were."""

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


def silent(rows: Iterable[tuple[str, str]]) -> Iterator[Finding]:
    """The accounts and facts of SILENT."""
    for account, fact in rows:
        text = "it has neither an end nor a state here, unless the account was removed for that time"
        yield Finding(verdict="missing", table="outcomes", what=f"{account} {fact}", text=text)


def untold(rows: Iterable[tuple[str, str, int]]) -> Iterator[Finding]:
    """The deals of UNTOLD."""
    for account, fact, deal in rows:
        text = f"the outcome of {fact} names it"
        yield Finding(verdict="missing", table="observations", what=f"{account} deal {deal}", text=text)


def unseen(archived: Mapping[str, int], published: Mapping[str, int]) -> Iterator[Finding]:
    """The facts that were published after a producer's last archived one, when everything published was archived."""
    for producer, last in sorted(published.items()):
        if last > archived.get(producer, 0):
            yield _gap(producer, archived.get(producer, 0) + 1, last)


def uncounted(producers: Iterable[str]) -> Iterator[Finding]:
    """Producers whose last number nobody knows, so that facts which are missing at the end are not seen."""
    for producer in producers:
        text = "what Redis says of its last number is none: somebody has written it"
        yield Finding(verdict="not checked", table="facts", what=producer, text=text)


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
