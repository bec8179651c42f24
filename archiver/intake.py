"""One stream on its way into the archive: read a batch, judge each entry, store, bury what is no row, acknowledge.

Nothing is held but the batch in hand and, while PostgreSQL works on a full one, the next, read and judged meanwhile.
Whatever fails, both are still pending in Redis and are read again from there, before anything new; until PostgreSQL
takes the one in hand nothing else is asked for, so an outage costs no memory.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import TypeVar, cast

from msgspec import Struct
from redis.exceptions import RedisError

from archiver.backlog import Backlog
from archiver.metrics import Metrics
from archiver.patience import Away, delay, one_line, wait, worth_saying
from archiver.rows import Held, Unreadable
from archiver.store import Poisoned, Store
from archiver.tables import Row
from shared.process import Stop
from shared.streams import BLOCK_MS, Entry, GroupLost, Reader

log = logging.getLogger(__name__)

ADOPT_EVERY_S = 10.0
"""How often the pending entries of archivers that died are looked for."""

LOOK_S = 0.005
"""How often a lingering batch looks for more. The server ends a blocked read late, at its next tick (up to 0.1 s)."""

REFUSED = "refused-by-postgres"

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
Judge = Callable[[Entry], Row | Unreadable | Held]
Bury = Callable[[Entry, str, str], Awaitable[None]]


class Stream(Struct, frozen=True, kw_only=True):
    """What an intake works on: `judge` says what an entry becomes, `bury` makes it a dead letter, `join` its group."""

    name: str
    reader: Reader
    backlog: Backlog
    judge: Judge
    bury: Bury
    join: Callable[[], Awaitable[None]]


class Pace(Struct, frozen=True, kw_only=True):
    """A batch ends with `size` entries, or `linger` seconds after its first one."""

    size: int
    linger: float


class Batch(Struct, frozen=True):
    """Entries that were read together, by what becomes of them."""

    entries: Sequence[Entry]
    rows: dict[str, tuple[Entry, Row]]
    refused: list[tuple[Entry, Unreadable]]
    held: list[tuple[Entry, Held]]


class Intake:
    """The loop of one stream. `working` is set as soon as both servers have answered, `trouble` says why not."""

    def __init__(self, stream: Stream, store: Store, pace: Pace, metrics: Metrics) -> None:
        self.working = asyncio.Event()
        self.trouble = ""
        self._stream = stream
        self._store = store
        self._pace = pace
        self._metrics = metrics
        self._recovered: str | None = "0-0"
        self._adopt_at = 0.0
        self._ahead: Batch | None = None
        self._due: list[str] = []

    async def run(self, stop: Stop) -> None:
        """Go on until the service stops; failures of either server are waited out."""
        failures = 0
        while not stop.requested:
            try:
                await self._turn()
                self._say_well(failures)
                failures = 0
            except (Away, GroupLost, RedisError, OSError) as error:
                self._recovered, self._ahead, self._due = "0-0", None, []
                self._say_ill(error, failures)
                await wait(stop, delay(failures))
                failures += 1

    async def _turn(self) -> None:
        if not self.working.is_set():
            await self._stream.join()
        batch, self._ahead = self._ahead, None
        await self._archive(batch or self._judge(await self._next()))
        self.working.set()

    async def _next(self) -> list[Entry]:
        """Our own pending entries first, then from time to time those of others, else what is new."""
        if self._recovered is not None:
            entries = await self._stream.backlog.ours(self._recovered, self._pace.size)
            self._recovered = entries[-1].id if entries else None
            if entries:
                return entries
        if monotonic() >= self._adopt_at:
            self._adopt_at = monotonic() + ADOPT_EVERY_S
            return await self._stream.backlog.adopt(self._pace.size)
        return await self._gather()

    async def _gather(self) -> list[Entry]:
        size = self._pace.size
        # The first turn must not wait for an entry: it shows that both servers answer.
        entries = await self._stream.reader.read(size, BLOCK_MS if self.working.is_set() else None)
        until = monotonic() + self._pace.linger
        while entries and len(entries) < size and (left := until - monotonic()) > 0:
            await asyncio.sleep(min(left, LOOK_S))
            entries += await self._stream.reader.read(size - len(entries), None)
        return entries

    async def _archive(self, batch: Batch) -> None:
        rows = [row for _, row in batch.rows.values()]
        due, self._due = self._due, []
        poisoned, self._ahead, _ = await _all(self._save(rows), self._look_ahead(batch), self._acknowledge(due))
        for entry, why in batch.refused:
            await self._bury(entry, why.reason, why.text)
        for poison in poisoned:
            await self._bury(batch.rows[poison.row.entry][0], REFUSED, poison.text)
        held = {entry.id for entry, _ in batch.held}
        if batch.entries:
            self._metrics.held(self._stream.name, len(held))
        self._due = [entry.id for entry in batch.entries if entry.id not in held]
        if self._ahead is None:
            due, self._due = self._due, []
            await self._acknowledge(due)

    async def _acknowledge(self, stored: Sequence[str]) -> None:
        """While a next batch is being stored this happens beside it, else at once."""
        if stored:
            await self._stream.reader.ack(*stored)

    async def _look_ahead(self, batch: Batch) -> Batch | None:
        """The next batch, ready for PostgreSQL, if this one was full; what comes slowly waits for its own turn."""
        if len(batch.entries) < self._pace.size or self._recovered is not None:
            return None
        entries = await self._stream.reader.read(self._pace.size, None)
        return self._judge(entries) if entries else None

    async def _save(self, rows: list[Row]) -> list[Poisoned]:
        began = monotonic()
        poisoned = await self._store.save(rows)
        if rows:
            self._metrics.stored(self._stream.name, rows, monotonic() - began)
        return poisoned

    def _judge(self, entries: Sequence[Entry]) -> Batch:
        batch = Batch(entries, {}, [], [])
        for entry in entries:
            verdict = self._stream.judge(entry)
            match verdict:
                case Unreadable():
                    batch.refused.append((entry, verdict))
                case Held():
                    batch.held.append((entry, verdict))
                    log.error("%s %s waits, not archived: %s", self._stream.name, entry.id, verdict.text)
                case _:
                    batch.rows[entry.id] = (entry, verdict)
        return batch

    async def _bury(self, entry: Entry, reason: str, text: str) -> None:
        await self._stream.bury(entry, reason, text)
        self._metrics.buried(self._stream.name, reason)
        log.error("%s %s is a dead letter (%s): %s", self._stream.name, entry.id, reason, text)

    def _say_ill(self, error: Exception, failures: int) -> None:
        self._metrics.up(self._stream.name, False)
        self.trouble = f"{self._stream.name} are not archived: {one_line(error)}"
        if isinstance(error, GroupLost):
            # The archive may begin anew: what it has already, it knows.
            log.error("%s: the archive's group is gone; reading the stream again from its beginning", self._stream.name)
            self.working.clear()
        elif worth_saying(failures):
            server = "PostgreSQL" if isinstance(error, Away) else "Redis"
            log.warning("%s: the archive waits for %s: %s", self._stream.name, server, one_line(error))

    def _say_well(self, failures: int) -> None:
        self._metrics.up(self._stream.name, True)
        self.trouble = ""
        if failures:
            log.warning("%s: the archive goes on after %d attempts", self._stream.name, failures)


async def _all(first: Awaitable[A], second: Awaitable[B], third: Awaitable[C]) -> tuple[A, B, C]:
    """All results, when all have ended; the first failure, when any of them failed."""
    results = await asyncio.gather(first, second, third, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return cast(tuple[A, B, C], tuple(results))
