"""The simulator in place of the MetaTrader5 package: `initialize("127.0.0.1:PORT")` and everything after it.

The names are the vendor's. As there, one process has one connection and one last error, and a call blocks for as long
as the terminal takes.
"""

from __future__ import annotations

import socket
from typing import Any

import msgspec

from executor.mt5.child import Socket
from executor.mt5.codes import LastError
from executor.mt5.simulator.bars import FullSurface
from executor.mt5.simulator.constants import CONSTANTS
from executor.mt5.simulator.desk import Reply
from executor.mt5.simulator.surface import LinkFailed

CONNECT_SECONDS = 5.0


class Call(msgspec.Struct, array_like=True):
    """One call on the wire: a length (u32, little-endian) and this as msgpack; the answer is a `Reply`."""

    function: str
    arguments: dict[str, Any] = {}


class SocketLink:
    """The connection to a simulator's process."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection, self._frames = connection, Socket(connection)
        self._decoder = msgspec.msgpack.Decoder(Reply)

    def call(self, function: str, arguments: dict[str, Any]) -> Reply:
        self.send(function, arguments)
        try:
            frame = self._frames.receive()
        except OSError:
            frame = None
        if frame is None:
            raise LinkFailed(LastError.E_INTERNAL_FAIL_RECEIVE)
        return self._decoder.decode(frame)

    def send(self, function: str, arguments: dict[str, Any]) -> None:
        """Hand a call over without waiting for its answer."""
        try:
            self._frames.send(Call(function, arguments))
        except OSError:
            raise LinkFailed(LastError.E_INTERNAL_FAIL_SEND) from None

    def close(self) -> None:
        self._connection.close()


def connect(path: str) -> SocketLink:
    """Connect to the simulator at `host:port`; nobody there reads like a terminal that cannot be started."""
    host, _, port = path.rpartition(":")
    try:
        connection = socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS)
    except (OSError, ValueError, OverflowError):
        raise LinkFailed(LastError.E_INTERNAL_FAIL_INIT, f"Process create failed '{path}'") from None
    connection.settimeout(None)
    return SocketLink(connection)


_surface = FullSurface(connect)

initialize = _surface.initialize
login = _surface.login
shutdown = _surface.shutdown
version = _surface.version
last_error = _surface.last_error
account_info = _surface.account_info
terminal_info = _surface.terminal_info
symbols_total = _surface.symbols_total
symbols_get = _surface.symbols_get
symbol_info = _surface.symbol_info
symbol_info_tick = _surface.symbol_info_tick
symbol_select = _surface.symbol_select
orders_total = _surface.orders_total
orders_get = _surface.orders_get
positions_total = _surface.positions_total
positions_get = _surface.positions_get
history_orders_total = _surface.history_orders_total
history_orders_get = _surface.history_orders_get
history_deals_total = _surface.history_deals_total
history_deals_get = _surface.history_deals_get
order_calc_margin = _surface.order_calc_margin
order_calc_profit = _surface.order_calc_profit
order_check = _surface.order_check
order_send = _surface.order_send
market_book_add = _surface.market_book_add
market_book_get = _surface.market_book_get
market_book_release = _surface.market_book_release
copy_rates_from = _surface.copy_rates_from
copy_rates_from_pos = _surface.copy_rates_from_pos
copy_rates_range = _surface.copy_rates_range
copy_ticks_from = _surface.copy_ticks_from
copy_ticks_range = _surface.copy_ticks_range


def __getattr__(name: str) -> int:
    """The vendor's constants are attributes of the module."""
    if name in CONSTANTS:
        return CONSTANTS[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
