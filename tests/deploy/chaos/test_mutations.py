"""The suite notices when a safety is missing, by the fault it stands against; with all of them it finds nothing."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from time import monotonic

import pytest

from deploy.chaos import checker, evidence
from deploy.chaos.checker import Finding
from deploy.chaos.pipeline import HEDGING, Pipeline, Servers
from deploy.chaos.story import Statement, Ticket, Totals
from deploy.chaos.timing import SCALE, shipped
from deploy.chaos.trial import Teller, settled
from deploy.groundwork import migrated
from shared import streams
from shared.settings import Secret

PATIENCE_S = 40.0
SETTLE_S = 25.0
SIZE = Decimal("0.16")


class Drill:
    """A pipeline and a story of a few openings; the executors stop where they are told."""

    def __init__(self, pipeline: Pipeline, story: list[Statement]) -> None:
        self.pipeline = pipeline
        self.story = story
        self.teller = Teller(pipeline, story)

    def arm(self, name: str, option: str, point: str, nth: int = 1) -> None:
        """Start an executor anew, which ends (`--die-at`) or stands still (`--pause-at`) when it is at a point."""
        self.pipeline.held.discard(name)
        part = self.pipeline.parts[name]
        part.armed = (option, f"{point}:{nth}")
        part.signal(signal.SIGKILL)

    def hold(self, name: str) -> None:
        """End an executor and leave it so, until it is armed or released."""
        self.pipeline.held.add(name)
        self.pipeline.parts[name].signal(signal.SIGKILL)

    async def comes_to_its_point(self, name: str) -> None:
        """Tell the story on until an armed executor stands still; what was told while it started was only claimed."""
        for number in range(self.teller.accepted + 1, len(self.story) + 1):
            await self.teller.tell(number)
            if await self.stands(name, patience=3.0):
                return
        raise AssertionError("it did not come to its point")

    async def stands(self, name: str, patience: float = PATIENCE_S) -> bool:
        """Wait until an armed executor stands still; whether it does."""
        part, deadline = self.pipeline.parts[name], monotonic() + patience
        while not (part.under and part.alive and part.standing) and monotonic() < deadline:
            await asyncio.sleep(0.01)
        return part.standing

    async def ends(self) -> int:
        """How many outcomes there are."""
        redis = streams.connect(self.pipeline.servers.valkey.url)
        try:
            found = await evidence.streams(redis, self.pipeline.namespace, self.pipeline.accounts)
        finally:
            await redis.aclose()
        return sum(o["kind"] == "outcome" for o in found["outcomes"])

    async def until_ends(self, count: int, patience: float = PATIENCE_S) -> None:
        """Wait until there are so many outcomes, or for as long as that may take."""
        deadline = monotonic() + patience
        while await self.ends() < count and monotonic() < deadline:
            await asyncio.sleep(0.02)


async def until(is_so: Callable[[], bool], patience: float = PATIENCE_S) -> None:
    """Wait until something is so."""
    deadline = monotonic() + patience
    while not is_so():
        assert monotonic() < deadline, "it did not come to that"
        await asyncio.sleep(0.01)


async def dies_after_the_call(drill: Drill) -> None:
    """What was sent is in the terminal, and nobody has said so."""
    drill.hold("standby")
    drill.arm("executor", "--die-at", "called")
    await drill.teller.tell(1)
    await until(lambda: drill.pipeline.reached["die-at-called"] > 0)


async def wakes_up_after_another_has_committed(drill: Drill) -> None:
    """An executor that stood still before its commit goes on when its successor has told the outcome."""
    drill.hold("standby")
    drill.arm("executor", "--pause-at", "called")
    await drill.comes_to_its_point("executor")
    drill.pipeline.held.discard("standby")
    told = 2 * drill.teller.accepted
    await drill.until_ends(told)
    drill.pipeline.parts["executor"].signal(signal.SIGCONT)
    await drill.until_ends(told + 1, patience=2.0)


async def wakes_up_when_another_has_called(drill: Drill) -> None:
    """An executor that stood still before its fence goes on when its successor has sent, and not yet said so."""
    drill.hold("standby")
    drill.arm("executor", "--pause-at", "read", nth=3)  # both accounts know the symbol then, and ask nothing more
    await drill.comes_to_its_point("executor")
    drill.arm("standby", "--pause-at", "called")
    await until(lambda: drill.pipeline.parts["standby"].under != ())
    assert await drill.stands("standby"), "it did not take over"
    drill.pipeline.parts["executor"].signal(signal.SIGCONT)
    told = await drill.ends()
    await drill.until_ends(told + 1, patience=2.0)
    drill.pipeline.parts["standby"].signal(signal.SIGCONT)


async def redis_forgets(drill: Drill) -> None:
    """The server comes back as it was a moment ago, as a replica does that never got the last writes."""
    valkey = drill.pipeline.servers.valkey
    data = valkey.directory / "data"
    await drill.teller.tell(1)
    await drill.until_ends(2)
    shutil.copytree(data, valkey.directory / "earlier")
    await drill.teller.tell(2)
    await drill.until_ends(4)
    assert valkey.pid is not None
    os.kill(valkey.pid, signal.SIGKILL)
    await until(lambda: valkey.pid is None)
    shutil.rmtree(data)
    (valkey.directory / "earlier").rename(data)
    await valkey.started()


async def nothing(_drill: Drill) -> None:
    """The story alone."""


def opening(number: int) -> Statement:
    ticket = Ticket(id=f"p{number}", buy=True, quantity=SIZE)
    after = Totals(coming=SIZE)
    return Statement(
        number=number,
        kind="order.placed",
        instrument="EURUSD",
        position=ticket.id,
        revision=1,
        before=Totals(),
        after=after,
        order=ticket,
    )


def overlapping(number: int, first: Statement) -> Statement:
    """A poll's view of what an opening has done already: the same change again, as a newer revision."""
    return Statement(
        number=number,
        kind="position.changed",
        instrument=first.instrument,
        position=first.position,
        revision=2,
        before=first.before,
        after=first.after,
    )


