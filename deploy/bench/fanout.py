"""`bench fanout`: many accounts fed by one source, in one executor as `up` runs them.

First a quarter of the accounts, then all of them: what an account costs must not grow with the number of others. Then
pairs of runs over all accounts, one of them with a terminal that hangs: it stands still as a whole, so that every call
to it hangs, and the others must not notice. Every other pair begins with the hung run.
"""

import asyncio
import signal
import subprocess
from contextlib import AsyncExitStack
from time import monotonic

from msgspec import Struct

from deploy.bench import machine
from deploy.bench.crowd import Crowd, now
from deploy.bench.feed import Feed
from deploy.bench.fills import Pair, Report, Run, Usage, gathered, pair_line
from deploy.bench.hop import moments
from deploy.bench.measurement import Measurement
from deploy.bench.processes import Cost, children, cost, together
from deploy.chaos.timing import SCALE, shipped
from shared.process import UserError

PACE_PER_ACCOUNT_S = 0.04
"""Seconds between two orders for each account that follows them: lanes do not queue up behind one another's load."""
WARM_UP = 6
IDLE_S = 5.0
MEASURED = 60
"""So many orders are given at once to see what a trade costs: at a slow pace that would drown in what idling costs."""
ENOUGH = 0.95
RECOVERY_S = 240.0


class Wish(Struct, frozen=True, kw_only=True):
    """What is to be measured: `runs` pairs of runs of `orders` orders on `accounts` accounts."""

    accounts: int = 16
    orders: int = 30
    runs: int = 7
    seed: int = 1

    @property
    def few(self) -> int:
        """With how many it is compared."""
        return max(2, self.accounts // 4)


class Bench(Measurement[Wish, Report]):
    """What accounts cost, and pairs of runs with one terminal that hangs."""

    async def _measured(self, stack: AsyncExitStack) -> Report:
        few = await self._few(stack)
        return await self._all(stack, few)

    async def _few(self, stack: AsyncExitStack) -> Usage:
        stage = await self._stage(stack, self._wish.few)
        usage = await stage.usage()
        await stage.crowd.stop()
        return usage

    async def _all(self, stack: AsyncExitStack, few: Usage) -> Report:
        stage = await self._stage(stack, self._wish.accounts)
        conditions = await machine.of_server(stage.crowd.redis, stage.crowd.valkey.directory)
        self._tell(conditions)
        many = await stage.usage()
        pairs = []
        for number in range(1, self._wish.runs + 1):
            self._progress(f"pair {number} of {self._wish.runs}")
            pairs.append(await stage.pair(number))
            self._say(pair_line(number, pairs[-1]))
        return Report(pairs=tuple(pairs), few=few, many=many, conditions=conditions)

    async def _stage(self, stack: AsyncExitStack, accounts: int) -> "Stage":
        self._progress(f"starting {accounts} accounts")
        crowd = Crowd(self._folder / f"crowd-{accounts}", accounts, shipped().over(SCALE))
        await crowd.opened(stack)
        stage = Stage(crowd, await crowd.executor(), self._wish)
        await stage.run(WARM_UP, 0)
        return stage


class Stage:
    """One crowd with its executor, and the orders that are given to it."""

    def __init__(self, crowd: Crowd, executor: subprocess.Popen[bytes], wish: Wish) -> None:
        self.crowd = crowd
        self._executor = executor
        self._wish = wish
        self._feed = Feed("fanout")

    async def usage(self) -> Usage:
        """What the accounts cost, idle and for each trade."""
        count = len(self.crowd.names)
        quiet = self._used()
        await asyncio.sleep(IDLE_S)
        before, began = self._used(), monotonic()
        await self.crowd.fill(list(self._feed.many(MEASURED, now())))
        await self.crowd.drained()
        after, took = self._used(), monotonic() - began
        idle = (before.cpu - quiet.cpu) / IDLE_S
        return Usage(
            accounts=count,
            executor=cost(self._executor.pid),
            children=together(children(self._executor.pid)),
            terminals=together(terminal.pid for terminal in self.crowd.terminals.values()),
            cpu=(after.cpu - before.cpu - idle * took) * 1e3 / (MEASURED * count),
            idle=idle / count,
        )

    async def pair(self, number: int) -> Pair:
        """Two runs, in turn the well or the hung one first."""
        if number % 2:
            well = await self.run(self._wish.orders, number)
            hung = await self._hung(number)
        else:
            hung = await self._hung(number)
            well = await self.run(self._wish.orders, number)
        return Pair(well=well, hung=hung)

    async def run(self, orders: int, number: int) -> Run:
        """Give orders and see what became of them when all are done. Raises UserError."""
        since = await self.crowd.end_of(self.crowd.keys.outcomes)
        await self._give(orders, number)
        await self.crowd.drained()
        return await self._gathered(since, orders)

    async def _hung(self, number: int) -> Run:
        since, terminal = await self.crowd.end_of(self.crowd.keys.outcomes), self.crowd.terminals[self.crowd.names[0]]
        terminal.send_signal(signal.SIGSTOP)
        try:
            await self._give(self._wish.orders, number)
            await self.crowd.drained(self._others)
            return await self._gathered(since, self._wish.orders)
        finally:
            terminal.send_signal(signal.SIGCONT)
            await self.crowd.drained(patience=RECOVERY_S)

    async def _give(self, orders: int, number: int) -> None:
        pace = PACE_PER_ACCOUNT_S * len(self.crowd.names)
        due = monotonic()
        for pause in moments(orders, pace, self._wish.seed * 1000 + number):
            due += pause
            await asyncio.sleep(max(0.0, due - monotonic()))
            await self.crowd.publish(self._feed.next(now()))

    async def _gathered(self, since: str, orders: int) -> Run:
        run = gathered([outcome for _, outcome in await self.crowd.ended(since)], self._others)
        if len(run.others) < orders * len(self._others) * ENOUGH:
            raise UserError(f"only {len(run.others)} of {orders * len(self._others)} orders had their effect")
        return run

    @property
    def _others(self) -> list[str]:
        return self.crowd.names[1:]

    def _used(self) -> Cost:
        return together([self._executor.pid, *children(self._executor.pid)])
