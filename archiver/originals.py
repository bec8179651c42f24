"""What the archive holds as it was signed, for those who rebuild something from it: facts, and an account's memory.

Nothing of a row is believed but the signed bytes and, for their order, the id of the entry that brought them; whoever
asks checks each signature.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from msgspec import Struct

from archiver.reading import streamed
from archiver.tables import ObservationRow, OutcomeRow, Row
from archiver.verify import LASTS

FACTS = """
select entry, id as what, k, s, m from facts
where namespace = %(namespace)s
order by published, split_part(entry, '-', 2)::numeric
"""
FACT = """
select entry, id as what, k, s, m from facts
where namespace = %(namespace)s and id = %(fact)s
order by published, split_part(entry, '-', 2)::numeric
"""
WHOLES = """
select entry, account || ' kept ' || entry as what, k, s, m from observations
where namespace = %(namespace)s and account = %(account)s and kind = 'kept' and reason <> ''
order by published desc, split_part(entry, '-', 2)::numeric desc
"""
REMOVALS = """
select entry, account || ' kept ' || entry as what, k, s, m from observations
where namespace = %(namespace)s and account = %(account)s and kind = 'kept' and reason = 'removed'
order by published desc, split_part(entry, '-', 2)::numeric desc
"""
TOLD = """
select entry, what, k, s, m from (
    select entry, published, account || ' ' || fact || ' ' || result as what, k, s, m from outcomes
    where namespace = %(namespace)s and account = %(account)s and published >= %(since)s
    union all
    select entry, published, account || ' kept ' || entry as what, k, s, m from observations
    where namespace = %(namespace)s and account = %(account)s and kind = 'kept' and published >= %(since)s
) told
order by published, split_part(entry, '-', 2)::numeric
"""
LACKING = """
select entry, account || ' ' || reason || ' ' || entry as what, k, s, m from observations o
where namespace = %(namespace)s and account = %(account)s and kind = 'notice' and reason in ('removed', 'restored')
    and not exists (
        select from observations left_
        where (left_.namespace, left_.account) = (o.namespace, o.account) and left_.kind = 'kept'
            and left_.reason = 'removed'
            and (left_.published, split_part(left_.entry, '-', 2)::numeric)
                > (o.published, split_part(o.entry, '-', 2)::numeric)
    )
order by published, split_part(entry, '-', 2)::numeric
"""
"""What an account had still to follow at some time, since it was removed last."""
STATES = """
select o.entry, o.account || ' ' || o.fact || ' ' || o.result as what, o.k, o.s, o.m from outcomes o
where o.namespace = %(namespace)s and o.account = %(account)s and exists (
    select from outcomes p
    where not p.final and (p.namespace, p.account, p.fact) = (o.namespace, o.account, o.fact)
)
order by o.published, split_part(o.entry, '-', 2)::numeric
"""

OUTCOME_PLACES = """
select o.s, o.entry
from unnest(
    %(account)s::text[], %(fact)s::text[], %(attempt)s::integer[], %(result)s::text[],
    %(committed)s::timestamptz[], %(at)s::timestamptz[]
) as w (account, fact, attempt, result, committed, at)
cross join lateral (
    select s, entry from outcomes
    where namespace = %(namespace)s and account = w.account and fact = w.fact and attempt = w.attempt
        and result = w.result and committed = w.committed and at = w.at
    limit 1
) o
"""
OBSERVATION_PLACES = """
select o.s, o.entry
from unnest(%(account)s::text[], %(kind)s::text[], %(identity)s::text[], %(at)s::timestamptz[])
    as w (account, kind, identity, at)
cross join lateral (
    select s, entry from observations
    where namespace = %(namespace)s and account = w.account and kind = w.kind and identity = w.identity and at = w.at
    limit 1
) o
"""
"""Each statement by what it is, which is the table's primary key: one look into an index, however much there is."""
ASKED = 5000
"""Statements that are asked for at a time."""


REMEMBERED = """
select account from (
    select distinct on (account) account, reason from observations
    where namespace = %(namespace)s and account = any(%(accounts)s) and kind = 'kept' and reason <> ''
    order by account, published desc, split_part(entry, '-', 2)::numeric desc
) newest
where reason = 'whole'
"""
"""Accounts that were not removed."""


PLACES: Sequence[tuple[type[Row], str, Sequence[str]]] = (
    (OutcomeRow, OUTCOME_PLACES, ("account", "fact", "attempt", "result", "committed", "at")),
    (ObservationRow, OBSERVATION_PLACES, ("account", "kind", "identity", "at")),
)


class Original(Struct, frozen=True):
    """One signed message; `what` names its row, `entry` is the id that it had in its stream."""

    entry: str
    what: str
    fields: dict[bytes, bytes]


class Archive(Struct, frozen=True, kw_only=True):
    """The archive of one namespace. Every method raises Away."""

    dsn: str
    namespace: str

    def remembered(self, accounts: Collection[str]) -> set[str]:
        """Those of these accounts that once worked and were not removed, by rows whose signature is not checked."""
        asked = {"namespace": self.namespace, "accounts": list(accounts)}
        return {account for (account,) in streamed(self.dsn, REMEMBERED, asked)}

    def facts(self) -> Iterator[Original]:
        """All facts, in the order in which they were published."""
        return self._read(FACTS)

    def fact(self, name: str) -> Iterator[Original]:
        """Every statement of one fact, the first one first."""
        return self._read(FACT, fact=name)

    def wholes(self, account: str) -> Iterator[Original]:
        """Each time that all of an account's memory was told, the newest first."""
        return self._read(WHOLES, account=account)

    def told(self, account: str, since: datetime) -> Iterator[Original]:
        """What was told of an account's facts and memory since a moment, in order."""
        return self._read(TOLD, account=account, since=since)

    def states(self, account: str) -> Iterator[Original]:
        """What was told of those facts of an account that once were unresolved or owed, in order."""
        return self._read(STATES, account=account)

    def lacking(self, account: str) -> Iterator[Original]:
        """The notices of what an account had still to follow at some time, in order."""
        return self._read(LACKING, account=account)

    def removals(self, account: str) -> Iterator[Original]:
        """What an account was when it was taken out, the newest first."""
        return self._read(REMOVALS, account=account)

    def lasts(self) -> dict[str, int]:
        """The last sequence of each producer."""
        return dict(streamed(self.dsn, LASTS, {"namespace": self.namespace}))  # type: ignore[arg-type]

    def places(self, rows: Sequence[Row]) -> dict[str, str]:
        """Of outcomes and observations those that are here, by signature: the entry that brought each first."""
        found: dict[str, str] = {}
        for kind, query, names in PLACES:
            mine = [row for row in rows if isinstance(row, kind)]
            for start in range(0, len(mine), ASKED):
                page = mine[start : start + ASKED]
                asked = {name: [getattr(row, name) for row in page] for name in names}
                found.update(streamed(self.dsn, query, {"namespace": self.namespace, **asked}))  # type: ignore[arg-type]
        return found

    def _read(self, query: str, **asked: object) -> Iterator[Original]:
        for entry, what, k, s, m in streamed(self.dsn, query, {"namespace": self.namespace, **asked}):
            yield Original(entry, what, {b"m": bytes(m), b"k": k.encode(), b"s": s.encode()})
