"""What was asked, what it became and what was published, on disk before anything depends on it.

A record is safe from the end of our process when its method returns: killing it loses nothing. Where there is no slate
a slow disk may not have taken it by then; who has to wait for that asks for `written`. The disk has it within about
50 ms; a power cut may take what is younger, and the unsynced writes of Redis with it: then Redis may be ahead of the
outbox (a new producer is begun, loudly) or behind it (what it lost is published again).

Each source has a producer of its own, so that a source which cannot publish does not hold up another. When the disk is
full, records wait in memory and are written when there is room; facts are published all the same and never renumbered.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from ingest import records
from ingest import slate as slates
from ingest.aside import Aside
from ingest.exchange import Exchange
from ingest.journal import CLOSING_S, Journal, why
from ingest.recollection import facts_after, outdated, recollect
from ingest.records import Answered, Asked, Line, Owned, Published, Record, Renewed, Replied, Snapshot, TakenOver
from ingest.segments import Directory
from ingest.slate import Slate
from shared.facts import Fact
from shared.points import Reach
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


POINTS = ("asked", "forwarded", "replied", "answered", "published")
"""What a fault suite can end us at: a request is on disk and not forwarded; it is forwarded and nobody knows of it yet;
its reply is on disk and has not passed; what the reply became is on disk and not published; a fact is in the stream and
not recorded as such."""


class Outbox:
    """What one ingest keeps on disk. `fresh` makes the name of a new producer from its source's.

    `pictures` are those that were kept before this start; from then on `remember` gives them for a new segment.
    `is_new`: there was no outbox here before. `reach` is told when one of POINTS is reached. `aside` does what may wait
    for the disk for ever.
    """

    def __init__(
        self, path: Path, sources: Iterable[str], *, fresh: Callable[[str], str], reach: Reach = lambda _: None
    ) -> None:
        self.directory = Directory(path)
        self._fresh = fresh
        self._reach = reach
        self._clearing = False
        try:
            slate = slates.begun(self.directory)
        except OSError as error:
            raise self._unusable(error) from error
        found = self.directory.segments()
        self.is_new = not found
        state = recollect(found)
        lines = {name: Line(producer=fresh(name)) for name in sources} | dict(state.lines)
        self.pictures = {name: Raw(msgspec.json.encode(picture)) for name, picture in state.pictures.items()}
        self.remember: Callable[[], Mapping[str, Raw]] = lambda: self.pictures
        self.asked: dict[str, Asked] = {a.exchange.flow: a for a in state.asked}
        self._replies: dict[str, Replied] = {}
        self.producers = {name: Producer(line, self._waiting(line)) for name, line in lines.items()}
        self.aside = Aside("outbox")
        self.journal = self._begin(slate)
        self.directory.sync()
        self._renew_what_was_lost()

    def ask(self, source: str, exchange: Exchange) -> None:
        """Record a trading request; to be called before it is forwarded."""
        asked = Asked(source=source, exchange=exchange)
        self.asked[exchange.flow] = asked
        self._write(asked)
        self._reach("asked")

    def forwarded(self) -> None:
        """A request that was recorded is on its way to the broker."""
        self._reach("forwarded")

    def reply(self, flow: str, *, status: int | None, answer: bytes | None, answered: datetime) -> None:
        """Record the reply to a request that was asked; to be called before it passes, and `answer` when it is read."""
        record = Replied(source=self.asked[flow].source, flow=flow, answered=answered, status=status, answer=answer)
        self._replies[flow] = record
        self._write(record)
        self._reach("replied")

    def answer(
        self, source: str, *, flow: str = "", facts: tuple[Fact, ...] = (), pictures: Mapping[str, Raw] | None = None
    ) -> None:
        """Record what an exchange became and wake the publisher. The facts continue the source's sequence."""
        producer = self.producers[source]
        assert [f.seq for f in facts] == list(range(producer.next_seq, producer.next_seq + len(facts))), "a gap in seq"
        self.asked.pop(flow, None)
        self._replies.pop(flow, None)
        self._write(Answered(source=source, flow=flow, facts=facts, pictures=pictures or {}))
        if flow:
            self._reach("answered")
        if facts:
            producer.line = replace(producer.line, seq=facts[-1].seq)
            producer.waiting.extend(facts)
            producer.changed()

    def published(self, source: str, seq: int) -> None:
        """Record that the source's facts up to `seq` are in the stream."""
        self._reach("published")
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
        found = await self.aside.result(lambda: facts_after(self.directory.segments(), line))
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

    async def written(self) -> bool:
        """Wait until all of it outlives our process; False: the disk hangs, and nobody waits for it any longer."""
        return self.journal.is_safe or await self.journal.settled()

    def tend(self, now: float) -> None:
        """Write what a full disk kept waiting, begin a new segment where it is time, drop what is too old.

        `now` is in seconds since 1970, as files tell their age. Whatever takes long is done beside.
        """
        self.journal.tend(lambda: records.encode(self._snapshot()), SEGMENT_BYTES)
        if not self._clearing:
            self._clearing = True
            self.aside.do(partial(self._clear, {p.id: p.line for p in self.producers.values()}, now - KEEP_S))

    def close(self) -> None:
        """Sync everything and let other processes in; a disk that hangs keeps both from being done."""
        if self.journal.close() and self.aside.close(CLOSING_S):
            self.directory.close()

    def _clear(self, lines: Mapping[str, Line], before: float) -> None:
        try:
            for path in outdated(self.directory.segments(), lines, before):
                path.unlink()
        finally:
            self._clearing = False

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
        asked = (records.with_reply(asked, self._replies.get(flow)) for flow, asked in self.asked.items())
        return Snapshot(lines=lines, pictures=self.remember(), asked=tuple(asked))

    def _begin(self, slate: Slate | None) -> Journal:
        try:
            return Journal(self.directory, records.encode(self._snapshot()), self.aside, slate)
        except OSError as error:
            if slate is not None:
                slate.close(remove=True)
            raise self._unusable(error) from error

    def _unusable(self, error: OSError) -> UserError:
        self.directory.close()
        return UserError(f"{self.directory.path}: the outbox cannot be written: {why(error)}")

    def _write(self, record: Record) -> None:
        self.journal.write(records.encode(record))


def numbered(facts: Iterable[Fact], producer: str) -> tuple[Fact, ...]:
    """The facts as `producer` states them, from 1; everything else about them stays, the time of capture too."""
    return tuple(replace(fact, producer=producer, seq=seq) for seq, fact in enumerate(facts, 1))
