"""The functions of the vendor's package over a link to a simulated terminal: same checks, errors and results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, Protocol

from executor.mt5.codes import LastError, last_error_text
from executor.mt5.records import SentRequest
from executor.mt5.simulator import arguments, tuples
from executor.mt5.simulator.arguments import Dates, Invalid, Overflow
from executor.mt5.simulator.ask import FLOATS
from executor.mt5.simulator.callform import empty_mapping
from executor.mt5.simulator.desk import Reply

_ECHO = {name: 0.0 if name in FLOATS else 0 for name in SentRequest.__struct_fields__} | {
    "symbol": "",
    "comment": "",
}


class LinkFailed(Exception):
    """The link broke; `code` is what `last_error` says then."""

    def __init__(self, code: LastError, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code, self.detail = code, detail


class Link(Protocol):
    """One connection to a terminal. `call` blocks for as long as the terminal takes; raises LinkFailed."""

    def call(self, function: str, arguments: dict[str, Any]) -> Reply: ...
    def close(self) -> None: ...


class Surface:
    """State and functions of the package: one link and the last error, as the vendor keeps them per process."""

    def __init__(self, connect: Callable[[str], Link]) -> None:
        self._connect = connect
        self._link: Link | None = None
        self._error: tuple[int, str] = (0, "")

    def initialize(self, *args: Any, **kwargs: Any) -> bool:
        self._close()
        return bool(self._checked("initialize", lambda: self._initialize(args, kwargs), failure=False))

    def login(self, *args: Any, **kwargs: Any) -> bool:
        def enter() -> Any:
            return self._ask("login", arguments.session(args, kwargs, "login"))

        return bool(self._checked("login", enter, failure=False))

    def shutdown(self, *args: Any, **kwargs: Any) -> bool:
        _takes_nothing("shutdown", args, kwargs)
        self._close()
        self._set(LastError.S_OK)
        return True

    def last_error(self, *args: Any, **kwargs: Any) -> tuple[int, str]:
        _takes_nothing("last_error", args, kwargs)
        return self._error

    def version(self, *args: Any, **kwargs: Any) -> tuple[int, int, str]:
        _takes_nothing("version", args, kwargs)
        value = self._ask("version", {})
        return (0, 0, "") if value is None else (value[0], value[1], value[2])

    def account_info(self, *args: Any, **kwargs: Any) -> Any:
        _takes_nothing("account_info", args, kwargs)
        return _one(tuples.AccountInfo, self._ask("account_info", {}))

    def terminal_info(self, *args: Any, **kwargs: Any) -> Any:
        _takes_nothing("terminal_info", args, kwargs)
        return _one(tuples.TerminalInfo, self._ask("terminal_info", {}))

    def symbols_total(self, *args: Any, **kwargs: Any) -> int | None:
        _takes_nothing("symbols_total", args, kwargs)
        return self._number("symbols_total", {}, LastError.E_INVALID_VERSION)

    def orders_total(self, *args: Any, **kwargs: Any) -> int | None:
        _takes_nothing("orders_total", args, kwargs)
        return self._number("orders_total", {})

    def positions_total(self, *args: Any, **kwargs: Any) -> int | None:
        _takes_nothing("positions_total", args, kwargs)
        return self._number("positions_total", {})

    def symbols_get(self, *args: Any, **kwargs: Any) -> Any:
        def get() -> Any:
            wanted = arguments.symbols_group(args, kwargs)
            return _many(tuples.SymbolInfo, self._ask("symbols_get", wanted, LastError.E_INVALID_VERSION))

        return self._checked("symbols_get", get, failure=False)

    def symbol_info(self, *args: Any, **kwargs: Any) -> Any:
        no_keywords("symbol_info", kwargs)
        return self._of_symbol("symbol_info", args, tuples.SymbolInfo)

    def symbol_info_tick(self, *args: Any, **kwargs: Any) -> Any:
        no_keywords("symbol_info_tick", kwargs)
        return self._of_symbol("symbol_info_tick", args, tuples.Tick)

    def symbol_select(self, *args: Any, **kwargs: Any) -> bool:
        no_keywords("symbol_select", kwargs)

        def select() -> Any:
            wanted = {"symbol": arguments.symbol(args, 2), "enable": len(args) < 2 or bool(args[1])}
            return self._ask("symbol_select", wanted)

        return bool(self._checked("symbol_select", select, failure=False))

    def positions_get(self, *args: Any, **kwargs: Any) -> Any:
        return self._selected("positions_get", args, kwargs, tuples.TradePosition)

    def orders_get(self, *args: Any, **kwargs: Any) -> Any:
        return self._selected("orders_get", args, kwargs, tuples.TradeOrder)

    def history_orders_get(self, *args: Any, **kwargs: Any) -> Any:
        return self._history("history_orders_get", args, kwargs, tuples.TradeOrder)

    def history_deals_get(self, *args: Any, **kwargs: Any) -> Any:
        return self._history("history_deals_get", args, kwargs, tuples.TradeDeal)

    def history_orders_total(self, *args: Any, **kwargs: Any) -> int | None:
        return self._history_total("history_orders_total", args, kwargs)

    def history_deals_total(self, *args: Any, **kwargs: Any) -> int | None:
        return self._history_total("history_deals_total", args, kwargs)

    def order_calc_margin(self, *args: Any, **kwargs: Any) -> float | None:
        no_keywords("order_calc_margin", kwargs)
        return self._calculated("order_calc_margin", args, 1)

    def order_calc_profit(self, *args: Any, **kwargs: Any) -> float | None:
        no_keywords("order_calc_profit", kwargs)
        return self._calculated("order_calc_profit", args, 2)

    def order_check(self, *args: Any, **kwargs: Any) -> Any:
        empty = not kwargs and empty_mapping(1)
        return self._request("order_check", args, kwargs, empty, tuples.OrderCheckResult)

    def order_send(self, *args: Any, **kwargs: Any) -> Any:
        empty = not kwargs and empty_mapping(1)
        return self._request("order_send", args, kwargs, empty, tuples.OrderSendResult)

    def _initialize(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
        wanted = arguments.session(args, kwargs, "path")
        if "path" not in wanted:
            return self._refuse(LastError.E_INTERNAL_FAIL_INIT, "MetaTrader 5 x64 not found")
        try:
            self._link = self._connect(wanted["path"])
        except LinkFailed as failure:
            return self._refuse(failure.code, failure.detail)
        # The terminal's saved account is taken where the caller names none.
        given = {name: value for name, value in wanted.items() if name in ("login", "password", "server") and value}
        if self._ask("login", given):
            return True
        self._close()
        return False

    def _refuse(self, code: LastError, detail: str) -> bool:
        self._error = (int(code), f"IPC initialize failed, {detail}")
        return False

    def _of_symbol(self, function: str, args: Sequence[Any], kind: type[tuples.Record]) -> Any:
        def get() -> Any:
            return _one(kind, self._ask(function, {"symbol": arguments.symbol(args)}))

        return self._checked(function, get)

    def _selected(
        self, function: str, args: Sequence[Any], kwargs: Mapping[str, Any], kind: type[tuples.Record]
    ) -> Any:
        return self._checked(function, lambda: _many(kind, self._ask(function, arguments.selection(args, kwargs))))

    def _history(self, function: str, args: Sequence[Any], kwargs: Mapping[str, Any], kind: type[tuples.Record]) -> Any:
        dates = Dates()
        value = self._checked(function, lambda: _many(kind, self._ask(function, dates.history(args, kwargs))))
        return system_error(function) if dates.overflow else value

    def _history_total(self, function: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int | None:
        no_keywords(function, kwargs)
        dates = Dates()
        value: int | None = self._checked(function, lambda: self._ask(function, dates.range(args)))
        return system_error(function) if dates.overflow else value

    def _calculated(self, function: str, args: Sequence[Any], prices: int) -> float | None:
        value: float | None = self._checked(function, lambda: self._ask(function, arguments.calculation(args, prices)))
        return value

    def _request(
        self,
        function: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        empty: bool,
        kind: type[tuples.Record],
    ) -> Any:
        def send() -> Any:
            fields = arguments.request(args, kwargs, empty)
            row = self._ask(function, fields)
            echo = tuples.TradeRequest([fields.get(name, default) for name, default in _ECHO.items()])
            return None if row is None else kind([*row, echo])

        return self._checked(function, send)

    def _number(self, function: str, wanted: dict[str, Any], unconnected: LastError | None = None) -> int | None:
        value: int | None = self._ask(function, wanted, unconnected)
        return value

    def _checked(self, function: str, call: Callable[[], Any], *, failure: Any = None) -> Any:
        """Make the call; an argument that is refused sets the error, and raises where C raises."""
        try:
            return call()
        except Invalid as refused:
            self._error = (int(LastError.E_INVALID_PARAMS), str(refused))
            if isinstance(refused, Overflow):
                system_error(function)
            return failure

    def _ask(self, function: str, wanted: dict[str, Any], unconnected: LastError | None = None) -> Any:
        if self._link is None:
            return self._set(unconnected or LastError.E_INTERNAL_FAIL_CONNECT)
        try:
            reply = self._link.call(function, {name: _sendable(value) for name, value in wanted.items()})
        except LinkFailed as failure:
            self._close()
            return self._set(failure.code)
        self._set(reply.code)
        return reply.value if reply.code == LastError.S_OK else None

    def _set(self, code: int) -> None:
        self._error = (int(code), last_error_text(code))

    def _close(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None


def _sendable(value: Any) -> Any:
    """A text without half characters, which the vendor's package lets through and our wire format does not."""
    if not isinstance(value, str):
        return value
    return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _one(kind: type[tuples.Record], row: Any) -> Any:
    return None if row is None else kind(row)


def _many(kind: type[tuples.Record], rows: Any) -> Any:
    return None if rows is None else tuple(kind(row) for row in rows)


def system_error(function: str) -> NoReturn:
    raise SystemError(f"<built-in function {function}> returned a result with an exception set")


def no_keywords(function: str, kwargs: Mapping[str, Any]) -> None:
    if kwargs:
        raise TypeError(f"{function}() takes no keyword arguments")


def _takes_nothing(function: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    if kwargs:
        raise TypeError(f"MetaTrader5._core.{function}() takes no keyword arguments")
    if args:
        raise TypeError(f"MetaTrader5._core.{function}() takes no arguments ({len(args)} given)")
