"""Sums of many trades: exact money, no mixing of accounts, percentiles within their class, flat memory."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.summary import COLUMNS, POINTS, STEP, Curve, Line, Mean, Spread, Summary, Tally, lines, record

MOMENT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def line(**changes: Any) -> Line:
    fields: dict[str, Any] = {
        "captured": MOMENT, "account": "main", "instrument": "EURUSD", "side": "buy", "state": "closed",
        "lots": D("0.1"), "source_price": D("1.25"), "slippage": D("0.0001"), "closed": MOMENT, "net": D(10),
        "sent_ms": D(4), "answered_ms": D(9),
    }  # fmt: skip
    return Line(**{**fields, **changes})


def tally(*found: Line) -> Tally:
    counted = Tally()
    for one in found:
        counted.add(one)
    return counted


def test_what_was_won_and_lost_is_exact() -> None:
    found = tally(line(net=D("30.10")), line(net=D("-10.05")), line(net=D(0)), line(state="open", net=None))
    assert (found.trades, found.closed, found.won, found.lost) == (4, 3, 1, 1)
    assert (found.net, found.win_rate, found.profit_factor) == (D("20.05"), 0.5, D("30.10") / D("10.05"))


def test_an_open_trade_earned_nothing_yet_whatever_its_deals_say() -> None:
    assert tally(line(state="open", net=D(-7))).net == 0


def test_nothing_lost_has_no_profit_factor_and_nothing_closed_no_win_rate() -> None:
    assert tally(line()).profit_factor is None
    assert tally(line(state="open")).win_rate is None


def test_slippage_is_averaged_in_basis_points() -> None:
    found = tally(line(), line(source_price=D(2500), slippage=D("-0.05"), instrument="XAUUSD"))
    assert found.slippage.value == (D("0.8") - D("0.2")) / 2


def test_accounts_are_never_summed_up() -> None:
    summary = Summary()
    summary.add(line(net=D(5)))
    summary.add(line(account="second", net=D(-3)))
    assert {name: found.net for name, found in summary.accounts.items()} == {"main": D(5), "second": D(-3)}


def test_the_table_says_what_was_not_copied_and_why() -> None:
    summary = Summary()
    summary.add(line())
    summary.denied([("main", "denied", "too-old", 3), ("main", "rejected", "", 1)])
    text = "\n".join(lines(summary))
    assert "net profit        +10.00" in text
    assert "not copied        4" in text
    assert "3 x denied: too-old" in text
    assert "1 x rejected: no reason given" in text
    assert list(lines(Summary())) == ["no trades"]


def test_the_record_is_json_with_exact_money() -> None:
    summary = Summary()
    summary.add(line(net=D("0.10")))
    assert json.loads(record(summary))["main"]["net"] == "0.10"


def test_a_line_is_made_of_the_columns_in_their_order() -> None:
    assert Line.of([getattr(line(), name) for name in COLUMNS]) == line()


milliseconds = st.lists(st.decimals("0.05", "60000", allow_nan=False, places=2), min_size=1)


@given(milliseconds, st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]))
def test_a_percentile_lies_within_the_class_of_the_true_one(values: list[D], share: float) -> None:
    spread = Spread()
    for value in values:
        spread.add(value)
    true = float(sorted(values)[max(0, -(-int(share * len(values) * 1000) // 1000) - 1)])
    neighbours = [float(v) for v in sorted(values)]
    found = spread.percentile(share)
    assert found is not None
    assert min(abs(found / v - 1) for v in [*neighbours, true]) <= STEP - 1


def test_nothing_has_no_percentile_and_no_average() -> None:
    assert Spread().percentile(0.5) is None
    assert Mean().value is None


@given(st.lists(st.tuples(st.integers(0, 10**8), st.integers(-100, 100)), min_size=1, max_size=1500))
def test_a_curve_ends_at_the_sum_and_stays_small(changes: list[tuple[int, int]]) -> None:
    curve = Curve()
    for seconds, money in changes:
        curve.add(MOMENT + timedelta(seconds=seconds), D(money))
    points = curve.points()
    assert points[0][1] == 0
    assert points[-1][1] == sum(money for _, money in changes)
    assert len(points) <= POINTS + 1
    assert all(a[0] < b[0] for a, b in pairwise(points))


@pytest.mark.parametrize("count", [1, 3000])
def test_a_curve_begins_and_ends_with_its_trades(count: int) -> None:
    curve = Curve()
    for n in range(count):
        curve.add(MOMENT + timedelta(hours=n), D(1))
    first, last = curve.points()[0][0], curve.points()[-1][0]
    assert first <= MOMENT < last
    assert MOMENT - first <= timedelta(hours=count / POINTS * 4)
