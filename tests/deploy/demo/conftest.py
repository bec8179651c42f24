"""A stand-in broker for one test, with prices and a clock that stand still until the test moves them."""

import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal as D
from itertools import count
from pathlib import Path

import pytest

from deploy.demo import authority
from deploy.demo.book import Book
from deploy.demo.broker import Broker
from deploy.demo.rules import Price, Rules
from deploy.demo.trader import Seat


@dataclass
class Bench:
    """Prices by instrument and the time in unix seconds, both set by the test."""

    prices: dict[str, Price] = field(
        default_factory=lambda: {
            "EURUSD": Price(D("1.08504"), D("1.08512")),
            "GBPUSD": Price(D("1.27310"), D("1.27321")),
            "XAUUSD": Price(D("2650.10"), D("2650.35")),
        }
    )
    now: float = 1_731_600_000.0

    def quote(self, instrument: str, _now: float) -> Price:
        return self.prices[instrument]

    def clock(self) -> float:
        return self.now

    def book(self, rules: Rules | None = None) -> Book:
        return Book("10001", rules or Rules(), count(1), self.prices)

    def pass_time(self, book: Book, seconds: float = 1.0) -> None:
        self.now += seconds
        book.advance(self.now)

    def price(self, instrument: str, bid: str, ask: str) -> None:
        self.prices[instrument] = Price(D(bid), D(ask))


@pytest.fixture
def bench() -> Bench:
    return Bench()


@dataclass
class Counter:
    """A broker that listens, and the file of the authority that its certificate comes from."""

    broker: Broker
    authority: Path

    def seat(self, context: ssl.SSLContext | None = None, port: int | None = None) -> Seat:
        return Seat(
            host="localhost",
            port=port or self.broker.port,
            account="10001",
            token=self.broker.token,
            context=context or ssl.create_default_context(cafile=str(self.authority)),
        )


@pytest.fixture
async def counter(bench: Bench, tmp_path: Path) -> AsyncIterator[Counter]:
    ca, context = authority.issue(tmp_path, "localhost", datetime.now(UTC))
    broker = Broker(bench.quote, time.time, Rules(fill_delay=0.02))
    await broker.start(context)
    yield Counter(broker, ca)
    await broker.stop()
