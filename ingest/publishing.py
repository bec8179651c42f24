"""From the outbox to the orders stream: one source's facts, in order, one at a time, never skipped.

What the stream has is compared with the outbox at the start, after every trouble and every second. The stream is
behind (a failover lost writes): publish again from there; what is older than the outbox has to be restored from the
archive first, and everything waits for that. It is ahead, or holds something else under our sequence: the
outbox lost its tail, a new producer is begun. Whatever Redis is (away, loading, read-only, out of memory, slow), facts
wait and nothing is lost.
"""

import asyncio
import logging
from datetime import UTC, datetime
from time import monotonic
from typing import Protocol, assert_never

from redis.exceptions import RedisError

from ingest.metrics import Metrics
from ingest.outbox import Outbox
from ingest.ownership import Ownership
from shared.facts import Fact
from shared.logs import correlated
from shared.streams import Conflict, Duplicate, Gap, NotOwner, Publication, Published

log = logging.getLogger(__name__)

COMPARE_EVERY = 1.0
"""Seconds between two comparisons of the stream with the outbox."""
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 1.0
"""Seconds between attempts while Redis does not take our facts: doubled each time, up to the longest."""


class Door(Protocol):
    """What is asked of `shared.streams.Publisher`."""

    async def publish(self, fact: Fact, owner: str) -> Publication: ...
    async def last(self, producer: str) -> int: ...


class Heir(Protocol):
    """What is asked of `ingest.succession.Succession`."""

    async def torn(self, source: str, reason: str) -> None: ...


class Courier:
    """Publishes the facts of one source, for ever."""

    def __init__(
        self, ownership: Ownership, outbox: Outbox, publisher: Door, heir: Heir, metrics: Metrics
    ) -> None:  # fmt: skip
        self.source = ownership.source
        self._ownership = ownership
        self._outbox = outbox
        self._publisher = publisher
        self._heir = heir
        self._metrics = metrics
        self._pause = 0.0
        self._lost: int | None = None
        self._producer = outbox.producers[self.source]

    @property
    def holding(self) -> bool:
        """Whether Redis did not take our facts at the last attempt."""
        return self._pause > 0

    async def run(self) -> None:
        """Publish whatever waits, as soon as it waits."""
        while True:
            try:
                await self._compare()
                self._recovered()
                await self._deliver(monotonic() + COMPARE_EVERY)
            except RedisError as error:
                await self._hold(error)

    async def _compare(self) -> None:
        last, line = await self._publisher.last(self._producer.id), self._producer.line
        if last >= line.published:
            self._lost = None
        if last > line.seq:
            await self._torn("ahead", last)
        elif last < line.published:
            await self._rewind(last)
        elif last - 1 > line.published:
            # Published, but not recorded as such before we ended. The last one is sent again: its signature tells.
            self._outbox.published(self.source, last - 1)

    async def _deliver(self, until: float) -> None:
        while (left := until - monotonic()) > 0:
            if not self._producer.waiting:
                await self._sleep(left)
            elif self._ownership.owned or await self._ownership.claim():
                await self._outbox.written()
                await self._publish(self._producer.waiting[0])
            else:
                await asyncio.sleep(min(left, LONGEST_PAUSE))

    async def _publish(self, fact: Fact) -> None:
        result = await self._publisher.publish(fact, self._ownership.token)
        if fact.producer != self._producer.id:
            return  # the source was taken over meanwhile: this fact is overtaken, or stated again under another place
        match result:
            case Published() | Duplicate():
                self._outbox.published(self.source, fact.seq)
                self._metrics.published(fact, datetime.now(UTC))
                self._metrics.entered(fact, result.entry)
                with correlated(fact.id):
                    log.info("published", extra={"source": self.source, "entry": result.entry, "seq": fact.seq})
            case Gap(last):
                await self._rewind(last)
            case Conflict(last):
                await self._torn("conflict", last)
            case NotOwner():
                await self._ownership.claim()
            case _:
                assert_never(result)

    async def _rewind(self, last: int) -> None:
        line = self._producer.line
        if not await self._outbox.rewind(self.source, last):
            await self._wait_for_restore(last)
            return
        self._lost = None
        self._metrics.rewound(self.source)
        log.error(
            "the stream lost facts of %s after %d (of %d): they are published again", self.source, last, line.published
        )

    async def _wait_for_restore(self, last: int) -> None:
        """What the stream lost is older than the outbox: only the archive has it, and newer facts must not pass it."""
        if last != self._lost:
            self._lost = last
            self._metrics.reachable(self.source, up=False)
            mend = "`tradecopier restore` gets them from the archive; what is traded waits on disk until then"
            log.error("facts of %s after %d are in neither stream nor outbox: %s", self.source, last, mend)
        await asyncio.sleep(COMPARE_EVERY)

    async def _torn(self, reason: str, last: int) -> None:
        line = self._producer.line
        log.error("%s: the stream is at %d, the outbox at %d: %s", line.producer, last, line.seq, reason)
        await self._heir.torn(self.source, reason)

    async def _sleep(self, longest: float) -> None:
        self._producer.wake.clear()
        try:
            async with asyncio.timeout(longest):
                await self._producer.wake.wait()
        except TimeoutError:
            pass

    async def _hold(self, error: RedisError) -> None:
        if not self._pause:
            log.error("Redis does not take the facts of %s, they wait on disk: %s", self.source, error)
            self._metrics.reachable(self.source, up=False)
        self._pause = min(max(FIRST_PAUSE, self._pause * 2), LONGEST_PAUSE)
        await asyncio.sleep(self._pause)

    def _recovered(self) -> None:
        if self._lost is not None:
            return
        self._metrics.reachable(self.source, up=True)
        if self._pause:
            log.warning("Redis is back: %d facts of %s go out now", len(self._producer.waiting), self.source)
        self._pause = 0.0
