"""The terminal's desk: answers the vendor's functions out of the engine. Pure; the clock is an argument.

A call has arguments that the client has already checked. Its answer is a `last_error` code with a value: a bool, a
number, a record as the list of its fields in the vendor's order, or a list of records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from executor.mt5.codes import LastError
from executor.mt5.simulator import views
from executor.mt5.simulator.ask import read
from executor.mt5.simulator.engine import Engine, Verdict, comment_of
from executor.mt5.simulator.floor import Floor
from executor.mt5.simulator.market import Symbol, server_offset
from executor.mt5.simulator.store import Deal, Order
from executor.mt5.vocabulary import Retcode, TradeAction

Arguments = dict[str, Any]


class Reply(msgspec.Struct, array_like=True):
    """What goes back to the client: `last_error` code and the value, None when the call failed."""

    code: int = int(LastError.S_OK)
    value: Any = None


class Login(msgspec.Struct, frozen=True):
    """What a client has to know to be let in; an empty password lets everyone in, the investor's may only look."""

    password: str = ""
    investor: str = ""


class Desk:
    """Answers for one terminal. `path` is what it calls its own folder."""

    def __init__(self, engine: Engine, login: Login, path: str) -> None:
        self.engine, self._login, self._path = engine, login, path
        self._functions: dict[str, Callable[[Floor, Arguments], Reply]] = {
            "login": self._enter,
            "version": lambda floor, _: Reply(value=[500, floor.store.settings.build, "20 Nov 2026"]),
            "account_info": lambda floor, _: Reply(value=_row(views.account_info(floor))),
            "terminal_info": lambda floor, _: Reply(value=_row(views.terminal_info(floor, self._path))),
            "symbols_total": lambda floor, _: Reply(value=len(floor.store.symbols)),
            "symbols_get": _symbols,
            "symbol_info": _of_symbol(views.symbol_info),
            "symbol_info_tick": _of_symbol(views.tick),
            "symbol_select": _select,
            "orders_total": lambda floor, _: Reply(value=len(floor.store.orders)),
            "positions_total": lambda floor, _: Reply(value=len(floor.store.positions)),
            "orders_get": _orders,
            "positions_get": _positions,
            "history_orders_get": _history_orders,
            "history_deals_get": _history_deals,
            "history_orders_total": lambda floor, arguments: _count(_history_orders(floor, arguments)),
            "history_deals_total": lambda floor, arguments: _count(_history_deals(floor, arguments)),
            "order_calc_margin": _calc_margin,
            "order_calc_profit": _calc_profit,
            "order_check": self._check,
            "order_send": self._send,
        }

    def answer(self, function: str, arguments: Arguments, now: int) -> Reply:
        """Answer one call at `now` (milliseconds UTC), after time has done its part."""
        self.engine.advance(now)
        handler = self._functions.get(function)
        if handler is None:
            return Reply(int(LastError.E_UNSUPPORTED))
        return handler(self.engine.floor(now), arguments)

    def _enter(self, floor: Floor, arguments: Arguments) -> Reply:
        account, password = floor.account, arguments.get("password")
        known = arguments.get("login") in (None, account.login) and arguments.get("server") in (None, account.server)
        allowed = not self._login.password or password in (None, self._login.password, self._login.investor)
        if not (known and allowed):
            return Reply(int(LastError.E_AUTH_FAILED))
        if not floor.store.settings.connected:
            return Reply(int(LastError.E_INTERNAL_FAIL_TIMEOUT))
        if password is not None and self._login.investor:
            may_trade = password != self._login.investor
            floor.store.set("account", msgspec.structs.replace(account, trade_allowed=may_trade))
        return Reply(value=True)

    def _send(self, floor: Floor, arguments: Arguments) -> Reply:
        if not floor.store.settings.python_trading:
            return Reply(int(LastError.E_AUTO_TRADING_DISABLED))
        return Reply(value=verdict_row(self.engine.send(read(arguments), floor.now)))

    def _check(self, floor: Floor, arguments: Arguments) -> Reply:
        ask = read(arguments)
        refused = self.engine.check(ask, floor.now)
        needed = floor.used_margin()
        if refused is None and ask.action == TradeAction.DEAL:
            symbol = floor.store.symbols[ask.symbol]
            needed += floor.margin(symbol, ask.volume, symbol.price)
        equity = floor.equity()
        level = float(equity * 100 / needed) if needed else 0.0
        numbers = (floor.account.balance, equity, floor.floating(), needed, equity - needed)
        comment = "Done" if refused is None else comment_of(refused)
        return Reply(value=[int(refused or 0), *map(float, numbers), level, comment])


def verdict_row(verdict: Verdict) -> list[Any]:
    """The fields of `OrderSendResult` up to the echo of the request, which the client adds."""
    prices = map(float, (verdict.volume, verdict.price, verdict.bid, verdict.ask))
    return [verdict.retcode, verdict.deal, verdict.order, *prices, verdict.comment, verdict.request_id, 0]


def spoiled(row: Any, code: int, comment: str) -> list[Any]:
    """The answer to a request whose server says something else than what happened."""
    request_id = row[8] if row else 0
    return [code, 0, 0, 0.0, 0.0, 0.0, 0.0, comment or Retcode(code).name.capitalize(), request_id, 0]


def _row(record: msgspec.Struct) -> list[Any]:
    return list(msgspec.structs.astuple(record))


