"""`bench archive`: rows per second from the streams into PostgreSQL, against bare `executemany` and bare COPY of them.

Each pair is one run of the archiver, a process of its own on streams that are full already, and one of each baseline,
every run into an empty archive on the same server; the order changes from pair to pair. The real run begins when the
archiver joins its groups and ends when both have acknowledged everything. Then lone trades: from before an entry is
added until its row can be seen from another connection.
"""

import asyncio
import os
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby
from time import monotonic
from typing import Any, cast

import msgspec
from redis.asyncio import Redis

from archiver.rows import record
from archiver.tables import Row
from deploy.bench import bare_rows
from deploy.bench.bare_rows import Batch, Way
from deploy.bench.measurement import Measurement
from deploy.bench.rates import Conditions, Rates, Report, Wish, pair_line
from deploy.bench.trades import trades
from deploy.embedded import Postgres, Valkey
from shared import facts, outcomes, streams
from shared.process import UserError, tethered
from shared.streams import Keys
from shared.wire import Codec, Keyring

KEYRING = Keyring(current="bench", keys={"bench": b"\x5a" * 32})
START = datetime(2026, 3, 2, tzinfo=UTC)
GROUP = "archiver"
LOAD = 500
"""Entries that are added in one go."""
PATIENCE_S = 120.0
WARM_UP = 5


