"""A request as the server reads it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.mt5.simulator.ask import read
from tests.executor.mt5.engines import D


@given(st.decimals(min_value=0, max_value=10**7, places=5))
def test_a_float_is_read_as_the_decimal_it_was_made_from(number: object) -> None:
    assert read({"volume": float(number)}).volume == number  # type: ignore[arg-type]


def test_noise_beyond_the_tenth_digit_is_ignored() -> None:
    assert read({"price": 107.98100000000001}).price == D("107.981")


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_none_is_noticed(odd: float) -> None:
    asked = read({"volume": 0.1, "sl": odd, "magic": 5})
    assert (asked.finite, asked.magic, asked.volume) == (False, 5, D(0))


def test_what_is_missing_is_zero_or_empty() -> None:
    assert (read({}).action, read({}).symbol, read({}).finite) == (0, "", True)
