"""What stands in Redis is shown as a person can read it, or not at all; what we write ourselves is always shown."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Struct

from shared import showing
from shared.showing import LONGEST, fit, line, read

NOW = datetime(2026, 11, 26, 2, 40, tzinfo=UTC)


class Seen(Struct, frozen=True, kw_only=True):
    """One of each kind that is shown."""

    text: str = ""
    number: int = 0
    share: float = 0.0
    lots: Decimal = Decimal(0)
    at: datetime = NOW
    day: date | None = None
    inner: Mapping[str, tuple[Decimal, ...]] = {}


@given(st.text(max_size=2 * LONGEST) | st.binary(max_size=2 * LONGEST))
@example("\n\x1b[2J\u202e\ud800")
@example(b"\xff\n")
def test_a_text_is_one_line_that_does_nothing_to_a_screen(text: str | bytes) -> None:
    found = line(text)
    assert found.isprintable()
    assert len(found) <= LONGEST + 1
    if isinstance(text, str) and text.isprintable() and len(text) <= LONGEST:
        assert found == text


sound = st.builds(
    Seen,
    text=st.text(alphabet=st.characters(categories=["L", "N"]), max_size=20),
    number=st.integers(-(10**17), 10**17),
    share=st.floats(-1e17, 1e17),
    lots=st.decimals(-(10**15), 10**15, allow_nan=False, allow_infinity=False),
    at=st.integers(0, 2**33).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    day=st.none() | st.dates(date(1970, 1, 1), date(2200, 1, 1)),
    inner=st.dictionaries(st.text("abc"), st.tuples(st.decimals(0, 10**9, places=5)), max_size=3),
)


@given(sound)
def test_what_we_write_is_shown_as_it_is(seen: Seen) -> None:
    assert read(msgspec.json.encode(seen), Seen) == seen


def test_what_a_division_leaves_is_a_number() -> None:
    seen = Seen(lots=Decimal("0.001") / 7)
    assert fit(seen) == seen


@pytest.mark.parametrize(
    "unfit",
    [
        {"lots": Decimal("NaN")},
        {"lots": Decimal("sNaN")},
        {"lots": Decimal("-Infinity")},
        {"lots": Decimal("1e999999")},
        {"lots": Decimal("0e-999999")},
        {"inner": {"x": (Decimal("NaN"),)}},
        {"number": 10**30},
        {"share": 1e300},
        {"share": float("nan")},
        {"at": NOW.replace(tzinfo=None)},
        {"at": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))},
        {"at": datetime(9999, 12, 31, tzinfo=UTC)},
        {"day": date(1, 1, 1)},
    ],
    ids=str,
)
def test_what_nobody_can_reckon_with_is_not_shown(unfit: dict[str, Any]) -> None:
    assert fit(Seen(**unfit)) is None


def test_texts_are_made_one_line_wherever_they_stand() -> None:
    assert fit(Seen(text="a\nb", inner={"\x1b": ()})) == Seen(text="a\ufffdb", inner={"\ufffd": ()})


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"null", b'{"text": "\xff"}', b'{"x":' + b"[" * 5000 + b"]" * 5000 + b"}", b'{"number": "x"}'],
)
def test_what_is_no_json_of_that_kind_is_nothing(raw: bytes) -> None:
    assert read(raw, Seen) is None


def test_a_cut_is_seen() -> None:
    assert line("x" * (LONGEST + 1)).endswith("…")
    assert showing.SMALLEST < -28
