"""The call forms and error texts of the vendor's package, row by row, as they were seen on the real one."""

from __future__ import annotations

import copy
import datetime as dt
import enum
import functools
import pickle
import sys
import types
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from executor.mt5.codes import LastError
from executor.mt5.simulator.bars import FullSurface
from executor.mt5.simulator.surface import LinkFailed
from tests.executor.mt5.simulated import StartBench

GOOD = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0, "price": 1.1, "type_filling": 1}
NO_CONNECTION = (-10004, "No IPC connection")
UNNAMED = (-2, "Unnamed arguments not allowed")
INVALID = (-2, "Invalid arguments")
OLD = (-5, "Terminal: Incompatible versions, please install the latest version of Terminal and Python module")


def named(name: str) -> tuple[int, str]:
    return (-2, f'Invalid "{name}" argument')


def nowhere(path: str) -> Any:
    raise LinkFailed(LastError.E_INTERNAL_FAIL_INIT, f"Process create failed '{path}'")


@pytest.fixture
def mt5() -> FullSurface:
    """The package as it is right after the import."""
    return FullSurface(nowhere)


def test_before_any_call_the_last_error_is_zero(mt5: FullSurface) -> None:
    assert mt5.last_error() == (0, "")


Call = Callable[[FullSurface], Any]

UNCONNECTED: list[tuple[Call, Any, tuple[int, str]]] = [
    (lambda m: m.order_send(GOOD), None, NO_CONNECTION),
    (lambda m: m.order_check(GOOD), None, NO_CONNECTION),
    (lambda m: m.order_send(**GOOD), None, NO_CONNECTION),
    (lambda m: m.order_send(request=GOOD), None, NO_CONNECTION),
    (lambda m: m.order_send({}), None, NO_CONNECTION),
    (lambda m: m.positions_get(), None, NO_CONNECTION),
    (lambda m: m.positions_get(foo=1), None, NO_CONNECTION),
    (lambda m: m.orders_get(), None, NO_CONNECTION),
    (lambda m: m.account_info(), None, NO_CONNECTION),
    (lambda m: m.terminal_info(), None, NO_CONNECTION),
    (lambda m: m.orders_total(), None, NO_CONNECTION),
    (lambda m: m.positions_total(), None, NO_CONNECTION),
    (lambda m: m.symbol_info("EURUSD"), None, NO_CONNECTION),
    (lambda m: m.symbol_info_tick("EURUSD"), None, NO_CONNECTION),
    (lambda m: m.symbol_select("EURUSD"), False, NO_CONNECTION),
    (lambda m: m.symbol_select("EURUSD", object()), False, NO_CONNECTION),
    (lambda m: m.history_deals_get(0, 1), None, NO_CONNECTION),
    (lambda m: m.history_orders_total(0, 1), None, NO_CONNECTION),
    (lambda m: m.order_calc_margin(0, "EURUSD", 1, 1), None, NO_CONNECTION),
    (lambda m: m.copy_rates_from_pos("EURUSD", 1, 0, 1), None, NO_CONNECTION),
    (lambda m: m.market_book_get("EURUSD"), None, NO_CONNECTION),
    (lambda m: m.login(1), False, NO_CONNECTION),
    (lambda m: m.version(), (0, 0, ""), NO_CONNECTION),
    (lambda m: m.symbols_total(), None, OLD),
    (lambda m: m.symbols_get(), None, OLD),
    (lambda m: m.market_book_add("EURUSD"), False, (1, "Success")),
    (lambda m: m.market_book_release("EURUSD"), False, (1, "Success")),
    (lambda m: m.shutdown(), True, (1, "Success")),
    (lambda m: m.initialize(), False, (-10003, "IPC initialize failed, MetaTrader 5 x64 not found")),
    (lambda m: m.initialize("C:/x"), False, (-10003, "IPC initialize failed, Process create failed 'C:/x'")),
]


