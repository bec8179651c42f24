"""What a trader has to hear about a terminal: why it cannot be used, or why it would not trade. Pure."""

from __future__ import annotations

import re

from executor.mt5.answers import Credentials, Refusal, Refused
from executor.mt5.codes import LastError
from executor.mt5.records import AccountInfo, TerminalInfo

SIMULATED = re.compile(r"[^/\\]+:[0-9]+")
"""What a simulated terminal has instead of a path: an address."""


def not_initialized(credentials: Credentials, code: int, text: str) -> Refused:
    """Why `initialize` failed, from the vendor's code."""
    who = f"login {credentials.login} at {credentials.server or 'its server'}"
    match code:
        case LastError.E_AUTH_FAILED:
            line = f"MetaTrader 5 refused {who}: check login, password and the exact server name."
            return Refused(Refusal.LOGIN_REFUSED, line)
        case LastError.E_INVALID_PARAMS:
            return Refused(Refusal.LOGIN_REFUSED, f"MetaTrader 5 cannot use these settings for {who}: {text}.")
        case LastError.E_INTERNAL_FAIL_INIT:
            how = "The path must name terminal64.exe itself."
            if SIMULATED.fullmatch(credentials.path):
                how = "`tradecopier up` starts simulated terminals, and so does `tradecopier simulator`."
            line = f"There is no terminal at {credentials.path}: {text}. {how}"
            return Refused(Refusal.TERMINAL_MISSING, line)
        case LastError.E_INTERNAL_FAIL_TIMEOUT:
            line = f"The terminal at {credentials.path} runs, but is not connected to the broker with {who}."
            return Refused(Refusal.NOT_CONNECTED, line)
        case LastError.E_INVALID_VERSION:
            line = f"The terminal at {credentials.path} and the MetaTrader5 package do not fit: update both."
            return Refused(Refusal.INCOMPATIBLE, line)
        case _:
            return Refused(Refusal.TERMINAL_SILENT, f"The terminal at {credentials.path} does not answer: {text}.")


def wrong_account(credentials: Credentials, account: AccountInfo) -> Refused | None:
    """Whether the terminal is logged in to another account than it should be."""
    if credentials.login and account.login != credentials.login:
        line = f"The terminal is logged in to account {account.login}, not to {credentials.login}."
        return Refused(Refusal.WRONG_ACCOUNT, line)
    if credentials.server and account.server != credentials.server:
        line = f"The terminal is connected to server {account.server}, not to {credentials.server}."
        return Refused(Refusal.WRONG_SERVER, line)
    return None


def obstacles(account: AccountInfo, terminal: TerminalInfo) -> tuple[Refused, ...]:
    """Everything that makes the terminal refuse a trade although it can be read, most likely first."""
    found = (
        (
            not terminal.connected,
            Refusal.NOT_CONNECTED,
            "The terminal has no connection to the broker.",
        ),
        (
            not terminal.trade_allowed,
            Refusal.ALGO_TRADING_OFF,
            "Algo Trading is switched off in the terminal: press the Algo Trading button.",
        ),
        (
            terminal.tradeapi_disabled,
            Refusal.PYTHON_TRADING_OFF,
            "The terminal forbids trading from Python: clear that option under Tools, Options, Expert Advisors.",
        ),
        (
            not account.trade_allowed,
            Refusal.INVESTOR,
            "This account may not trade: it was opened with the investor password, or the broker has locked it.",
        ),
        (
            not account.trade_expert,
            Refusal.ROBOTS_FORBIDDEN,
            "The broker does not allow automated trading on this account.",
        ),
    )
    return tuple(Refused(reason, line) for stands, reason, line in found if stands)
