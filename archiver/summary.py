"""What a trader wants to know of many trades at once: how often they won, what they earned, how well they were copied.

Pure. Trades are added one by one and only sums are kept, so a summary of a million trades needs no more memory than
one of ten. Accounts are never summed up: they may have different currencies.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import floor, log
from typing import Any

import msgspec
from msgspec import Struct

COLUMNS = (
    *("captured", "account", "instrument", "side", "state", "lots", "source_price", "slippage", "closed", "net"),
    *("sent_ms", "answered_ms"),
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
POINTS = 400
"""A curve has at most so many points; when there are more, neighbours become one."""
STEP = 1.1
"""Latencies are counted in classes, each so much wider than the one before: a percentile is true within 5 %."""
BASIS_POINTS = Decimal(10_000)


class Line(Struct, frozen=True, kw_only=True):
    """One trade, by COLUMNS. Slippage is in price units, above 0 when it cost something; `net` is known when closed."""

    captured: datetime
    account: str
    instrument: str
    side: str
    state: str
    lots: Decimal
    source_price: Decimal | None
    slippage: Decimal | None
    closed: datetime | None
    net: Decimal | None
    sent_ms: Decimal | None
    answered_ms: Decimal | None

    @classmethod
    def of(cls, values: Sequence[Any]) -> "Line":
        """From the values of COLUMNS."""
        return cls(**dict(zip(COLUMNS, values, strict=True)))


class Mean:
    """A running average; None before the first value."""

    def __init__(self) -> None:
        self.count = 0
        self._sum = Decimal(0)

    def add(self, value: Decimal | None) -> None:
        """Count a value, if there is one."""
        if value is not None:
            self.count += 1
            self._sum += value

    @property
    def value(self) -> Decimal | None:
        """The average."""
        return self._sum / self.count if self.count else None


class Spread:
    """How values above 0 (milliseconds) are spread, in classes that grow with the value."""

    def __init__(self) -> None:
        self.classes: dict[int, int] = {}
        self.mean = Mean()

    def add(self, value: Decimal | None) -> None:
        """Count a value, if there is one."""
        self.mean.add(value)
        if value is not None:
            number = floor(log(max(float(value), 0.01), STEP))
            self.classes[number] = self.classes.get(number, 0) + 1

    def percentile(self, share: float) -> float | None:
        """The value that `share` (0 to 1) of all do not exceed, to the middle of its class."""
        left = share * self.mean.count
        for number, count in sorted(self.classes.items()):
            left -= count
            if left <= 0:
                return float(STEP ** (number + 0.5))
        return None


class Curve:
    """Money over time: what each stretch of time added. The stretches grow when there would be too many."""

    def __init__(self) -> None:
        self._grain = timedelta(seconds=1)
        self._added: dict[int, Decimal] = {}

    def add(self, at: datetime, money: Decimal) -> None:
        """Money earned or lost at this time."""
        number = (at - EPOCH) // self._grain
        self._added[number] = self._added.get(number, Decimal(0)) + money
        while len(self._added) > POINTS:
            self._coarsen()

    def points(self) -> list[tuple[datetime, Decimal]]:
        """The total at the end of each stretch in which something happened, from 0 on."""
        total = Decimal(0)
        found: list[tuple[datetime, Decimal]] = []
        for number, money in sorted(self._added.items()):
            if not found:
                found.append((EPOCH + number * self._grain, total))
            total += money
            found.append((EPOCH + (number + 1) * self._grain, total))
        return found

    def _coarsen(self) -> None:
        self._grain *= 2
        halved: dict[int, Decimal] = {}
        for number, money in self._added.items():
            halved[number // 2] = halved.get(number // 2, Decimal(0)) + money
        self._added = halved


class Tally:
    """One account's trades."""

    def __init__(self) -> None:
        self.trades = 0
        self.closed = 0
        self.won = 0
        self.lost = 0
        self.gain = Decimal(0)
        self.loss = Decimal(0)
        self.slippage = Mean()
        self.sent = Spread()
        self.answered = Spread()
        self.curve = Curve()
        self.denials: list[tuple[str, str, int]] = []

    def add(self, line: Line) -> None:
        """Count a trade. Slippage is counted in basis points of the price, so that instruments can be averaged."""
        self.trades += 1
        self.sent.add(line.sent_ms)
        self.answered.add(line.answered_ms)
        if line.slippage is not None and line.source_price:
            self.slippage.add(line.slippage / line.source_price * BASIS_POINTS)
        if line.state == "closed":
            self.closed += 1
            self._earned(line.net, line.closed or line.captured)

    def _earned(self, net: Decimal | None, at: datetime) -> None:
        if net is None:
            return
        self.won += net > 0
        self.lost += net < 0
        self.gain += max(net, Decimal(0))
        self.loss -= min(net, Decimal(0))
        self.curve.add(at, net)

    @property
    def net(self) -> Decimal:
        """What all closed trades earned, in the account's currency."""
        return self.gain - self.loss

    @property
    def win_rate(self) -> float | None:
        """The share of the trades that earned something among those that earned or lost, 0 to 1."""
        decided = self.won + self.lost
        return self.won / decided if decided else None

    @property
    def profit_factor(self) -> Decimal | None:
        """What was won for each unit that was lost."""
        return self.gain / self.loss if self.loss else None


