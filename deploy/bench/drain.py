"""`bench drain`: how fast an executor works off what waited for it, beside a bare loop over the same entries.

Each pair puts that many facts into the stream while no executor runs, starts one, and takes the time between its first
and its last outcome by the server's clock; every fact must have its effect, in the stream's order. The bare loop reads
the same entries through a group of its own. Every other pair begins with it. Then as many facts wait while the server
is restarted, so that all of them may have been sent, half of them too old to be opened by now, and an exit behind them.
"""

from contextlib import AsyncExitStack
from datetime import timedelta
from time import time

from msgspec import Struct

from deploy.bench import bare_drain, machine
from deploy.bench.crowd import Crowd, now
from deploy.bench.drained import Pair, Report, pair_line
from deploy.bench.feed import Feed
from deploy.bench.measurement import Measurement
from deploy.chaos.timing import shipped
from shared.facts import Fact
from shared.outcomes import Outcome
from shared.process import UserError
from shared.settings import Secret

BARE = "tradecopier:bench:answers"
TOO_OLD = timedelta(days=2)
WARM_UP = 50
"""Facts before the first pair; they also tell how large an outcome is."""
PATIENCE_S = 600.0


class Wish(Struct, frozen=True, kw_only=True):
    """What is to be measured: `runs` restarts with `facts` facts waiting at each.

    The grace and what goes with it are the shipped ones divided by `scale`.
    """

    facts: int = 10_000
    runs: int = 6
    scale: float = 1.0


class Bench(Measurement[Wish, Report]):
    """Restarts with everything waiting, in pairs with the bare loop."""

    def _prepare(self) -> None:
        self._timing = shipped().over(self._wish.scale)
        self._crowd = Crowd(self._folder, 1, self._timing)
        self._feed, self._exits = Feed("drain"), Feed("exits", open_at_most=1)
        self._size = 0

    async def _measured(self, stack: AsyncExitStack) -> Report:
        self._progress("starting the server and the terminal")
        await self._crowd.opened(stack)
        return await self._pairs()

    async def _pairs(self) -> Report:
        conditions = await machine.of_server(self._crowd.redis, self._crowd.valkey.directory)
        self._tell(conditions)
        await self._real(await self._waiting(WARM_UP), "warming up")
        pairs = []
        for number in range(1, self._wish.runs + 1):
            pairs.append(await self._pair(number))
            self._say(pair_line(number, pairs[-1]))
        return Report(pairs=tuple(pairs), conditions=conditions, grace=self._timing.grace)

    async def _pair(self, number: int) -> Pair:
        title = f"pair {number} of {self._wish.runs}"
        before = await self._crowd.end_of(self._crowd.keys.orders)
        facts = [*await self._filled([self._exits.next(now())]), *await self._waiting(self._wish.facts)]
        if number % 2:
            real, start = await self._real(facts, title)
            bare = await self._bare(before, title)
        else:
            bare = await self._bare(before, title)
            real, start = await self._real(facts, title)
        suspect, exit_ = await self._suspect(title)
        return Pair(real=real, bare=bare, start=start, suspect=suspect, exit=exit_, facts=self._wish.facts)

    async def _waiting(self, count: int) -> list[Fact]:
        """Facts in the stream that nobody has read."""
        return await self._filled(list(self._feed.many(count, now())))

    async def _filled(self, facts: list[Fact]) -> list[Fact]:
        await self._crowd.fill(facts)
        return facts

    async def _bare(self, since: str, title: str) -> float:
        self._progress(f"{title}: the bare loop")
        url = Secret(self._crowd.valkey.url)
        return await bare_drain.measured(url, self._crowd.keys.orders, since, BARE, self._size)

    async def _real(self, facts: list[Fact], title: str) -> tuple[float, float]:
        """Facts per second, and the seconds until the first outcome."""
        self._progress(f"{title}: {len(facts)} facts wait")
        since, began = await self._crowd.end_of(self._crowd.keys.outcomes), time()
        executor = await self._crowd.executor(ready=False)
        await self._crowd.drained(patience=PATIENCE_S)
        await self._crowd.end(executor)
        ended = await self._crowd.ended(since)
        became = [outcome for _, outcome in ended if outcome.result in ("filled", "closed")]
        if [outcome.fact for outcome in became] != [fact.id for fact in facts]:
            others = {f"{o.result} {o.reason}" for _, o in ended if o not in became}
            raise UserError(f"{len(became)} of {len(facts)} facts had their effect in order ({', '.join(others)})")
        self._size = len(self._crowd.codec.entry("outcomes", became[-1])[b"m"]) + 69
        first, last = _seconds(ended[0][0]), _seconds(ended[-1][0])
        return (len(facts) - 1) / max(last - first, 1e-3), first - began

    async def _suspect(self, title: str) -> tuple[float, float]:
        """The seconds from the first message to the last, and to the end of the exit that stands behind them all."""
        self._progress(f"{title}: as many that may have been sent")
        old = self._wish.facts // 2
        facts = await self._filled(list(self._feed.many(old, now() - TOO_OLD)))
        facts += await self._waiting(self._wish.facts - old)
        facts += (behind := await self._filled([self._exits.next(now())]))
        await self._crowd.restart_server()
        since = await self._crowd.end_of(self._crowd.keys.outcomes)
        executor = await self._crowd.executor(ready=False)
        await self._crowd.drained(patience=PATIENCE_S)
        await self._crowd.end(executor)
        told = await self._crowd.told(since)
        ended = {message.fact: entry for entry, message in told if isinstance(message, Outcome)}
        count = sum(isinstance(message, Outcome) for _, message in told)
        if not count == len(ended) == len(facts) or ended.keys() != {fact.id for fact in facts}:
            raise UserError(
                f"{len(ended)} of {len(facts)} facts that may have been sent came to an end, by {count} outcomes"
            )
        first, last, exit_ = (
            _seconds(entry) for entry in (told[0][0], max(ended.values(), key=_seconds), ended[behind[0].id])
        )
        return last - first, exit_ - first


def _seconds(entry: str) -> float:
    return int(entry.partition("-")[0]) / 1e3