@pytest.mark.parametrize(("call", "value", "error"), UNCONNECTED)
def test_without_a_connection_every_function_fails_in_its_own_way(
    mt5: FullSurface, call: Call, value: Any, error: tuple[int, str]
) -> None:
    answer = call(mt5)
    assert answer == value
    assert type(answer) is type(value)
    assert mt5.last_error() == error


def sent(**fields: Any) -> Call:
    return lambda m: m.order_send({**GOOD, **fields})


class Side(enum.IntEnum):
    BUY = 0


REFUSED: list[tuple[Call, Any, tuple[int, str]]] = [
    (lambda m: m.order_send(GOOD, symbol="EURUSD"), None, UNNAMED),
    (lambda m: m.order_send(types.MappingProxyType(GOOD)), None, INVALID),
    (lambda m: m.order_send(list(GOOD)), None, INVALID),
    (lambda m: m.order_send(), None, INVALID),
    (sent(volume=1), None, named("volume")),
    (sent(volume="0.1"), None, named("volume")),
    (sent(volume=None), None, named("volume")),
    (sent(volume=Decimal("0.1")), None, named("volume")),
    (sent(sl=0), None, named("sl")),
    (sent(tp=None), None, named("tp")),
    (sent(magic=1.0), None, named("magic")),
    (sent(deviation="5"), None, named("deviation")),
    (sent(expiration=dt.datetime.now(dt.UTC)), None, named("expiration")),
    (sent(expiration=1.0), None, named("expiration")),
    (sent(comment=None), None, named("comment")),
    (sent(comment="c" * 30), None, named("comment")),
    (sent(comment="\N{GRINNING FACE}" * 15), None, named("comment")),
    (sent(symbol="s" * 30), None, named("symbol")),
    (sent(volume=1, action="1"), None, named("action")),
    (lambda m: m.order_send({"position_by": 0.0, "magic": None}), None, named("magic")),
    (lambda m: m.positions_get("EURUSD"), None, UNNAMED),
    (lambda m: m.orders_get(1), None, UNNAMED),
    (lambda m: m.positions_get(symbol=None), None, named("symbol")),
    (lambda m: m.positions_get(ticket=None), None, named("ticket")),
    (lambda m: m.positions_get(group=5), None, named("group")),
    (lambda m: m.positions_get(group="g" * 1998), None, named("group")),
    (lambda m: m.symbols_get(1), False, (-2, "Invalid 1st unnamed argument")),
    (lambda m: m.symbols_get(group=1), False, named("group")),
    (lambda m: m.symbol_info("s" * 30), None, INVALID),
    (lambda m: m.symbol_info(1), None, INVALID),
    (lambda m: m.symbol_select(1), False, INVALID),
    (lambda m: m.market_book_add(1), None, INVALID),
    (lambda m: m.history_deals_get(), None, INVALID),
    (lambda m: m.history_deals_get(date_from=0, date_to=1), None, INVALID),
    (lambda m: m.history_orders_get(0, ticket=5), None, UNNAMED),
    (lambda m: m.history_orders_get(ticket=None), None, named("ticket")),
    (lambda m: m.history_deals_get(Decimal(1), 5), None, (-2, "Invalid 1st unnamed argument")),
    (lambda m: m.history_deals_get(0, dt.date(2026, 1, 1)), None, (-2, "Invalid 2nd unnamed argument")),
    (lambda m: m.history_deals_get(0, 1, group=7), None, named("group")),
    (lambda m: m.order_calc_profit(0, 5, 1.0, 1.0, 1.0), None, INVALID),
    (lambda m: m.initialize("a", "b"), False, (-2, "Invalid number of arguments")),
    (lambda m: m.initialize(5), False, (-2, "Invalid 1st unnamed argument")),
    (lambda m: m.initialize("p" * 258), False, (-2, "Invalid 1st unnamed argument")),
    (lambda m: m.initialize("x", login="5"), False, named("login")),
    (lambda m: m.initialize("x", password="p" * 254), False, named("password")),
    (lambda m: m.initialize("x", server=None), False, named("server")),
    (lambda m: m.login(0), False, named("login")),
]


