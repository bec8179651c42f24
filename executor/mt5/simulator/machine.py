"""A whole simulated terminal without a process around it: the desk, the admin and the faults between them. Pure.

Whoever runs a machine keeps its clock, writes down its changes and does what a `Handled` asks for: answer, wait, break
the connection, say nothing or end.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

import msgspec

from executor.mt5.codes import LastError
from executor.mt5.simulator import fills
from executor.mt5.simulator.admin import PREFIX, Admin
from executor.mt5.simulator.desk import Desk, Login, Reply, spoiled
from executor.mt5.simulator.engine import Engine
from executor.mt5.simulator.faults import Fault, FaultKind, Faults
from executor.mt5.simulator.market import Currency, Feed, catalogue
from executor.mt5.simulator.store import Account, Store
from executor.mt5.vocabulary import AccountMarginMode

MARGIN_MODES = {"hedging": AccountMarginMode.RETAIL_HEDGING, "netting": AccountMarginMode.RETAIL_NETTING}


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a terminal is started with. An existing account on disk wins over login, server, balance and mode."""

    login: int = 1001
    server: str = "Simulator-Demo"
    password: str = ""
    investor: str = ""
    margin_mode: Literal["hedging", "netting"] = "hedging"
    balance: Decimal = Decimal(10_000)
    currency: Currency = "USD"
    leverage: int = 100
    seed: int = 1
    prices: Literal["walk", "still"] = "walk"
    suffix: str = ""


class Fate(StrEnum):
    """What becomes of the connection after a call."""

    ANSWER = "answer"
    DROP = "drop"
    SILENCE = "silence"
    DIE = "die"
    WAIT = "wait"
    LATE = "late"


class Handled(msgspec.Struct, frozen=True):
    """The outcome of one call: with ANSWER the reply, after `delay` milliseconds.

    WAIT: make the call again with `perform` after `delay` and answer then; LATE: the same, once its client has gone.
    """

    fate: Fate
    reply: Reply | None = None
    delay: int = 0


class Machine:
    """Handles the calls of all clients of one terminal. Times are milliseconds UTC."""

    def __init__(self, options: Options, path: str) -> None:
        account = Account(
            login=options.login,
            server=options.server,
            currency=options.currency,
            leverage=options.leverage,
            margin_mode=MARGIN_MODES[options.margin_mode],
        )
        self.store = Store(account, catalogue(options.suffix))
        self.engine = Engine(self.store, Feed(options.seed, options.prices))
        self._balance = options.balance
        self._faults = Faults()
        self._desk = Desk(self.engine, Login(options.password, options.investor), path)
        self._admin = Admin(self.engine, self._faults)

    def fund(self, now: int) -> None:
        """Pay in the first balance, on an account that has never had one."""
        if not self.store.deals:
            fills.balance_deal(self.engine.floor(now), self._balance, "Deposit")

    def perform(self, function: str, arguments: dict[str, Any], now: int) -> Reply:
        """Make the call, whatever faults wait."""
        return self._desk.answer(function, arguments, now)

    def handle(self, function: str, arguments: dict[str, Any], now: int) -> Handled:
        """Make the call, or let it go wrong."""
        if function.startswith(PREFIX):
            return Handled(Fate.ANSWER, self._admin.answer(function, arguments, now))
        fault = self._faults.take(function)
        if fault is None:
            return Handled(Fate.ANSWER, self.perform(function, arguments, now))
        if fault.kind == FaultKind.LATE:
            return Handled(Fate.LATE, delay=fault.delay)
        if fault.kind == FaultKind.LATENCY and not fault.execute:
            return Handled(Fate.WAIT, delay=fault.delay)
        reply = self.perform(function, arguments, now) if fault.execute else None
        return _gone_wrong(fault, reply)


def _gone_wrong(fault: Fault, reply: Reply | None) -> Handled:
    match fault.kind:
        case FaultKind.NONE:
            return Handled(Fate.ANSWER, Reply(fault.code or int(LastError.E_FAIL)), fault.delay)
        case FaultKind.EMPTY:
            return Handled(Fate.ANSWER, Reply(value=[]), fault.delay)
        case FaultKind.RETCODE:
            row = spoiled(reply.value if reply else None, fault.code, fault.comment)
            return Handled(Fate.ANSWER, Reply(value=row), fault.delay)
        case FaultKind.DROP:
            return Handled(Fate.DROP)
        case FaultKind.DIE:
            return Handled(Fate.DIE)
        case FaultKind.HANG:
            return Handled(Fate.SILENCE)
        case _:
            return Handled(Fate.ANSWER, reply, fault.delay)
