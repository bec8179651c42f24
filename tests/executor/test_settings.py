"""The executor's section of the settings file."""

from datetime import time
from decimal import Decimal

import pytest

from executor.settings import Account, Hours, Limits, MetaTrader5, Settings, Simulated, Sizing, parse_hours
from shared.settings import SettingsError, section

D = Decimal
REAL = {"kind": "metatrader5", "path": "C:/MT5/terminal64.exe", "login": 1, "server": "B", "password": "x"}


def read(**account: object) -> Account:
    """The account `a` with these keys."""
    keys = {"terminal": {"kind": "simulated"}, **account}
    return section({"executor": {"accounts": {"a": keys}}}, "executor", Settings).accounts["a"]


def test_a_simulated_account_needs_nothing_and_is_live() -> None:
    account = read()
    assert isinstance(account.terminal, Simulated)
    assert account.live


def test_a_real_account_is_in_shadow_until_live_is_written() -> None:
    assert isinstance(read(terminal=REAL).terminal, MetaTrader5)
    assert not read(terminal=REAL).live
    assert read(terminal=REAL, mode="live").live


def test_a_password_is_never_shown() -> None:
    assert "'x'" not in repr(read(terminal=REAL))


@pytest.mark.parametrize(
    ("keys", "where"),
    [
        ({"mdoe": "live"}, "accounts"),
        ({"mode": "armed"}, "mode"),
        ({"terminal": {"kind": "mt4"}}, "terminal"),
        ({"limits": {"max-age": "0"}}, "max-age"),
        ({"limits": {"hours": ["monday"]}}, "time window"),
        ({"limits": {"hours": ["mon-xyz 10:00-11:00"]}}, "no day"),
        ({"limits": {"hours": ["22:00-22:00"]}}, "whole day is 00:00-24:00"),
        ({"limits": {"hours": ["07:00-24:01"]}}, "from 00:00 to 24:00"),
        ({"limits": {"hours": ["24:00-07:00"]}}, "from 00:00 to 24:00"),
        ({"limits": {"hours": ["07:00-21:60"]}}, "from 00:00 to 24:00"),
        ({"sizing": {"mode": "equity-ratio"}}, "reference"),
        ({"sizing": {"mode": "notional"}}, "amount"),
        ({"sizing": {"symbols": {"XAUUSD": {"mode": "balance-ratio"}}}}, "reference"),
        ({"sizing": {"factor": "-1"}}, "factor"),
        ({"grace": 20.0}, "grace"),
        ({"sources": ["Demo!"]}, "Demo!"),
    ],
)
def test_a_mistake_names_its_place(keys: dict[str, object], where: str) -> None:
    with pytest.raises(SettingsError, match=where):
        read(**keys)


def test_a_symbols_sizing_is_laid_over_the_accounts() -> None:
    sizing = read(sizing={"factor": "0.5", "symbols": {"XAUUSD": {"mode": "fixed", "lots": "0.02"}}}).sizing
    assert sizing.of("EURUSD") is sizing
    gold = sizing.of("XAUUSD")
    assert (gold.mode, gold.lots, gold.factor) == ("fixed", D("0.02"), D("0.5"))


@pytest.mark.parametrize(
    ("pending_orders", "source", "margin", "mirrors"),
    [
        ("auto", "netting", "hedging", False),
        ("auto", "netting", "netting", True),
        ("auto", "hedging", "hedging", True),
        ("auto", "hedging", "netting", True),
        ("mirror", "netting", "hedging", True),
        ("on-fill", "hedging", "hedging", False),
    ],
)
def test_which_resting_orders_are_mirrored(pending_orders: str, source: str, margin: str, mirrors: bool) -> None:
    assert read(**{"pending-orders": pending_orders}).mirrors(source, margin) is mirrors  # type: ignore[arg-type]


def test_hours_are_read() -> None:
    assert parse_hours("sat-mon 22:00-02:30") == Hours(frozenset({5, 6, 0}), time(22), time(2, 30))
    assert parse_hours("sun 00:00-24:00") == Hours(frozenset({6}), time(0), time(0))


def test_every_guard_is_on_by_default() -> None:
    off_by_default = {"max_risk_percent", "symbols_allowed", "symbols_denied", "hours"}
    assert {name for name in Limits.__struct_fields__ if not getattr(Limits(), name)} == off_by_default


def test_sizing_by_default_is_the_sources_size_in_lots() -> None:
    assert (Sizing().mode, Sizing().factor) == ("multiplier", D(1))
