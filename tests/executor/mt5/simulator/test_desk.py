"""The terminal's desk: who gets in and what a filter chooses."""

from __future__ import annotations

from typing import Any

import pytest

from executor.mt5.simulator.desk import Desk, Login, in_group, spoiled
from tests.executor.mt5.engines import engine
from tests.executor.mt5.simulated import NOON


@pytest.mark.parametrize(
    ("login", "arguments", "code"),
    [
        (Login(), {}, 1),
        (Login(), {"password": "anything"}, 1),
        (Login("right"), {}, 1),
        (Login("right"), {"password": "right", "login": 1, "server": "Demo"}, 1),
        (Login("right"), {"password": "wrong"}, -6),
        (Login("right", "watcher"), {"password": "watcher"}, 1),
        (Login("right"), {"login": 2}, -6),
        (Login("right"), {"server": "Live"}, -6),
    ],
)
def test_login_server_and_password_have_to_fit(login: Login, arguments: dict[str, Any], code: int) -> None:
    assert Desk(engine(), login, "path").answer("login", arguments, NOON).code == code


def test_the_right_to_trade_comes_back_with_the_right_password() -> None:
    account = engine()
    desk = Desk(account, Login("right", "watcher"), "path")
    for password, may_trade in (("watcher", False), ("right", True)):
        desk.answer("login", {"password": password}, NOON)
        assert account.store.account.trade_allowed is may_trade


def test_an_unknown_function_is_unsupported() -> None:
    assert Desk(engine(), Login(), "path").answer("copy_rates_from", {}, NOON).code == -7


@pytest.mark.parametrize(
    ("group", "chosen"),
    [
        (None, {"EURUSD", "USDJPY", "XAUUSD"}),
        ("*USD", {"EURUSD", "XAUUSD"}),
        ("USD*,EUR*", {"EURUSD", "USDJPY"}),
        ("*,!*JPY", {"EURUSD", "XAUUSD"}),
        ("!EURUSD", set()),
        ("eurusd", set()),
    ],
)
def test_a_group_is_a_list_of_patterns(group: str | None, chosen: set[str]) -> None:
    assert {name for name in ("EURUSD", "USDJPY", "XAUUSD") if in_group(name, group)} == chosen


def test_a_spoiled_answer_tells_nothing_of_the_trade() -> None:
    row = [10009, 5, 6, 0.1, 1.1, 0.0, 0.0, "Request executed", 77, 0]
    assert spoiled(row, 10012, "") == [10012, 0, 0, 0.0, 0.0, 0.0, 0.0, "Timeout", 77, 0]
