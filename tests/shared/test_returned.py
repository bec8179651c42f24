"""An entry that was put back is known as one, and nobody else can make one."""

from shared.returned import FIELD, is_returned, returned
from shared.wire import Codec, Keyring, entry_before, entry_order
from tests.shared.samples import placed

CODEC = Codec("main", Keyring(current="k1", keys={"k1": b"1" * 32}))
ENTRY = CODEC.entry("orders", placed())


def test_it_is_the_same_entry_with_a_mark() -> None:
    back = returned(CODEC, ENTRY)
    assert {name: value for name, value in back.items() if name != FIELD} == ENTRY
    assert is_returned(CODEC, back)
    assert CODEC.fact(back) == placed()


def test_a_mark_counts_for_its_own_entry_only_and_when_it_is_signed() -> None:
    back = returned(CODEC, ENTRY)
    assert not is_returned(CODEC, ENTRY)
    assert not is_returned(CODEC, {**back, b"s": b"another"})
    assert not is_returned(CODEC, {**back, FIELD: b"k1 0000 "})
    assert not is_returned(CODEC, {**back, FIELD: b""})
    assert not is_returned(Codec("other", Keyring(current="k1", keys={"k1": b"1" * 32})), back)


def test_the_id_before_an_entry_is_right_below_it() -> None:
    for entry in ("5-3", "5-1", "5-0", "1-0"):
        assert entry_order(entry_before(entry)) < entry_order(entry)
    assert (entry_before("5-3"), entry_before("5-0"), entry_before("0-0")) == ("5-2", f"4-{2**64 - 1}", "0-0")
