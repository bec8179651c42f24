"""Details of the vendor's argument checks; the tables of whole calls are in test_surface."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.mt5.records import SentRequest
from executor.mt5.simulator import arguments
from executor.mt5.simulator.arguments import Dates, Invalid, Overflow
from executor.mt5.simulator.ask import FLOATS

TEXT = "Invalid 1st unnamed argument"


def test_fields_are_checked_in_the_vendors_order_whatever_the_dicts() -> None:
    bad: dict[str, Any] = dict.fromkeys(reversed(SentRequest.__struct_fields__))
    for name in SentRequest.__struct_fields__:
        with pytest.raises(Invalid, match=f'Invalid "{name}" argument'):
            arguments.request([bad], {}, empty_mapping=False)
        bad[name] = 0.0 if name in FLOATS else "" if name in arguments.TEXTS else 0


@given(st.integers())
def test_an_integer_either_fits_or_overflows(number: int) -> None:
    if 0 <= number < 2**64:
        assert arguments.integer(number, "x") == number
    else:
        with pytest.raises(Overflow):
            arguments.integer(number, "x")


@given(st.integers(-(2**40), 2**40))
def test_a_date_is_cut_to_32_bits_and_remembered_as_overflow(seconds: int) -> None:
    dates = Dates()
    cut = dates.date(seconds, TEXT)
    assert (cut - seconds) % 2**32 == 0
    assert -(2**31) <= cut < 2**31
    assert dates.overflow == (cut != seconds)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (1.9, 1),
        (True, 1),
        (float("nan"), -(2**31)),
        (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), 1767225600),
        (dt.datetime(2100, 1, 1, tzinfo=dt.UTC), 4102444800 - 2**32),
    ],
)
def test_floats_and_datetimes_are_never_checked_for_their_range(value: Any, seconds: int) -> None:
    dates = Dates()
    assert dates.date(value, TEXT) == seconds
    assert not dates.overflow


def test_a_naive_datetime_is_local_time() -> None:
    naive = dt.datetime(2026, 1, 1)  # noqa: DTZ001
    assert Dates().date(naive, TEXT) == int(naive.timestamp())


def test_two_dates_win_over_ticket_and_position() -> None:
    chosen = Dates().history((0, 5), {"ticket": "x", "position": None, "group": "*"})
    assert chosen == {"from": 0, "to": 5, "group": "*"}


def test_a_session_takes_its_first_argument_either_way() -> None:
    assert arguments.session(("p",), {"portable": 1}, "path") == {"path": "p"}
    assert arguments.session((), {"path": "p", "timeout": 5}, "path") == {"path": "p", "timeout": 5}
    assert arguments.session((5,), {"password": "x"}, "login") == {"login": 5, "password": "x"}
