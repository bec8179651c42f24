"""What the archiver reads from the settings file: how it batches and how long the streams keep what is archived."""

from decimal import Decimal
from typing import Annotated

from msgspec import Meta

from shared.addresses import postgres_dsn
from shared.settings import Document, Table, section
from shared.settings import Postgres as PostgresTable


class Archiver(Table, frozen=True, kw_only=True):
    """[archiver]: `linger` is in seconds, `retention` and `detach-after` in days.

    A batch is stored when it has `batch-size` rows, or `linger` after its first one came; a lone trade waits that long.
    Entries stay in the streams for `retention` after they were published, archived or not. An account for which nobody
    has read for `detach-after` is detached: its place is kept, and it holds nothing up any more. `metrics` is where
    Prometheus and health checks find us (`host:port`); without it there is no such door.
    """

    metrics: str | None = None
    batch_size: Annotated[int, Meta(ge=1, le=10_000)] = 500
    linger: Annotated[float, Meta(ge=0, le=10)] = 0.02
    retention: Decimal = Decimal(7)
    detach_after: Decimal = Decimal(30)

    def __post_init__(self) -> None:
        if not self.retention.is_finite() or self.retention < 0:
            raise ValueError("retention must be 0 or more days")
        if not self.detach_after.is_finite() or self.detach_after <= 0:
            raise ValueError("detach-after must be more than 0 days")


def load(document: Document) -> Archiver:
    """The section [archiver]. Raises SettingsError with the path of what is wrong."""
    return section(document, "archiver", Archiver)


def dsn(document: Document) -> str:
    """Where the archive is. Raises SettingsError when nobody says so."""
    return postgres_dsn(section(document, "postgres", PostgresTable))
