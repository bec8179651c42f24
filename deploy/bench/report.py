"""What a latency bench found, as lines and as a record. Pure."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from deploy.bench.ratios import Estimate, estimate, percentile
from deploy.bench.samples import Run, Sample

TARGET = 3.0
"""The ratio at the median that is aimed at."""
STAGES = {
    "published": "capture -> entry in the stream (disk, signature, script, sync; the server's clock, to 0.5 ms)",
    "delivered": "entry -> read by the lane (delivery, signature, order)",
    "sent": "read -> order_send (translate, guards, fence, child process)",
}


class Half(Struct, frozen=True, kw_only=True):
    """One half of a pair: milliseconds at the median and at the 99th percentile."""

    p50: float
    p99: float
    count: int


class Pair(Struct, frozen=True, kw_only=True):
    """The real way and the bare hop, one right after the other."""

    real: Half
    bare: Half
    run: Run

    @property
    def p50(self) -> float:
        """The ratio at the median."""
        return self.real.p50 / self.bare.p50

    @property
    def p99(self) -> float:
        """The ratio at the 99th percentile."""
        return self.real.p99 / self.bare.p99


class Conditions(Struct, frozen=True, kw_only=True):
    """Under which it was measured: by name, what a reader has to know."""

    machine: str
    versions: str
    synced: str
    guards: str
    traffic: str

    def lines(self) -> list[str]:
        """A line for each."""
        return [f"{name:<9} {value}" for name, value in msgspec.structs.asdict(self).items()]


class Report(Struct, frozen=True, kw_only=True):
    """All pairs."""

    pairs: tuple[Pair, ...]
    conditions: Conditions

    @property
    def ratio_p50(self) -> Estimate:
        """The median of the pairs' ratios at the median."""
        return estimate([pair.p50 for pair in self.pairs])

    @property
    def ratio_p99(self) -> Estimate:
        """The median of the pairs' ratios at the 99th percentile."""
        return estimate([pair.p99 for pair in self.pairs])

    @property
    def met(self) -> bool:
        """Whether the ratio at the median is at most the target."""
        return self.ratio_p50.median <= TARGET

    @property
    def samples(self) -> list[Sample]:
        """The orders of all runs."""
        return [sample for pair in self.pairs for sample in pair.run.samples]


def half(took: Sequence[float]) -> Half:
    """What is kept of one run's milliseconds. Raises ValueError for none."""
    return Half(p50=percentile(took, 0.5), p99=percentile(took, 0.99), count=len(took))


def pair_line(number: int, pair: Pair) -> str:
    """One pair."""
    return (
        f"pair {number:>2}  order {pair.real.p50:6.2f} ms (p99 {pair.real.p99:7.2f})   "
        f"bare hop {pair.bare.p50:6.2f} ms (p99 {pair.bare.p99:7.2f})   "
        f"ratio {pair.p50:5.2f} (p99 {pair.p99:5.2f})"
    )


def lines(report: Report) -> list[str]:
    """The result: the ratios with their intervals, the times behind them, where they went, and the verdict."""
    found = [*_totals(report), *_stages(report.samples), *_missed(report)]
    found.append(f"median of {len(report.pairs)} ratios at p50: {_told(report.ratio_p50)}")
    found.append(f"median of {len(report.pairs)} ratios at p99: {_told(report.ratio_p99)}")
    verdict = "met" if report.met else "NOT met"
    found.append(f"target: at most {TARGET:g} at p50: {verdict} ({report.ratio_p50.median:.2f})")
    return found


def record(report: Report) -> dict[str, Any]:
    """The same for a machine to read, with every pair."""
    return {
        "conditions": msgspec.to_builtins(report.conditions),
        "orders": len(report.samples),
        "ratio": {"p50": msgspec.to_builtins(report.ratio_p50), "p99": msgspec.to_builtins(report.ratio_p99)},
        "target": TARGET,
        "met": report.met,
        "milliseconds": {name: _percentiles(report.samples, name) for name in ("total", *STAGES)},
        "pairs": [
            {"order": msgspec.to_builtins(p.real), "bare_hop": msgspec.to_builtins(p.bare), "missed": p.run.missed}
            for p in report.pairs
        ],
    }


def _totals(report: Report) -> list[str]:
    total = _percentiles(report.samples, "total")
    bare = [estimate([getattr(pair.bare, name) for pair in report.pairs]).median for name in ("p50", "p99")]
    hops = sum(pair.bare.count for pair in report.pairs)
    return [
        "",
        f"{len(report.samples)} orders, capture -> order_send: p50 {total['p50']:.2f} ms, p99 {total['p99']:.2f} ms",
        f"{hops} bare hops: p50 {bare[0]:.2f} ms, p99 {bare[1]:.2f} ms (medians of the runs)",
    ]


def _stages(samples: Sequence[Sample]) -> list[str]:
    found = []
    for name, text in STAGES.items():
        took = _percentiles(samples, name)
        found.append(f"  {took['p50']:6.2f} ms  p99 {took['p99']:7.2f}  {text}")
    return found


def _missed(report: Report) -> list[str]:
    found = [f"{count} x {text}" for pair in report.pairs for text, count in pair.run.missed.items()]
    return [f"not sent and not counted: {'; '.join(found)}"] if found else []


def _percentiles(samples: Sequence[Sample], name: str) -> dict[str, float]:
    values = [getattr(sample, name) for sample in samples]
    return {"p50": percentile(values, 0.5), "p90": percentile(values, 0.9), "p99": percentile(values, 0.99)}


def _told(found: Estimate) -> str:
    if found.low is None or found.high is None or found.confidence is None:
        return f"{found.median:.2f} (too few runs for an interval)"
    return f"{found.median:.2f}, {found.confidence:.1%} interval {found.low:.2f} to {found.high:.2f}"
