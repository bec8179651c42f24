"""Which broker symbol an instrument probably is: spellings that brokers use, and where nobody can be sure."""

import pytest

from executor.suggestions import ALIASES, core, suggest

SPELLINGS = [
    ("EURUSD", ["EURUSD", "GBPUSD"], "EURUSD"),
    ("EURUSD", ["EURUSDm"], "EURUSDm"),
    ("EURUSD", ["EURUSD.r"], "EURUSD.r"),
    ("EURUSD", ["EURUSD.raw"], "EURUSD.raw"),
    ("EURUSD", ["EURUSD.pro", "EURUSDT"], "EURUSD.pro"),
    ("EURUSD", ["EURUSD-ECN"], "EURUSD-ECN"),
    ("EURUSD", ["EURUSD_i"], "EURUSD_i"),
    ("EURUSD", ["EURUSD+"], "EURUSD+"),
    ("EURUSD", ["EURUSD#"], "EURUSD#"),
    ("EURUSD", ["#EURUSD"], "#EURUSD"),
    ("EURUSD", ["EURUSDmicro"], "EURUSDmicro"),
    ("EURUSD", ["EURUSD!"], "EURUSD!"),
    ("EURUSD", ["EUR/USD"], "EUR/USD"),
    ("EUR/USD", ["EURUSD"], "EURUSD"),
    ("EUR_USD", ["EURUSD.a"], "EURUSD.a"),
    ("FX:EURUSD", ["EURUSD"], "EURUSD"),
    ("OANDA:EURUSD", ["EURUSDpro"], "EURUSDpro"),
    ("eurusd", ["EURUSD"], "EURUSD"),
    ("EURUSD", ["EURUSD.r", "EURUSD.m"], None),
    ("EURUSD", ["GBPUSD"], None),
    ("EURUSD", ["EURUSDT"], None),
    ("XAUUSD", ["GOLD"], "GOLD"),
    ("XAUUSD", ["GOLD.i"], "GOLD.i"),
    ("GOLD", ["XAUUSDm"], "XAUUSDm"),
    ("OANDA:XAUUSD", ["XAUUSD.x"], "XAUUSD.x"),
    ("XAUUSD", ["XAUEUR"], None),
    ("XAUUSD", ["XAUUSD", "GOLD"], "XAUUSD"),
    ("NASDAQ:GOLD", ["GOLD"], None),
    ("NYSE:GOLD", ["XAUUSD"], None),
    ("SILVER", ["XAGUSD"], "XAGUSD"),
    ("US30", ["DJ30"], "DJ30"),
    ("US30", ["WS30.cash"], "WS30.cash"),
    ("US30", ["US30.c", "USA30"], "US30.c"),
    ("DJI", ["US30"], "US30"),
    ("NAS100", ["USTEC"], "USTEC"),
    ("NAS100", ["US100.cash"], "US100.cash"),
    ("NAS100USD", ["NAS100"], None),
    ("US100", ["NAS100m"], "NAS100m"),
    ("SPX500", ["US500"], "US500"),
    ("SPX", ["SP500.i"], "SP500.i"),
    ("GER40", ["DE40"], "DE40"),
    ("DAX", ["GER30", "DE40"], None),
    ("UK100", ["FTSE100"], "FTSE100"),
    ("JP225", ["JPN225"], "JPN225"),
    ("USOIL", ["XTIUSD"], "XTIUSD"),
    ("USOIL", ["WTI", "XTIUSD"], None),
    ("UKOIL", ["BRENT"], "BRENT"),
    ("BTCUSD", ["BTCUSD.a"], "BTCUSD.a"),
    ("BTCUSDT", ["BTCUSD"], None),
    ("BTCUSD", ["BTCUSDT"], None),
    ("NASDAQ:AAPL", ["AAPL"], None),
    ("NATGAS", ["XNGUSD"], "XNGUSD"),
]


@pytest.mark.parametrize(("instrument", "symbols", "expected"), SPELLINGS)
def test_spellings(instrument: str, symbols: list[str], expected: str | None) -> None:
    assert suggest(instrument, symbols).symbol == expected


def test_an_unsure_suggestion_names_what_might_fit() -> None:
    assert suggest("EURUSD", ["EURUSD.r", "EURUSD.m", "GBPUSD"]).candidates == ("EURUSD.m", "EURUSD.r")


def test_no_name_stands_for_two_things() -> None:
    names = [name for group in ALIASES for name in group]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("symbol", ["EURUSD", "EURUSD.raw", "EURUSDm", "#EURUSD", "EURUSD-ECN", "EUR/USD"])
def test_what_brokers_add_is_taken_off(symbol: str) -> None:
    assert core(symbol) == "EURUSD"
