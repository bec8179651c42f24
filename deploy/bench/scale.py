"""`bench shard`: what following a fact on an account costs the Redis server, without terminals and with many accounts.

Lanes of this process do what an executor's lanes ask of the server for each fact: read one entry, fence, commit an
outcome with its link. The server says itself how much processor time that took; nothing else is asked of it meanwhile.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from time import perf_counter

from msgspec import Struct
from msgspec.structs import replace
from redis.asyncio import Redis

from deploy import membership
from deploy.bench import machine
from deploy.bench.crowd import now
from deploy.bench.feed import Feed
from deploy.bench.trades import SOURCE, trades
from deploy.embedded import Valkey
from deploy.local import unless_stopped
from executor.book import Link, Part, link_key
from executor.change import Change, End, Work
from executor.ledger import Ledger
from executor.states import AccountState
from shared import streams, wire
from shared.facts import Fact
from shared.lease import Lease
from shared.outcomes import Outcome
from shared.process import Stop
from shared.streams import Keys, Published, Publisher, Reader
from shared.wire import Codec, Keyring

KEYRING = Keyring(current="bench", keys={"bench": b"\x5a" * 32})
NAMESPACE = "bench"
HELD_S = 600.0


class Wish(Struct, frozen=True, kw_only=True):
    """So many accounts, each following so many facts."""

    accounts: int = 100
    facts: int = 50


class Report(Struct, frozen=True, kw_only=True):
    """What one run found. Times of the server's processor are in microseconds."""

    accounts: int
    facts: int
    publishing: float
    following: float
    per_second: float
    conditions: dict[str, str]


def lines(report: Report) -> list[str]:
    """The result for a person."""
    whole, core = report.publishing + report.accounts * report.following, 1e6 / report.following
    work = f"{report.publishing:.0f} µs to publish a fact, {report.following:.0f} µs for each account that follows it"
    return [
        *(f"{name:<9} {text}" for name, text in report.conditions.items()),
        f"{report.accounts} accounts followed {report.facts} facts: {report.per_second:.0f} a second in one process",
        f"the server's processor: {work} (delivery, fence, commit)",
        f"a fact that all of them follow: {whole / 1000:.1f} ms; one core: {core:.0f} followed facts a second",
    ]


class Lane:
    """What a lane asks of the server."""

    def __init__(self, redis: Redis, blocking: Redis, keys: Keys, codec: Codec, account: str, answer: Outcome) -> None:
        self._account = account
        self._answer = answer
        self._codec = codec
        self._lease = Lease(redis, keys.account("lease", account), duration=HELD_S, owner="bench")
        self._ledger = Ledger(redis, keys, codec, account, self._lease)
        self._reader = Reader(blocking, keys.orders, account, "executor")

    async def begin(self) -> None:
        """Hold the account."""
        await self._lease.acquire()
        await self._ledger.begin()
        await self._ledger.tighten(AccountState.ACTIVE)

    async def follow(self, facts: Sequence[Fact]) -> None:
        """Work off as many facts as these, which are in the stream."""
        for fact in facts:
            (entry,) = await self._reader.read()
            await self._ledger.fence(Work(fact=fact.id), (AccountState.ACTIVE,))
            await self._ledger.commit(self._change(fact, entry.id), now())

    def _change(self, fact: Fact, entry: str) -> Change:
        key = link_key(fact.source, fact.account, fact.exposure.position)
        part = Part(ticket=1, identifier=1, volume=fact.exposure.after.total, side="buy")
        link = Link(key=key, instrument=fact.instrument, symbol=fact.instrument, parts=(part,))
        return Change(
            entry=entry,
            ends=[End(entry=entry, result="filled", work=Work(fact=fact.id))],
            messages=[replace(self._answer, fact=fact.id, account=self._account, entry=entry)],
            links={key: link if fact.exposure.after.total else None},
            passed=wire.Place(entry=entry, seqs={fact.producer: fact.seq}),
        )


async def measure(stop: Stop, folder: Path, wish: Wish, progress: Callable[[str], None]) -> Report | None:
    """Everything from start to stop; None when it was stopped. Raises UserError when it could not measure."""
    report: Report | None = None
    valkey = Valkey(folder / "valkey")

    async def act() -> None:
        nonlocal report
        progress("starting the server")
        await valkey.started()
        redis = streams.connect(valkey.url)
        stack.push_async_callback(redis.aclose)
        report = await _measured(redis, valkey, wish, stack, progress)

    # A stop cancels the measuring and never the clearing away, which is why that is out here.
    async with AsyncExitStack() as stack:
        stack.push_async_callback(asyncio.to_thread, valkey.stop)
        await unless_stopped(stop, act())
    return report


async def _measured(
    redis: Redis, valkey: Valkey, wish: Wish, stack: AsyncExitStack, progress: Callable[[str], None]
) -> Report:
    keys, codec = Keys(NAMESPACE), Codec(NAMESPACE, KEYRING)
    answer = _answer()
    lanes = []
    for number in range(wish.accounts):
        work, blocking = streams.connect(valkey.url), streams.connect(valkey.url)
        for each in (work, blocking):
            stack.push_async_callback(each.aclose)
        await membership.join(redis, keys, codec, f"a{number}")
        lanes.append(Lane(work, blocking, keys, codec, f"a{number}", answer))
        await lanes[-1].begin()
    progress(f"publishing {wish.facts} facts")
    told = list(Feed("shard").many(wish.facts, now()))
    before = await _processor(redis)
    await _publish(redis, keys, codec, told)
    published, began = await _processor(redis), perf_counter()
    progress(f"{wish.accounts} accounts follow")
    await asyncio.gather(*(lane.follow(told) for lane in lanes))
    seconds, followed = perf_counter() - began, wish.accounts * wish.facts
    return Report(
        accounts=wish.accounts,
        facts=wish.facts,
        publishing=(published - before) * 1e6 / wish.facts,
        following=(await _processor(redis) - published) * 1e6 / followed,
        per_second=followed / seconds,
        conditions=await machine.of_server(redis, valkey.directory),
    )


async def _publish(redis: Redis, keys: Keys, codec: Codec, told: Sequence[Fact]) -> None:
    lease = Lease(redis, keys.source("lease", SOURCE), duration=HELD_S, owner="bench")
    await lease.acquire()
    publisher = Publisher(redis, keys, codec)
    for fact in told:
        assert isinstance(await publisher.publish(fact, lease.token), Published)


def _answer() -> Outcome:
    """An outcome of the size of real ones."""
    (trade,) = trades(1, 1, now(), timedelta(seconds=1), "shard")
    return next(message for message in trade.answers if isinstance(message, Outcome))


async def _processor(redis: Redis) -> float:
    """Seconds of processor time that the server has used."""
    told = await redis.info("cpu")
    return float(told["used_cpu_user"]) + float(told["used_cpu_sys"])
