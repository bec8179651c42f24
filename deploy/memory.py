"""Gathers what accounts and sources were, from the archive and from what is left of the streams.

What the archive has not read yet is taken from the stream, so that nothing depends on whether the archiver was quick.
Every message is checked against its signature; what nobody of ours signed is left out and named. So is a copy: a
message counts once, where it stood first.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from heapq import merge
from itertools import chain
from typing import Any, cast

from msgspec import Struct
from redis.asyncio import Redis

from archiver.originals import Archive, Original
from archiver.rows import Held, Unreadable, record
from deploy.recollection import Origin, Recollection, begun, sound
from shared.facts import Fact
from shared.outcomes import Kept, Message
from shared.wire import Codec, entry_order, entry_time

PAGE = 1000

Told = tuple[Original, Message]


class Wanted(Struct, frozen=True):
    """A fact that accounts have still to follow."""

    original: Original
    fact: Fact
    accounts: frozenset[str]


class Lookup(Struct, frozen=True, kw_only=True):
    """Where to look. `refused` hears of each message without a sound signature, `seen` of the progress.

    `codec` signs what is put back, `reader` reads the archive: there retired keys count too.
    """

    archive: Archive
    codec: Codec
    reader: Codec
    refused: Callable[[str], None]
    seen: Callable[[int], None]

    def account(
        self, name: str, sources: Iterable[str], stream: Sequence[Told], since: datetime
    ) -> Recollection | None:
        """What an account remembered, with the ends of its facts since `since`; None when nobody ever told.

        `stream` are the sound messages of the outcomes stream. Raises Away.
        """
        mine = self._once([(original, message) for original, message in stream if message.account == name])
        found = self._begun(name, sources, mine)
        if found is None:
            return None
        for original, message in self._sound(self.archive.removals(name)):
            if isinstance(message, Kept) and message.removed and message.account == name:
                found.part(original.entry, message.memory.passed)
                break
        lacking = list(self._sound(self.archive.lacking(name)))
        earliest = min(since, entry_time(found.begun), *(entry_time(original.entry) for original, _ in lacking))
        for original, message in chain(lacking, self._sound(self.archive.states(name))):
            found.take(original.entry, message)
        told = self._sound(self.archive.told(name, earliest))
        in_order = merge(told, mine, key=lambda pair: entry_order(pair[0].entry))
        for count, (original, message) in enumerate(in_order, 1):
            self.seen(count)
            if message.account == name:
                found.take(original.entry, message)
        return found

    def facts(self, accounts: Sequence[Recollection], present: Iterable[tuple[Original, Fact]]) -> "Facts":
        """All that was published, and what of it accounts want; `present` are the facts of the stream. Raises Away."""
        found, wanting = Facts(origin=Origin(), wanted={}), {a.account: a.wanting() for a in accounts}
        published: Iterator[tuple[Original, Fact]] = sound(self.archive.facts(), self.reader.fact, self.refused)
        for count, (signed, fact) in enumerate(published, 1):
            self.seen(count)
            original = self._current(signed, fact)
            found.origin.take(original, fact)
            found.want(original, fact, {name for name, wants in wanting.items() if wants(fact)})
        lasts = {producer: seq for producer, (seq, _) in found.origin.lasts.items()}
        for original, fact in present:
            if fact.seq > lasts.get(fact.producer, 0):
                found.origin.take(original, fact)
        return found

    def _current(self, original: Original, fact: Fact) -> Original:
        """What was signed with a key that counts no more is signed anew."""
        if original.fields[b"k"].decode() in self.codec.key_ids:
            return original
        return Original(original.entry, original.what, self.codec.entry("orders", fact))

    def _once(self, told: Sequence[Told]) -> list[Told]:
        """Each message of the stream once, in the order in which they were told.

        Whoever may add to the stream may add a copy, which an executor never does: a message says when it was made. The
        archive has each once, and nobody takes that back, so what it has stands where it stands there, also when all of
        the stream was written anew.
        """
        first: dict[str, Told] = {}
        for original, message in told:
            first.setdefault(_signature(original), (original, message))
        # What a row is does not depend on its entry, whose id may be none that a clock makes.
        rows = [record(self.codec.namespace, "0-0", o.fields, message) for o, message in first.values()]
        places = {s: original.entry for s, (original, _) in first.items()}
        places |= self.archive.places([row for row in rows if not isinstance(row, Unreadable | Held)])
        for original, _ in told:
            if original.entry != (place := places[_signature(original)]):
                self.refused(f"{original.what}: a copy of what was told with entry {place}")
        placed = [(Original(places[s], o.what, o.fields), message) for s, (o, message) in first.items()]
        return sorted(placed, key=lambda pair: entry_order(pair[0].entry))

    def _begun(self, name: str, sources: Iterable[str], mine: Iterable[Told]) -> Recollection | None:
        for original, message in chain(self._sound(self.archive.wholes(name)), mine):
            if isinstance(message, Kept) and message.whole and message.account == name:
                return begun(name, frozenset(sources), original.entry, message)
        return None

    def _sound(self, originals: Iterable[Original]) -> Iterator[Told]:
        return sound(originals, self.reader.outcome, self.refused)


class Facts(Struct, frozen=True, kw_only=True):
    """What was published, and by its id each fact that somebody has still to follow."""

    origin: Origin
    wanted: dict[str, Wanted]

    def want(self, original: Original, fact: Fact, accounts: set[str]) -> None:
        """Accounts want a fact; of one that was stated again under the same id the newest statement counts."""
        if accounts:
            self.wanted[fact.id] = Wanted(original, fact, frozenset(accounts))


async def entries(redis: Redis, stream: str) -> list[Original]:
    """Everything in a stream. Raises redis errors."""
    found: list[Original] = []
    start = "-"
    while True:
        page = cast(list[Any], await redis.xrange(stream, start, "+", count=PAGE))
        found += [Original(entry.decode(), f"entry {entry.decode()}", dict(fields)) for entry, fields in page]
        if len(page) < PAGE:
            return found
        start = f"({found[-1].entry}"


def _signature(original: Original) -> str:
    return original.fields[b"s"].decode()
