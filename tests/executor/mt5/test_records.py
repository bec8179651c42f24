"""Our mirrors of the vendor's records: the same names, in the same order, of the same types."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from executor.mt5 import records

DATA = json.loads((Path(__file__).parent / "data" / "mt5_api.json").read_text())["structs"]
OURS: dict[str, type[msgspec.Struct]] = {
    "AccountInfo": records.AccountInfo,
    "TerminalInfo": records.TerminalInfo,
    "Tick": records.Tick,
    "OrderSendResult": records.OrderSendResult,
    "OrderCheckResult": records.OrderCheckResult,
    "TradeRequest": records.SentRequest,
    "TradeOrder": records.TradeOrder,
    "TradePosition": records.TradePosition,
    "TradeDeal": records.TradeDeal,
}


def shape(record: type[msgspec.Struct]) -> list[dict[str, Any]]:
    fields = msgspec.structs.fields(record)
    names = {records.SentRequest: "TradeRequest"}
    return [{"name": each.name, "type": names.get(each.type, each.type.__name__)} for each in fields]


@pytest.mark.parametrize("name", OURS)
def test_a_record_mirrors_the_vendors_field_by_field(name: str) -> None:
    assert shape(OURS[name]) == DATA[name]["fields"]
