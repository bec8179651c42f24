"""`bench latency`: from the capture of a trade to the call of `order_send`, against a bare hop over the same server.

Each pair is one run of the real way and one of the hop, as many messages of the same size at the same pace, and every
other pair begins with the hop. The page goes on polling and all services go on running during both.
"""

from contextlib import AsyncExitStack

from msgspec import Struct

from deploy.bench import hop, journey, machine
from deploy.bench.hop import Hop
from deploy.bench.journey import Journey
from deploy.bench.measurement import Measurement
from deploy.bench.report import Half, Pair, Report, half, pair_line
from deploy.bench.samples import Run
from shared.process import UserError

PACE_S = 0.1
"""Seconds between two orders on average: twenty times as fast as a busy hand, slow enough that orders do not queue."""
WARM_UP = 20
"""Orders before the first pair, which are not counted: imports, caches, the first look at an instrument."""
ENOUGH = 0.9
"""The share of a run's orders that has to be sent, or nothing was measured."""
STREAM = "tradecopier:bench"


class Wish(Struct, frozen=True, kw_only=True):
    """What is to be measured: `orders` in all, over `runs` pairs."""

    orders: int
    runs: int
    seed: int = 1

    @property
    def share(self) -> int:
        """Orders per run."""
        return -(-self.orders // self.runs)


class Bench(Measurement[Wish, Report]):
    """From capture to order_send, in pairs with the bare hop."""

    def _prepare(self) -> None:
        self._bytes = 0

    async def _measured(self, stack: AsyncExitStack) -> Report:
        self._progress("starting everything")
        way = await journey.opened(self._stop, self._folder, stack)
        return await self._pairs(way)

    async def _pairs(self, way: Journey) -> Report:
        conditions = await machine.conditions(way)
        for line in conditions.lines():
            self._say(line)
        await self._real(way, WARM_UP, 0, "warming up")
        pairs = []
        for number in range(1, self._wish.runs + 1):
            pairs.append(await self._pair(way, number))
            self._say(pair_line(number, pairs[-1]))
        return Report(pairs=tuple(pairs), conditions=conditions)

    async def _pair(self, way: Journey, number: int) -> Pair:
        title = f"pair {number} of {self._wish.runs}"
        if number % 2:
            real = await self._real(way, self._wish.share, number, title)
            bare = await self._bare(way, number, title)
        else:
            bare = await self._bare(way, number, title)
            real = await self._real(way, self._wish.share, number, title)
        return Pair(real=half([sample.total for sample in real.samples]), bare=bare, run=real)

    async def _real(self, way: Journey, orders: int, number: int, title: str) -> Run:
        run = await way.run(
            orders,
            PACE_S,
            self._wish.seed * 1000 + number,
            lambda done: self._progress(f"{title}: order {done} of {orders}"),
        )
        if len(run.samples) < orders * ENOUGH:
            became = "; ".join(f"{count} x {text}" for text, count in run.missed.items())
            raise UserError(f"only {len(run.samples)} of {orders} orders reached the terminal ({became or 'no facts'})")
        self._bytes = run.entry_bytes
        return run

    async def _bare(self, way: Journey, number: int, title: str) -> Half:
        count = self._wish.share
        self._progress(f"{title}: {count} bare hops")
        seed = self._wish.seed * 1000 + number
        wanted = Hop(stream=f"{STREAM}:{number}", count=count, size=self._bytes, pace=PACE_S, seed=seed)
        return half(await hop.measured(way.url, wanted))
