"""What a take-over bench found, as lines and as a record. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from deploy.bench.ratios import percentile
from shared.outcomes import Outcome

ALLOWED_S = 1.0
"""How long after the end of the lease the first call may come."""
WIDTH = 40


class TakeOver(Struct, frozen=True, kw_only=True):
    """One kill of the active executor, as one account saw it.

    `first` is the seconds until the standby's first call to the vendor. `unsure` are the seconds until the end of each
    opening that was delivered before the kill and may have been sent: these wait for the grace.
    """

    account: str
    first: float
    unsure: tuple[float, ...] = ()


class Report(Struct, frozen=True, kw_only=True):
    """All take-overs. `lease` and `grace` in seconds."""

    taken: tuple[TakeOver, ...]
    kills: int
    lease: float
    grace: float
    conditions: Mapping[str, str]

    @property
    def within(self) -> float:
        """The longest that a first call may take."""
        return self.lease + ALLOWED_S

    @property
    def unsure(self) -> list[float]:
        """Every opening that may have been sent."""
        return [seconds for each in self.taken for seconds in each.unsure]

    @property
    def met(self) -> bool:
        """Whether all came in time."""
        late = [each for each in self.taken if each.first > self.within]
        return not late and all(seconds <= self.within + self.grace for seconds in self.unsure)


def taken(account: str, killed: datetime, outcomes: Iterable[Outcome], delivered: Sequence[str]) -> TakeOver | None:
    """The take-over that an account's outcomes tell; None while nothing was sent after the kill.

    `delivered` are the entries that were read and had no end when the executor was killed.
    """
    sent: list[datetime] = []
    unsure: list[float] = []
    for outcome in outcomes:
        if outcome.entry in delivered:
            if any(step.kind == "open" for step in outcome.steps):
                unsure.append((outcome.committed - killed).total_seconds())
        else:
            sent += [step.sent for step in outcome.steps if step.sent is not None and step.sent > killed]
    if not sent:
        return None
    return TakeOver(account=account, first=(min(sent) - killed).total_seconds(), unsure=tuple(unsure))


def run_line(number: int, found: Sequence[TakeOver]) -> str:
    """One kill."""
    unsure = [f"{seconds:.2f} s" for each in found for seconds in each.unsure]
    told = f"   openings that may have been sent ended after {', '.join(unsure)}" if unsure else ""
    return f"kill {number:>2}  first call after {', '.join(f'{each.first:.2f} s' for each in found)}{told}"


def lines(report: Report) -> list[str]:
    """The result: the distribution, and the verdict."""
    first = sorted(each.first for each in report.taken)
    p50, p90 = percentile(first, 0.5), percentile(first, 0.9)
    found = [
        "",
        f"{report.kills} kills of the active executor under load, {len(first)} take-overs",
        f"kill -9 to the standby's first call: {first[0]:.2f} to {first[-1]:.2f} s, p50 {p50:.2f} s, p90 {p90:.2f} s",
        *_distribution(first, report.within),
    ]
    if report.unsure:
        longest = max(report.unsure)
        found.append(f"{len(report.unsure)} openings that may have been sent: their end after {longest:.2f} s at most")
    verdict = "met" if report.met else "NOT met"
    found.append(
        f"target: at most {report.within:g} s (lease {report.lease:g} s and {ALLOWED_S:g} s); openings that may have "
        f"been sent, {report.grace:g} s of grace more: {verdict}"
    )
    return found


def record(report: Report) -> dict[str, Any]:
    """The same for a machine to read, with every take-over."""
    return {**msgspec.to_builtins(report), "within": report.within, "met": report.met}


def _distribution(first: Sequence[float], within: float) -> list[str]:
    """How many came in each tenth of the time allowed, and beyond."""
    bins = [sum(within * n / 10 <= s < within * (n + 1) / 10 for s in first) for n in range(10)]
    told = [(f"{within * n / 10:5.2f} to {within * (n + 1) / 10:5.2f} s", count) for n, count in enumerate(bins)]
    told.append((f"      beyond {within:5.2f} s"[-16:], sum(s >= within for s in first)))
    most = max(count for _, count in told)
    return [f"  {name:>16}  {count:>3}  {'#' * (count * WIDTH // most)}" for name, count in told if count]
