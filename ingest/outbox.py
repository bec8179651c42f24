"""What was asked, what it became and what was published, on disk before anything depends on it.

A record is in the page cache when its method returns: killing this process loses nothing. The disk has it within about
50 ms; a power cut may take what is younger, and the unsynced writes of Redis with it: then Redis may be ahead of the
outbox (a new producer is begun, loudly) or behind it (what it lost is published again).

Each source has a producer of its own, so that a source which cannot publish does not hold up another. When the disk is
full, records wait in memory and are written when there is room; facts are published all the same and never renumbered.
"""

import asyncio
import errno
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from ingest import records
from ingest.exchange import Exchange
from ingest.recollection import facts_after, outdated, recollect
from ingest.records import Answered, Asked, Line, Owned, Published, Record, Renewed, Snapshot, TakenOver
from ingest.segments import Directory, Segment, Syncer
from shared.facts import Fact
from shared.process import UserError

log = logging.getLogger(__name__)

SEGMENT_BYTES = 8 * 1024 * 1024
"""A segment that is longer gives way to a new one: small enough to be read in a blink at a restart."""
KEEP_S = 7 * 24 * 3600.0
"""Published facts stay this long, so that a Redis which lost them (a failover, a restored backup) gets them again."""


class Producer:
    """One source's facts in their order. `waiting` are those that are not known to be in the stream."""

    def __init__(self, line: Line, waiting: Iterable[Fact] = ()) -> None:
        self.line = line
        self.waiting: deque[Fact] = deque(waiting)
        self.wake = asyncio.Event()
        self.idle = asyncio.Event()
        self.changed()

    def changed(self) -> None:
        """Tell who waits for facts, or for none to be left."""
        if self.waiting:
            self.wake.set()
            self.idle.clear()
        else:
            self.idle.set()

    @property
    def id(self) -> str:
        """The producer's name in facts and in Redis."""
        return self.line.producer

    @property
    def next_seq(self) -> int:
        """The sequence of the next new fact."""
        return self.line.seq + 1


