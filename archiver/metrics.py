"""What the archiver tells Prometheus: what is stored and how old it is by then, what is not, and what holds it up."""

import math
from collections.abc import Callable, Iterable
from datetime import datetime

from prometheus_client import CollectorRegistry

from archiver.headroom import Usage
from archiver.tables import OutcomeRow, Row
from archiver.trim import Cut
from shared.metrics import counter, gauge, histogram, stage_seconds

SIZES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
"""Rows of a batch, for its histogram."""


class Metrics:
    """The metrics of one archiver, in the registry that is given; `clock` tells the time in UTC."""

    def __init__(self, registry: CollectorRegistry, clock: Callable[[], datetime]) -> None:
        self.registry = registry
        self._clock = clock
        stream = ("stream",)
        self._rows = counter(registry, "archive_rows", "Rows stored, those that were there already included.", stream)
        self._dead = counter(registry, "archive_dead_letters", "Entries given up, by reason.", ("stream", "reason"))
        self._held = gauge(registry, "archive_held_entries", "Entries of the last batch that wait for a key.", stream)
        self._age = histogram(
            registry, "archive_age_seconds", "From the stream to PostgreSQL, of each batch's oldest row.", stream
        )
        self._stage = stage_seconds(registry)
        self._batch = histogram(registry, "archive_batch_rows", "Rows in a batch.", stream, SIZES)
        self._save = histogram(registry, "archive_save_seconds", "Time that PostgreSQL took for a batch.", stream)
        self._up = gauge(
            registry, "archive_up", "Whether the stream is being archived; 0 while a server is away.", stream
        )
        self._holders = gauge(
            registry, "archive_trim_held", "1 for a group that keeps entries too long.", ("stream", "group")
        )
        self._detached = gauge(registry, "archive_detached", "1 for an account that nobody reads for.", ("account",))

        self._last = gauge(registry, "archive_last_success_timestamp_seconds", "When a batch was stored last.", stream)
        self._children()
        self._per_fact = gauge(registry, "archive_bytes_per_fact", "Memory in Redis of a fact with its outcomes.")
        self._days = gauge(registry, "archive_headroom_days", "Days until Redis is full if nothing were trimmed.")

    def _children(self) -> None:
        self._archive = self._stage.labels("archive")
        for stream in ("orders", "outcomes"):
            for reason in ("malformed", "bad-signature", "retired-key", "refused-by-postgres"):
                self._dead.labels(stream, reason)
            for one in (self._rows, self._held, self._age, self._save, self._up, self._batch, self._last):
                one.labels(stream)

    def stored(self, stream: str, rows: list[Row], seconds: float) -> None:
        """A batch is in the archive after so many seconds of PostgreSQL's time."""
        # Once a batch, where it can be: a row is read and stored in a few times the time that counting it takes.
        now = self._clock()
        age = max(0.0, (now - min(row.published for row in rows)).total_seconds())
        self._rows.labels(stream).inc(len(rows))
        self._save.labels(stream).observe(seconds)
        self._last.labels(stream).set(now.timestamp())
        self._batch.labels(stream).observe(len(rows))
        self._age.labels(stream).observe(age)
        for row in rows:
            if isinstance(row, OutcomeRow) and row.final:
                self._archive.observe(max(0.0, (now - row.published).total_seconds()))

    def buried(self, stream: str, reason: str) -> None:
        """An entry is a dead letter."""
        self._dead.labels(stream, reason).inc()

    def held(self, stream: str, count: int) -> None:
        """So many entries of a batch stay pending, because they cannot be read yet."""
        self._held.labels(stream).set(count)

    def up(self, stream: str, well: bool) -> None:
        """Both servers serve the stream, or one of them does not."""
        self._up.labels(stream).set(well)

    def measured(self, found: Usage) -> None:
        """Redis was looked at; without facts both figures are not numbers."""
        self._per_fact.set(math.nan if found.per_fact is None else found.per_fact)
        self._days.set(math.nan if found.days is None else found.days)

    def detached(self, accounts: Iterable[str]) -> None:
        """These accounts are detached, because nobody read for them."""
        self._detached.clear()
        for account in accounts:
            self._detached.labels(account).set(1)

    def trimmed(self, cuts: dict[str, Cut]) -> None:
        """The streams were cut; a group that keeps entries beyond the retention is named."""
        self._holders.clear()
        for stream, cut in cuts.items():
            if cut.holder is not None:
                self._holders.labels(stream, cut.holder).set(1)
