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
    ("US30", ["US30Cash"], "US30Cash"),
    ("GOLD", ["XAUUSDmicro"], "XAUUSDmicro"),
    ("US30", ["US30-DEC26"], None),
    ("USOIL", ["CrudeOIL-JAN27"], None),
    ("USOIL", ["USOIL.F27"], None),
    ("XAUUSD", ["GOLD.US"], None),
    ("XAUUSD", ["GOLD.US", "GOLD.i"], "GOLD.i"),
    ("AAPL", ["AAPL.US"], "AAPL.US"),
    ("FWB:GOLD", ["XAUUSD"], None),
    ("BMV:GOLD", ["GOLD"], None),
    ("TVC:GOLD", ["XAUUSD"], "XAUUSD"),
]


@pytest.mark.parametrize(("instrument", "symbols", "expected"), SPELLINGS)
def test_spellings(instrument: str, symbols: list[str], expected: str | None) -> None:
    assert suggest(instrument, symbols).symbol == expected


def test_an_unsure_suggestion_names_what_might_fit() -> None:
    assert suggest("EURUSD", ["EURUSD.r", "EURUSD.m", "GBPUSD"]).candidates == ("EURUSD.m", "EURUSD.r")


@pytest.mark.parametrize(
    ("instrument", "symbols"), [("US30", ("US30-DEC26",)), ("XAUUSD", ("GOLD.US",)), ("NYSE:GOLD", ("GOLD",))]
)
def test_what_is_only_perhaps_the_same_is_shown_and_not_proposed(instrument: str, symbols: tuple[str, ...]) -> None:
    found = suggest(instrument, symbols)
    assert (found.symbol, found.candidates) == (None, symbols)


def test_no_name_stands_for_two_things() -> None:
    names = [name for group in ALIASES for name in group]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("symbol", ["EURUSD", "EURUSD.raw", "EURUSDm", "#EURUSD", "EURUSD-ECN", "EUR/USD"])
def test_what_brokers_add_is_taken_off(symbol: str) -> None:
    assert core(symbol) == "EURUSD"