OPENINGS = [opening(number) for number in range(1, 7)]
Act = Callable[[Drill], Awaitable[None]]
DRILLS: dict[str, tuple[Act, list[Statement], str]] = {
    "no_mark_search": (dies_after_the_call, OPENINGS, "doubled"),
    "no_lease_check_in_the_fence": (wakes_up_when_another_has_called, OPENINGS, "doubled"),
    "no_checks_in_the_commit": (wakes_up_after_another_has_committed, OPENINGS, "doubled"),
    "no_return_to_a_gap": (redis_forgets, OPENINGS, "lost"),
    "deltas": (nothing, [opening(1), overlapping(2, opening(1)), opening(3)], "wrong"),
}


@pytest.fixture
def passable(tmp_path: Path) -> Path:
    """A folder that PostgreSQL can pass, whoever it runs as."""
    tmp_path.chmod(0o711)
    return tmp_path


@pytest.fixture
async def servers(passable: Path) -> AsyncIterator[Servers]:
    """Servers of their own, since one of the drills takes their writes back."""
    found = Servers(passable)
    await found.start()
    await migrated(Secret(found.postgres.dsn))
    yield found
    found.stop()


async def drilled(servers: Servers, folder: Path, name: str, through: tuple[str, ...]) -> list[Finding]:
    act, story, _ = DRILLS[name]
    pipeline = Pipeline(folder / "drill", servers, "drill", shipped().over(SCALE), HEDGING, through)
    try:
        await pipeline.start()
        drill = Drill(pipeline, story)
        await act(drill)
        pipeline.held.clear()
        await drill.teller.tell(len(story))
        found = await settled(pipeline, story, SETTLE_S)
    finally:
        await pipeline.stop()
    # After a failover the archive keeps both histories; the stream has one.
    return [f for f in checker.check(story, found) if not ("the archive has" in f.text and act is redis_forgets)]


@pytest.mark.parametrize("name", DRILLS)
async def test_a_missing_safety_is_noticed(servers: Servers, tmp_path: Path, name: str) -> None:
    found = await drilled(servers, tmp_path, name, ("-m", "tests.deploy.chaos.mutants", name))

    assert DRILLS[name][2] in {finding.fault for finding in found}, found


@pytest.mark.parametrize("name", DRILLS)
async def test_with_every_safety_nothing_is_found(servers: Servers, tmp_path: Path, name: str) -> None:
    assert await drilled(servers, tmp_path, name, ("-m", "deploy")) == []
