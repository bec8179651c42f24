"""Entries that cannot be read yet, signed with a key or of a kind that is not known: kept pending, openings stopped.

They are tried again while the lane runs, since a key may come any moment; when the last of them has been followed, or
was resolved by hand, the account goes back to where it was. What is missing in the sequence before other facts may be
what they hold, so it only counts as removed when none is left.
"""

from collections.abc import Awaitable, Callable
from time import monotonic

from shared.facts import Fact
from shared.streams import Entry, Reader
from shared.wire import Codec, Refused, UnknownKey, UnknownKind

EVERY_S = 0.5

Gap = tuple[str, int, int]
"""Facts that are missing: their producer, the first sequence and the last."""


class Holding:
    """The held entries of one account under one lease. `take` follows an entry that can be read by now.

    Only their ids are kept, however many somebody adds; they are read again when there are other keys than before.
    """

    def __init__(self, codec: Codec, reader: Reader, take: Callable[[Entry], Awaitable[None]]) -> None:
        self._codec = codec
        self._reader = reader
        self._take = take
        self._keys = codec.key_ids
        self._ids: dict[str, None] = {}
        self._gaps: list[Gap] = []
        self._read: set[tuple[str, int]] = set()
        self._due = 0.0

    def __bool__(self) -> bool:
        return bool(self._ids)

    def __contains__(self, entry: str) -> bool:
        return entry in self._ids

    def keep(self, entry: str) -> None:
        """Hold an entry."""
        self._ids[entry] = None

    def explains(self, gap: Gap) -> bool:
        """Whether what is missing may be what is held; it is remembered until nothing is held any more."""
        if self._ids:
            self._gaps.append(gap)
        return bool(self._ids)

    async def attend(self) -> list[Gap] | None:
        """Look again now and then. When the last entry has gone: what is missing for good; None at any other time."""
        if not self._ids or monotonic() < self._due:
            return None
        self._due = monotonic() + EVERY_S
        there = set(await self._reader.pending())
        self._ids = {entry: None for entry in self._ids if entry in there}
        if (keys := self._codec.key_ids) != self._keys:
            self._keys = keys
            for entry in list(self._ids):
                await self._try(await self._reader.entry(entry))
        if self._ids:
            return None
        missing = [gap for gap in self._gaps if not self._explained(gap)]
        self._gaps, self._read = [], set()
        return missing

    async def _try(self, entry: Entry) -> None:
        read = self._codec.fact(entry.fields)
        if unreadable(read):
            return
        del self._ids[entry.id]
        if isinstance(read, Fact):
            self._read.add((read.producer, read.seq))
        await self._take(entry)

    def _explained(self, gap: Gap) -> bool:
        producer, first, last = gap
        return all((producer, seq) in self._read for seq in range(first, last + 1))


def unreadable(read: Fact | Refused) -> bool:
    """Whether an entry may become readable with a key or a version that we do not have."""
    return isinstance(read, UnknownKey | UnknownKind)
