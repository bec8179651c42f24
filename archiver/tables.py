"""The archive's rows as they are typed: one struct per table, its fields are the table's columns.

A row is known by what its entry *is*, never by its entry id, so a message that comes again is one row.
Each key contains a time out of the signed message itself, which is also the time that the table is partitioned by.
"""

from datetime import datetime
from decimal import Decimal
from typing import ClassVar

from msgspec import Struct


class Signed(Struct, frozen=True, kw_only=True):
    """What every row keeps of its entry: message, key id and signature as they came; `body` is the message for jsonb.

    `published` is the time in the entry id: the Redis server's clock, in milliseconds.
    """

    namespace: str
    entry: str
    published: datetime
    m: bytes
    k: str
    s: str
    body: str


class FactRow(Signed, frozen=True, kw_only=True):
    """A fact; known by namespace, id, captured, producer and seq. Quantities are signed, in the source's unit."""

    table: ClassVar[str] = "facts"

    id: str
    captured: datetime
    producer: str
    seq: int
    asked: datetime | None
    kind: str
    source: str
    source_account: str
    instrument: str
    model: str
    evidence: str
    price: Decimal | None
    order_id: str | None
    order_type: str | None
    side: str | None
    quantity: Decimal | None
    position: str
    position_id: str | None
    revision: int
    held_before: Decimal
    coming_before: Decimal
    held_after: Decimal
    coming_after: Decimal
    stop_loss: Decimal | None
    take_profit: Decimal | None

    @property
    def month(self) -> tuple[int, int]:
        """Year and month of the partition."""
        return self.captured.year, self.captured.month


class OutcomeRow(Signed, frozen=True, kw_only=True):
    """An outcome or a state; known by namespace, account, fact, attempt, result, `committed` and `at`.

    `at` is the fact's capture for an outcome; for a state both `at` and `committed` are its beginning. `committed` is
    part of the key because a failover can lose an outcome that was archived: then a second end is made, and both are
    history. Lots and their average prices count only what took effect on the position (an accepted pending order did
    not); `sent` is when the first call left, `answered` when the last one came back.
    """

    table: ClassVar[str] = "outcomes"

    account: str
    fact: str
    attempt: int
    result: str
    final: bool
    at: datetime
    read: datetime | None
    committed: datetime
    sent: datetime | None
    answered: datetime | None
    instrument: str
    symbol: str | None
    lots_opened: Decimal
    lots_reduced: Decimal
    price_opened: Decimal | None
    price_reduced: Decimal | None
    tickets_opened: list[int]
    deals_opened: list[int]
    deals_reduced: list[int]
    marks_opened: list[int]
    marks_reduced: list[int]
    reason: str
    text: str

    @property
    def month(self) -> tuple[int, int]:
        """Year and month of the partition."""
        return self.at.year, self.at.month


class ObservationRow(Signed, frozen=True, kw_only=True):
    """A deal, drift or notice; known by namespace, account, kind, identity and `at`.

    Volumes are lots, `expected` and `actual` signed lots, money is in the account's currency. A drift is told twice,
    when it is certain and when it is over: `subject` and `since` say which one, `ended` is only in the second.
    """

    table: ClassVar[str] = "observations"

    account: str
    kind: str
    identity: str
    at: datetime
    seen: datetime
    symbol: str | None = None
    reason: str = ""
    text: str = ""
    deal: int | None = None
    order_ticket: int | None = None
    position_ticket: int | None = None
    mark: int | None = None
    side: str | None = None
    direction: str | None = None
    volume: Decimal | None = None
    price: Decimal | None = None
    profit: Decimal | None = None
    swap: Decimal | None = None
    commission: Decimal | None = None
    position: str | None = None
    expected: Decimal | None = None
    actual: Decimal | None = None
    finding: str | None = None
    subject: str | None = None
    remedy: str | None = None
    since: datetime | None = None
    ended: datetime | None = None

    @property
    def month(self) -> tuple[int, int]:
        """Year and month of the partition."""
        return self.at.year, self.at.month


Row = FactRow | OutcomeRow | ObservationRow
