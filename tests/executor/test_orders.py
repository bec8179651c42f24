"""An order says when it was made, and only one of ours says anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.orders import What, ordered, said, signed
from shared.wire import Codec, Keyring
from tests.executor.rig import ACCOUNT, CODEC, NAMESPACE

WHATS = st.sampled_from(("flatten", "rearm"))
MOMENTS = st.integers(1, 10**16)
STRANGER = Codec(NAMESPACE, Keyring(current="k1", keys={"k1": b"x" * 32}))


@given(WHATS, MOMENTS)
def test_it_is_read_as_it_was_signed(what: What, moment: int) -> None:
    kept = signed(CODEC, ACCOUNT, what, moment)
    assert (ordered(CODEC, ACCOUNT, what, kept), said(kept)) == (moment, moment)


@given(MOMENTS)
def test_an_order_of_somebody_else_or_for_something_else_says_nothing(moment: int) -> None:
    kept = signed(CODEC, ACCOUNT, "flatten", moment)
    assert ordered(CODEC, "second", "flatten", kept) == 0
    assert ordered(CODEC, ACCOUNT, "rearm", kept) == 0
    assert ordered(CODEC, ACCOUNT, "flatten", signed(STRANGER, ACCOUNT, "flatten", moment)) == 0
    assert ordered(CODEC, ACCOUNT, "flatten", str(moment)) == 0


@given(st.text())
def test_whatever_stands_there_is_no_surprise(kept: str) -> None:
    assert ordered(CODEC, ACCOUNT, "flatten", kept) == 0
    assert said(kept) >= 0


@pytest.mark.parametrize(
    ("kept", "moment"), [("", 0), ("1764113512000000", 1764113512000000), ("k1 00 7", 7), ("now", 0), ("²", 0)]
)
def test_what_an_order_bears_is_read_whoever_made_it(kept: str, moment: int) -> None:
    assert said(kept) == moment


@pytest.mark.parametrize("content", [b"", b"x", b"-1", b"9" * 21])
def test_a_moment_that_is_none_is_none(content: bytes) -> None:
    assert ordered(CODEC, ACCOUNT, "flatten", CODEC.seal(f"flatten:{ACCOUNT}", content).decode()) == 0
