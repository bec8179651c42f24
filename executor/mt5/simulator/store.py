"""The tables of one simulated account, and what changed in them since somebody last asked. Pure.

Every record is frozen and replaced as a whole, so a change is the list of records that were put or removed: small
enough to be written to disk before each answer, and enough to build the tables again.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from executor.mt5.simulator.market import Quote, Symbol
from executor.mt5.vocabulary import AccountMarginMode, AccountTradeMode

ZERO = Decimal(0)


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Who trades, with how much, under which rules. Money in `currency`; a limit of 0 is no limit."""

    login: int
    server: str
    currency: str = "USD"
    name: str = "Simulated account"
    company: str = "Simulated Broker"
    margin_mode: int = AccountMarginMode.RETAIL_HEDGING
    trade_mode: int = AccountTradeMode.DEMO
    leverage: int = 100
    digits: int = 2
    balance: Decimal = ZERO
    credit: Decimal = ZERO
    trade_allowed: bool = True
    trade_expert: bool = True
    fifo_close: bool = False
    hedge_prohibited: bool = False
    limit_orders: int = 200
    limit_positions: int = 0
    limit_rate: int = 0
    margin_call: Decimal = Decimal(100)
    stop_out: Decimal = Decimal(50)

    @property
    def hedging(self) -> bool:
        return self.margin_mode == AccountMarginMode.RETAIL_HEDGING


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The terminal's own switches and the server's habits; times in milliseconds."""

    connected: bool = True
    algo_trading: bool = True
    python_trading: bool = True
    history_lag: int = 0
    fill_delay: int = 0
    comment: str | None = None
    build: int = 5836


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """An open position; times in milliseconds UTC, `type` and `reason` as the vendor numbers them."""

    ticket: int
    identifier: int
    symbol: str
    type: int
    volume: Decimal
    price: Decimal
    time: int
    updated: int
    sl: Decimal = ZERO
    tp: Decimal = ZERO
    swap: Decimal = ZERO
    magic: int = 0
    comment: str = ""
    reason: int = 3


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A working or a past order. `due` is when a delayed or partly filled one executes next; 0 for never by itself."""

    ticket: int
    symbol: str
    type: int
    volume: Decimal
    left: Decimal
    state: int
    setup: int
    price: Decimal = ZERO
    stoplimit: Decimal = ZERO
    sl: Decimal = ZERO
    tp: Decimal = ZERO
    filling: int = 0
    time_type: int = 0
    expiration: int = 0
    magic: int = 0
    comment: str = ""
    reason: int = 3
    position: int = 0
    position_by: int = 0
    done: int = 0
    due: int = 0
    triggered: bool = False


class Deal(msgspec.Struct, frozen=True, kw_only=True):
    """One execution or one change of the balance."""

    ticket: int
    order: int
    time: int
    type: int
    entry: int
    reason: int
    symbol: str = ""
    position: int = 0
    volume: Decimal = ZERO
    price: Decimal = ZERO
    profit: Decimal = ZERO
    swap: Decimal = ZERO
    commission: Decimal = ZERO
    magic: int = 0
    comment: str = ""


class Counters(msgspec.Struct, frozen=True):
    """The last number given out of each kind, and the last broker day whose swap was charged."""

    order: int = 500_000_000
    deal: int = 300_000_000
    request: int = 0
    swap_day: int = 0


class Change(msgspec.Struct, omit_defaults=True):
    """Records that were put, or removed (None), since the last one."""

    account: Account | None = None
    settings: Settings | None = None
    counters: Counters | None = None
    positions: dict[int, Position | None] = {}
    orders: dict[int, Order | None] = {}
    history: dict[int, Order] = {}
    deals: dict[int, Deal] = {}
    symbols: dict[str, Symbol] = {}
    quotes: dict[str, Quote | None] = {}


class Store:
    """The tables. Read them as attributes; change them only through `put`, `remove` and `set`."""

    def __init__(self, account: Account, symbols: dict[str, Symbol]) -> None:
        self.account = account
        self.settings = Settings()
        self.counters = Counters()
        self.positions: dict[int, Position] = {}
        self.orders: dict[int, Order] = {}
        self.history: dict[int, Order] = {}
        self.deals: dict[int, Deal] = {}
        self.symbols = dict(symbols)
        self.quotes: dict[str, Quote] = {}
        self._change: Change | None = None

    def set(self, name: str, value: Any) -> None:
        """Replace the account, the settings or the counters."""
        setattr(self, name, value)
        setattr(self._pending(), name, value)

    def put(self, table: str, key: int | str, record: Any) -> None:
        getattr(self, table)[key] = record
        getattr(self._pending(), table)[key] = record

    def remove(self, table: str, key: int | str) -> None:
        if getattr(self, table).pop(key, None) is not None:
            getattr(self._pending(), table)[key] = None

    def next_number(self, counter: str) -> int:
        """Give out the next ticket of a kind (order, deal, request)."""
        number: int = getattr(self.counters, counter) + 1
        self.set("counters", msgspec.structs.replace(self.counters, **{counter: number}))
        return number

    def take_change(self) -> Change | None:
        """What changed since the last call, or None."""
        change, self._change = self._change, None
        return change

    def apply(self, change: Change) -> None:
        """Repeat a change that was taken before."""
        for name in ("account", "settings", "counters"):
            if (value := getattr(change, name)) is not None:
                setattr(self, name, value)
        for table in ("positions", "orders", "history", "deals", "symbols", "quotes"):
            rows = getattr(self, table)
            for key, record in getattr(change, table).items():
                if record is None:
                    rows.pop(key, None)
                else:
                    rows[key] = record

    def whole(self) -> Change:
        """Everything as one change, for a compact file."""
        return Change(
            account=self.account,
            settings=self.settings,
            counters=self.counters,
            positions=dict(self.positions),
            orders=dict(self.orders),
            history=dict(self.history),
            deals=dict(self.deals),
            symbols=dict(self.symbols),
            quotes=dict(self.quotes),
        )

    def _pending(self) -> Change:
        if self._change is None:
            self._change = Change()
        return self._change
