"""The parent's side of a MetaTrader 5 terminal: typed calls with deadlines, one at a time, sends before reads.

The vendor's functions can block for ever, so each call has a named deadline; a child that misses it is killed, and a
new one is started when the old one is proven dead. Nobody reconnects behind the caller's back: a new child is not
connected until `connect` has checked login and server again. `epoch` counts every change of that state.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from executor.mt5 import verify
from executor.mt5.api import (
    AccountInfo,
    Answered,
    Connected,
    Credentials,
    Expired,
    LastError,
    Lost,
    NoResult,
    NotSent,
    OrderCheckResult,
    OrderSendResult,
    Refusal,
    Refused,
    Reply,
    SymbolInfo,
    TerminalInfo,
    Tick,
    TradeDeal,
    TradeOrder,
    TradePosition,
    TradeRequest,
    Unknown,
)
from executor.mt5.callqueue import CallQueue, Gone, Urgency
from executor.mt5.child import Response
from executor.mt5.childkeeper import ChildKeeper
from executor.mt5.childlink import ChildLink

T = TypeVar("T")

BROKEN = frozenset(
    {
        LastError.E_INTERNAL_FAIL,
        LastError.E_INTERNAL_FAIL_SEND,
        LastError.E_INTERNAL_FAIL_RECEIVE,
        LastError.E_INTERNAL_FAIL_CONNECT,
    }
)
"""Codes after which the vendor's module has no connection to the terminal any more."""


