"""The process that owns the vendor's module: one terminal, one account, one call at a time.

The module never releases the interpreter and never times out, so it lives here, alone, and the parent kills this
process when a call takes too long. `python -m executor.mt5.child --connect 127.0.0.1:PORT --module MODULE` connects to
the socket that its parent listens on, proves itself with the token from the environment and then answers requests
until the socket closes. It runs on Linux, on Windows and in Windows' own Python under Wine, and this file needs nothing
but the standard library, msgspec and the vendor's module: copied alone, it works.

A frame is a length (u32, little-endian) and a msgpack array, see `Request` and `Response`. Times are wall clock
nanoseconds; a datetime never crosses. Only the functions in `ALLOWED` can be called.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec

TOKEN_VARIABLE = "TRADECOPIER_CHILD_TOKEN"  # noqa: S105  a name, not a secret
HEADER = struct.Struct("<I")
CLOCK_TOLERANCE_NS = 1_000_000_000
CLOCK_GRAIN_NS = 100_000_000
"""How far two processes on one machine may read the wall clock apart; Windows and Wine count in coarse steps."""

ALLOWED = frozenset(
    (
        *("initialize", "login", "shutdown", "version", "account_info", "terminal_info"),
        *("symbols_total", "symbols_get", "symbol_info", "symbol_info_tick", "symbol_select"),
        *("orders_get", "positions_get", "history_orders_get", "history_deals_get"),
        *("order_calc_margin", "order_calc_profit", "order_check", "order_send"),
    )
)


class Request(msgspec.Struct, array_like=True):
    """One call. `asked` is when the parent wrote it; 0 for `not_after` means that the call does not expire."""

    id: int
    function: str
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    asked: int = 0
    not_after: int = 0


class Response(msgspec.Struct, array_like=True):
    """The answer: `kind` is `value`, `raised` (text in `value`), `expired`, `jumped` or `forbidden` (not called)."""

    id: int
    kind: str
    value: Any = None
    code: int = 0
    text: str = ""
    called: int = 0
    returned: int = 0


class Hello(msgspec.Struct, array_like=True):
    """The first frame: who is calling, and with what."""

    token: str
    pid: int
    python: str


class WallClock:
    """Tells whether the wall clock moved by itself since the last look, by comparing it with the monotonic clock."""

    def __init__(self, wall: Callable[[], int] = time.time_ns, steady: Callable[[], int] = time.monotonic_ns) -> None:
        self._wall, self._steady = wall, steady
        self._last_wall, self._last_steady = wall(), steady()

    def jumped(self) -> bool:
        """True once per jump of more than a second; an ordinary correction (0.1 % of the time passed) is none."""
        wall, steady = self._wall(), self._steady()
        passed = steady - self._last_steady
        moved = abs(wall - self._last_wall - passed)
        self._last_wall, self._last_steady = wall, steady
        return moved > CLOCK_TOLERANCE_NS + passed // 1000


def plain(value: Any) -> Any:
    """The vendor's records as dicts, all the way down; they can be neither pickled nor encoded as they are."""
    if hasattr(value, "_asdict"):
        return {name: plain(item) for name, item in value._asdict().items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


class Caller:
    """Calls the vendor's functions as the vendor wants them called, and says what came of it."""

    def __init__(self, vendor: Any, clock: WallClock) -> None:
        self._vendor, self._clock = vendor, clock

    def answer(self, request: Request) -> Response:
        if request.function not in ALLOWED:
            return Response(request.id, "forbidden", text=f"{request.function} is not a function that may be called")
        function = getattr(self._vendor, request.function)
        jumped = self._clock.jumped()
        now = time.time_ns()
        if request.not_after and (jumped or now < request.asked - CLOCK_GRAIN_NS):
            return Response(request.id, "jumped", called=now)
        if request.not_after and now > request.not_after:
            return Response(request.id, "expired", called=now)
        return self._call(request, function)

    def _call(self, request: Request, function: Callable[..., Any]) -> Response:
        kind = "value"
        called = time.time_ns()
        try:
            # An empty mapping of keywords would make the vendor's order_send refuse everything.
            value = function(*request.args, **request.kwargs) if request.kwargs else function(*request.args)
        except Exception as error:  # noqa: BLE001  whatever the vendor raises is an answer
            kind, value = "raised", f"{type(error).__name__}: {error}"
        returned = time.time_ns()
        code, text = self._vendor.last_error()
        return Response(request.id, kind, plain(value), code, text, called, returned)


class Socket:
    """Frames over the loopback connection to the parent; `receive` gives None when the parent is gone."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection = connection
        self._buffer = bytearray()

    def send(self, message: msgspec.Struct) -> None:
        payload = msgspec.msgpack.encode(message)
        self._connection.sendall(HEADER.pack(len(payload)) + payload)

    def receive(self) -> bytes | None:
        while (frame := take_frame(self._buffer)) is None:
            chunk = self._connection.recv(65536)
            if not chunk:
                return None
            self._buffer += chunk
        return frame


def take_frame(buffer: bytearray) -> bytes | None:
    """Cut the first whole frame off the buffer, or None while it is incomplete."""
    if len(buffer) < HEADER.size:
        return None
    end = HEADER.size + HEADER.unpack_from(buffer)[0]
    if len(buffer) < end:
        return None
    frame = bytes(buffer[HEADER.size : end])
    del buffer[:end]
    return frame


def serve(connection: socket.socket, vendor: Any, token: str) -> None:
    """Answer the parent until its socket closes. The terminal itself goes on running."""
    caller, frames = Caller(vendor, WallClock()), Socket(connection)
    decoder = msgspec.msgpack.Decoder(Request)
    frames.send(Hello(token, os.getpid(), sys.version.split()[0]))
    while (frame := frames.receive()) is not None:
        frames.send(caller.answer(decoder.decode(frame)))


def die_with_parent() -> None:
    """Ask Linux to kill this process with its parent; elsewhere the closing socket ends it."""
    if sys.platform != "linux":
        return
    import ctypes

    pr_set_pdeathsig, sigkill = 1, 9
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, sigkill)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="executor.mt5.child", description="Owns the MetaTrader5 module.")
    parser.add_argument("--connect", required=True, help="address of the parent, 127.0.0.1:PORT")
    parser.add_argument("--module", required=True, help="MetaTrader5 or executor.mt5.simulator.client")
    options = parser.parse_args(arguments)
    die_with_parent()
    try:
        vendor = importlib.import_module(options.module)
    except ImportError as error:
        print(f"{options.module} cannot be imported: {error}", file=sys.stderr)
        return 3
    host, _, port = options.connect.rpartition(":")
    # The parent may already be dead: then nobody listens, and there is nothing to do.
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.settimeout(None)
        serve(connection, vendor, os.environ.pop(TOKEN_VARIABLE, ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
