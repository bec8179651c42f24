"""Pure: what an account and a source were, from all that was told of them, in its order.

An account's executor tells all of its memory when it begins and then what each commit changes, so the newest whole with
what came after it is the memory as Redis had it. Of the facts since then each one either has an end, or is owed by a
debt in that memory, or has to be followed again: it may have been sent, and is searched before anything is sent.

A failover, or an old backup, may have made a server forget ends that the archive has. A whole that was told after such
an end has not passed its fact, or says that it waits, and has not what it gave either: that end counts no more.
"""

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import TypeVar

import msgspec
from msgspec import Raw, Struct, field

from archiver.originals import Original
from executor.book import Debt, Link
from executor.remembering import FORGOTTEN
from shared import wire
from shared.facts import Fact, objects
from shared.outcomes import Kept, Lacking, Memory, Message, Notice, Outcome, Pending

M = TypeVar("M")


class Ended(Struct, frozen=True):
    """How an attempt ended, when, and with which entry that was told."""

    result: str
    committed: datetime
    entry: str


class Recollection(Struct, kw_only=True):
    """What one account remembered. `begun` is the entry with which all of it was told, `base` what it had passed then.

    `links` and `debts` are in JSON by the link's key. By fact and attempt, `ends` has the newest end and `states` the
    entry of the newest state on the way there. `lacking` are facts that were not there when their turn came, or waited
    to be followed again. `wholes` has what each whole had passed, by its entry, `waited` the newest one in which a fact
    had no end, by producer and sequence, and `kept` the facts whose end was never forgotten. `parted` is the entry with
    which the account was taken out last, and `left` what it had passed then: none of that is followed again.
    """

    account: str
    sources: frozenset[str]
    begun: str = "0-0"
    removed: bool = False
    base: Mapping[str, int] = {}
    state: Mapping[str, str] = {}
    links: dict[str, bytes] = field(default_factory=dict)
    debts: dict[str, bytes] = field(default_factory=dict)
    passed: dict[str, int] = field(default_factory=dict)
    ends: dict[tuple[str, int], Ended] = field(default_factory=dict)
    states: dict[tuple[str, int], str] = field(default_factory=dict)
    lacking: set[Lacking] = field(default_factory=set)
    wholes: dict[str, Mapping[str, int]] = field(default_factory=dict)
    waited: dict[tuple[str, int], str] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    parted: str = "0-0"
    left: Mapping[str, int] = {}

    def take(self, entry: str, message: Message) -> None:
        """Take in what was told next. What came before the whole says only how attempts ended."""
        if isinstance(message, Outcome):
            self.ends[message.fact, message.attempt] = Ended(message.result, message.committed, entry)
        elif isinstance(message, Pending) and _later(entry, self.parted):
            self.states[message.fact, message.attempt] = entry
        elif isinstance(message, Notice) and _later(entry, self.parted):
            self.lacking.update(message.lacking)
        elif isinstance(message, Kept) and message.whole:
            self._stood(entry, message)
        if isinstance(message, Kept) and message.removed:
            self.part(entry, message.memory.passed)
        if not isinstance(message, Outcome | Pending | Kept) or not _later(entry, self.begun):
            return
        if isinstance(message, Kept) and message.whole:
            self._begin(entry, message)
            return
        if isinstance(message, Kept):
            self.state = {**self.state, **message.state}
            self.removed = self.removed or message.removed
        if message.memory is not None:
            self._remember(message.memory)

    def part(self, entry: str, passed: Mapping[str, int]) -> None:
        """It was taken out, having passed this: what waited then is over for it. To be told before what came later."""
        if _later(entry, self.parted):
            self.parted, self.left = entry, passed
            self.states = {attempt: at for attempt, at in self.states.items() if _later(at, entry)}
            self.lacking.clear()

    def wanting(self) -> Callable[[Fact], bool]:
        """Says of a fact whether the account has still to follow it. It is to be asked of all facts as they were
        published: the end of one that is stated again counts if it does by an earlier statement.
        """
        owed, passed_after = self.owed, _passed_after(self.wholes)

        def wants(fact: Fact) -> bool:
            if fact.source not in self.sources or fact.id in owed:
                return False
            left = fact.seq <= self.left.get(fact.producer, 0)
            if left or self._remembers(fact, passed_after):
                self.kept.add(fact.id)
            if left or (fact.id in self.kept and self.over(fact.id, 1)):
                return False
            beyond, states = fact.seq > self.base.get(fact.producer, 0), (fact.id, 1) in self.states
            waits = (fact.producer, fact.seq) in self.waited
            return beyond or states or waits or any(_covers(each, fact) for each in self.lacking)

        return wants

    def over(self, fact: str, attempt: int) -> bool:
        """Whether an attempt has an end and is not on the way to another one."""
        end = self.ends.get((fact, attempt))
        return end is not None and _later(end.entry, self.states.get((fact, attempt), "0-0"))

    def _remembers(self, fact: Fact, passed_after: Callable[[str], Mapping[str, int] | None]) -> bool:
        """Whether a fact has an end that no server has forgotten."""
        if not self.over(fact.id, 1):
            return False
        ended = self.ends[fact.id, 1].entry
        passed, waited = passed_after(ended), self.waited.get((fact.producer, fact.seq), "0-0")
        return (passed is None or fact.seq <= passed.get(fact.producer, 0)) and not _later(waited, ended)

    def _stood(self, entry: str, whole: Kept) -> None:
        self.wholes[entry] = whole.memory.passed
        for each in whole.lacking:
            for seq in range(each.first, each.last + 1):
                newest = self.waited.get((each.producer, seq), "0-0")
                self.waited[each.producer, seq] = max(newest, entry, key=wire.entry_order)

    @property
    def owed(self) -> frozenset[str]:
        """The facts whose end waits for a debt."""
        return frozenset(fact for fact, _ in self.owing)

    @property
    def owing(self) -> frozenset[tuple[str, int]]:
        """The attempts whose end waits for a debt, whatever a server that was lost since has said of them."""
        debts = (msgspec.json.decode(debt, type=Debt) for debt in self.debts.values())
        return frozenset((owing.fact, owing.attempt) for debt in debts for owing in debt.owing)

    def open_links(self) -> list[Link]:
        """The links of which something is ours."""
        links = (msgspec.json.decode(link, type=Link) for link in self.links.values())
        return [link for link in links if link.parts or link.pendings]

    def _begin(self, entry: str, whole: Kept) -> None:
        self.begun, self.base, self.state = entry, whole.memory.passed, whole.state
        self.removed, self.links, self.debts, self.passed = whole.removed, {}, {}, {}
        self._remember(whole.memory)

    def _remember(self, memory: Memory) -> None:
        _laid(memory.links, self.links)
        _laid(memory.debts, self.debts)
        for producer, seq in memory.passed.items():
            self.passed[producer] = max(seq, self.passed.get(producer, 0))


