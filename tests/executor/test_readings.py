"""The vendor's floats become exact decimals, and a zero that means `none` becomes None."""

import math
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor import readings
from executor.mt5.api import AccountInfo, AccountMarginMode, OrderType, SymbolInfo, Tick
from tests.executor.records import order, position

NOW = datetime(2026, 11, 25, tzinfo=UTC)


def blank(kind: type[msgspec.Struct], **changes: object) -> object:
    zero = {int: 0, float: 0.0, bool: False, str: ""}
    return kind(**{**{f.name: zero[f.type] for f in msgspec.structs.fields(kind)}, **changes})


def account(**changes: object) -> AccountInfo:
    info = blank(AccountInfo, login=1, currency="USD", balance=100.0, equity=90.0, leverage=30, **changes)
    assert isinstance(info, AccountInfo)
    return info


def tradable(**changes: object) -> SymbolInfo:
    usual = {"point": 0.01, "trade_contract_size": 1.0, "volume_min": 0.1, "volume_step": 0.1, "trade_tick_size": 0.01}
    info = blank(SymbolInfo, **{"name": "X", **usual, **changes})
    assert isinstance(info, SymbolInfo)
    return info


@given(st.decimals(min_value=0, max_value=10**6, places=5))
def test_a_price_comes_back_as_it_was_quoted(price: Decimal) -> None:
    assert readings.number(float(price)) == price


def test_the_rules_of_a_symbol() -> None:
    info = blank(
        SymbolInfo, name="EURUSD", digits=5, point=1e-05, trade_tick_size=1e-05, trade_contract_size=100000.0,
        volume_min=0.01, volume_max=500.0, volume_step=0.01, trade_exemode=2, filling_mode=3, trade_tick_value=1.0,
    )  # fmt: skip
    assert isinstance(info, SymbolInfo)

    rules = readings.specification(info)

    assert rules is not None
    assert (rules.point, rules.volume_step, rules.contract_size) == (
        Decimal("0.00001"), Decimal("0.01"), Decimal(100000),
    )  # fmt: skip
    assert rules.execution == "market"


def test_a_symbol_without_a_tick_size_moves_by_points() -> None:
    rules = readings.specification(tradable(trade_tick_size=0.0))

    assert rules is not None
    assert rules.tick_size == Decimal("0.01")


@pytest.mark.parametrize("number", [0.0, math.nan, math.inf, -1.0])
@pytest.mark.parametrize("name", ["trade_contract_size", "volume_min", "volume_step", "trade_tick_size"])
def test_a_symbol_that_is_only_shown_has_no_rules_to_reckon_with(name: str, number: float) -> None:
    assert readings.specification(tradable(**{"point": 0.0, name: number})) is None


@pytest.mark.parametrize("number", [0.0, math.nan, -1.0])
def test_what_a_tick_is_worth_may_be_unknown(number: float) -> None:
    rules = readings.specification(tradable(trade_tick_value=number))

    assert rules is not None
    assert rules.tick_value == 0


@pytest.mark.parametrize(
    ("bid", "ask"), [(0.0, 0.0), (1.1, 0.0), (0.0, 1.1), (math.nan, 1.1), (1.1, math.inf), (-37.6, -37.5)]
)
def test_a_tick_that_is_zero_is_no_price(bid: float, ask: float) -> None:
    tick = blank(Tick, bid=bid, ask=ask)
    assert isinstance(tick, Tick)

    assert readings.price(tick, NOW) is None


def test_the_money_of_an_account() -> None:
    read = readings.figures(account(credit=5.0))

    assert read is not None
    assert (read.equity, read.balance, read.credit, read.money) == (Decimal(90), Decimal(100), Decimal(5), Decimal(105))


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["equity", "balance", "credit", "margin_free"])
def test_money_that_is_no_number_is_none(name: str, number: float) -> None:
    assert readings.figures(msgspec.structs.replace(account(), **{name: number})) is None


@pytest.mark.parametrize("number", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["point", "volume_max", "volume_limit"])
def test_rules_that_are_no_numbers_are_none(name: str, number: float) -> None:
    assert readings.specification(tradable(**{name: number})) is None


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_level_that_is_no_number_is_none(number: float) -> None:
    assert readings.holdings([position(ticket=3, sl=number)])[3].stop_loss is None


@pytest.mark.parametrize(
    ("mode", "margin"),
    [
        (AccountMarginMode.RETAIL_HEDGING, "hedging"),
        (AccountMarginMode.RETAIL_NETTING, "netting"),
        (AccountMarginMode.EXCHANGE, "netting"),
    ],
)
def test_only_retail_hedging_accounts_hold_several_positions(mode: AccountMarginMode, margin: str) -> None:
    assert readings.margin(account(margin_mode=int(mode))) == margin


def test_a_level_of_zero_is_none() -> None:
    held = readings.holdings([position(ticket=3, type=1, sl=1.2, tp=0.0)])

    assert (held[3].side, held[3].stop_loss, held[3].take_profit) == ("sell", Decimal("1.2"), None)


def test_a_market_order_on_its_way_is_not_resting() -> None:
    orders = [order(ticket=1, type=OrderType.BUY), order(ticket=2, type=OrderType.SELL_STOP)]

    assert {t: (r.type, r.side) for t, r in readings.restings(orders).items()} == {2: ("stop", "sell")}
