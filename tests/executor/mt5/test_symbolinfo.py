"""The record of an instrument against the vendor's."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from executor.mt5.symbolinfo import SymbolInfo

DATA = json.loads((Path(__file__).parent / "data" / "mt5_api.json").read_text())["structs"]["SymbolInfo"]


def test_all_fields_have_the_vendors_name_place_and_type() -> None:
    ours = [{"name": each.name, "type": each.type.__name__} for each in msgspec.structs.fields(SymbolInfo)]
    assert ours == DATA["fields"]
    assert len(ours) == DATA["n_fields"] == 96