class Deadlines(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds that a call may take before its child is killed.

    `login` covers the vendor's own 100 s for a starting terminal and 60 s for the broker; `start` is the time a child
    may take until it has connected to us (Wine is slow the first time).
    """

    start: float = 90.0
    login: float = 180.0
    order: float = 40.0
    read: float = 10.0
    history: float = 30.0


class Terminal:
    """One account's terminal. Create, `start` (or `begin`), `connect`, use, `stop`; all from one event loop.

    `command` starts a child (default: this Python), `module` is what it imports: the vendor's package or the simulator.
    """

    def __init__(
        self, module: str = "MetaTrader5", command: Sequence[str] = (), deadlines: Deadlines | None = None
    ) -> None:
        self.deadlines = deadlines or Deadlines()
        own = [sys.executable, "-m", "executor.mt5.child"]
        self._keeper = ChildKeeper(
            command or own, module, self.deadlines.start, self._child_up, self._child_down, self._answered
        )
        self._calls = CallQueue(self._keeper.kill)
        self._keeping: asyncio.Task[None] | None = None
        self._moved = asyncio.Event()
        self.connected = False
        self.generation = 0
        self.epoch = 0

    @property
    def child_pid(self) -> int | None:
        """Process id of the running child, for logs and tests."""
        return self._keeper.pid

    @property
    def lost_reason(self) -> str:
        """Why there is no child, or why the last one went."""
        return self._calls.closed_because

    def begin(self) -> None:
        """Start the child, which may take long; `connect` waits for it."""
        self._keeping = asyncio.create_task(self._keeper.keep(), name="terminal child")

    async def start(self) -> None:
        """Start the child and wait until it is there or its first start has failed (then `lost_reason` says why)."""
        epoch = self.epoch
        self.begin()
        await self.changed(epoch)

    async def stop(self) -> None:
        """End the child; the terminal itself goes on running. Calls that wait are answered as lost or not sent."""
        if self._keeping is not None:
            self._keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeping
            self._keeping = None
        self._child_down("stopped")

    async def changed(self, epoch: int) -> int:
        """Wait until the state is another than at `epoch` (child lost or back, connected or not); the new epoch."""
        while self.epoch == epoch:
            await self._moved.wait()
        return self.epoch

    async def connect(self, credentials: Credentials) -> Connected | Refused:
        """Log in and check that the terminal runs this account. Waits for the child, at most its start deadline."""
        self._set_connected(on=False)
        response = await self._ready_call("initialize", _session(credentials))
        if isinstance(response, Gone):
            return Refused(Refusal.CHILD_LOST, f"The process that drives the terminal was lost: {response.reason}.")
        if response.value is not True:
            return verify.not_initialized(credentials, response.code, response.text)
        account, info = await self.account(), await self.info()
        if isinstance(account, Unknown) or isinstance(info, Unknown):
            text = account.text if isinstance(account, Unknown) else "no terminal_info"
            return verify.not_initialized(credentials, 0, text)
        if wrong := verify.wrong_account(credentials, account):
            return wrong
        self._set_connected(on=True)
        return Connected(account, info, verify.obstacles(account, info))

    async def send(self, request: TradeRequest, not_after_ns: int) -> Reply:
        """Send a trade, unless the child reads the clock after `not_after_ns` (wall clock nanoseconds; 0: no limit)."""
        if not self.connected:
            return NotSent("the terminal is not connected" if self._calls.is_open else self.lost_reason)
        answer = await self._calls.put(
            Urgency.SEND, "order_send", [request.to_dict()], {}, self.deadlines.order, not_after_ns
        )
        if isinstance(answer, Gone):
            return Lost(answer.reason) if answer.handed_over else NotSent(answer.reason)
        return self._reply(answer, not_after_ns)

    async def check(self, request: TradeRequest) -> OrderCheckResult | Unknown:
        """`order_check`: whether the request looks right to the terminal; trades nothing."""
        return await self._read(OrderCheckResult, "order_check", [request.to_dict()])

    async def positions(self, symbol: str | None = None) -> tuple[TradePosition, ...] | Unknown:
        return await self._read(tuple[TradePosition, ...], "positions_get", **_given(symbol=symbol))

    async def orders(self, symbol: str | None = None) -> tuple[TradeOrder, ...] | Unknown:
        return await self._read(tuple[TradeOrder, ...], "orders_get", **_given(symbol=symbol))

    async def history_orders(
        self, first: int = 0, last: int = 0, *, ticket: int | None = None, position: int | None = None
    ) -> tuple[TradeOrder, ...] | Unknown:
        """Past orders of a range (seconds of the broker's clock), of an order ticket or of a position identifier."""
        args, kwargs = _range(first, last, ticket, position)
        return await self._read(tuple[TradeOrder, ...], "history_orders_get", args, self.deadlines.history, **kwargs)

    async def history_deals(
        self, first: int = 0, last: int = 0, *, ticket: int | None = None, position: int | None = None
    ) -> tuple[TradeDeal, ...] | Unknown:
        """Deals of a range (seconds of the broker's clock), of an ORDER ticket or of a position identifier."""
        args, kwargs = _range(first, last, ticket, position)
        return await self._read(tuple[TradeDeal, ...], "history_deals_get", args, self.deadlines.history, **kwargs)

    async def account(self) -> AccountInfo | Unknown:
        return await self._read(AccountInfo, "account_info")

    async def info(self) -> TerminalInfo | Unknown:
        return await self._read(TerminalInfo, "terminal_info")

    async def symbol(self, name: str) -> SymbolInfo | Unknown:
        return await self._read(SymbolInfo, "symbol_info", [name])

    async def symbols(self) -> tuple[SymbolInfo, ...] | Unknown:
        return await self._read(tuple[SymbolInfo, ...], "symbols_get", (), self.deadlines.history)

    async def tick(self, name: str) -> Tick | Unknown:
        """The last tick; all zero right after the symbol was selected."""
        return await self._read(Tick, "symbol_info_tick", [name])

    async def select(self, name: str) -> bool | Unknown:
        """Show the symbol in the terminal's market watch, which trading and ticks need. False: there is none."""
        return await self._read(bool, "symbol_select", [name, True])

    async def _read(
        self, kind: type[T], function: str, args: Sequence[Any] = (), deadline: float | None = None, **kwargs: Any
    ) -> T | Unknown:
        answer = await self._calls.put(Urgency.READ, function, list(args), kwargs, deadline or self.deadlines.read)
        if isinstance(answer, Gone):
            return Unknown(0, answer.reason)
        if answer.kind != "value" or answer.value is None:
            return Unknown(answer.code, answer.value or answer.text)
        try:
            return msgspec.convert(answer.value, kind)
        except msgspec.ValidationError as error:
            return Unknown(answer.code, f"{function} gave something unreadable: {error}")

    async def _ready_call(self, function: str, kwargs: dict[str, Any]) -> Response | Gone:
        deadline = asyncio.get_running_loop().time() + self.deadlines.start
        while not self._calls.is_open:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0 or self._keeping is None:
                return Gone(self.lost_reason, handed_over=False)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.changed(self.epoch), left)
        return await self._calls.put(Urgency.SETUP, function, [], kwargs, self.deadlines.login)

    def _reply(self, answer: Response, not_after: int) -> Reply:
        error = (answer.code, answer.text)
        if answer.kind in ("expired", "jumped"):
            return Expired(answer.called, not_after, answer.kind == "jumped")
        if answer.kind == "forbidden":
            return NotSent(answer.text)
        if answer.kind == "raised" or answer.value is None:
            return NoResult(error, answer.called, answer.returned, answer.value or "")
        try:
            result = msgspec.convert(answer.value, OrderSendResult)
        except msgspec.ValidationError as problem:
            return Lost(f"order_send gave something unreadable: {problem}")
        return Answered(result, error, answer.called, answer.returned)

    def _child_up(self, link: ChildLink) -> None:
        self._calls.open(link)
        self.generation += 1
        self._change()

    def _child_down(self, reason: str) -> None:
        self.connected = False
        self._calls.close(reason)
        self._change()

    def _answered(self, link: ChildLink, response: Response) -> None:
        self._calls.answered(link, response)
        if response.code in BROKEN:
            self._set_connected(on=False)

    def _set_connected(self, *, on: bool) -> None:
        if self.connected != on:
            self.connected = on
            self._change()

    def _change(self) -> None:
        self.epoch += 1
        self._moved.set()
        self._moved = asyncio.Event()


def _session(credentials: Credentials) -> dict[str, Any]:
    """Arguments of `initialize`: what is not given is left out, since the vendor reads None as a mistake."""
    given: dict[str, Any] = {"path": credentials.path, "timeout": 60_000}
    if credentials.login:
        given |= {"login": credentials.login}
    if credentials.portable:
        given |= {"portable": True}
    return given | {name: value for name in ("password", "server") if (value := getattr(credentials, name))}


def _given(**arguments: Any) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


def _range(first: int, last: int, ticket: int | None, position: int | None) -> tuple[list[int], dict[str, int]]:
    """The vendor takes two positional dates or one keyword, and dates only as int32."""
    if ticket is None and position is None:
        return [first, min(last, 2**31 - 1)], {}
    return [], _given(ticket=ticket, position=position)
