"""What an archive bench found, as lines and as a record. Pure but for asking the machine what it is."""

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import msgspec
from msgspec import Struct

from deploy.bench.machine import filesystem
from deploy.bench.ratios import Estimate, estimate, percentile

TARGET = 0.5
"""The ratio to the better baseline that is aimed at."""
VISIBLE_MS = 100.0
"""How old a lone trade's row may be at the median when it can be seen."""


class Wish(Struct, frozen=True, kw_only=True):
    """What is to be measured: `rows` per run, `runs` pairs, batches of `batch` rows, and so many lone trades."""

    rows: int
    runs: int
    batch: int = 500
    lone: int = 50


class Rates(Struct, frozen=True, kw_only=True):
    """Rows per second of one pair: the whole path and the two baselines."""

    real: float
    executemany: float
    copy: float

    @property
    def ratio(self) -> float:
        """The whole path against the better baseline."""
        return self.real / max(self.executemany, self.copy)


class Conditions(Struct, frozen=True, kw_only=True):
    """Under which it was measured: by name, what a reader has to know."""

    machine: str
    versions: str
    synced: str
    rows: str

    @classmethod
    def of(
        cls, wish: Wish, folder: Path, entry_bytes: int, valkey: Mapping[str, str], postgres: Mapping[str, str]
    ) -> Self:
        """From what the servers say of themselves."""
        return cls(
            machine=f"{os.cpu_count()} cores, {platform.system()} {platform.release()} {platform.machine()}, "
            f"data on {filesystem(folder)}",
            versions=f"Python {platform.python_version()}, PostgreSQL {postgres.get('server_version')}",
            synced=f"PostgreSQL: fsync {postgres.get('fsync')}, synchronous_commit "
            f"{postgres.get('synchronous_commit')}, by {postgres.get('wal_sync_method')}, at each batch, on all sides; "
            f"stream: appendonly {valkey.get('appendonly')}, appendfsync {valkey.get('appendfsync')}",
            rows=f"{wish.rows} a run, half facts, half outcomes and deals, entries of {entry_bytes} bytes; "
            f"batches of {wish.batch}",
        )

    def lines(self) -> list[str]:
        """A line for each."""
        return [f"{name:<9} {value}" for name, value in msgspec.structs.asdict(self).items()]


class Report(Struct, frozen=True, kw_only=True):
    """All pairs, and the milliseconds until each lone trade's row could be seen."""

    conditions: Conditions
    pairs: tuple[Rates, ...]
    ages: tuple[float, ...]

    @property
    def ratio(self) -> Estimate:
        """The median of the pairs' ratios."""
        return estimate([pair.ratio for pair in self.pairs])

    @property
    def met(self) -> bool:
        """Whether the archive is as fast as it is meant to be."""
        return self.ratio.median >= TARGET and percentile(self.ages, 0.5) <= VISIBLE_MS


def pair_line(number: int, pair: Rates) -> str:
    """One pair."""
    return (
        f"pair {number:>2}  whole path {pair.real:7.0f} rows/s   executemany {pair.executemany:7.0f}   "
        f"COPY {pair.copy:7.0f}   ratio to the better {pair.ratio:5.2f}"
    )


def lines(report: Report) -> list[str]:
    """The result: rates, the ratio with its interval, the age of lone trades, and the verdict."""
    rates = {name: estimate([getattr(pair, name) for pair in report.pairs]).median for name in Rates.__struct_fields__}
    ratio = report.ratio
    interval = "too few runs for an interval"
    if ratio.low is not None and ratio.high is not None and ratio.confidence is not None:
        interval = f"{ratio.confidence:.1%} interval {ratio.low:.2f} to {ratio.high:.2f}"
    found = [
        "",
        f"stream -> PostgreSQL, durable: {rates['real']:.0f} rows/s",
        f"bare executemany {rates['executemany']:.0f} rows/s, bare COPY {rates['copy']:.0f} rows/s (all medians)",
        f"median of {len(report.pairs)} ratios to the better baseline: {ratio.median:.2f} ({interval})",
    ]
    p50, p99 = percentile(report.ages, 0.5), percentile(report.ages, 0.99)
    found.append(f"a lone trade's row can be seen after {p50:.1f} ms, p99 {p99:.1f} ms ({len(report.ages)} trades)")
    verdict = "met" if report.met else "NOT met"
    found.append(f"target: at least {TARGET:g} of the better baseline, and within {VISIBLE_MS:g} ms: {verdict}")
    return found


def record(report: Report) -> dict[str, Any]:
    """The same for a machine to read, with every pair."""
    return {
        "conditions": msgspec.to_builtins(report.conditions),
        "ratio": msgspec.to_builtins(report.ratio),
        "target": TARGET,
        "met": report.met,
        "rows_per_second": [msgspec.to_builtins(pair) for pair in report.pairs],
        "lone_ms": list(report.ages),
    }
