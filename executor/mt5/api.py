"""Everything about MetaTrader 5 that the executor's decisions may know: names, records, requests and answers.

Pure, without any I/O. The vocabulary lives in the modules beside this one and is gathered here, so that a reader needs
one import: `from executor.mt5 import api`. `TradeRequest` is the only place where a Decimal becomes the vendor's float.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Protocol

import msgspec

from executor.mt5.answers import (
    Answered,
    Connected,
    Credentials,
    Expired,
    Lost,
    NoResult,
    NotSent,
    Refusal,
    Refused,
    Reply,
    Unknown,
)
from executor.mt5.codes import LAST_ERROR_TEXT, RETCODE_TEXT, LastError, last_error_text, retcode_text
from executor.mt5.records import (
    AccountInfo,
    OrderCheckResult,
    OrderSendResult,
    SentRequest,
    TerminalInfo,
    Tick,
    TradeDeal,
    TradeOrder,
    TradePosition,
)
from executor.mt5.symbolinfo import SymbolInfo
from executor.mt5.vocabulary import (
    AccountMarginMode,
    AccountStopoutMode,
    AccountTradeMode,
    DealEntry,
    DealReason,
    DealType,
    ExpirationFlag,
    FillingFlag,
    OrderFilling,
    OrderFlag,
    OrderReason,
    OrderState,
    OrderTime,
    OrderType,
    PositionReason,
    PositionType,
    Retcode,
    SymbolCalcMode,
    SymbolExecution,
    SymbolTradeMode,
    TradeAction,
)

MAX_TEXT = 29
"""UTF-16 units that the vendor's package takes in `symbol` and `comment`; one more and it refuses the request."""

MAX_MAGIC = 2**53 - 1
"""Our marks stay below 2^53, so that no JSON reader or spreadsheet rounds them."""

_ALWAYS: dict[TradeAction, tuple[str, ...]] = {
    TradeAction.DEAL: ("symbol", "volume", "type", "type_filling"),
    TradeAction.PENDING: ("symbol", "volume", "type", "price", "type_filling", "type_time"),
    TradeAction.SLTP: ("position", "symbol", "sl", "tp"),
    TradeAction.MODIFY: ("order", "price", "sl", "tp", "type_time", "expiration"),
    TradeAction.REMOVE: ("order",),
    TradeAction.CLOSE_BY: ("position", "position_by"),
}
_WHEN_SET: dict[TradeAction, tuple[str, ...]] = {
    TradeAction.DEAL: ("price", "deviation", "sl", "tp", "magic", "comment", "position"),
    TradeAction.PENDING: ("stoplimit", "sl", "tp", "expiration", "magic", "comment"),
    TradeAction.SLTP: (),
    TradeAction.MODIFY: ("stoplimit",),
    TradeAction.REMOVE: (),
    TradeAction.CLOSE_BY: ("magic", "comment"),
}


class TradeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request to the trade server, in exact numbers.

    Volumes in lots, prices in the symbol's own units, `deviation` in points, `expiration` in seconds of the broker's
    clock. None and 0 both mean "not given" for prices and levels; an SLTP or MODIFY states every level, so that a
    missing one removes it. Raises ValueError for what the vendor's package would refuse or misread.
    """

    action: TradeAction
    symbol: str = ""
    volume: Decimal | None = None
    type: OrderType = OrderType.BUY
    price: Decimal | None = None
    stoplimit: Decimal | None = None
    sl: Decimal | None = None
    tp: Decimal | None = None
    deviation: int = 0
    type_filling: OrderFilling = OrderFilling.FOK
    type_time: OrderTime = OrderTime.GTC
    expiration: int = 0
    comment: str = ""
    magic: int = 0
    order: int = 0
    position: int = 0
    position_by: int = 0

    def __post_init__(self) -> None:
        for name in ("symbol", "comment"):
            if utf16_units(getattr(self, name)) > MAX_TEXT:
                raise ValueError(f"{name} is longer than {MAX_TEXT} UTF-16 units")
        for name in ("volume", "price", "stoplimit", "sl", "tp"):
            number = getattr(self, name)
            if number is not None and not (number.is_finite() and number >= 0):
                raise ValueError(f"{name} must be a finite number that is not negative, not {number}")
        if not 0 <= self.magic <= MAX_MAGIC:
            raise ValueError(f"magic must lie between 0 and {MAX_MAGIC}")

    def to_dict(self) -> dict[str, int | float | str]:
        """The dict for `order_send`: only what the action wants, each value of the exact type the vendor takes."""
        wanted = ("action", *_ALWAYS[self.action])
        optional = (name for name in _WHEN_SET[self.action] if getattr(self, name))
        return {name: self._vendor_value(name) for name in (*wanted, *optional)}

    def _vendor_value(self, name: str) -> int | float | str:
        value = getattr(self, name)
        if name in ("volume", "price", "stoplimit", "sl", "tp"):
            return float(value or 0)
        return str(value) if isinstance(value, str) else int(value)


def utf16_units(text: str) -> int:
    """Length of a text as Windows counts it: a character outside the basic plane counts twice."""
    return len(text) + sum(1 for character in text if ord(character) > 0xFFFF)


class Vendor(Protocol):
    """The functions of the vendor's module that the child may call. All block; most return None when they fail."""

    def initialize(self, *args: Any, **kwargs: Any) -> bool: ...
    def login(self, *args: Any, **kwargs: Any) -> bool: ...
    def shutdown(self) -> bool: ...
    def version(self) -> tuple[int, int, str]: ...
    def last_error(self) -> tuple[int, str]: ...
    def account_info(self) -> Any: ...
    def terminal_info(self) -> Any: ...
    def symbols_total(self) -> int | None: ...
    def symbols_get(self, *args: Any, **kwargs: Any) -> Any: ...
    def symbol_info(self, *args: Any) -> Any: ...
    def symbol_info_tick(self, *args: Any) -> Any: ...
    def symbol_select(self, *args: Any) -> Any: ...
    def orders_get(self, *args: Any, **kwargs: Any) -> Any: ...
    def positions_get(self, *args: Any, **kwargs: Any) -> Any: ...
    def history_orders_get(self, *args: Any, **kwargs: Any) -> Any: ...
    def history_deals_get(self, *args: Any, **kwargs: Any) -> Any: ...
    def order_calc_margin(self, *args: Any) -> Any: ...
    def order_calc_profit(self, *args: Any) -> Any: ...
    def order_check(self, *args: Any, **kwargs: Any) -> Any: ...
    def order_send(self, *args: Any, **kwargs: Any) -> Any: ...


__all__ = [
    "LAST_ERROR_TEXT",
    "MAX_MAGIC",
    "MAX_TEXT",
    "RETCODE_TEXT",
    "AccountInfo",
    "AccountMarginMode",
    "AccountStopoutMode",
    "AccountTradeMode",
    "Answered",
    "Connected",
    "Credentials",
    "DealEntry",
    "DealReason",
    "DealType",
    "ExpirationFlag",
    "Expired",
    "FillingFlag",
    "LastError",
    "Lost",
    "NoResult",
    "NotSent",
    "OrderCheckResult",
    "OrderFilling",
    "OrderFlag",
    "OrderReason",
    "OrderSendResult",
    "OrderState",
    "OrderTime",
    "OrderType",
    "PositionReason",
    "PositionType",
    "Refusal",
    "Refused",
    "Reply",
    "Retcode",
    "SentRequest",
    "SymbolCalcMode",
    "SymbolExecution",
    "SymbolInfo",
    "SymbolTradeMode",
    "TerminalInfo",
    "Tick",
    "TradeAction",
    "TradeDeal",
    "TradeOrder",
    "TradePosition",
    "TradeRequest",
    "Unknown",
    "Vendor",
    "last_error_text",
    "retcode_text",
    "utf16_units",
]
