"""What the archiver reads from the settings file: how it batches and how long the streams keep what is archived."""

from decimal import Decimal
from typing import Annotated

from msgspec import Meta

from shared.settings import Document, SettingsError, Table, section
from shared.settings import Postgres as PostgresTable


class Archiver(Table, frozen=True, kw_only=True):
    """[archiver]: `linger` is in seconds, `retention` in days.

    A batch is stored when it has `batch-size` rows, or `linger` after its first one came; a lone trade waits that long.
    Entries stay in the streams for `retention` after they were published, archived or not. `metrics` is where
    Prometheus and health checks find us (`host:port`); without it there is no such door.
    """

    metrics: str | None = None
    batch_size: Annotated[int, Meta(ge=1, le=10_000)] = 500
    linger: Annotated[float, Meta(ge=0, le=10)] = 0.02
    retention: Decimal = Decimal(7)

    def __post_init__(self) -> None:
        if not self.retention.is_finite() or self.retention < 0:
            raise ValueError("retention must be 0 or more days")


def load(document: Document) -> Archiver:
    """The section [archiver]. Raises SettingsError with the path of what is wrong."""
    return section(document, "archiver", Archiver)


def dsn(document: Document) -> str:
    """Where the archive is. Raises SettingsError when nobody says so."""
    found = section(document, "postgres", PostgresTable).dsn
    if found is None:
        raise SettingsError("postgres.dsn is not set: name your PostgreSQL, or run `tradecopier up`, which brings one")
    return found.reveal()
