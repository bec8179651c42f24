"""Whoever starts with such settings is told in one line, and whoever cannot know is not in the way."""

from typing import Any

import pytest

from shared.following import require_named
from shared.settings import SettingsError


def settings(mode: str = "live", kind: str = "metatrader5", account: str = "*", **more: Any) -> dict[str, Any]:
    own = {"sources": ["demo"], "mode": mode, "terminal": {"kind": kind}}
    return {"ingest": {"sources": {"demo": {"account": account}}}, "executor": {"accounts": {"main": own}}} | more


def test_a_live_account_that_follows_whatever_account_comes_next_is_refused_in_one_line() -> None:
    with pytest.raises(SettingsError) as raised:
        require_named(settings())
    assert str(raised.value) == (
        'ingest.sources.demo.account is "*", and executor.accounts.main is live: name the one to copy'
    )


@pytest.mark.parametrize(
    "document",
    [
        settings(mode="shadow"),
        settings(kind="simulated"),
        settings(account="10001"),
        settings(ingest={}),
        settings(executor={}),
        settings(ingest={"sources": "demo"}),
        settings(executor={"accounts": {"main": "live"}}),
        settings(executor={"accounts": {"main": {"mode": "live", "terminal": "metatrader5", "sources": ["demo"]}}}),
        settings(executor={"accounts": {"main": {"mode": "live", "terminal": {"kind": "metatrader5"}, "sources": 1}}}),
        {},
    ],
)
def test_everything_else_passes_here(document: dict[str, Any]) -> None:
    require_named(document)
