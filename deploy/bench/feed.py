"""Trades for the benches that feed executors by hand: opened by a market order and closed again. Pure."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from itertools import count
from typing import Any

from shared import facts
from shared.facts import Amount, Exposure

SOURCE, SOURCE_ACCOUNT = "bench", "1"
INSTRUMENTS = ("EURUSD", "GBPUSD")
LOTS = Decimal("0.01")
OPEN_AT_MOST = 4
"""So many positions are open at a time: the oldest is closed before another one is opened."""


class Feed:
    """States one trade after the other for one producer, with totals before and after as ingest would."""

    def __init__(self, producer: str, open_at_most: int = OPEN_AT_MOST) -> None:
        self.producer = producer
        self._open: list[tuple[str, str]] = []
        self._most = open_at_most
        self._names, self._seqs = count(1), count(1)

    def next(self, now: datetime) -> facts.Fact:
        """The next fact, captured `now`: an opening until enough is open, then the close of the oldest in turn."""
        if len(self._open) < self._most:
            return self._opening(now)
        return self._closing(now)

    def many(self, number: int, now: datetime) -> Iterator[facts.Fact]:
        """So many facts that were all captured `now`."""
        for _ in range(number):
            yield self.next(now)

    def _opening(self, now: datetime) -> facts.Fact:
        number = next(self._names)
        name, instrument = f"{self.producer}-{number}", INSTRUMENTS[number % len(INSTRUMENTS)]
        self._open.append((name, instrument))
        return facts.OrderPlaced(
            order=facts.Order(id=name, type="market", side="buy", quantity=LOTS),
            exposure=Exposure(position=name, revision=1, before=Amount(), after=Amount(coming=LOTS)),
            **self._header(name, 1, instrument, now),
        )

    def _closing(self, now: datetime) -> facts.Fact:
        name, instrument = self._open.pop(0)
        after = Amount(held=LOTS, coming=-LOTS)
        return facts.PositionClosed(
            exposure=Exposure(position=name, revision=2, before=Amount(held=LOTS), after=after),
            **self._header(name, 2, instrument, now),
        )

    def _header(self, name: str, revision: int, instrument: str, now: datetime) -> dict[str, Any]:
        return {
            "id": f"{SOURCE}/{SOURCE_ACCOUNT}/position:{name}/{revision}",
            "source": SOURCE,
            "account": SOURCE_ACCOUNT,
            "instrument": instrument,
            "model": "hedging",
            "producer": self.producer,
            "seq": next(self._seqs),
            "captured": now,
            "contract": facts.Contract(unit="lots"),
        }
