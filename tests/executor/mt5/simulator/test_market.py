"""Prices that everyone can agree on, and the broker's clock."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.mt5.simulator.market import TICK_MS, Feed, Symbol, catalogue, server_offset, still, walk
from tests.executor.mt5.engines import D

MOMENTS = st.integers(0, 4_000_000_000_000)
SYMBOLS = st.sampled_from(sorted(catalogue().values(), key=lambda each: each.name))


@given(SYMBOLS, st.integers(0, 2**31), MOMENTS)
def test_a_quote_is_on_the_grid_near_the_base_price_and_has_its_spread(symbol: Symbol, seed: int, now: int) -> None:
    quote = walk(symbol, seed, now)
    assert quote.bid % symbol.tick_size == 0
    assert quote.ask - quote.bid == symbol.spread * symbol.point
    assert abs(quote.bid / symbol.price - 1) < D("0.003")
    assert now - TICK_MS < quote.time <= now


@given(SYMBOLS, st.integers(0, 2**31), MOMENTS)
def test_one_seed_gives_one_price_at_one_time(symbol: Symbol, seed: int, now: int) -> None:
    assert walk(symbol, seed, now) == walk(symbol, seed, now // TICK_MS * TICK_MS)


def test_prices_move_and_seeds_differ() -> None:
    symbol = catalogue()["EURUSD"]
    path = {walk(symbol, 1, n * TICK_MS).bid for n in range(2000)}
    assert len(path) > 50
    assert walk(symbol, 1, 10**12) != walk(symbol, 2, 10**12)


def test_a_market_may_stand_still() -> None:
    symbol = catalogue()["USDJPY"]
    assert still(symbol, 5).bid == symbol.price == Feed(prices="still").quote(symbol, 99).bid
    assert Feed(seed=3).quote(symbol, 5000) == walk(symbol, 3, 5000)


@given(st.integers(978_307_200, 4_000_000_000))
def test_the_brokers_clock_is_new_york_plus_seven_hours(second: int) -> None:
    zone = ZoneInfo("America/New_York")
    if second < 1_173_600_000:  # the present rule holds since March 2007
        return
    offset = dt.datetime.fromtimestamp(second, zone).utcoffset()
    assert offset is not None
    assert server_offset(second * 1000) == (offset.total_seconds() + 7 * 3600) * 1000


def test_names_may_have_the_brokers_suffix() -> None:
    plain, suffixed = catalogue(), catalogue(".raw")
    assert {f"{name}.raw" for name in plain} == set(suffixed)
    assert suffixed["EURUSD.raw"].name == "EURUSD.raw"


@pytest.mark.parametrize("symbol", catalogue().values(), ids=lambda each: each.name)
def test_the_specifications_are_consistent(symbol: Symbol) -> None:
    assert symbol.rounded(symbol.price) == symbol.price
    assert symbol.volume_min % symbol.volume_step == 0
    assert symbol.volume_min <= symbol.volume_max
    assert symbol.spread > 0
