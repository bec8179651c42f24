"""What the numbers say in words: the official text of every retcode and of every `last_error` code."""

from __future__ import annotations

from enum import IntEnum

from executor.mt5.vocabulary import Retcode


class LastError(IntEnum):
    """`RES_*`: what `last_error()` says about the call itself, never about the trade."""

    S_OK = 1
    E_FAIL = -1
    E_INVALID_PARAMS = -2
    E_NO_MEMORY = -3
    E_NOT_FOUND = -4
    E_INVALID_VERSION = -5
    E_AUTH_FAILED = -6
    E_UNSUPPORTED = -7
    E_AUTO_TRADING_DISABLED = -8
    E_INTERNAL_FAIL = -10000
    E_INTERNAL_FAIL_SEND = -10001
    E_INTERNAL_FAIL_RECEIVE = -10002
    E_INTERNAL_FAIL_INIT = -10003
    E_INTERNAL_FAIL_CONNECT = -10004
    E_INTERNAL_FAIL_TIMEOUT = -10005


LAST_ERROR_TEXT: dict[int, str] = {
    0: "",
    LastError.S_OK: "Success",
    LastError.E_FAIL: "Terminal: Call failed",
    LastError.E_INVALID_PARAMS: "Terminal: Invalid params",
    LastError.E_NO_MEMORY: "Terminal: Out of memory",
    LastError.E_NOT_FOUND: "Terminal: Not found",
    LastError.E_INVALID_VERSION: (
        "Terminal: Incompatible versions, please install the latest version of Terminal and Python module"
    ),
    LastError.E_AUTH_FAILED: "Terminal: Authorization failed",
    LastError.E_UNSUPPORTED: "Terminal: Unsupported function",
    LastError.E_AUTO_TRADING_DISABLED: "Auto-Trading using Python API disabled in Terminal",
    LastError.E_INTERNAL_FAIL: "IPC call failed",
    LastError.E_INTERNAL_FAIL_SEND: "IPC send failed",
    LastError.E_INTERNAL_FAIL_RECEIVE: "IPC recv failed",
    LastError.E_INTERNAL_FAIL_INIT: "IPC initialize failed, <detail>",
    LastError.E_INTERNAL_FAIL_CONNECT: "No IPC connection",
    LastError.E_INTERNAL_FAIL_TIMEOUT: "IPC timeout",
}

RETCODE_TEXT: dict[int, str] = {
    Retcode.REQUOTE: "Requote",
    Retcode.REJECT: "Request rejected",
    Retcode.CANCEL: "Request canceled by trader",
    Retcode.PLACED: "Order placed",
    Retcode.DONE: "Request completed",
    Retcode.DONE_PARTIAL: "Only part of the request was completed",
    Retcode.ERROR: "Request processing error",
    Retcode.TIMEOUT: "Request canceled by timeout",
    Retcode.INVALID: "Invalid request",
    Retcode.INVALID_VOLUME: "Invalid volume in the request",
    Retcode.INVALID_PRICE: "Invalid price in the request",
    Retcode.INVALID_STOPS: "Invalid stops in the request",
    Retcode.TRADE_DISABLED: "Trade is disabled",
    Retcode.MARKET_CLOSED: "Market is closed",
    Retcode.NO_MONEY: "There is not enough money to complete the request",
    Retcode.PRICE_CHANGED: "Prices changed",
    Retcode.PRICE_OFF: "There are no quotes to process the request",
    Retcode.INVALID_EXPIRATION: "Invalid order expiration date in the request",
    Retcode.ORDER_CHANGED: "Order state changed",
    Retcode.TOO_MANY_REQUESTS: "Too frequent requests",
    Retcode.NO_CHANGES: "No changes in request",
    Retcode.SERVER_DISABLES_AT: "Autotrading disabled by server",
    Retcode.CLIENT_DISABLES_AT: "Autotrading disabled by client terminal",
    Retcode.LOCKED: "Request locked for processing",
    Retcode.FROZEN: "Order or position frozen",
    Retcode.INVALID_FILL: "Invalid order filling type",
    Retcode.CONNECTION: "No connection with the trade server",
    Retcode.ONLY_REAL: "Operation is allowed only for live accounts",
    Retcode.LIMIT_ORDERS: "The number of pending orders has reached the limit",
    Retcode.LIMIT_VOLUME: "The volume of orders and positions for the symbol has reached the limit",
    Retcode.INVALID_ORDER: "Incorrect or prohibited order type",
    Retcode.POSITION_CLOSED: "Position with the specified POSITION_IDENTIFIER has already been closed",
    Retcode.INVALID_CLOSE_VOLUME: "A close volume exceeds the current position volume",
    Retcode.CLOSE_ORDER_EXIST: "A close order already exists for a specified position",
    Retcode.LIMIT_POSITIONS: "The number of open positions has reached the account/server limit",
    Retcode.REJECT_CANCEL: "The pending order activation request is rejected, the order is canceled",
    Retcode.LONG_ONLY: "Only long positions are allowed",
    Retcode.SHORT_ONLY: "Only short positions are allowed",
    Retcode.CLOSE_ONLY: "Only position closing is allowed",
    Retcode.FIFO_CLOSE: "Position closing is allowed only by FIFO rule",
    Retcode.HEDGE_PROHIBITED: "Opposite positions on a single symbol are disabled (hedge prohibited)",
}


def retcode_text(code: int) -> str:
    """The official text of a retcode, or a text that shows the number of an unknown one."""
    return RETCODE_TEXT.get(code, f"Unknown retcode {code}")


def last_error_text(code: int) -> str:
    """The text that the vendor's package prints for a code; negative codes it does not know read like -1."""
    unknown = LAST_ERROR_TEXT[LastError.E_FAIL] if code < 0 else ""
    return LAST_ERROR_TEXT.get(code, unknown)
