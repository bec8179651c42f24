"""The values that the parent's side answers with."""

from __future__ import annotations

from typing import get_args

from executor.mt5 import answers


def test_a_password_is_never_printed() -> None:
    shown = repr(answers.Credentials("127.0.0.1:1", 5, "hunter2", "Demo"))
    assert "hunter2" not in shown
    assert "Demo" in shown


def test_a_reply_is_one_of_five_and_unknown_is_none_of_them() -> None:
    kinds = {kind.__name__ for kind in get_args(answers.Reply)}
    assert kinds == {"Answered", "NoResult", "Expired", "NotSent", "Lost"}
