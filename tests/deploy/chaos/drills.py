"""What is done to a small pipeline so that one safety is all that stands between a fault and an account."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from time import monotonic
from typing import Any, NamedTuple, cast

from redis.asyncio import Redis

from deploy.chaos import evidence
from deploy.chaos.pipeline import HEDGING, Pipeline
from deploy.chaos.story import Statement, Ticket, Totals
from deploy.chaos.trial import Teller
from executor.ledger import PARTS
from shared import streams
from shared.lease import Lease
from shared.streams import Keys

PATIENCE_S = 90.0
LONG_LEASE_S = 60.0
SIZE = Decimal("0.16")
ONE: Mapping[str, str] = {"first": "hedging"}
STANDS_BY = b"standing by for"
"""What an executor says when it has learned that its lease is gone, and looks for it again."""


class Drill:
    """A pipeline and a story of a few openings; the executors stop where they are told."""

    def __init__(self, pipeline: Pipeline, story: Sequence[Statement]) -> None:
        self.pipeline = pipeline
        self.story = story
        self.teller = Teller(pipeline, story)

    def arm(self, name: str, option: str, point: str) -> None:
        """Start an executor anew, which ends (`--die-at`) or stands still (`--pause-at`) when it is at a point."""
        self.pipeline.held.discard(name)
        part = self.pipeline.parts[name]
        part.armed = (option, f"{point}:1")
        part.signal(signal.SIGKILL)

    async def hold(self, name: str) -> None:
        """End an executor and leave it so, until it is armed or released."""
        self.pipeline.held.add(name)
        part = self.pipeline.parts[name]
        part.signal(signal.SIGKILL)
        await until(lambda: not part.alive)

    async def stands(self, name: str) -> None:
        """Wait until an armed executor stands still."""
        part = self.pipeline.parts[name]
        await until(lambda: bool(part.under) and part.alive and part.standing)

    @asynccontextmanager
    async def server(self) -> AsyncIterator[tuple[Redis, Keys]]:
        """The server itself, past every gate."""
        redis = streams.connect(self.pipeline.servers.valkey.url)
        try:
            yield redis, Keys(self.pipeline.namespace)
        finally:
            await redis.aclose()

    async def ends(self) -> int:
        """How many outcomes there are."""
        async with self.server() as (redis, _):
            found = await evidence.streams(redis, self.pipeline.namespace, self.pipeline.accounts)
        return sum(o["kind"] == "outcome" for o in found["outcomes"])

    async def until_ends(self, count: int) -> None:
        """Wait until there are so many outcomes."""
        deadline = monotonic() + PATIENCE_S
        while await self.ends() < count:
            assert monotonic() < deadline, "not all has come to its end"
            await asyncio.sleep(0.02)

    async def wakes(self) -> None:
        """Let the executor that stands still go on, until it has learned that it is too late or has told an outcome."""
        told, said, deadline = await self.ends(), self._said(), monotonic() + PATIENCE_S
        self.pipeline.parts["executor"].signal(signal.SIGCONT)
        while self._said() == said and await self.ends() == told:
            assert monotonic() < deadline, "it does not wake up"
            await asyncio.sleep(0.02)

    def _said(self) -> int:
        return (self.pipeline.folder / "log" / "executor").read_bytes().count(STANDS_BY)

    async def memory(self) -> Mapping[str, bytes | None]:
        """All that the server keeps of the first account but who holds it."""
        async with self.server() as (redis, keys):
            names = [keys.account(part, "first") for part in PARTS if part != "lease"]
            return {name: await redis.dump(name) for name in names}

    async def forget(self, earlier: Mapping[str, bytes | None]) -> None:
        """Bring back what the server kept of the first account, as one behind a proxy does that was promoted late."""
        async with self.server() as (redis, _), redis.pipeline(transaction=True) as pipe:
            for name, dumped in earlier.items():
                pipe.delete(name)
                if dumped is not None:
                    pipe.restore(name, 0, cast(Any, dumped))
            await pipe.execute()

    @asynccontextmanager
    async def another_holds_it(self) -> AsyncIterator[None]:
        """Somebody else has taken the first account, and done nothing yet."""
        async with self.server() as (redis, keys):
            lease = Lease(redis, keys.account("lease", "first"), duration=LONG_LEASE_S, owner="another")
            while await lease.acquire() is not None:
                await asyncio.sleep(0.02)
            try:
                yield
            finally:
                await lease.release()


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    deadline = monotonic() + PATIENCE_S
    while not is_so():
        assert monotonic() < deadline, "it did not come to that"
        await asyncio.sleep(0.01)


async def dies_after_the_call(drill: Drill) -> None:
    """What was sent is in the terminal, and nobody has said so."""
    await drill.hold("standby")
    drill.arm("executor", "--die-at", "called")
    await drill.teller.tell(1)
    await until(lambda: drill.pipeline.reached["die-at-called"] > 0)


async def wakes_up_after_another_has_committed(drill: Drill) -> None:
    """An executor that stood still before its commit goes on when its successor has told the outcome."""
    await drill.hold("standby")
    drill.arm("executor", "--pause-at", "called")
    await drill.teller.tell(1)
    await drill.stands("executor")
    drill.pipeline.held.discard("standby")
    await drill.until_ends(len(drill.pipeline.accounts))
    await drill.wakes()


async def wakes_up_when_what_another_wrote_is_forgotten(drill: Drill) -> None:
    """An executor that stood still before its fence goes on when its successor has sent, and not yet said so.

    A take-over is a write, so that the ledger's version tells it as well. That write is forgotten by the server here,
    and who has the account then has not written anything.
    """
    await drill.hold("standby")
    drill.arm("executor", "--pause-at", "decided")
    await drill.teller.tell(1)
    await drill.stands("executor")
    earlier = await drill.memory()
    drill.arm("standby", "--pause-at", "called")
    await drill.stands("standby")
    await drill.hold("standby")
    async with drill.another_holds_it():
        await drill.forget(earlier)
        await drill.wakes()


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
    """The trader opens a position of its own."""
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


OPENINGS = tuple(opening(number) for number in range(1, 7))


class Played(NamedTuple):
    """A drill: what is done, what the trader does, on which accounts, and what is found without the safety."""

    act: Callable[[Drill], Awaitable[None]]
    fault: str
    story: Sequence[Statement] = OPENINGS
    accounts: Mapping[str, str] = HEDGING


DRILLS = {
    "no_mark_search": Played(dies_after_the_call, "doubled"),
    "no_lease_check": Played(wakes_up_when_what_another_wrote_is_forgotten, "doubled", accounts=ONE),
    "no_checks_in_the_commit": Played(wakes_up_after_another_has_committed, "doubled"),
    "no_return_to_a_gap": Played(redis_forgets, "lost"),
    "deltas": Played(nothing, "wrong", (opening(1), overlapping(2, opening(1)), opening(3))),
}