@pytest.mark.parametrize(("call", "value", "error"), REFUSED)
def test_a_wrong_argument_is_refused_before_the_connection_is_looked_at(
    mt5: FullSurface, call: Call, value: Any, error: tuple[int, str]
) -> None:
    assert call(mt5) is value
    assert mt5.last_error() == error


ACCEPTED: list[Call] = [
    sent(volume=float("nan")),
    sent(price=float("inf")),
    sent(volume=1e300),
    sent(sl=-1e30, tp=1e30),
    sent(action=2**63, type=2**64 - 1, position=2**64 - 1),
    sent(type=Side.BUY, magic=True),
    sent(magic=2**64 - 1),
    sent(expiration=-5),
    sent(comment="c" * 29, symbol="s" * 29),
    sent(comment="\N{GRINNING FACE}" * 14),
    sent(comment="nul\0 and \ud800"),
    sent(foo="unknown keys are ignored"),
    lambda m: m.positions_get(ticket=5, symbol=None, group=7),
    lambda m: m.positions_get(symbol="EURUSD", group=7),
    lambda m: m.history_deals_get(0, 1, ticket=None, position="x"),
    lambda m: m.history_deals_get(ticket=5, position=None, group=7),
    lambda m: m.history_deals_get(0.5, 1e300),
    lambda m: m.history_deals_get(dt.datetime(1970, 1, 1, tzinfo=dt.UTC), dt.datetime(2100, 1, 1, tzinfo=dt.UTC)),
    lambda m: m.order_calc_margin(2**80, "EURUSD", Decimal(1), 1),
    lambda m: m.order_calc_margin(0, "EURUSD", 1e300, 1.0),
    lambda m: m.order_calc_profit(0, "EURUSD", float("inf"), 1.0, float("nan")),
    lambda m: m.symbol_info("\ud800"),
    lambda m: m.copy_rates_range("EURUSD", 1, 0, 1),
    lambda m: m.copy_ticks_range("EURUSD", 0, 1, -1),
]


@pytest.mark.parametrize("call", ACCEPTED)
def test_what_the_package_lets_through_reaches_the_connection(mt5: FullSurface, call: Call) -> None:
    assert call(mt5) is None
    assert mt5.last_error() == NO_CONNECTION


def test_what_the_package_lets_through_breaks_no_terminal(bench: StartBench) -> None:
    mt5 = bench().mt5
    for call in ACCEPTED:
        call(mt5)
        assert mt5.last_error()[0] in (LastError.S_OK, LastError.E_INVALID_PARAMS, LastError.E_NOT_FOUND, -7)
    assert mt5.account_info() is not None


def test_the_echo_keeps_what_the_wire_cannot_carry(bench: StartBench) -> None:
    assert bench().mt5.order_send({**GOOD, "comment": "\ud800"}).request.comment == "\ud800"


RAISING: list[tuple[Call, tuple[int, str]]] = [
    (sent(magic=-1), named("magic")),
    (sent(magic=2**64), named("magic")),
    (sent(position=-1), named("position")),
    (sent(expiration=2**63), named("expiration")),
    (lambda m: m.positions_get(ticket=-1), named("ticket")),
    (lambda m: m.history_deals_get(0, 2**31), NO_CONNECTION),
    (lambda m: m.history_deals_get(2**31, "x"), (-2, "Invalid 2nd unnamed argument")),
    (lambda m: m.history_deals_get(2**31, 0, group=5), named("group")),
    (lambda m: m.history_deals_get(dt.datetime(1970, 1, 1), 1), (-2, "Invalid 1st unnamed argument")),  # noqa: DTZ001
    (lambda m: m.order_calc_margin(0.0, "EURUSD", 1.0, 1.0), INVALID),
    (lambda m: m.order_calc_margin(0, "EURUSD", "1", 1.0), INVALID),
    (lambda m: m.copy_rates_from(5, "M1", 0, 1), INVALID),
    (lambda m: m.copy_rates_from_pos("EURUSD", 1, 2**31, 1), INVALID),
    (lambda m: m.initialize("x", timeout=2**32), named("timeout")),
    (lambda m: m.initialize("x", login=-1), named("login")),
]