def begun(account: str, sources: Collection[str], entry: str, whole: Kept) -> Recollection:
    """An account as it was when all of it was told."""
    found = Recollection(account=account, sources=frozenset(sources))
    found.take(entry, whole)
    return found


class Origin(Struct, kw_only=True):
    """What was published: pictures by source (field: sealed fact), each source's producers and its last one, and what
    Redis keeps of each producer, with its last sequence.
    """

    pictures: dict[str, dict[str, bytes]] = field(default_factory=dict)
    producers: dict[str, set[str]] = field(default_factory=dict)
    lasts: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    writers: dict[str, str] = field(default_factory=dict)

    def take(self, original: Original, fact: Fact) -> None:
        """Take in the next fact; what is kept of it is what the publishing script keeps."""
        signature = original.fields[b"s"]
        sealed = b" ".join((original.fields[b"k"], signature, original.fields[b"m"]))
        picture = self.pictures.setdefault(fact.source, {})
        for name, lives in objects(fact):
            if lives:
                picture[f"{fact.account}/{name}"] = sealed
            else:
                picture.pop(f"{fact.account}/{name}", None)
        if fact.seq > self.lasts.get(fact.producer, (0, b""))[0]:
            self.lasts[fact.producer] = fact.seq, f"{fact.seq} {original.entry} ".encode() + signature
        self.producers.setdefault(fact.source, set()).add(fact.producer)
        self.writers[fact.source] = fact.producer


def sound(
    originals: Iterable[Original], read: Callable[[wire.Fields], M | wire.Refused], refused: Callable[[str], None]
) -> Iterator[tuple[Original, M]]:
    """The originals whose signature is sound, with what they say; of the others `refused` hears a line each."""
    for original in originals:
        message = read(original.fields)
        if isinstance(message, wire.Refused):
            refused(f"{original.what}: {_why(message)}")
        else:
            yield original, message


def _why(refusal: wire.Refused) -> str:
    match refusal:
        case wire.UnknownKey(key):
            return f"signed with key {key!r}, which is not in the signing key file"
        case wire.RetiredKey(key):
            return f"signed with key {key!r}, which was retired"
        case wire.UnknownKind(kind):
            return f"the kind {kind!r} is newer than this version"
        case wire.BadSignature():
            return "nobody of ours has signed it as it is"
        case wire.Malformed(text):
            return f"it cannot be read: {text}"


def _passed_after(wholes: Mapping[str, Mapping[str, int]]) -> Callable[[str], Mapping[str, int] | None]:
    """Says what every whole that was told after an entry had passed; None when none was."""
    orders = sorted(map(wire.entry_order, wholes))
    passed = [wholes[entry] for entry in sorted(wholes, key=wire.entry_order)]
    for i in reversed(range(len(passed) - 1)):
        least = passed[i + 1]
        passed[i] = {name: min(seq, least[name]) for name, seq in passed[i].items() if name in least}

    def after(entry: str) -> Mapping[str, int] | None:
        first = bisect_right(orders, wire.entry_order(entry))
        return passed[first] if first < len(passed) else None

    return after


def _later(entry: str, than: str) -> bool:
    return wire.entry_order(entry) > wire.entry_order(than)


def _covers(lacking: Lacking, fact: Fact) -> bool:
    return lacking.producer == fact.producer and lacking.first <= fact.seq <= lacking.last


def _laid(changes: Mapping[str, Raw], over: dict[str, bytes]) -> None:
    for key, value in changes.items():
        if bytes(value) == FORGOTTEN:
            over.pop(key, None)
        else:
            over[key] = bytes(value)
