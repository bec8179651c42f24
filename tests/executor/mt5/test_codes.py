"""The official text of every code."""

from __future__ import annotations

import json
from pathlib import Path

from executor.mt5 import codes

DATA = json.loads((Path(__file__).parent / "data" / "mt5_api.json").read_text())


def test_every_retcode_has_its_official_text() -> None:
    assert {row["code"]: row["doc_text"] for row in DATA["retcodes"]} == codes.RETCODE_TEXT


def test_every_last_error_has_the_packages_text() -> None:
    assert {row["code"]: row["text"] for row in DATA["errors"]["last_error"]} == codes.LAST_ERROR_TEXT
    for row in DATA["errors"]["last_error"][1:]:
        assert codes.LastError(row["code"]).name == row["const"].removeprefix("RES_")


def test_unknown_codes_are_shown_and_not_hidden() -> None:
    assert codes.retcode_text(10999) == "Unknown retcode 10999"
    assert codes.last_error_text(-77) == "Terminal: Call failed"
