"""What a fan-out bench found: when each order had its first and its last fill, and what an account costs. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from deploy.bench.processes import Cost
from deploy.bench.ratios import Estimate, estimate, percentile
from shared.outcomes import Outcome

MOVED_AT_MOST = 1.1
"""How far the others' median may go with one terminal that hangs."""
GROWN_AT_MOST = 1.25
"""How much more an account may cost among many: caches are colder then. What grew with the others would be fourfold."""
MIB = 2**20


class Run(Struct, frozen=True, kw_only=True):
    """Milliseconds from the capture of each order to its first and its last fill, and to every single one.

    `others` are those of the accounts whose terminal never hangs, in every run the same ones.
    """

    first: tuple[float, ...]
    last: tuple[float, ...]
    others: tuple[float, ...]


class Pair(Struct, frozen=True, kw_only=True):
    """A run with all terminals well, and one in which one terminal hangs."""

    well: Run
    hung: Run

    @property
    def ratio(self) -> float:
        """How the others' median moves."""
        return percentile(self.hung.others, 0.5) / percentile(self.well.others, 0.5)


class Usage(Struct, frozen=True, kw_only=True):
    """What so many accounts cost: the executor with all its lanes, their children, and what each trade of each took.

    `idle` is the share of a processor that an account takes in executor and child while nothing is traded, `cpu` the
    milliseconds of one that each trade takes besides.
    """

    accounts: int
    executor: Cost
    children: Cost
    terminals: Cost
    cpu: float
    idle: float

    def per_account(self, name: str) -> float:
        """`pss` or `rss` of executor and children, MiB per account."""
        both: int = getattr(self.executor, name) + getattr(self.children, name)
        return both / self.accounts / MIB


class Report(Struct, frozen=True, kw_only=True):
    """All pairs of the wished number of accounts, and the usage of that many and of fewer."""

    pairs: tuple[Pair, ...]
    few: Usage
    many: Usage
    conditions: Mapping[str, str]

    @property
    def moved(self) -> Estimate:
        """The median of the pairs' ratios."""
        return estimate([pair.ratio for pair in self.pairs])

    @property
    def grown(self) -> Mapping[str, float]:
        """By what an account costs more among many than among few: 1 is not at all."""
        memory = {name: self.many.per_account(name) / self.few.per_account(name) for name in ("pss", "rss")}
        return {**memory, "cpu per trade": self.many.cpu / self.few.cpu}

    @property
    def met(self) -> bool:
        """Whether nobody waits for one that hangs, and nothing grows with the number of others."""
        return self.moved.median <= MOVED_AT_MOST and max(self.grown.values()) <= GROWN_AT_MOST


def gathered(outcomes: Iterable[Outcome], never_hangs: Sequence[str]) -> Run:
    """The run of some outcomes, of which those with an effect are counted."""
    took: dict[str, list[float]] = {}
    others: list[float] = []
    for outcome in outcomes:
        answered = [step.answered for step in outcome.steps if step.answered is not None and step.result == "done"]
        if answered and outcome.account in never_hangs:
            milliseconds = (max(answered) - outcome.captured).total_seconds() * 1e3
            took.setdefault(outcome.fact, []).append(milliseconds)
            others.append(milliseconds)
    first, last = tuple(min(each) for each in took.values()), tuple(max(each) for each in took.values())
    return Run(first=first, last=last, others=tuple(others))


def pair_line(number: int, pair: Pair) -> str:
    """One pair."""
    well, hung = (percentile(run.others, 0.5) for run in (pair.well, pair.hung))
    return (
        f"pair {number:>2}  first fill {_both(pair.well.first)}   last fill {_both(pair.well.last)}   "
        f"others' median {well:.1f} ms, with one hung {hung:.1f} ms, ratio {pair.ratio:.2f}"
    )


def lines(report: Report) -> list[str]:
    """The result: fills, the ratio with its interval, what an account costs, and the verdict."""
    first = [ms for pair in report.pairs for ms in pair.well.first]
    last = [ms for pair in report.pairs for ms in pair.well.last]
    accounts = report.many.accounts
    return [
        "",
        f"{len(first)} orders on {accounts} accounts, from capture to fill: first {_both(first)}, last {_both(last)}",
        f"others' median with one hung terminal, median of {len(report.pairs)} ratios: {report.moved.told()}",
        *(_usage(usage) for usage in (report.few, report.many)),
        f"an account among {accounts} against one among {report.few.accounts}: "
        + ", ".join(f"{name} x {ratio:.2f}" for name, ratio in report.grown.items()),
        f"target: the others' median x {MOVED_AT_MOST:g} at most, an account among many x {GROWN_AT_MOST:g} at most: "
        + ("met" if report.met else "NOT met"),
    ]


def record(report: Report) -> dict[str, Any]:
    """The same for a machine to read, with every pair."""
    pairs = [
        {name: {"first": run.first, "last": run.last} for name, run in (("well", pair.well), ("hung", pair.hung))}
        | {"ratio": pair.ratio}
        for pair in report.pairs
    ]
    return {
        "conditions": dict(report.conditions),
        "moved": msgspec.to_builtins(report.moved),
        "grown": dict(report.grown),
        "met": report.met,
        "usage": [msgspec.to_builtins(usage) for usage in (report.few, report.many)],
        "pairs": pairs,
    }


def _both(values: Sequence[float]) -> str:
    return f"{percentile(values, 0.5):.1f} ms (p99 {percentile(values, 0.99):.1f})"


def _usage(usage: Usage) -> str:
    executor, child, terminal = (
        cost.pss / MIB / usage.accounts for cost in (usage.executor, usage.children, usage.terminals)
    )
    return (
        f"{usage.accounts:>3} accounts: {usage.per_account('pss'):.1f} MiB PSS, {usage.per_account('rss'):.1f} MiB RSS "
        f"each (executor {executor:.1f} + child {child:.1f}; its simulated terminal {terminal:.1f} beside), "
        f"{usage.cpu:.2f} ms CPU per trade, {usage.idle:.2%} of a processor while idle"
    )
