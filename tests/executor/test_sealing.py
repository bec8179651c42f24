"""Whatever is changed, taken away, added, mixed or moved, the seal is not of it any more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor import sealing
from executor.sealing import Contents, contents, flaw, sealed
from shared.wire import Codec, Keyring
from tests.executor.rig import ACCOUNT, CODEC, NAMESPACE

NAMES = st.text(max_size=3)
VALUES = st.dictionaries(NAMES, st.binary(max_size=4), max_size=4)
PLACES = st.dictionaries(st.sampled_from(("entry", "seq:p", "seq:", "seq:\n")), st.text(max_size=3), max_size=3)
STATES = st.dictionaries(st.sampled_from(sealing.STATED), st.text(max_size=3), max_size=3)
KEEPING = st.builds(lambda *parts: parts, PLACES, STATES, VALUES, VALUES)
PLACE, STATE, LINKS, DEBTS = {"entry": "1-0"}, {"joined": "{}"}, {"a": b"1", "b": b"2"}, {"a": b"3"}
FOUND = contents({**PLACE, "seal": "x", "version": "7"}, {**STATE, "mode": "active"}, LINKS, DEBTS)


def codec(namespace: str = NAMESPACE, current: str = "k1", retired: str = "") -> Codec:
    keys = {current: b"1" * 32}
    return Codec(namespace, Keyring(current=current, keys=keys, retired={retired: b"2" * 32} if retired else {}))


@given(KEEPING, KEEPING)
def test_two_memories_have_the_same_digest_only_when_they_are_the_same(one: tuple, other: tuple) -> None:  # type: ignore[type-arg]
    assert (contents(*one).digest() == contents(*other).digest()) == (one == other)


@given(KEEPING, VALUES, VALUES)
def test_what_commits_change_comes_to_the_same_as_reading_it_all_again(
    before: tuple,  # type: ignore[type-arg]
    links: dict[str, bytes],
    debts: dict[str, bytes],
) -> None:
    gone = dict.fromkeys(before[2], None)
    changed = contents(*before).changed("links", {**gone, **links}).changed("debts", debts)
    place, state, _, owed = before
    assert changed.digest() == contents(place, state, links, {**owed, **debts}).digest()
    assert changed.without("links").digest() == contents(place, state, {}, {**owed, **debts}).digest()


def test_what_bears_the_seal_is_believed() -> None:
    assert flaw(CODEC, ACCOUNT, FOUND, sealed(CODEC, ACCOUNT, FOUND)) is None
    assert flaw(CODEC, ACCOUNT, Contents(), sealed(CODEC, ACCOUNT, Contents())) is None


OTHER = (
    contents(PLACE, STATE, {"a": b"1"}, DEBTS),
    contents(PLACE, STATE, {"a": b"2", "b": b"1"}, DEBTS),
    contents(PLACE, STATE, LINKS, {"b": b"3"}),
    contents(PLACE, STATE, LINKS, {}),
    contents(PLACE, {}, LINKS, DEBTS),
    contents(PLACE, STATE, {**LINKS, "c": b"3"}, DEBTS),
    contents({"entry": "1-1"}, STATE, LINKS, DEBTS),
    contents({**PLACE, "seq:p": "1"}, STATE, LINKS, DEBTS),
    contents({}, STATE, LINKS, DEBTS),
    Contents(),
)


@pytest.mark.parametrize("found", OTHER)
def test_what_is_not_what_was_sealed_is_refused_with_what_to_do(found: Contents) -> None:
    why = flaw(CODEC, ACCOUNT, found, sealed(CODEC, ACCOUNT, FOUND))
    assert why is not None
    assert "is not what was sealed" in why
    assert f"`tradecopier restore --account {ACCOUNT}`" in why
    assert f"`tradecopier account seal {ACCOUNT}`" in why
    assert "\n" not in why


@pytest.mark.parametrize("found", [FOUND, Contents()])
def test_nothing_is_believed_without_a_seal_also_not_that_there_is_nothing(found: Contents) -> None:
    assert "has no seal" in (flaw(CODEC, ACCOUNT, found, None) or "")


@pytest.mark.parametrize(
    "seal",
    [
        b"",
        b"k1",
        b"k1 \xff \xff",
        b"k1 " + b"0" * 64 + b" " + FOUND.digest(),
        sealed(codec("elsewhere"), ACCOUNT, FOUND),
        sealed(CODEC, "second", FOUND),
        CODEC.seal("orders", FOUND.digest()),
        CODEC.seal(f"replay:{ACCOUNT}", FOUND.digest()),
    ],
)
def test_a_seal_that_is_none_of_this_account_is_refused(seal: bytes) -> None:
    assert flaw(CODEC, ACCOUNT, FOUND, seal) is not None


@pytest.mark.parametrize("reader", [codec(current="k2"), codec(current="k2", retired="k1")])
def test_a_key_that_is_not_here_or_is_retired_is_named(reader: Codec) -> None:
    why = flaw(reader, ACCOUNT, FOUND, sealed(CODEC, ACCOUNT, FOUND))
    assert why is not None
    assert "sealed with key 'k1'" in why
    assert "copy the file" in why
