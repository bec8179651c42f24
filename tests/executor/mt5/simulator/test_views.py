"""The vendor's records of an account."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from executor.mt5.simulator import views
from executor.mt5.simulator.market import server_offset
from tests.executor.mt5.engines import D, deal, engine, floor, price, send
from tests.executor.mt5.simulated import NOON

DATA = json.loads((Path(__file__).parents[1] / "data" / "mt5_api.json").read_text())["structs"]


def full_house() -> dict[str, Any]:
    account = engine()
    send(account, deal(0, "0.1", magic=4, comment="c", sl=D("1.05")))
    now, store = floor(account), account.store
    return {
        "AccountInfo": views.account_info(now),
        "TerminalInfo": views.terminal_info(now, "path"),
        "SymbolInfo": views.symbol_info(now, store.symbols["EURUSD"]),
        "Tick": views.tick(now, store.symbols["EURUSD"]),
        "TradePosition": views.position(now, next(iter(store.positions.values()))),
        "TradeOrder": views.order(now, next(iter(store.history.values()))),
        "TradeDeal": views.deal(next(iter(store.deals.values()))),
    }


@pytest.mark.parametrize(
    "name", ["AccountInfo", "TerminalInfo", "SymbolInfo", "Tick", *("TradePosition", "TradeOrder", "TradeDeal")]
)
def test_every_value_has_the_type_that_the_vendor_gives(name: str) -> None:
    record = full_house()[name]
    values = msgspec.structs.asdict(record)
    wanted = {field["name"]: field["type"] for field in DATA[name]["fields"]}
    for field, value in values.items():
        plain = int(value) if type(value).__name__ not in ("bool", "float", "str", "int") else value
        assert type(plain).__name__ == wanted[field], field


def test_margin_and_equity_add_up() -> None:
    account = engine()
    send(account, deal(0, "1"))
    price(account, "EURUSD", "1.102", "1.1021")
    info = views.account_info(floor(account))
    assert info.profit == 190.0
    assert info.equity == pytest.approx(info.balance + info.profit)
    assert info.margin_free == pytest.approx(info.equity - info.margin)
    assert info.margin_level == pytest.approx(info.equity / info.margin * 100, abs=0.01)


def test_times_are_on_the_brokers_clock_and_never_stays_never() -> None:
    assert views.server_ms(NOON) == NOON + server_offset(NOON)
    assert views.server_ms(0) == 0


def test_a_symbol_without_quotes_shows_zeros() -> None:
    account = engine()
    price(account, "EURUSD", "0", "0")
    now = floor(account)
    symbol = now.store.symbols["EURUSD"]
    assert views.tick(now, symbol).bid == 0.0
    info = views.symbol_info(now, symbol)
    assert (info.bid, info.ask, info.spread) == (0.0, 0.0, 0)
