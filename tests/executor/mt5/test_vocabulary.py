"""Our enumerations against the constants of the real package."""

from __future__ import annotations

import json
from enum import IntEnum
from pathlib import Path

import pytest

from executor.mt5 import vocabulary as v

DATA = json.loads((Path(__file__).parent / "data" / "mt5_api.json").read_text())
FLAT = DATA["constants_flat"]
PREFIXES: dict[type[IntEnum], str] = {
    v.TradeAction: "TRADE_ACTION_",
    v.OrderType: "ORDER_TYPE_",
    v.OrderFilling: "ORDER_FILLING_",
    v.OrderTime: "ORDER_TIME_",
    v.OrderState: "ORDER_STATE_",
    v.OrderReason: "ORDER_REASON_",
    v.PositionType: "POSITION_TYPE_",
    v.PositionReason: "POSITION_REASON_",
    v.DealType: "DEAL_TYPE_",
    v.DealEntry: "DEAL_ENTRY_",
    v.DealReason: "DEAL_REASON_",
    v.AccountTradeMode: "ACCOUNT_TRADE_MODE_",
    v.AccountMarginMode: "ACCOUNT_MARGIN_MODE_",
    v.AccountStopoutMode: "ACCOUNT_STOPOUT_MODE_",
    v.SymbolTradeMode: "SYMBOL_TRADE_MODE_",
    v.SymbolExecution: "SYMBOL_TRADE_EXECUTION_",
    v.SymbolCalcMode: "SYMBOL_CALC_MODE_",
    v.Retcode: "TRADE_RETCODE_",
}


@pytest.mark.parametrize("kind", PREFIXES)
def test_every_member_is_the_vendors_constant(kind: type[IntEnum]) -> None:
    for member in kind:
        if member is not v.Retcode.HEDGE_PROHIBITED:
            assert FLAT[PREFIXES[kind] + member.name] == member


@pytest.mark.parametrize("kind", [v.TradeAction, v.OrderType, v.OrderState, v.OrderFilling, v.DealEntry, v.Retcode])
def test_nothing_that_decides_is_missing(kind: type[IntEnum]) -> None:
    known = {name for name in FLAT if name.startswith(PREFIXES[kind])}
    ours = {PREFIXES[kind] + member.name for member in kind}
    assert known == ours - {"TRADE_RETCODE_HEDGE_PROHIBITED"}


def test_the_bit_masks_are_those_of_mql5() -> None:
    groups = {name.split(" ")[0]: values for name, values in DATA["mql5_only_constants"].items() if " " in name}
    for kind, group, prefix in (
        (v.FillingFlag, "SYMBOL_FILLING_FLAGS", "SYMBOL_FILLING_"),
        (v.ExpirationFlag, "SYMBOL_EXPIRATION_FLAGS", "SYMBOL_EXPIRATION_"),
        (v.OrderFlag, "SYMBOL_ORDER_FLAGS", "SYMBOL_ORDER_"),
    ):
        assert groups[group] == {prefix + str(member.name): int(member) for member in kind}
    assert DATA["mql5_only_constants"]["TRADE_RETCODE_HEDGE_PROHIBITED"] == v.Retcode.HEDGE_PROHIBITED


def test_order_types_know_their_side_and_whether_they_wait() -> None:
    assert [kind for kind in v.OrderType if kind.is_buy] == [
        *(v.OrderType.BUY, v.OrderType.BUY_LIMIT, v.OrderType.BUY_STOP, v.OrderType.BUY_STOP_LIMIT)
    ]
    assert [int(kind) for kind in v.OrderType if kind.is_pending] == [2, 3, 4, 5, 6, 7]
