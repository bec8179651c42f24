"""An entry is believed only when it is signed for this namespace and stream, and read in the order of its producer."""

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import wire
from shared.facts import Fact
from shared.wire import BadSignature, Codec, Keyring, Malformed, Place, RetiredKey, UnknownKey, UnknownKind
from tests.shared.samples import FACTS, OUTCOMES, placed

RING = Keyring(current="k1", keys={"k1": b"1" * 32, "k0": b"0" * 32})
CODEC = Codec("main", RING)
ENTRY = CODEC.entry("orders", placed())


@pytest.mark.parametrize("fact", FACTS, ids=lambda f: type(f).__name__)
def test_a_signed_fact_reads_back(fact: Fact) -> None:
    assert CODEC.fact(CODEC.entry("orders", fact)) == fact


def test_a_signed_outcome_reads_back() -> None:
    assert [CODEC.outcome(CODEC.entry("outcomes", m)) for m in OUTCOMES] == list(OUTCOMES)


def test_an_older_key_still_verifies() -> None:
    old = Codec("main", Keyring(current="k0", keys={"k0": b"0" * 32}))

    assert CODEC.fact(old.entry("orders", placed())) == placed()


def test_a_retired_key_counts_in_the_archive_alone() -> None:
    ring = Keyring(current="k2", keys={"k2": b"2" * 32}, retired={"k1": b"1" * 32})

    assert Codec("main", ring).fact(ENTRY) == RetiredKey("k1")
    assert Codec("main", ring).opened("m", CODEC.seal("m", b"x")) is None
    assert Codec("main", ring.with_retired()).fact(ENTRY) == placed()


def test_keys_that_change_count_at_once_for_every_codec_that_shares_them() -> None:
    ring = Keyring(current="k0", keys={"k0": b"0" * 32})
    codec = Codec("main", ring)
    assert codec.fact(ENTRY) == UnknownKey("k1")

    ring.become(RING)

    assert codec.fact(ENTRY) == placed()
    assert codec.key_ids == ["k1", "k0"]
    assert codec.entry("orders", placed()) == ENTRY
    assert codec.entry("orders", placed(), "k0")[b"k"] == b"k0"


def test_the_message_is_readable_json() -> None:
    assert msgspec.json.decode(ENTRY[b"m"])["kind"] == "order.placed"


FORGED: dict[str, tuple[dict[bytes, bytes], type]] = {
    "another message under the same signature": ({b"m": ENTRY[b"m"].replace(b"buy", b"sell")}, BadSignature),
    "another sequence under the same signature": ({b"m": ENTRY[b"m"].replace(b'"seq":1', b'"seq":2')}, BadSignature),
    "a signature that is garbage": ({b"s": b"\xff\x00"}, BadSignature),
    "another known key": ({b"k": b"k0"}, BadSignature),
    "a key that we do not have": ({b"k": b"k9"}, UnknownKey),
    "a key id that is no text": ({b"k": b"\xff\xfe"}, Malformed),
    "no key id": ({b"k": b""}, Malformed),
    "a key id of any length": ({b"k": b"k" * 65}, Malformed),
}


@pytest.mark.parametrize(("changes", "verdict"), FORGED.values(), ids=FORGED)
def test_refuses(changes: dict[bytes, bytes], verdict: type) -> None:
    assert isinstance(CODEC.fact({**ENTRY, **changes}), verdict)


def test_refuses_an_entry_of_another_namespace() -> None:
    assert isinstance(Codec("other", RING).fact(ENTRY), BadSignature)


def test_refuses_an_entry_that_was_signed_for_the_other_stream() -> None:
    assert isinstance(CODEC.fact(CODEC.entry("outcomes", placed())), BadSignature)


def signed(body: bytes) -> dict[bytes, bytes]:

    codec = Codec("main", RING)
    return {b"m": body, b"k": b"k1", b"s": codec._signature("k1", "orders", body)}


def test_tells_a_kind_from_the_future_from_a_broken_message() -> None:
    assert CODEC.fact(signed(b'{"kind":"order.paused"}')) == UnknownKind("order.paused")
    assert isinstance(CODEC.fact(signed(b'{"kind":"order.placed"}')), Malformed)
    assert isinstance(CODEC.fact(signed(b"\xff{")), Malformed)


@given(st.dictionaries(st.sampled_from([b"m", b"k", b"s", b"x"]), st.binary(max_size=40)))
def test_no_bytes_make_it_raise_or_believe(fields: dict[bytes, bytes]) -> None:
    assert isinstance(CODEC.fact(fields), Malformed | UnknownKey | BadSignature)


def test_a_keyring_shows_no_key() -> None:
    assert "1111" not in repr(RING)


PLACE = Place(entry="5-1", seqs={"p": 7})
STANDINGS: dict[str, tuple[str, str, int, object]] = {
    "the next one": ("5-2", "p", 8, wire.Next()),
    "the first of a new producer": ("6-0", "q", 1, wire.Next()),
    "one that was passed": ("5-1", "p", 7, wire.Redelivered()),
    "an older one": ("4-9", "p", 3, wire.Redelivered()),
    "a copy under a new id": ("6-0", "p", 7, wire.Replayed(7, 7)),
    "one after a hole": ("6-0", "p", 10, wire.Removed(8, 10)),
    "a new producer's second": ("6-0", "q", 2, wire.Removed(1, 2)),
    "an id of more digits": ("10-0", "p", 8, wire.Next()),
}


@pytest.mark.parametrize(("entry", "producer", "seq", "expected"), STANDINGS.values(), ids=STANDINGS)
def test_standing(entry: str, producer: str, seq: int, expected: object) -> None:
    assert wire.standing(PLACE, entry, producer, seq) == expected


def test_what_is_sealed_opens_under_its_own_name_only() -> None:
    sealed = CODEC.seal("memory:demo/1", b"content with spaces \x00")

    assert CODEC.opened("memory:demo/1", sealed) == b"content with spaces \x00"
    assert CODEC.opened("memory:demo/2", sealed) is None
    assert Codec("other", RING).opened("memory:demo/1", sealed) is None


@given(st.binary(max_size=60))
def test_what_nobody_sealed_does_not_open(content: bytes) -> None:
    assert CODEC.opened("memory:demo/1", content) is None


def test_an_id_that_no_clock_makes_is_a_time_all_the_same() -> None:
    """Whoever may add to a stream chooses ids; and a moment is shown in any time zone."""
    last = wire.entry_time(f"{2**64 - 1}-{2**64 - 1}")
    assert last.year == 9999
    assert last.astimezone(timezone(timedelta(hours=14))).year == 9999
    assert wire.entry_time("1000-5") == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
