"""What an operator of the simulator may do that no trader can: set prices, rules, switches and faults. Pure.

Names and values are those of the store's records; numbers that must be exact travel as text.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from executor.mt5.codes import LastError
from executor.mt5.simulator import fills
from executor.mt5.simulator.ask import read
from executor.mt5.simulator.desk import Arguments, Reply, verdict_row
from executor.mt5.simulator.engine import Engine
from executor.mt5.simulator.faults import Fault, Faults
from executor.mt5.simulator.market import Quote, Symbol
from executor.mt5.simulator.store import ZERO, Account, Settings
from executor.mt5.vocabulary import DealReason, DealType

PREFIX = "admin."


class Admin:
    """Carries out the functions that start with `admin.`."""

    def __init__(self, engine: Engine, faults: Faults) -> None:
        self._engine, self._faults = engine, faults
        self._functions: dict[str, Callable[[Arguments, int], Any]] = {
            "price": self._price,
            "fault": self._fault,
            "clear": self._clear,
            "symbol": self._symbol,
            "account": self._account,
            "settings": self._settings,
            "trade": self._trade,
            "deposit": self._deposit,
        }

    def answer(self, function: str, arguments: Arguments, now: int) -> Reply:
        """Do it and bring the account up to date; -2 for what does not exist or cannot be read."""
        handler = self._functions.get(function.removeprefix(PREFIX))
        if handler is None:
            return Reply(int(LastError.E_UNSUPPORTED))
        try:
            value = handler(arguments, now)
        except (msgspec.ValidationError, KeyError, TypeError) as error:
            return Reply(int(LastError.E_INVALID_PARAMS), f"{type(error).__name__}: {error}")
        self._engine.advance(now, moved=True)
        return Reply(value=value)

    def _price(self, arguments: Arguments, now: int) -> bool:
        """Pin a symbol's price; without bid and ask the feed takes over again, with zeros nobody quotes it."""
        store, name = self._engine.store, arguments["symbol"]
        if name not in store.symbols:
            raise KeyError(name)
        if "bid" not in arguments:
            store.remove("quotes", name)
            return True
        quote = msgspec.convert({"time": now, "bid": arguments["bid"], "ask": arguments["ask"]}, Quote)
        store.put("quotes", name, quote)
        return True

    def _fault(self, arguments: Arguments, _now: int) -> bool:
        self._faults.add(msgspec.convert(arguments, Fault))
        return True

    def _clear(self, _arguments: Arguments, _now: int) -> bool:
        self._faults.clear()
        return True

    def _symbol(self, arguments: Arguments, _now: int) -> bool:
        """Change a symbol's rules; a name that does not exist yet starts as a copy of `like`."""
        store, name = self._engine.store, arguments["name"]
        changes = {key: value for key, value in arguments.items() if key != "like"}
        old = store.symbols.get(name) or store.symbols[str(arguments.get("like", name))]
        store.put("symbols", name, _changed(old, Symbol, changes))
        return True

    def _account(self, arguments: Arguments, _now: int) -> bool:
        self._engine.store.set("account", _changed(self._engine.store.account, Account, arguments))
        return True

    def _settings(self, arguments: Arguments, _now: int) -> bool:
        self._engine.store.set("settings", _changed(self._engine.store.settings, Settings, arguments))
        return True

    def _trade(self, arguments: Arguments, now: int) -> Any:
        """A trade by hand: as a person at the terminal would make it, whatever the switches for robots say."""
        return verdict_row(self._engine.send(read(arguments), now, DealReason.CLIENT))

    def _deposit(self, arguments: Arguments, now: int) -> int:
        """Pay in, or out when the amount is negative; `kind` names another sort of deal, such as a charge."""
        amount, kind = (
            Decimal(str(arguments.get("amount", ZERO))),
            DealType[str(arguments.get("kind", "balance")).upper()],
        )
        if kind in (DealType.BUY, DealType.SELL):
            raise KeyError(kind.name)
        return fills.balance_deal(self._engine.floor(now), amount, arguments.get("comment", ""), kind).ticket


def _changed(old: msgspec.Struct, kind: type[Any], changes: Arguments) -> Any:
    """The record with some fields replaced; unknown names are errors."""
    unknown = set(changes) - set(kind.__struct_fields__)
    if unknown:
        raise KeyError(*sorted(unknown))
    return msgspec.convert(msgspec.structs.asdict(old) | changes, kind)