def _count(reply: Reply) -> Reply:
    return Reply(reply.code, None if reply.value is None else len(reply.value))


def _of_symbol(view: Callable[[Floor, Symbol], msgspec.Struct]) -> Callable[[Floor, Arguments], Reply]:
    def handler(floor: Floor, arguments: Arguments) -> Reply:
        symbol = floor.store.symbols.get(arguments["symbol"])
        return Reply(int(LastError.E_NOT_FOUND)) if symbol is None else Reply(value=_row(view(floor, symbol)))

    return handler


def _symbols(floor: Floor, arguments: Arguments) -> Reply:
    group = arguments.get("group")
    named = (each for each in floor.store.symbols.values() if in_group(each.name, group))
    return Reply(value=[_row(views.symbol_info(floor, each)) for each in named])


def in_group(name: str, group: str | None) -> bool:
    """Whether a name matches the vendor's filter: patterns with `*`, comma-separated; `!` excludes what came before."""
    if group is None:
        return True
    matched = False
    for pattern in group.split(","):
        if pattern.startswith("!"):
            matched = matched and not fnmatchcase(name, pattern[1:])
        else:
            matched = matched or fnmatchcase(name, pattern)
    return matched


def _select(floor: Floor, arguments: Arguments) -> Reply:
    symbol = floor.store.symbols.get(arguments["symbol"])
    if symbol is None:
        return Reply(int(LastError.E_NOT_FOUND))
    in_use = {each.symbol for each in floor.store.positions.values()} | {
        each.symbol for each in floor.store.orders.values()
    }
    if not arguments["enable"] and symbol.name in in_use:
        return Reply(int(LastError.E_FAIL))
    floor.store.put("symbols", symbol.name, msgspec.structs.replace(symbol, selected=arguments["enable"]))
    return Reply(value=True)


def _orders(floor: Floor, arguments: Arguments) -> Reply:
    rows = _chosen(floor.store.orders.values(), arguments)
    return Reply(value=[_row(views.order(floor, each)) for each in rows])


def _positions(floor: Floor, arguments: Arguments) -> Reply:
    rows = _chosen(floor.store.positions.values(), arguments)
    return Reply(value=[_row(views.position(floor, each)) for each in rows])


def _chosen(records: Iterable[Any], arguments: Arguments) -> list[Any]:
    """`ticket`, else `symbol`, else `group`, else everything."""
    if "ticket" in arguments:
        return [each for each in records if each.ticket == arguments["ticket"]]
    if "symbol" in arguments:
        return [each for each in records if each.symbol == arguments["symbol"]]
    return [each for each in records if in_group(each.symbol, arguments.get("group"))]


def _history_orders(floor: Floor, arguments: Arguments) -> Reply:
    visible = [
        each for each in floor.store.history.values() if each.done + floor.store.settings.history_lag <= floor.now
    ]
    if "ticket" in arguments:
        found: list[Order] = [each for each in visible if each.ticket == arguments["ticket"]]
        if not found:
            return Reply(int(LastError.E_NOT_FOUND))
    elif "position" in arguments:
        found = [each for each in visible if each.position == arguments["position"]]
    else:
        found = [each for each in visible if _within(each.done, arguments) and _named(each.symbol, arguments)]
    return Reply(value=[_row(views.order(floor, each)) for each in found])


def _history_deals(floor: Floor, arguments: Arguments) -> Reply:
    visible = [each for each in floor.store.deals.values() if each.time + floor.store.settings.history_lag <= floor.now]
    if "ticket" in arguments:
        found: list[Deal] = [each for each in visible if each.order == arguments["ticket"]]
    elif "position" in arguments:
        found = [each for each in visible if each.position == arguments["position"]]
    else:
        found = [each for each in visible if _within(each.time, arguments) and _named(each.symbol, arguments)]
    return Reply(value=[_row(views.deal(each)) for each in found])


def _within(moment: int, arguments: Arguments) -> bool:
    """Whether a UTC millisecond lies in the range, which is in seconds of the broker's clock."""
    second = (moment + server_offset(moment)) // 1000
    return bool(arguments["from"] <= second <= arguments["to"])


def _named(name: str, arguments: Arguments) -> bool:
    return in_group(name, arguments.get("group"))


def _calc_margin(floor: Floor, arguments: Arguments) -> Reply:
    symbol = floor.store.symbols.get(arguments["symbol"])
    if symbol is None:
        return Reply(int(LastError.E_NOT_FOUND))
    return _calculated(lambda volume, price: floor.margin(symbol, volume, price), arguments, ("volume", "price"))


def _calc_profit(floor: Floor, arguments: Arguments) -> Reply:
    symbol = floor.store.symbols.get(arguments["symbol"])
    if symbol is None:
        return Reply(int(LastError.E_NOT_FOUND))
    buys, names = arguments["action"] == 0, ("volume", "price_open", "price_close")
    return _calculated(lambda volume, *prices: floor.result(symbol, buys, volume, *prices), arguments, names)


def _calculated(money: Callable[..., Decimal], arguments: Arguments, names: Iterable[str]) -> Reply:
    """Money for numbers as the client sent them; what cannot be reckoned with is refused."""
    try:
        return Reply(value=float(money(*(Decimal(repr(arguments[name])) for name in names))))
    except InvalidOperation:
        return Reply(int(LastError.E_INVALID_PARAMS))