@pytest.mark.parametrize(("call", "error"), RAISING)
def test_a_number_that_does_not_fit_raises_a_system_error(mt5: FullSurface, call: Call, error: tuple[int, str]) -> None:
    with pytest.raises(SystemError, match="returned a result with an exception set"):
        call(mt5)
    assert mt5.last_error() == error


STRAY: list[tuple[Call, str]] = [
    (lambda m: m.version(1), "MetaTrader5._core.version() takes no arguments (1 given)"),
    (lambda m: m.account_info(1, 2), "MetaTrader5._core.account_info() takes no arguments (2 given)"),
    (lambda m: m.symbol_info(symbol="EURUSD"), "symbol_info() takes no keyword arguments"),
    (lambda m: m.symbol_info_tick(symbol="EURUSD"), "symbol_info_tick() takes no keyword arguments"),
    (lambda m: m.symbol_select(symbol="EURUSD"), "symbol_select() takes no keyword arguments"),
    (lambda m: m.order_calc_margin(action=0), "order_calc_margin() takes no keyword arguments"),
    (lambda m: m.market_book_add(symbol="E"), "market_book_add() takes no keyword arguments"),
    (lambda m: m.copy_rates_from(symbol="E"), "copy_rates_from() takes no keyword arguments"),
]


@pytest.mark.parametrize(("call", "text"), STRAY)
def test_stray_arguments_raise_a_type_error_and_leave_the_last_error_alone(
    mt5: FullSurface, call: Call, text: str
) -> None:
    with pytest.raises(TypeError) as raised:
        call(mt5)
    assert str(raised.value) == text
    assert mt5.last_error() == (0, "")


def test_forwarding_with_an_empty_mapping_breaks_orders_only(mt5: FullSurface) -> None:
    def forward(function: Any, *args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    assert forward(mt5.symbol_info, "EURUSD") is None
    assert mt5.last_error() == NO_CONNECTION
    if sys.version_info < (3, 14):
        assert forward(mt5.order_check, GOOD) is None
        assert mt5.last_error() == UNNAMED
    assert functools.partial(mt5.order_send, GOOD)() is None
    assert mt5.last_error() == NO_CONNECTION


def test_results_are_tuples_with_names(bench: StartBench) -> None:
    tick = bench().mt5.symbol_info_tick("EURUSD")
    assert tick == tuple(tick)
    assert hash(tick) == hash(tuple(tick))
    assert tick._asdict()["bid"] == tick.bid == tick[1]
    assert (tick.n_fields, type(tick).__module__) == (8, "builtins")
    assert copy.deepcopy(tick) == tick
    assert not any(hasattr(tick, name) for name in ("_fields", "_replace", "_make"))
    with pytest.raises(AttributeError):
        tick.bid = 1.0
    with pytest.raises((TypeError, pickle.PicklingError), match="pickle"):
        pickle.dumps(tick)


def test_the_echo_of_a_request_is_the_clients_own(bench: StartBench) -> None:
    mt5 = bench().mt5
    echo = mt5.order_send({"symbol": "NOPE", "volume": 0.3}).request
    assert (echo.symbol, echo.volume, echo.comment, echo.price, echo.magic) == ("NOPE", 0.3, "", 0.0, 0)
    assert type(echo).__name__ == "TradeRequest"
    assert mt5.order_send(request=GOOD).request.symbol == ""
