"""Percentiles and the interval of a median: known values, and what holds for any values."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.bench.ratios import coverage, estimate, percentile

VALUES = st.lists(st.floats(min_value=0.001, max_value=1e6), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([5.0], 0.5, 5.0),
        ([1.0, 2.0, 3.0, 4.0], 0.5, 2.0),
        ([4.0, 3.0, 2.0, 1.0], 0.75, 3.0),
        ([1.0, 2.0, 3.0], 0.99, 3.0),
        ([1.0, 2.0, 3.0], 0.0, 1.0),
        ([float(n) for n in range(1, 201)], 0.99, 198.0),
    ],
)
def test_a_percentile_is_a_value_that_was_measured(values: list[float], share: float, expected: float) -> None:
    assert percentile(values, share) == expected


@given(VALUES, st.floats(min_value=0, max_value=1))
def test_a_percentile_is_the_smallest_that_enough_values_do_not_exceed(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert sum(value <= found for value in values) >= share * len(values)
    below = [value for value in values if value < found]
    assert not below or len(below) < share * len(values)


@pytest.mark.parametrize(
    ("count", "k", "expected"),
    [(15, 4, 0.9648), (6, 1, 0.96875), (5, 1, 0.9375), (20, 6, 0.9586), (15, 1, 0.99994)],
)
def test_the_coverage_of_order_statistics_is_that_of_the_tables(count: int, k: int, expected: float) -> None:
    assert coverage(count, k) == pytest.approx(expected, abs=1e-4)


def test_fifteen_runs_give_the_interval_from_the_fourth_to_the_twelfth() -> None:
    found = estimate([float(n) for n in reversed(range(1, 16))])
    assert (found.median, found.low, found.high) == (8.0, 4.0, 12.0)
    assert found.confidence == pytest.approx(0.9648, abs=1e-4)


@pytest.mark.parametrize("count", range(1, 6))
def test_so_few_runs_give_a_median_and_no_interval(count: int) -> None:
    found = estimate([float(n) for n in range(count)])
    assert (found.median, found.low, found.high) == ((count - 1) / 2, None, None)


@given(VALUES)
def test_the_median_lies_in_its_interval_and_the_interval_holds_what_it_promises(values: list[float]) -> None:
    found = estimate(values)
    if found.low is not None and found.high is not None:
        assert found.low <= found.median <= found.high
        assert found.confidence is not None
        assert found.confidence >= 0.95
        assert math.isfinite(found.median)


@pytest.mark.parametrize("ask", [lambda: percentile([], 0.5), lambda: estimate([])])
def test_nothing_measured_is_an_error_and_no_number(ask: object) -> None:
    assert callable(ask)
    with pytest.raises(ValueError, match="no values"):
        ask()