class Outbox:
    """The journal of one ingest. `fresh` makes the name of a new producer from its source's.

    `pictures` are those that were kept before this start; from then on `remember` gives them for a new segment.
    `is_new`: there was no outbox here before.
    """

    def __init__(self, path: Path, sources: Iterable[str], *, fresh: Callable[[str], str]) -> None:
        self.directory = Directory(path)
        self.syncer = Syncer()
        self.unwritten: deque[bytes] = deque()
        self._fresh = fresh
        self._retiring: asyncio.Future[None] | None = None
        found = self.directory.segments()
        self.is_new = not found
        state = recollect(found)
        lines = {name: Line(producer=fresh(name)) for name in sources} | dict(state.lines)
        self.pictures = {name: Raw(msgspec.json.encode(picture)) for name, picture in state.pictures.items()}
        self.remember: Callable[[], Mapping[str, Raw]] = lambda: self.pictures
        self.asked: dict[str, Asked] = {a.exchange.flow: a for a in state.asked}
        self.producers = {name: Producer(line, self._waiting(line)) for name, line in lines.items()}
        self._segment = self._begin()
        self.directory.sync()
        self._renew_what_was_lost()

    def ask(self, source: str, exchange: Exchange) -> None:
        """Record a trading request; to be called before it is forwarded."""
        asked = Asked(source=source, exchange=exchange)
        self.asked[exchange.flow] = asked
        self._write(asked)

    def answer(
        self, source: str, *, flow: str = "", facts: tuple[Fact, ...] = (), pictures: Mapping[str, Raw] | None = None
    ) -> None:
        """Record what an exchange became and wake the publisher. The facts continue the source's sequence."""
        producer = self.producers[source]
        assert [f.seq for f in facts] == list(range(producer.next_seq, producer.next_seq + len(facts))), "a gap in seq"
        self.asked.pop(flow, None)
        self._write(Answered(source=source, flow=flow, facts=facts, pictures=pictures or {}))
        if facts:
            producer.line = replace(producer.line, seq=facts[-1].seq)
            producer.waiting.extend(facts)
            producer.changed()

    def published(self, source: str, seq: int) -> None:
        """Record that the source's facts up to `seq` are in the stream."""
        producer = self.producers[source]
        while producer.waiting and producer.waiting[0].seq <= seq:
            producer.waiting.popleft()
        producer.line = replace(producer.line, published=seq)
        producer.changed()
        self._write(Published(source=source, seq=seq))

    async def rewind(self, source: str, last: int) -> bool:
        """The stream has the source's facts up to `last` only: let the later ones wait again.

        False when some of them are not on disk any more; then nothing has changed.
        """
        producer = self.producers[source]
        line = replace(producer.line, published=last)
        found = await asyncio.to_thread(facts_after, self.directory.segments(), line)
        known = {f.seq: f for f in (*found, *producer.waiting)}
        if producer.id != line.producer:
            return True  # a new producer was begun meanwhile, and what it has not published waits already
        line = replace(producer.line, published=last)  # facts may have come while the disk was read
        again = [known[seq] for seq in sorted(known) if seq > last]
        if not records.whole(again, line):
            return False
        producer.line, producer.waiting = line, deque(again)
        producer.changed()
        return True

    def renew(self, source: str) -> None:
        """Begin a new producer: what waits is restated under it, from 1."""
        producer, name = self.producers[source], self._fresh(source)
        facts = numbered(producer.waiting, name)
        producer.line, producer.waiting = records.begun(producer.line, name, facts), deque(facts)
        self._write(Renewed(source=source, producer=name, facts=facts))
        producer.changed()

    def take_over(
        self, source: str, writer: str, facts: Sequence[Fact], pictures: Mapping[str, Raw], overtaken: Sequence[Fact]
    ) -> None:
        """Begin a new producer with `facts` and `pictures`, which is what `writer` has left in Redis.

        What waits under the old producer is published no more; `overtaken` of it is put down by name.
        """
        producer, name = self.producers[source], self._fresh(source)
        stated = numbered(facts, name)
        producer.line, producer.waiting = records.begun(producer.line, name, stated, writer), deque(stated)
        names = tuple(fact.id for fact in overtaken)
        record = TakenOver(
            source=source, producer=name, writer=writer, facts=stated, pictures=pictures, overtaken=names
        )  # fmt: skip
        self._write(record)
        producer.changed()

    def own(self, source: str, token: str) -> None:
        """Record by which token we hold the source's lease; empty when another ingest has taken the source over."""
        producer = self.producers[source]
        producer.line = replace(producer.line, owner=token)
        self._write(Owned(source=source, owner=token))

    def tend(self, now: float) -> None:
        """Write what a full disk kept waiting, begin a new segment where it is time, drop what is too old.

        `now` is in seconds since 1970, as files tell their age.
        """
        if self._flush() and self._segment.size > SEGMENT_BYTES:
            self._rotate()
        for path in outdated(self.directory.segments(), {p.id: p.line for p in self.producers.values()}, now - KEEP_S):
            path.unlink()

    def close(self) -> None:
        """Sync everything and let other processes in."""
        self._flush()
        self._segment.close()
        self.directory.close()

    def _waiting(self, line: Line) -> list[Fact]:
        return facts_after(self.directory.segments(), line) if line.published < line.seq else []

    def _renew_what_was_lost(self) -> None:
        for name, producer in self.producers.items():
            if not records.whole(producer.waiting, producer.line):
                log.error(
                    "the outbox is damaged: unpublished facts of %s are lost; the next polls show their effect", name
                )
                self.renew(name)

    def _snapshot(self) -> Snapshot:
        lines = {name: p.line for name, p in self.producers.items()}
        return Snapshot(lines=lines, pictures=self.remember(), asked=tuple(self.asked.values()))

    def _begin(self) -> Segment:
        try:
            segment = self.directory.begin()
            segment.append(records.encode(self._snapshot()))
        except OSError as error:
            raise UserError(
                f"{self.directory.path}: the outbox cannot be written: {error.strerror}; free some space"
            ) from error
        self.syncer.written(segment)
        return segment

    def _rotate(self) -> None:
        full = self._segment
        try:
            self._segment = self._begin()
        except UserError as error:
            log.error("%s", error)
        else:
            self._retire(full)

    def _retire(self, full: Segment) -> None:
        """Sync what a full segment holds, and its follower's name, without anybody who waits for the disk."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._sync_and_close(full)
        else:
            self._retiring = loop.run_in_executor(None, self._sync_and_close, full)

    def _sync_and_close(self, full: Segment) -> None:
        try:
            self.directory.sync()
            full.close()
        except OSError as error:
            log.error("%s: a full segment cannot be synced to disk: %s", full.path, error.strerror)

    def _write(self, record: Record) -> None:
        self.unwritten.append(records.encode(record))
        self._flush()

    def _flush(self) -> bool:
        """Write what waits, oldest first; whether nothing waits any more. The first failure of a row is said."""
        already_failing = len(self.unwritten) > 1
        try:
            while self.unwritten:
                self._segment.append(self.unwritten[0])
                self.unwritten.popleft()
        except OSError as error:
            level = logging.DEBUG if already_failing else logging.ERROR
            full = "the disk is full: free some space" if error.errno == errno.ENOSPC else os.strerror(error.errno or 0)
            log.log(level, "the outbox cannot be written, facts wait in memory only: %s", full)
            return False
        self.syncer.written(self._segment)
        return True


def numbered(facts: Iterable[Fact], producer: str) -> tuple[Fact, ...]:
    """The facts as `producer` states them, from 1; everything else about them stays, the time of capture too."""
    return tuple(replace(fact, producer=producer, seq=seq) for seq, fact in enumerate(facts, 1))