class Bench(Measurement[Wish, Report]):
    """Rows per second, in pairs with the bare ways."""

    def _prepare(self) -> None:
        self._valkey = Valkey(self._folder / "valkey")
        self._postgres = Postgres(self._folder / "postgres")
        self._codec = Codec("bench", KEYRING)
        self._keys = Keys("bench")

    async def _measured(self, stack: AsyncExitStack) -> Report:
        self._progress("starting the servers")
        for server in (self._valkey, self._postgres):
            stack.push_async_callback(asyncio.to_thread, server.stop)
            await server.started()
        return await self._pairs(await stack.enter_async_context(_connected(self._valkey.url)))

    async def _pairs(self, redis: Redis) -> Report:
        self._progress("making the rows")
        messages = _messages(self._wish.rows)
        entries = [(stream, self._codec.entry(stream, message)) for stream, message in messages]
        batches = self._batches(messages, entries)
        conditions = await self._conditions(redis, entries)
        for line in conditions.lines():
            self._say(line)
        pairs = []
        for number in range(1, self._wish.runs + 1):
            pairs.append(await self._pair(redis, number, entries, batches))
            self._say(pair_line(number, pairs[-1]))
        return Report(conditions=conditions, pairs=tuple(pairs), ages=tuple(await self._ages(redis)))

    async def _pair(
        self, redis: Redis, number: int, entries: Sequence[tuple[str, dict[bytes, bytes]]], batches: Sequence[Batch]
    ) -> Rates:
        title = f"pair {number} of {self._wish.runs}"
        runs: dict[str, Callable[[], Any]] = {
            "real": partial(self._real, redis, entries),
            "executemany": partial(self._bare, batches, "executemany"),
            "copy": partial(self._bare, batches, "COPY"),
        }
        took: dict[str, float] = {}
        names = list(runs)
        for name in names[number % 3 :] + names[: number % 3]:
            self._progress(f"{title}: {name}")
            took[name] = await runs[name]()
        return Rates(**{name: len(entries) / seconds for name, seconds in took.items()})

    async def _bare(self, batches: Sequence[Batch], way: Way) -> float:
        dsn = await asyncio.to_thread(bare_rows.fresh, self._postgres.dsn)
        return await asyncio.to_thread(bare_rows.store, dsn, batches, _months(batches), way)

    async def _real(self, redis: Redis, entries: Sequence[tuple[str, dict[bytes, bytes]]]) -> float:
        await redis.delete(self._keys.orders, self._keys.outcomes)
        dsn = await asyncio.to_thread(bare_rows.fresh, self._postgres.dsn)
        for start in range(0, len(entries), LOAD):
            await self._add(redis, entries[start : start + LOAD])
        async with self._archiver(dsn):
            await _until(partial(self._joined, redis))
            began = monotonic()
            await _until(partial(self._drained, redis))
            took = monotonic() - began
        if (stored := await asyncio.to_thread(bare_rows.counted, dsn)) != len(entries):
            raise UserError(f"of {len(entries)} entries {stored} became rows; nothing was measured")
        return took

    async def _ages(self, redis: Redis) -> list[float]:
        """Milliseconds from before a lone fact is added until its row can be seen."""
        self._progress("lone trades")
        await redis.delete(self._keys.orders, self._keys.outcomes)
        dsn = await asyncio.to_thread(bare_rows.fresh, self._postgres.dsn)
        watcher = await asyncio.to_thread(bare_rows.Watcher, dsn)
        lone = trades(1, WARM_UP + self._wish.lone, START, timedelta(minutes=1), "lone")
        try:
            async with self._archiver(dsn):
                await _until(partial(self._joined, redis))
                ages = [await self._age(redis, watcher, trade.facts[0]) for trade in lone]
        finally:
            watcher.close()
        return ages[WARM_UP:]

    async def _age(self, redis: Redis, watcher: bare_rows.Watcher, fact: facts.Fact) -> float:
        await asyncio.sleep(0.05)  # a lone trade finds the archiver waiting
        began = monotonic()
        await self._add(redis, [("orders", self._codec.entry("orders", fact))])
        while not await asyncio.to_thread(watcher.has, fact.id):
            if monotonic() > began + PATIENCE_S:
                raise UserError("a lone trade did not reach the archive")
        return (monotonic() - began) * 1e3

    async def _add(self, redis: Redis, entries: Sequence[tuple[str, dict[bytes, bytes]]]) -> None:
        async with redis.pipeline(transaction=True) as pipe:
            for stream, fields in entries:
                pipe.xadd(self._keys.orders if stream == "orders" else self._keys.outcomes, cast(Any, fields))
            await pipe.execute()

    async def _joined(self, redis: Redis) -> bool:
        """Whether the archiver has begun: its groups are the only ones."""
        for stream in (self._keys.orders, self._keys.outcomes):
            if not await redis.exists(stream) or not await redis.xinfo_groups(stream):
                return False
        return True

    async def _drained(self, redis: Redis) -> bool:
        for stream in (self._keys.orders, self._keys.outcomes):
            (group,) = await redis.xinfo_groups(stream)
            if group["lag"] or group["pending"]:
                return False
        return True

    @asynccontextmanager
    async def _archiver(self, dsn: str) -> AsyncIterator[Process]:
        """`tradecopier archiver run` as an operator starts it, with the settings as they come."""
        config, key = self._folder / "bench.toml", self._folder / "key"
        config.write_text(f"[archiver]\nbatch-size = {self._wish.batch}\n", encoding="utf-8")
        key.touch(mode=0o600)
        key.write_text(f"{KEYRING.current}:{KEYRING.keys[KEYRING.current].hex()}\n", encoding="ascii")
        told = {
            "TRADECOPIER_REDIS__URL": self._valkey.url,
            "TRADECOPIER_REDIS__NAMESPACE": self._keys.namespace,
            "TRADECOPIER_POSTGRES__DSN": dsn,
            "TRADECOPIER_SECURITY__SIGNING_KEY_FILE": str(key),
            "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        }
        argv = [sys.executable, "-m", "deploy", "--log-level", "error", "--config", str(config), "archiver", "run"]
        process = await asyncio.create_subprocess_exec(*tethered(argv), env={**os.environ, **told})
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()

    def _batches(
        self,
        messages: Sequence[tuple[str, facts.Fact | outcomes.Message]],
        entries: Sequence[tuple[str, dict[bytes, bytes]]],
    ) -> list[Batch]:
        rows = [
            cast(Row, record("bench", f"{int(START.timestamp() * 1000)}-{number}", entry[1], message[1]))
            for number, (message, entry) in enumerate(zip(messages, entries, strict=True))
        ]
        return [
            Batch(kind=kind, values=mine[start : start + self._wish.batch])
            for kind, group in groupby(sorted(rows, key=lambda row: row.table), key=type)
            for mine in [[msgspec.structs.astuple(row) for row in group]]
            for start in range(0, len(mine), self._wish.batch)
        ]

    async def _conditions(self, redis: Redis, entries: Sequence[tuple[str, dict[bytes, bytes]]]) -> Conditions:
        kept = cast(dict[bytes, bytes], await redis.config_get("append*"))
        promised = await asyncio.to_thread(bare_rows.promises, self._postgres.dsn)
        size = sum(len(k) + len(v) for _, fields in entries for k, v in fields.items()) // len(entries)
        return Conditions.of(
            self._wish, self._folder, size, {str(_text(k)): _text(v) for k, v in kept.items()}, promised
        )


def _messages(rows: int) -> list[tuple[str, facts.Fact | outcomes.Message]]:
    """So many messages of whole trades, with the stream that each belongs to."""
    found: list[tuple[str, facts.Fact | outcomes.Message]] = []
    for trade in trades(1, rows // 4 + 1, START, timedelta(seconds=1), "bench"):
        found += [("orders", fact) for fact in trade.facts]
        found += [("outcomes", answer) for answer in trade.answers]
    return found[:rows]


def _months(batches: Sequence[Batch]) -> list[tuple[int, int]]:
    """Two months hold them all; the archive makes its own when it starts."""
    return [(START.year, START.month), (START.year, START.month + 1)] if batches else []


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Redis]:
    redis = streams.connect(url)
    try:
        yield redis
    finally:
        await redis.aclose()


async def _until(holds: Callable[[], Any]) -> None:
    deadline = monotonic() + PATIENCE_S
    while not await holds():
        if monotonic() > deadline:
            raise UserError("the archiver did not get on; what it complained about stands above")
        await asyncio.sleep(0.005)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
