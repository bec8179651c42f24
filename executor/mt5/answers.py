"""What the parent's side of a terminal answers: pure values that name what is known and what is not.

A `Reply` follows a request that trades; a read gives its value or `Unknown`, never an empty tuple in place of
"nobody knows". Times are wall clock nanoseconds, taken in the child directly around the vendor's call.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import msgspec

from executor.mt5.records import AccountInfo, OrderSendResult, TerminalInfo


class Answered(msgspec.Struct, frozen=True):
    """The vendor's function returned a result; its retcode is the verdict. `error` is `last_error()` after the call."""

    result: OrderSendResult
    error: tuple[int, str]
    called: int
    returned: int


class NoResult(msgspec.Struct, frozen=True):
    """The vendor's function returned None, or raised `raised`. Whether it traded depends on `error`."""

    error: tuple[int, str]
    called: int
    returned: int
    raised: str = ""


class Expired(msgspec.Struct, frozen=True):
    """The request was too old in the child, so the vendor was NOT called.

    `jumped` says that the wall clock moved by itself, so that nobody can tell how old the request was.
    """

    now: int
    not_after: int
    jumped: bool = False


class NotSent(msgspec.Struct, frozen=True):
    """The parent never handed the request to the child: the vendor was NOT called."""

    reason: str


class Lost(msgspec.Struct, frozen=True):
    """The request was handed over, then the deadline passed or the child died: nothing is known about its effect."""

    reason: str


Reply: TypeAlias = Answered | NoResult | Expired | NotSent | Lost


class Unknown(msgspec.Struct, frozen=True):
    """A read gave no value: the vendor's code and text, or code 0 with what happened to the child."""

    code: int
    text: str


class Credentials(msgspec.Struct, frozen=True):
    """Which terminal, and which account in it. `login` 0 takes the account that the terminal used last."""

    path: str
    login: int = 0
    password: str = ""
    server: str = ""
    portable: bool = False

    def __repr__(self) -> str:
        return f"Credentials(path={self.path!r}, login={self.login}, server={self.server!r})"


class Refusal(StrEnum):
    """Why a terminal cannot be used, or not for trading."""

    CHILD_LOST = "child-lost"
    TERMINAL_MISSING = "terminal-missing"
    TERMINAL_SILENT = "terminal-silent"
    INCOMPATIBLE = "incompatible"
    LOGIN_REFUSED = "login-refused"
    NOT_CONNECTED = "not-connected"
    WRONG_ACCOUNT = "wrong-account"
    WRONG_SERVER = "wrong-server"
    ALGO_TRADING_OFF = "algo-trading-off"
    PYTHON_TRADING_OFF = "python-trading-off"
    INVESTOR = "investor-password"
    ROBOTS_FORBIDDEN = "robots-forbidden"


class Refused(msgspec.Struct, frozen=True):
    """One reason and one line that a trader understands and can act on."""

    reason: Refusal
    line: str


class Connected(msgspec.Struct, frozen=True):
    """The terminal runs the right account; `obstacles` says why it would refuse to trade although it can be read."""

    account: AccountInfo
    terminal: TerminalInfo
    obstacles: tuple[Refused, ...] = ()
