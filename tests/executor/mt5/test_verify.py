"""What a trader is told about a terminal that cannot be used."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from executor.mt5 import verify
from executor.mt5.answers import Credentials, Refusal
from executor.mt5.records import AccountInfo, TerminalInfo

BLANK: dict[type, Any] = {bool: True, int: 0, float: 0.0, str: ""}
WHO = Credentials("C:/MT5/terminal64.exe", 77, "hunter2", "Demo")


def filled(record: type[Any], **changes: Any) -> Any:
    return record(**{each.name: BLANK[each.type] for each in msgspec.structs.fields(record)} | changes)


GOOD_ACCOUNT = filled(AccountInfo, login=77, server="Demo")
GOOD_TERMINAL = filled(TerminalInfo, tradeapi_disabled=False)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (-6, Refusal.LOGIN_REFUSED),
        (-2, Refusal.LOGIN_REFUSED),
        (-10003, Refusal.TERMINAL_MISSING),
        (-10005, Refusal.NOT_CONNECTED),
        (-5, Refusal.INCOMPATIBLE),
        (-10001, Refusal.TERMINAL_SILENT),
        (-1, Refusal.TERMINAL_SILENT),
    ],
)
def test_each_failure_of_initialize_has_a_reason_and_one_line(code: int, reason: Refusal) -> None:
    refused = verify.not_initialized(WHO, code, "the vendor's text")
    assert refused.reason == reason
    assert "\n" not in refused.line
    assert "hunter2" not in refused.line


def test_another_account_or_server_is_named() -> None:
    assert verify.wrong_account(WHO, GOOD_ACCOUNT) is None
    other = verify.wrong_account(WHO, filled(AccountInfo, login=78, server="Demo"))
    assert other is not None
    assert (other.reason, other.line) == (
        Refusal.WRONG_ACCOUNT,
        "The terminal is logged in to account 78, not to 77.",
    )
    elsewhere = verify.wrong_account(WHO, filled(AccountInfo, login=77, server="Live"))
    assert elsewhere is not None
    assert elsewhere.reason == Refusal.WRONG_SERVER
    assert verify.wrong_account(Credentials("path"), GOOD_ACCOUNT) is None


@pytest.mark.parametrize(
    ("account", "terminal", "reason"),
    [
        ({}, {"connected": False}, Refusal.NOT_CONNECTED),
        ({}, {"trade_allowed": False}, Refusal.ALGO_TRADING_OFF),
        ({}, {"tradeapi_disabled": True}, Refusal.PYTHON_TRADING_OFF),
        ({"trade_allowed": False}, {}, Refusal.INVESTOR),
        ({"trade_expert": False}, {}, Refusal.ROBOTS_FORBIDDEN),
    ],
)
def test_each_switch_that_forbids_trading_is_an_obstacle(
    account: dict[str, Any], terminal: dict[str, Any], reason: Refusal
) -> None:
    changed = msgspec.structs.replace(GOOD_ACCOUNT, **account), msgspec.structs.replace(GOOD_TERMINAL, **terminal)
    assert [each.reason for each in verify.obstacles(*changed)] == [reason]
    assert verify.obstacles(GOOD_ACCOUNT, GOOD_TERMINAL) == ()
