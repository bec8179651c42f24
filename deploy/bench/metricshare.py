"""`bench metrics`: the time that an executor spends on counting, beside the time of the way on which it counts.

Both are measured inside the executor: what the counting of a fact takes by its own clock, and the stages from the
moment when a fact was read until its commit was answered. The way is the whole one, with a terminal that answers at
once: any other terminal makes the share smaller.
"""

import asyncio
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

from msgspec import Struct
from prometheus_client.parser import text_string_to_metric_families

from deploy.bench import journey
from deploy.bench.journey import Journey
from deploy.bench.measurement import Measurement
from deploy.bench.ratios import Estimate, estimate
from shared.process import UserError

PACE_S = 0.05
WARM_UP = 20
"""Orders before the first run, which are not counted."""
STAGES = ("decide", "terminal", "commit")
TARGET = 0.05
"""What the counting may take of the way."""
TIMEOUT_S = 10


class Wish(Struct, frozen=True, kw_only=True):
    """How many orders are given in each of how many runs."""

    orders: int
    runs: int


class Spent(Struct, frozen=True, kw_only=True):
    """Seconds on counting and on the way, and the facts that went it."""

    counting: float
    way: float
    facts: int

    def since(self, before: "Spent") -> "Spent":
        """What has come since `before`."""
        return Spent(
            counting=self.counting - before.counting, way=self.way - before.way, facts=self.facts - before.facts
        )

    @property
    def share(self) -> float:
        """The counting's share of the way."""
        return self.counting / self.way


class Report(Struct, frozen=True, kw_only=True):
    """All runs."""

    runs: tuple[Spent, ...]

    @property
    def share(self) -> Estimate:
        """The median share."""
        return estimate([run.share for run in self.runs])


class Bench(Measurement[Wish, Report]):
    """The share of counting."""

    async def _measured(self, stack: AsyncExitStack) -> Report:
        self._progress("starting everything")
        return await self._runs(await journey.opened(self._stop, self._folder, stack))

    async def _runs(self, way: Journey) -> Report:
        await way.run(WARM_UP, PACE_S, 0, lambda _: None)
        runs = []
        for number in range(1, self._wish.runs + 1):
            before = await asyncio.to_thread(spent, way)
            await way.run(self._wish.orders, PACE_S, number, self._showing(number))
            runs.append((await asyncio.to_thread(spent, way)).since(before))
            if not runs[-1].facts:
                raise UserError("no order was followed: see the executor's log, and run `tradecopier demo`")
            self._say(f"run {number:>2}: {words(runs[-1])}")
        return Report(runs=tuple(runs))

    def _showing(self, number: int) -> Callable[[int], None]:
        return lambda done: self._progress(f"run {number} of {self._wish.runs}: order {done} of {self._wish.orders}")


def spent(way: Journey) -> Spent:
    """What the executor's metrics say now. Raises OSError."""
    url = f"http://{way.machine.executor.metrics}/metrics"
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as reply:
        return summed(reply.read().decode())


def summed(text: str) -> Spent:
    """The same, from the metrics' text."""
    counting, way, facts = 0.0, 0.0, 0
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "tradecopier_metering_seconds_total":
                counting += sample.value
            elif sample.name == "tradecopier_stage_seconds_sum" and sample.labels["stage"] in STAGES:
                way += sample.value
            elif sample.name == "tradecopier_outcomes_total":
                facts += int(sample.value)
    return Spent(counting=counting, way=way, facts=facts)


def words(run: Spent) -> str:
    """One run in a line."""
    return (
        f"{run.facts} facts, {run.counting / run.facts * 1e6:.0f} us of counting on "
        f"{run.way / run.facts * 1000:.2f} ms of way: {run.share:.2%}"
    )


def lines(report: Report) -> Iterator[str]:
    """The result in words."""
    kept = "kept" if report.share.median <= TARGET else "MISSED"
    yield f"counting takes {report.share.told('.2%')} of the way from reading a fact to its commit's reply"
    yield f"target: at most {TARGET:.0%}: {kept}"


def record(report: Report) -> dict[str, Any]:
    """The result for a machine to read."""
    return {"runs": report.runs, "share": report.share, "target": TARGET}
