"""What a drain bench found, as lines and as a record. Pure."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from deploy.bench.ratios import Estimate, estimate

TARGET = 0.25
"""The ratio to the bare loop that is aimed at."""


class Pair(Struct, frozen=True, kw_only=True):
    """One restart with everything waiting, and the bare loop over the same entries.

    `real` and `bare` are facts per second; `start` is the seconds from starting the process to its first outcome.
    `suspect` is the seconds that as many took which may have been sent, `exit` those until an exit behind them was
    done.
    """

    real: float
    bare: float
    start: float
    suspect: float
    exit: float
    facts: int

    @property
    def ratio(self) -> float:
        """The executor against the bare loop."""
        return self.real / self.bare

    @property
    def suspects(self) -> float:
        """Facts that may have been sent against others, grace and all."""
        return self.facts / self.suspect / self.real


class Report(Struct, frozen=True, kw_only=True):
    """All pairs; `grace` is the seconds that nothing is believed absent before."""

    pairs: tuple[Pair, ...]
    grace: float
    conditions: Mapping[str, str]

    @property
    def ratio(self) -> Estimate:
        """The median of the pairs' ratios."""
        return estimate([pair.ratio for pair in self.pairs])

    @property
    def suspects(self) -> Estimate:
        """The median of the ratios of facts that may have been sent."""
        return estimate([pair.suspects for pair in self.pairs])

    @property
    def met(self) -> bool:
        """Whether it is as fast as it is meant to be."""
        return self.ratio.median >= TARGET


def pair_line(number: int, pair: Pair) -> str:
    """One pair."""
    return (
        f"pair {number:>2}  {pair.facts} facts in order: {pair.real:6.0f} facts/s   bare loop {pair.bare:6.0f}/s   "
        f"ratio {pair.ratio:5.3f}   first outcome {pair.start:.1f} s after the start   "
        f"suspect {pair.suspect:.1f} s, an exit behind them {pair.exit:.1f} s   ratio {pair.suspects:5.3f}"
    )


def lines(report: Report) -> list[str]:
    """The result: the rates, the ratio with its interval, and the verdict."""
    names = ("real", "bare", "start", "suspect", "exit")
    median = {name: estimate([getattr(pair, name) for pair in report.pairs]).median for name in names}
    real, bare, start = (median[name] for name in names[:3])
    grace = f"a grace of {report.grace:g} s in it"
    verdict = "met" if report.met else "NOT met"
    return [
        "",
        f"waiting facts worked off after a restart, every one in order: {real:.0f} facts/s; bare loop {bare:.0f}/s",
        f"first outcome {start:.1f} s after the process was started (all medians)",
        f"as many that may have been sent, half of them too old by now: {median['suspect']:.1f} s, {grace}",
        f"an exit that stood behind them all was done after {median['exit']:.1f} s",
        f"median of {len(report.pairs)} ratios of their rate to that of the others: {report.suspects.told('.3f')}",
        f"median of {len(report.pairs)} ratios: {report.ratio.told('.3f')}",
        f"target: at least {TARGET:g}: {verdict}",
    ]


def record(report: Report) -> dict[str, Any]:
    """The same for a machine to read, with every pair."""
    return {
        "conditions": dict(report.conditions),
        "ratio": msgspec.to_builtins(report.ratio),
        "suspects": msgspec.to_builtins(report.suspects),
        "grace": report.grace,
        "target": TARGET,
        "met": report.met,
        "pairs": [msgspec.to_builtins(pair) for pair in report.pairs],
    }
