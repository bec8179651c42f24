"""Pure: what one commit of an account's memory writes: ends, messages, links, debts, and how far it has read."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from executor import sealing
from executor.book import Debt, Link
from shared import groups, outcomes, wire
from shared.streams import Entry

DEAD_TEXT = 500


class Work(Struct, frozen=True, kw_only=True):
    """One attempt to follow one fact."""

    fact: str
    attempt: int = 1

    @property
    def key(self) -> str:
        """The field that says whether this attempt has ended."""
        return f"{self.fact}#{self.attempt}"


class End(Struct, frozen=True, kw_only=True):
    """The end of an attempt (`work`), or only the end of an entry that needs no outcome (no work)."""

    result: outcomes.Result = "ignored"
    work: Work | None = None
    entry: str | None = None


class Change(Struct, kw_only=True):
    """What one commit writes. A Link or Debt of None removes it; without an end the entry is parked.

    `entry` is the one being worked on: when it is not pending any more, nothing is written. `held`: it cannot be read
    yet, and waits where it is. `drifts` are the disagreements that were told, by identity; None says that one is over.
    `requests` are what an operator asked for and this answers: when one is not there any more, nothing is written, and
    with an end they go. `noted` are requests with what is going to be sent for them.
    """

    entry: str | None = None
    held: bool = False
    ends: Sequence[End] = ()
    messages: Sequence[outcomes.Message] = ()
    links: Mapping[str, Link | None] = {}
    debts: Mapping[str, Debt | None] = {}
    drifts: Mapping[str, bytes | None] = {}
    requests: Sequence[str] = ()
    noted: Mapping[str, bytes] = {}
    passed: wire.Place | None = None
    dead: Mapping[bytes, bytes] = {}


class Standing(Struct, frozen=True):
    """How far an account has read; `parked` are the entries that it has passed, or holds, and that have no end yet."""

    place: wire.Place = wire.Place()
    parked: frozenset[str] = frozenset()

    def after(self, change: Change) -> "Standing":
        """After a change: an entry that is worked on and not ended is passed, and waits."""
        ended = {end.entry for end in change.ends if end.entry is not None}
        stays = change.held or change.passed is not None
        waits = {change.entry} if change.entry is not None and stays else set()
        come, gone = waits - ended - self.parked, ended & self.parked
        # Thousands may wait, and most commits are about none of them.
        parked = (self.parked | come) - gone if come or gone else self.parked
        return Standing(wire.moved(self.place, change.passed), parked)

    def has_ended(self, entry: str, producer: str, seq: int) -> bool:
        """Whether the fact of an entry has its end: it was passed, and does not wait."""
        passed = wire.entry_order(entry) <= wire.entry_order(self.place.entry)
        return passed and seq <= self.place.seqs.get(producer, 0) and entry not in self.parked

    def since(self, before: "Standing") -> dict[str, bytes | None]:
        """What has changed of it since, as it stands in Redis; None: forgotten."""
        moved: dict[str, bytes | None] = {}
        if self.place is not before.place:
            seqs = {name: seq for name, seq in self.place.seqs.items() if before.place.seqs.get(name) != seq}
            passed = groups.fields(wire.Place(entry=self.place.entry, seqs=seqs))
            moved = {name: value.encode() for name, value in passed.items()}
        parked = self.parked ^ before.parked if self.parked is not before.parked else ()
        return moved | {f"{sealing.WAITS}{entry}": b"1" if entry in self.parked else None for entry in parked}


def dead_letter(entry: Entry, account: str, reason: str, text: str) -> dict[bytes, bytes]:
    """The fields of a dead letter: the entry as it came, with who gave it up and why."""
    about = {b"reader": account, b"entry": entry.id, b"reason": reason, b"text": text[:DEAD_TEXT]}
    return {**entry.fields, **{name: value.encode() for name, value in about.items()}}
