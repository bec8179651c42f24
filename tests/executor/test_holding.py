"""Entries that cannot be read yet are held; what they may be is not called removed before the last has gone."""

from typing import Any, cast

import pytest

from executor import holding
from executor.holding import Holding, unreadable
from shared.streams import Entry, Reader
from shared.wire import BadSignature, Codec, Keyring, UnknownKey, UnknownKind
from tests.shared.samples import placed

KNOWN, MORE = {"k1": b"1" * 32}, {"k1": b"1" * 32, "k2": b"2" * 32}
THEIRS = Codec("main", Keyring(current="k2", keys=MORE))


class Pending:
    """A reader of which only the pending entries matter."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.fetched = 0

    async def pending(self) -> list[str]:
        return list(self.entries)

    async def entry(self, entry: str) -> Entry:
        self.fetched += 1
        return self.entries[entry]


class Held:
    """A holding with what came of it."""

    def __init__(self) -> None:
        self.ring, self.reader, self.taken = Keyring(current="k1", keys=KNOWN), Pending(), list[str]()
        self.holding = Holding(Codec("main", self.ring), cast(Reader, self.reader), self.take)

    async def take(self, entry: Entry) -> None:
        self.taken.append(entry.id)

    def keep(self, entry: str, seq: int) -> None:
        self.reader.entries[entry] = Entry(entry, THEIRS.entry("orders", placed(seq=seq)))
        self.holding.keep(entry)

    def key_comes(self, name: str = "k2") -> None:
        self.ring.become(Keyring(current="k1", keys={**KNOWN, name: MORE.get(name, b"9" * 32)}))


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    monkeypatch.setattr(holding, "EVERY_S", 0.0)
    return Held()


async def test_nothing_is_done_about_nothing(held: Held) -> None:
    assert not held.holding
    assert await held.holding.attend() is None


async def test_what_is_held_is_taken_in_its_order_as_soon_as_it_can_be_read(held: Held) -> None:
    held.keep("1-0", 1)
    held.keep("2-0", 2)
    assert await held.holding.attend() is None
    assert held.taken == []
    assert "2-0" in held.holding

    held.key_comes()

    assert await held.holding.attend() == []
    assert held.taken == ["1-0", "2-0"]
    assert await held.holding.attend() is None


async def test_what_nobody_has_pending_any_more_is_dropped_and_not_taken(held: Held) -> None:
    held.keep("1-0", 1)
    del held.reader.entries["1-0"]

    assert await held.holding.attend() == []
    assert held.taken == []


async def test_nothing_is_read_again_before_there_are_other_keys(held: Held) -> None:
    held.keep("1-0", 1)
    assert [await held.holding.attend() for _ in range(3)] == [None] * 3
    assert held.reader.fetched == 0

    held.key_comes("k3")
    assert [await held.holding.attend() for _ in range(3)] == [None] * 3
    assert held.reader.fetched == 1
    assert held.taken == []


async def test_a_gap_that_the_held_ones_fill_is_none_and_another_is(held: Held) -> None:
    producer = placed().producer
    assert not held.holding.explains((producer, 1, 1))
    held.keep("1-0", 1)
    held.keep("2-0", 2)
    filled, wide, foreign = (producer, 1, 2), (producer, 2, 3), ("another", 1, 1)
    assert all(held.holding.explains(gap) for gap in (filled, wide, foreign))

    held.key_comes()

    assert await held.holding.attend() == [wide, foreign]


VERDICTS: list[tuple[Any, bool]] = [
    (UnknownKey("k"), True), (UnknownKind("x"), True), (BadSignature("k"), False), (placed(), False),
]  # fmt: skip


@pytest.mark.parametrize(("read", "waits"), VERDICTS, ids=lambda v: type(v).__name__)
def test_only_what_a_key_or_a_version_may_open_waits(read: Any, waits: bool) -> None:
    assert unreadable(read) == waits
