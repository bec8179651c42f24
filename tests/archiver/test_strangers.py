"""What nobody of ours can have written is said once, by name, in one line."""

import logging

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from redis.exceptions import ResponseError

from archiver.strangers import REMEMBERED, Strangers, no_group, shown, text
from shared.plainly import wrong_type
from shared.wire import ENTRY, entry_order


@given(st.binary(max_size=300) | st.text(max_size=300))
@example(b"\n\x1b[2J\xff")
def test_a_name_is_shown_in_one_line_whatever_it_holds(name: bytes | str) -> None:
    line = shown(name)
    assert line.isprintable()
    assert len(line) < 1000


@given(st.binary(max_size=20))
def test_a_name_is_text_or_nobody_s(name: bytes) -> None:
    found = text(name)
    assert found is None or (found.encode() == name and "\0" not in found)


@given(st.text(alphabet="0123456789-\u0663\u00b2 ", max_size=45))
def test_what_looks_like_an_entry_has_an_order(name: str) -> None:
    if ENTRY.fullmatch(name):
        assert entry_order(name) >= (0, 0)


def test_each_thing_is_said_once_and_who_makes_up_names_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    strangers = Strangers()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            strangers.pass_by(b"done:\xff", "is no hash")
        strangers.pass_by(b"done:\xff", "is no text")
        assert caplog.messages == ["passed by: done:\\xff is no hash", "passed by: done:\\xff is no text"]
        for number in range(2 * REMEMBERED):
            strangers.pass_by(f"{number}", "is made up")
    assert len(caplog.messages) == REMEMBERED


def test_errors_are_told_apart_by_their_first_word() -> None:
    assert wrong_type(ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"))
    assert no_group(ResponseError("NOGROUP No such key 'a' or consumer group 'b'"))
    other = ResponseError("OOM command not allowed")
    assert not wrong_type(other)
    assert not no_group(other)
