"""An engine on a market that stands still, for tests of its parts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from executor.mt5.simulator.ask import Ask
from executor.mt5.simulator.case import Case
from executor.mt5.simulator.engine import Engine, Verdict
from executor.mt5.simulator.floor import Floor
from executor.mt5.simulator.market import Feed, Quote, catalogue
from executor.mt5.simulator.store import Account, Store
from executor.mt5.vocabulary import AccountMarginMode, TradeAction
from tests.executor.mt5.simulated import NOON

D = Decimal


def engine(*, hedging: bool = True, balance: str = "10000", **account: Any) -> Engine:
    mode = AccountMarginMode.RETAIL_HEDGING if hedging else AccountMarginMode.RETAIL_NETTING
    made = Account(login=1, server="Demo", margin_mode=mode, balance=D(balance), **account)
    store = Store(made, catalogue())
    new = Engine(store, Feed(prices="still"))
    price(new, "EURUSD", "1.1", "1.1001")
    store.take_change()
    return new


def price(of: Engine, symbol: str, bid: str, ask: str) -> None:
    of.store.put("quotes", symbol, Quote(D(bid), D(ask), NOON))


def deal(side: int = 0, volume: str = "0.1", symbol: str = "EURUSD", **fields: Any) -> Ask:
    return Ask(action=int(TradeAction.DEAL), symbol=symbol, type=side, volume=D(volume), **fields)


def send(to: Engine, ask: Ask, now: int = NOON) -> Verdict:
    return to.send(ask, now)


def floor(of: Engine, now: int = NOON) -> Floor:
    return of.floor(now)


def case(of: Engine, ask: Ask) -> Case:
    return Case(floor(of), ask, of.store.symbols[ask.symbol])
