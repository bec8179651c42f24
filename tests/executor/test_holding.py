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
        self.gone: set[str] = set()

    async def has(self, entry: str) -> bool:
        return entry not in self.gone


class Held:
    """A holding with what came of it."""

    def __init__(self) -> None:
        self.ring, self.pending, self.taken = Keyring(current="k1", keys=KNOWN), Pending(), list[str]()
        self.holding = Holding(Codec("main", self.ring), cast(Reader, self.pending), self.take)

    async def take(self, entry: Entry) -> None:
        self.taken.append(entry.id)

    def keep(self, entry: str, seq: int) -> None:
        self.holding.keep(Entry(entry, THEIRS.entry("orders", placed(seq=seq))))

    def key_comes(self) -> None:
        self.ring.become(Keyring(current="k1", keys=MORE))


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
    held.pending.gone.add("1-0")

    assert await held.holding.attend() == []
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
