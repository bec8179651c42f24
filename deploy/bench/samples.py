"""What the streams say of one run: per order, when it was captured, when its entry was added, read, and sent. Pure."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from msgspec import Struct

from shared.facts import Fact
from shared.outcomes import Outcome

ENTRY_GRAIN_MS = 1.0
"""The server's part of an entry id counts whole milliseconds, so on average an entry is half of one younger."""


class Sample(Struct, frozen=True, kw_only=True):
    """One order's way through the pipeline, in milliseconds.

    `total` is from the capture (the reply has passed the proxy) to the call of `order_send`, taken in the child. The
    stages between: `published` until the entry was in the stream by the server's clock, to half a millisecond;
    `delivered` until the lane had the entry read and checked; `sent` until the call.
    """

    total: float
    published: float
    delivered: float
    sent: float


class Run(Struct, frozen=True, kw_only=True):
    """The orders of one run. `missed` counts those that were not sent, by what became of them."""

    samples: tuple[Sample, ...]
    missed: Mapping[str, int] = {}
    entry_bytes: int = 0


def gathered(facts: Iterable[tuple[str, Fact]], outcomes: Mapping[str, Outcome], entry_bytes: int) -> Run:
    """The run from the facts (with their entry ids) that calls brought about, and one account's outcomes by fact."""
    samples: list[Sample] = []
    missed: dict[str, int] = {}
    for entry, fact in facts:
        outcome = outcomes.get(fact.id)
        sent = _first_sent(outcome)
        if outcome is not None and sent is not None:
            samples.append(_sample(entry, fact, outcome.read, sent))
        else:
            became = "no outcome" if outcome is None else f"{outcome.result}: {outcome.reason or outcome.text}"
            missed[became] = missed.get(became, 0) + 1
    return Run(samples=tuple(samples), missed=missed, entry_bytes=entry_bytes)


def _first_sent(outcome: Outcome | None) -> datetime | None:
    steps = outcome.steps if outcome is not None else ()
    return min((step.sent for step in steps if step.sent is not None), default=None)


def _sample(entry: str, fact: Fact, read: datetime, sent: datetime) -> Sample:
    added = datetime.fromtimestamp(int(entry.partition("-")[0]) / 1e3, UTC)
    published = _ms(fact.captured, added) + ENTRY_GRAIN_MS / 2
    return Sample(
        total=_ms(fact.captured, sent),
        published=published,
        delivered=_ms(fact.captured, read) - published,
        sent=_ms(read, sent),
    )


def _ms(earlier: datetime, later: datetime) -> float:
    return (later - earlier).total_seconds() * 1e3
