"""Money at one moment: conversion, profit, margin."""

from __future__ import annotations

from typing import get_args

import pytest

from executor.mt5.simulator.market import Currency
from executor.mt5.vocabulary import AccountMarginMode
from tests.executor.mt5.engines import D, deal, engine, floor, price, send


def test_currencies_convert_directly_backwards_and_through_the_dollar() -> None:
    account = engine()
    price(account, "EURUSD", "1.25", "1.25")
    price(account, "USDJPY", "160", "160")
    now = floor(account)
    assert [now.rate(*pair) for pair in (("EUR", "USD"), ("USD", "EUR"), ("EUR", "EUR"))] == [D("1.25"), D("0.8"), 1]
    assert now.rate("EUR", "JPY") == D(200)
    with pytest.raises(LookupError, match="no symbol converts XYZ"):
        now.rate("XYZ", "EUR")


@pytest.mark.parametrize("currency", get_args(Currency))
def test_an_account_can_be_kept_in_every_currency_that_is_offered(currency: str) -> None:
    now = floor(engine())
    there, back = now.rate("USD", currency), now.rate(currency, "USD")
    assert abs(there * back - 1) < D("1e-20")
    assert now.rate("EUR", currency) == now.rate("EUR", "USD") * there or currency == "EUR"


def test_a_buy_is_worth_the_bid_and_a_sell_the_ask() -> None:
    account = engine()
    send(account, deal(0, "1"))
    send(account, deal(1, "1"))
    assert floor(account).floating() == D("-20.00")


def test_of_two_opposite_sides_only_the_larger_needs_margin() -> None:
    account = engine()
    send(account, deal(0, "0.2"))
    alone = floor(account).used_margin()
    send(account, deal(1, "0.1"))
    assert floor(account).used_margin() == alone == D("220.01")
    send(account, deal(1, "0.1", symbol="GBPUSD"))
    assert floor(account).used_margin() > alone


def test_metals_need_margin_by_their_value() -> None:
    now = floor(engine(leverage=50))
    assert now.margin(now.store.symbols["XAUUSD"], D(1), D(2500)) == D(2500) * 100 / 50


def test_nobody_quotes_a_symbol_at_zero() -> None:
    account = engine(hedging=True)
    price(account, "EURUSD", "0", "0")
    assert floor(account).quote("EURUSD") is None
    assert floor(account).market_price("EURUSD", buys=True) is None


def test_only_a_netting_account_holds_one_position_per_symbol() -> None:
    account = engine(hedging=False)
    assert account.store.account.margin_mode == AccountMarginMode.RETAIL_NETTING
    assert floor(account).held("EURUSD") is None
    send(account, deal())
    held = floor(account).held("EURUSD")
    assert held is not None
    assert held.volume == D("0.1")