class Summary:
    """All accounts."""

    def __init__(self) -> None:
        self.accounts: dict[str, Tally] = {}

    def add(self, line: Line) -> None:
        """Count a trade."""
        self.accounts.setdefault(line.account, Tally()).add(line)

    def denied(self, rows: Iterable[Sequence[Any]]) -> None:
        """Take what was denied, rejected or given up: account, result, reason, how often."""
        for account, result, reason, count in rows:
            self.accounts.setdefault(account, Tally()).denials.append((result, reason, count))


def lines(summary: Summary) -> Iterator[str]:
    """The summary as a table."""
    for account, tally in sorted(summary.accounts.items()):
        yield f"{account}:"
        facts = figures(tally)
        width = max(len(name) for name in facts)
        yield from (f"  {name.ljust(width)}  {value}" for name, value in facts.items())
        for result, reason, count in tally.denials:
            yield f"  {count} x {result}: {reason or 'no reason given'}"
    if not summary.accounts:
        yield "no trades"


def figures(tally: Tally) -> dict[str, str]:
    """What is said of one account, by name."""
    return {
        "trades": f"{tally.trades} ({tally.trades - tally.closed} open)",
        "net profit": _money(tally.net) if tally.won + tally.lost else "-",
        "win rate": f"{tally.win_rate:.1%} ({tally.won} won, {tally.lost} lost)" if tally.win_rate is not None else "-",
        "profit factor": f"{tally.profit_factor:.2f}" if tally.profit_factor is not None else "-",
        "average slippage": _with(tally.slippage.value, "bp of the price"),
        "click to order": _spread(tally.sent),
        "click to fill": _spread(tally.answered),
        "not copied": str(sum(count for _, _, count in tally.denials)),
    }


def record(summary: Summary) -> str:
    """The summary as one line of JSON: by account, numbers exact as text, milliseconds and shares as numbers."""
    return msgspec.json.encode({name: _recorded(tally) for name, tally in sorted(summary.accounts.items())}).decode()


def _recorded(tally: Tally) -> dict[str, Any]:
    return {
        "trades": tally.trades,
        "closed": tally.closed,
        "won": tally.won,
        "lost": tally.lost,
        "net": f"{tally.net:f}",
        "win_rate": tally.win_rate,
        "profit_factor": tally.profit_factor,
        "slippage_bp": tally.slippage.value,
        "sent_ms": {"mean": tally.sent.mean.value, "p50": tally.sent.percentile(0.5)},
        "answered_ms": {"mean": tally.answered.mean.value, "p50": tally.answered.percentile(0.5)},
        "denials": [{"result": r, "reason": why, "count": count} for r, why, count in tally.denials],
    }


def _money(value: Decimal) -> str:
    return f"{value:+,.2f}"


def _with(value: Decimal | None, unit: str) -> str:
    return "-" if value is None else f"{value:.2f} {unit}"


def _spread(spread: Spread) -> str:
    mean, middle, slow = spread.mean.value, spread.percentile(0.5), spread.percentile(0.99)
    if mean is None or middle is None or slow is None:
        return "-"
    return f"{mean:.1f} ms on average, median {middle:.1f}, 99 % within {slow:.1f}"
