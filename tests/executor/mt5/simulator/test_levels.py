"""Distances, grids and lifetimes."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.mt5.simulator import levels
from executor.mt5.simulator.market import Quote, catalogue
from executor.mt5.vocabulary import OrderType, Retcode
from tests.executor.mt5.engines import D

EURUSD = msgspec.structs.replace(catalogue()["EURUSD"], stops_level=100)
QUOTE = Quote(D("1.1"), D("1.1001"), 0)
POINT = D("0.00001")


@given(st.booleans(), st.integers(-500, 500), st.integers(-500, 500))
def test_levels_keep_their_side_and_distance(buys: bool, sl: int, tp: int) -> None:
    price = D("1.1")
    sign = 1 if buys else -1
    refused = levels.distances(EURUSD, buys, price, price - sign * sl * POINT, price + sign * tp * POINT)
    assert refused == (None if sl >= 100 and tp >= 100 else Retcode.INVALID_STOPS)


def test_no_level_is_always_far_enough() -> None:
    assert levels.distances(EURUSD, True, D("1.1"), Decimal(0), Decimal(0)) is None


def test_a_level_below_zero_is_none_that_a_broker_takes() -> None:
    assert levels.distances(EURUSD, True, D("1.1"), D("-1"), Decimal(0)) == Retcode.INVALID_STOPS
    assert levels.distances(EURUSD, False, D("1.1"), Decimal(0), D("-1")) == Retcode.INVALID_STOPS


def test_a_level_has_to_lie_on_the_grid() -> None:
    gold = msgspec.structs.replace(catalogue()["XAUUSD"], tick=D("0.25"), stops_level=0)
    assert levels.distances(gold, True, D(2500), D("2400.25"), D(0)) is None
    assert levels.distances(gold, True, D(2500), D("2400.10"), D(0)) == Retcode.INVALID_STOPS


@pytest.mark.parametrize(
    ("kind", "price", "stoplimit", "code"),
    [
        (OrderType.BUY_LIMIT, "1.0991", "0", None),
        (OrderType.BUY_LIMIT, "1.0992", "0", Retcode.INVALID_STOPS),
        (OrderType.BUY_LIMIT, "1.1001", "0", Retcode.INVALID_PRICE),
        (OrderType.SELL_LIMIT, "1.101", "0", None),
        (OrderType.SELL_LIMIT, "1.1009", "0", Retcode.INVALID_STOPS),
        (OrderType.SELL_LIMIT, "1.09", "0", Retcode.INVALID_PRICE),
        (OrderType.BUY_STOP, "1.1011", "0", None),
        (OrderType.BUY_STOP, "1.1002", "0", Retcode.INVALID_STOPS),
        (OrderType.BUY_STOP, "1.09", "0", Retcode.INVALID_PRICE),
        (OrderType.SELL_STOP, "1.099", "0", None),
        (OrderType.SELL_STOP, "1.2", "0", Retcode.INVALID_PRICE),
        (OrderType.BUY_STOP_LIMIT, "1.11", "1.105", None),
        (OrderType.BUY_STOP_LIMIT, "1.11", "1.115", Retcode.INVALID_PRICE),
        (OrderType.BUY_STOP_LIMIT, "1.11", "0", Retcode.INVALID_PRICE),
        (OrderType.SELL_STOP_LIMIT, "1.09", "1.095", None),
        (OrderType.BUY_LIMIT, "0", "0", Retcode.INVALID_PRICE),
        (OrderType.BUY_LIMIT, "1.090005", "0", Retcode.INVALID_PRICE),
    ],
)
def test_a_pending_price_lies_on_its_side_and_far_enough(
    kind: OrderType, price: str, stoplimit: str, code: Retcode | None
) -> None:
    assert levels.pending_price(EURUSD, QUOTE, kind, D(price), D(stoplimit)) == code


@pytest.mark.parametrize(
    ("time_type", "expiration", "allowed", "code"),
    [
        (0, 0, 15, None),
        (0, 0, 14, Retcode.INVALID_EXPIRATION),
        (1, 0, 2, None),
        (2, 1001, 4, None),
        (2, 1000, 4, Retcode.INVALID_EXPIRATION),
        (3, 999, 8, Retcode.INVALID_EXPIRATION),
        (7, 5000, 15, Retcode.INVALID_EXPIRATION),
    ],
)
def test_a_lifetime_is_of_an_allowed_kind_and_ends_in_the_future(
    time_type: int, expiration: int, allowed: int, code: Retcode | None
) -> None:
    symbol = msgspec.structs.replace(EURUSD, expiration=allowed)
    assert levels.expiry(symbol, time_type, expiration, 1_000_000) == code
