"""All constants that the vendor's package exports, by the vendor's names. Pure."""

from __future__ import annotations

from enum import IntEnum

from executor.mt5 import vocabulary as v
from executor.mt5.codes import LastError

_ENUMERATIONS: dict[str, type[IntEnum]] = {
    "TRADE_ACTION_": v.TradeAction,
    "ORDER_TYPE_": v.OrderType,
    "ORDER_FILLING_": v.OrderFilling,
    "ORDER_TIME_": v.OrderTime,
    "ORDER_STATE_": v.OrderState,
    "ORDER_REASON_": v.OrderReason,
    "POSITION_TYPE_": v.PositionType,
    "POSITION_REASON_": v.PositionReason,
    "DEAL_TYPE_": v.DealType,
    "DEAL_ENTRY_": v.DealEntry,
    "DEAL_REASON_": v.DealReason,
    "ACCOUNT_TRADE_MODE_": v.AccountTradeMode,
    "ACCOUNT_MARGIN_MODE_": v.AccountMarginMode,
    "ACCOUNT_STOPOUT_MODE_": v.AccountStopoutMode,
    "SYMBOL_TRADE_MODE_": v.SymbolTradeMode,
    "SYMBOL_TRADE_EXECUTION_": v.SymbolExecution,
    "SYMBOL_CALC_MODE_": v.SymbolCalcMode,
    "TRADE_RETCODE_": v.Retcode,
    "RES_": LastError,
}

_COUNTED: dict[str, str] = {
    "SYMBOL_SWAP_MODE_": "DISABLED POINTS CURRENCY_SYMBOL CURRENCY_MARGIN CURRENCY_DEPOSIT INTEREST_CURRENT "
    "INTEREST_OPEN REOPEN_CURRENT REOPEN_BID",
    "DAY_OF_WEEK_": "SUNDAY MONDAY TUESDAY WEDNESDAY THURSDAY FRIDAY SATURDAY",
    "SYMBOL_CHART_MODE_": "BID LAST",
    "SYMBOL_ORDERS_": "GTC DAILY DAILY_NO_STOPS",
    "SYMBOL_OPTION_RIGHT_": "CALL PUT",
    "SYMBOL_OPTION_MODE_": "EUROPEAN AMERICAN",
}
"""Groups that count from 0 in this order."""

_OTHER: dict[str, dict[str, int]] = {
    "TIMEFRAME_": {
        **{f"M{minutes}": minutes for minutes in (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30)},
        **{f"H{hours}": 0x4000 + hours for hours in (1, 2, 3, 4, 6, 8, 12)},
        "D1": 0x4000 + 24,
        "W1": 0x8001,
        "MN1": 0xC001,
    },
    "COPY_TICKS_": {"ALL": -1, "INFO": 1, "TRADE": 2},
    "TICK_FLAG_": {"BID": 2, "ASK": 4, "LAST": 8, "VOLUME": 16, "BUY": 32, "SELL": 64},
    "BOOK_TYPE_": {"SELL": 1, "BUY": 2, "SELL_MARKET": 3, "BUY_MARKET": 4},
    "SYMBOL_CALC_MODE_": {
        "EXCH_STOCKS": 32,
        "EXCH_FUTURES": 33,
        "EXCH_OPTIONS": 34,
        "EXCH_OPTIONS_MARGIN": 36,
        "EXCH_BONDS": 37,
        "EXCH_STOCKS_MOEX": 38,
        "EXCH_BONDS_MOEX": 39,
        "SERV_COLLATERAL": 64,
    },
    "DEAL_TYPE_": {
        "COMMISSION_DAILY": 8,
        "COMMISSION_MONTHLY": 9,
        "COMMISSION_AGENT_DAILY": 10,
        "COMMISSION_AGENT_MONTHLY": 11,
        "INTEREST": 12,
        "BUY_CANCELED": 13,
        "SELL_CANCELED": 14,
    },
    "DEAL_": {"DIVIDEND": 15, "DIVIDEND_FRANKED": 16, "TAX": 17},
}


def _all() -> dict[str, int]:
    names = {prefix + member.name: int(member) for prefix, kind in _ENUMERATIONS.items() for member in kind}
    names |= {prefix + name: n for prefix, text in _COUNTED.items() for n, name in enumerate(text.split())}
    names |= {prefix + name: value for prefix, group in _OTHER.items() for name, value in group.items()}
    del names["TRADE_RETCODE_HEDGE_PROHIBITED"]  # exists in MQL5, but the package does not export it
    return names


CONSTANTS = _all()
