"""The report of a check names every obstacle with what to do about it, and calls nothing wrong that is not."""

from typing import Any

import pytest
from msgspec.structs import replace

from executor.brokerclock import BrokerClock
from executor.checktable import Account, Instrument, Tried, filling, lines, obstacles, refused, table, tried
from executor.mt5.api import AccountInfo, SymbolInfo, TerminalInfo
from executor.suggestions import Suggestion
from tests.executor.records import blank

EURUSD = blank(
    SymbolInfo,
    name="EURUSD",
    trade_mode=4,
    trade_exemode=2,
    filling_mode=3,
    volume_min=0.01,
    volume_step=0.01,
    volume_max=100.0,
    trade_stops_level=10,
)
MAPPED = Instrument("OANDA:EURUSD", "EURUSD", EURUSD, quoted=True)
FOUND = Account(
    name="main",
    live=True,
    account=blank(
        AccountInfo,
        login=7,
        server="Demo",
        company="House",
        trade_expert=True,
        margin_mode=2,
        balance=9.5,
        currency="USD",
        leverage=30,
    ),
    terminal=blank(TerminalInfo, name="MetaTrader 5", build=5836, connected=True, trade_allowed=True),
    clock=BrokerClock(offset=10800, skew=-0.2),
    told=(),
    instruments=(MAPPED,),
)


def with_symbol(**fields: Any) -> Account:
    return replace(FOUND, instruments=(replace(MAPPED, info=replace(EURUSD, **fields)),))


def unmapped(suggestion: Suggestion | None) -> Account:
    return replace(FOUND, instruments=(Instrument("OANDA:XAUUSD", "OANDA:XAUUSD", None, suggestion=suggestion),))


def test_a_healthy_account_reads_at_a_glance() -> None:
    assert obstacles(FOUND) == []
    assert lines(FOUND) == [
        "main",
        "  connection    MetaTrader 5, build 5836, online",
        "  account       7 at Demo (House), demo",
        "  money         balance 9.50 USD, equity 0.00",
        "  leverage      1:30",
        "  margin mode   hedging",
        "  algo trading  on",
        "  copying       live",
        "  clock         UTC+3, 0.2 s beside this computer's",
        "",
        "  instrument    symbol  execution  filling  lots from  step  to   stops level  trading",
        "  OANDA:EURUSD  EURUSD  market     FOK+IOC  0.01       0.01  100  10",
        "",
        "  Nothing is in the way.",
    ]


SITUATIONS = {
    "a size of its own for nothing": (
        replace(FOUND, unused=("GOLD",)),
        True,
        "[executor.accounts.main.sizing.symbols.GOLD] is never used: the terminal lists no GOLD",
    ),
    "a line of the terminal": (replace(FOUND, told=("Algo Trading is off.",)), True, "Algo Trading is off."),
    "shadow": (replace(FOUND, live=False), False, 'write mode = "live" under [executor.accounts.main]'),
    "no clock": (replace(FOUND, clock=BrokerClock()), False, "time zone is not known yet"),
    "a wrong clock": (replace(FOUND, clock=BrokerClock(0, 31.0)), True, "31 s apart: switch on time synchronisation"),
    "off": (with_symbol(trade_mode=0), True, "switched trading of EURUSD off"),
    "closes only": (with_symbol(trade_mode=3), True, "EURUSD: the broker allows closes only"),
    "no price": (replace(FOUND, instruments=(replace(MAPPED, quoted=False),)), False, "EURUSD has no price now"),
    "probably": (
        unmapped(Suggestion("OANDA:XAUUSD", "GOLD.r", ("GOLD.r",))),
        True,
        'write "OANDA:XAUUSD" = "GOLD.r" under [executor.accounts.main.symbols.map]',
    ),
    "several": (unmapped(Suggestion("OANDA:XAUUSD", None, ("GOLD", "XAUUSD"))), True, "could be GOLD, XAUUSD"),
    "none": (unmapped(Suggestion("OANDA:XAUUSD", None)), True, "which the terminal does not list"),
}


@pytest.mark.parametrize(("found", "wrong", "text"), SITUATIONS.values(), ids=SITUATIONS)
def test_an_obstacle_says_what_to_do(found: Account, wrong: bool, text: str) -> None:
    (obstacle,) = obstacles(found)
    assert text in obstacle.text
    assert obstacle.wrong is wrong
    assert f"  {'!' if wrong else '-'} {obstacle.text}" in lines(found)


@pytest.mark.parametrize(
    ("mode", "mask", "text"),
    [(2, 3, "FOK+IOC"), (2, 1, "FOK"), (2, 0, "none said"), (3, 2, "IOC+RETURN"), (1, 3, "FOK"), (0, 0, "FOK")],
)
def test_filling_modes_are_named_by_execution_mode(mode: int, mask: int, text: str) -> None:
    assert filling(replace(EURUSD, trade_exemode=mode, filling_mode=mask)) == text


def test_an_account_that_cannot_be_asked_has_one_line() -> None:
    assert refused("main", "There is no terminal.") == ["main", "  connection  none: There is no terminal."]


def test_numbers_that_are_newer_than_this_list_are_shown_as_they_are() -> None:
    strange = replace(FOUND, account=replace(FOUND.account, margin_mode=9))
    assert "  margin mode   9" in lines(strange)
    assert any("  99 " in line for line in lines(with_symbol(trade_exemode=99)))


def test_a_trial_says_what_was_not_as_it_should_be() -> None:
    shown = tried([Tried("open"), Tried("close", "it is still there")])
    assert shown[-2:] == ["  open   ok", "  close  WRONG: it is still there"]


def test_columns_stand_below_one_another() -> None:
    assert table([("a", "bb"), ("ccc", "d"), ("e",)]) == ["a    bb", "ccc  d", "e"]
    assert table([]) == []
