"""How large the archive is and how fast it grows, for an operator."""

from collections.abc import Iterator
from datetime import datetime

from archiver.reading import streamed

TABLES = """
select parent.relname, sum(pg_total_relation_size(part.oid))::bigint
from pg_inherits join pg_class parent on parent.oid = inhparent join pg_class part on part.oid = inhrelid
where parent.relname in ('facts', 'outcomes', 'observations') and parent.relkind = 'p'
group by 1 order by 1
"""
FACTS = """
select count(*), min(captured), max(captured),
       max(archived - published) filter (where captured > now() - interval '1 day')
from facts
"""


def lines(dsn: str) -> Iterator[str]:
    """What to tell an operator. Raises Away."""
    ((count, first, last, slowest),) = streamed(dsn, FACTS)
    total = 0
    for table, size in streamed(dsn, TABLES):
        total += int(size)
        yield f"{table}: {_bytes(int(size))}"
    if not count:
        yield "PostgreSQL: no facts yet"
        return
    yield _growth(count, total, first, last)
    if slowest is not None:
        yield f"oldest row of the last day when it was stored: {slowest.total_seconds():.3f} s"


def _growth(count: int, total: int, first: datetime, last: datetime) -> str:
    days = max((last - first).total_seconds() / 86400, 1.0)
    per_day = count / days
    return (
        f"PostgreSQL: {count:,} facts from {first:%Y-%m-%d} to {last:%Y-%m-%d}, {total / count:,.0f} bytes each with "
        f"their outcomes and indexes; grows by {_bytes(int(per_day * total / count))} a day"
    )


def _bytes(size: int) -> str:
    units = ("bytes", "kB", "MB", "GB", "TB")
    power = min(max(size, 1).bit_length() // 10, len(units) - 1)
    return f"{size / 1024**power:,.1f} {units[power]}" if power else f"{size} bytes"
