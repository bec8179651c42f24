"""What a proxy bench found, as lines and as a record: the tap's time beside the proxy's own. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from deploy.bench.calls import KINDS, Kind
from deploy.bench.ratios import Estimate, estimate

TARGET = 0.05
"""The share of the tap that is aimed at."""


class Run(Struct, frozen=True, kw_only=True):
    """One run of one kind of call, milliseconds per call.

    Medians of the calls made directly, through the proxy without a tap (`bare`) and through ingest's (`tapped`);
    `hooks` is the mean time inside the tap's hooks, `beside` that of what they put off, as the tap itself measures it.
    """

    direct: float
    bare: float
    tapped: float
    hooks: float
    beside: float = 0.0

    @property
    def own(self) -> float:
        """What the proxy itself takes for a call."""
        return self.bare - self.direct

    @property
    def share(self) -> float:
        """The tap's share of the time in the proxy. Where the proxy's own cannot be told from noise, all of it."""
        return self.hooks / (self.hooks + self.own) if self.own > 0 else 1.0

    @property
    def added(self) -> float:
        """What a caller waits longer because of the tap; with everything that the tap sets off beside its hooks."""
        return self.tapped - self.bare

    @property
    def waited(self) -> float:
        """The share of what a caller waits longer in what the proxy with its tap takes; noise can make it negative."""
        taken = self.tapped - self.direct
        return self.added / taken if taken > 0 else 1.0


class Report(Struct, frozen=True, kw_only=True):
    """All runs by kind of call; `calls` is how many each run had on a kept connection and on new ones."""

    runs: Mapping[Kind, Sequence[Run]]
    calls: Mapping[str, int]
    conditions: Mapping[str, str]

    def share(self, kind: Kind) -> Estimate:
        """The share of the tap's hooks."""
        return estimate([run.share for run in self.runs[kind]])

    def waited(self, kind: Kind) -> Estimate:
        """The share of all that comes with the tap, as a caller sees it."""
        return estimate([run.waited for run in self.runs[kind]])

    def met(self, kind: Kind) -> bool:
        """Whether the share is within the target."""
        return self.share(kind).median <= TARGET

    def median(self, kind: Kind, value: Callable[[Run], float]) -> float:
        """The median of the runs."""
        return estimate([value(run) for run in self.runs[kind]]).median


def run_line(number: int, found: Mapping[Kind, Run]) -> str:
    """One run."""
    parts = [f"{kind.call}/{kind.connection} {run.own:6.2f} + {run.hooks:5.3f}" for kind, run in found.items()]
    return f"run {number:>2}  ms in the proxy itself + in the tap:  {'   '.join(parts)}"


def lines(report: Report) -> list[str]:
    """The result: the milliseconds, the shares with their intervals, and the verdict."""
    found = [
        "",
        f"{'milliseconds per call':<32}  direct   bare  tapped | proxy itself  tap's hooks  caller waits longer",
    ]
    for kind in KINDS:
        direct, bare, tapped, own, hooks, added, _ = (report.median(kind, value) for value in VALUES.values())
        found.append(
            f"{kind.title:<32}  {direct:6.2f} {bare:6.2f}  {tapped:6.2f} | {own:12.2f} {hooks:12.3f} {added:20.2f}"
        )
    runs = len(report.runs[KINDS[0]])
    found.append(f"share of the tap's hooks in the time in the proxy, median of {runs} runs:")
    found += [f"  {kind.title:<30}  {_told(report.share(kind))}" for kind in KINDS]
    found.append("put off by the hooks, and done when the request or the reply has passed, milliseconds per call:")
    found += [f"  {kind.title:<30}  {report.median(kind, VALUES['beside']):6.3f}" for kind in KINDS]
    found.append("share by what a caller waits longer, with all that the tap sets off beside its hooks:")
    found += [f"  {kind.title:<30}  {_told(report.waited(kind))}" for kind in KINDS]
    missed = [kind.title for kind in KINDS if not report.met(kind)]
    verdict = f"NOT met: {'; '.join(missed)}" if missed else "met"
    found.append(f"target: hooks at most {TARGET:.0%} for every kind of call: {verdict}")
    return found


def record(report: Report) -> dict[str, Any]:
    """The same for a machine to read, with every run."""
    kinds = {
        kind.title: {
            "share": msgspec.to_builtins(report.share(kind)),
            "waited": msgspec.to_builtins(report.waited(kind)),
            "met": report.met(kind),
            "milliseconds": {name: report.median(kind, value) for name, value in VALUES.items()},
            "runs": msgspec.to_builtins(list(report.runs[kind])),
        }
        for kind in KINDS
    }
    return {"conditions": dict(report.conditions), "calls": dict(report.calls), "target": TARGET, "kinds": kinds}


VALUES: Mapping[str, Callable[[Run], float]] = {
    "direct": lambda run: run.direct,
    "bare": lambda run: run.bare,
    "tapped": lambda run: run.tapped,
    "own": lambda run: run.own,
    "hooks": lambda run: run.hooks,
    "added": lambda run: run.added,
    "beside": lambda run: run.beside,
}


def _told(found: Estimate) -> str:
    if found.low is None or found.high is None or found.confidence is None:
        return f"{found.median:6.1%} (too few runs for an interval)"
    return f"{found.median:6.1%}, {found.confidence:.1%} interval {found.low:.1%} to {found.high:.1%}"
