"""`bench takeover`: how long after kill -9 of the active executor the standby makes its first call, under load.

Two executors serve the same accounts; orders and closes go on at a steady pace all the time. The active one is killed
at a random moment, and the killed one is started again as the new standby before the next kill.
"""

import asyncio
import random
import subprocess
from collections.abc import Mapping
from contextlib import AsyncExitStack
from time import monotonic
from typing import Any, cast

from msgspec import Struct

from deploy.bench import machine
from deploy.bench.crowd import Crowd, now
from deploy.bench.feed import Feed
from deploy.bench.measurement import Measurement
from deploy.bench.takeovers import Report, TakeOver, run_line, taken
from deploy.chaos.timing import shipped
from shared.process import UserError, cancelled

ACCOUNTS = 2
PACE_S = 0.05
"""Seconds between two facts: more than a trader does, less than a lane can do."""
AT_LEAST_S, AT_MOST_S = 1.0, 2.0
"""How long both work before a kill."""
PATIENCE_S, LOOK_S = 60.0, 0.05


class Wish(Struct, frozen=True, kw_only=True):
    """What is to be measured: `runs` kills; `lease` in seconds, and everything else in the shipped ratio to it."""

    runs: int = 20
    lease: float
    seed: int = 1


class Bench(Measurement[Wish, Report]):
    """Kills of the active executor under load."""

    def _prepare(self) -> None:
        self._timing = shipped().over(shipped().lease / self._wish.lease)
        self._crowd = Crowd(self._folder, ACCOUNTS, self._timing)
        self._feed = Feed("takeover")
        self._random = random.Random(self._wish.seed)

    async def _measured(self, stack: AsyncExitStack) -> Report:
        self._progress("starting the server, the terminals and two executors")
        await self._crowd.opened(stack)
        return await self._kills()

    async def _kills(self) -> Report:
        conditions = await machine.of_server(
            self._crowd.redis, self._crowd.valkey.directory, timing=self._timing.line, load=f"a fact each {PACE_S:g} s"
        )
        self._tell(conditions)
        active, standby = await self._crowd.executor(), await self._crowd.executor()
        loading = asyncio.create_task(self._load())
        found: list[TakeOver] = []
        try:
            for number in range(1, self._wish.runs + 1):
                self._progress(f"kill {number} of {self._wish.runs}")
                await self._calm()
                await asyncio.sleep(self._random.uniform(AT_LEAST_S, AT_MOST_S))
                now_taken = await self._kill(active, loading)
                self._say(run_line(number, now_taken))
                found += now_taken
                active, standby = standby, await self._crowd.executor()
        finally:
            await cancelled(loading)
        return self._report(found, conditions)

    def _report(self, found: list[TakeOver], conditions: Mapping[str, str]) -> Report:
        return Report(
            taken=tuple(found),
            kills=self._wish.runs,
            lease=self._timing.lease,
            grace=self._timing.grace,
            conditions=conditions,
        )

    async def _load(self) -> None:
        due = monotonic()
        while True:
            due += PACE_S
            await asyncio.sleep(max(0.0, due - monotonic()))
            await self._crowd.publish(self._feed.next(now()))

    async def _kill(self, active: subprocess.Popen[bytes], loading: asyncio.Task[None]) -> list[TakeOver]:
        """Kill the active executor and see each account taken over, and what had been delivered brought to an end."""
        since = await self._crowd.end_of(self._crowd.keys.outcomes)
        killed = now()
        active.kill()
        delivered = {name: await self._delivered(name) for name in self._crowd.names}
        deadline = monotonic() + 2 * (self._timing.lease + self._timing.grace) + PATIENCE_S
        while True:
            if loading.done():
                await loading
            ended = [outcome for _, outcome in await self._crowd.ended(since)]
            found = [
                taken(name, killed, [o for o in ended if o.account == name], delivered[name])
                for name in self._crowd.names
            ]
            over = {(o.account, o.entry) for o in ended}
            waiting = [(name, entry) for name, entries in delivered.items() for entry in entries]
            if all(found) and over.issuperset(waiting):
                return [each for each in found if each is not None]
            if monotonic() > deadline:
                raise UserError("the standby did not take over")
            await asyncio.sleep(LOOK_S)

    async def _calm(self) -> None:
        """Return when no account has more under way than the fact that it follows just now."""
        deadline = monotonic() + 2 * self._timing.grace + PATIENCE_S
        while any([len(await self._delivered(name)) > 1 for name in self._crowd.names]):
            if monotonic() > deadline:
                raise UserError("what waited at the last take-over does not come to its end")
            await asyncio.sleep(LOOK_S)

    async def _delivered(self, name: str) -> list[str]:
        """The entries that an account has read and not brought to an end."""
        pending = await self._crowd.redis.xpending_range(self._crowd.keys.orders, name, "-", "+", 1000)
        return [row["message_id"].decode() for row in cast(list[Any], pending)]
