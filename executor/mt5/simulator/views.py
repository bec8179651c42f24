"""The account as the vendor's records show it, in floats and on the broker's clock. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from executor.mt5.records import AccountInfo, TerminalInfo, Tick, TradeDeal, TradeOrder, TradePosition
from executor.mt5.simulator.floor import Floor
from executor.mt5.simulator.market import Symbol, server_offset
from executor.mt5.simulator.store import ZERO, Deal, Order, Position
from executor.mt5.symbolinfo import SymbolInfo
from executor.mt5.vocabulary import OrderType

_BLANK: dict[type, Any] = {bool: False, int: 0, float: 0.0, str: ""}


def server_ms(moment: int) -> int:
    """A UTC millisecond on the broker's clock; 0 stays 0, it means "never"."""
    return moment + server_offset(moment) if moment else 0


def _blank(record: type[msgspec.Struct]) -> dict[str, Any]:
    """Every field of a vendor's record with nothing in it."""
    return {field.name: _BLANK[field.type] for field in msgspec.structs.fields(record)}


def account_info(floor: Floor) -> AccountInfo:
    account = floor.account
    equity, margin = floor.equity(), floor.used_margin()
    shown = {
        "login": account.login,
        "trade_mode": account.trade_mode,
        "leverage": account.leverage,
        "limit_orders": account.limit_orders,
        "trade_allowed": account.trade_allowed,
        "trade_expert": account.trade_expert,
        "margin_mode": account.margin_mode,
        "currency_digits": account.digits,
        "fifo_close": account.fifo_close,
        "balance": float(account.balance),
        "credit": float(account.credit),
        "profit": float(equity - account.balance - account.credit),
        "equity": float(equity),
        "margin": float(margin),
        "margin_free": float(equity - margin),
        "margin_level": round(float(equity * 100 / margin), 2) if margin else 0.0,
        "margin_so_call": float(account.margin_call),
        "margin_so_so": float(account.stop_out),
        "name": account.name,
        "server": account.server,
        "currency": account.currency,
        "company": account.company,
    }
    return AccountInfo(**(_blank(AccountInfo) | shown))


def terminal_info(floor: Floor, path: str) -> TerminalInfo:
    settings = floor.store.settings
    shown = {
        "connected": settings.connected,
        "trade_allowed": settings.algo_trading,
        "tradeapi_disabled": not settings.python_trading,
        "build": settings.build,
        "maxbars": 100_000,
        "ping_last": 1_500,
        "company": floor.account.company,
        "name": "TradeCopier simulator",
        "language": "English",
        "path": path,
        "data_path": path,
        "commondata_path": path,
    }
    return TerminalInfo(**(_blank(TerminalInfo) | shown))


def tick(floor: Floor, symbol: Symbol) -> Tick:
    """The last tick; all zero when the symbol is not selected or nobody quotes it."""
    quote = floor.quote(symbol.name)
    if quote is None or not symbol.selected:
        return Tick(**_blank(Tick))
    moment = server_ms(quote.time)
    return Tick(moment // 1000, float(quote.bid), float(quote.ask), 0.0, 0, moment, 6, 0.0)


def symbol_info(floor: Floor, symbol: Symbol) -> SymbolInfo:
    quote = floor.quote(symbol.name)
    bid, ask = (quote.bid, quote.ask) if quote else (ZERO, ZERO)
    tick_value = _tick_value(floor, symbol)
    shown = {
        "select": symbol.selected,
        "visible": symbol.selected,
        "time": server_ms(quote.time) // 1000 if quote else 0,
        "spread": int((ask - bid) / symbol.point),
        "spread_float": True,
        "bid": float(bid),
        "bidhigh": float(bid),
        "bidlow": float(bid),
        "ask": float(ask),
        "askhigh": float(ask),
        "asklow": float(ask),
        "trade_tick_value": tick_value,
        "trade_tick_value_profit": tick_value,
        "trade_tick_value_loss": tick_value,
    }
    return SymbolInfo(**(_blank(SymbolInfo) | _specification(symbol) | shown))


def _specification(symbol: Symbol) -> dict[str, Any]:
    return {
        "digits": symbol.digits,
        "trade_calc_mode": symbol.calc_mode,
        "trade_mode": symbol.trade_mode,
        "trade_stops_level": symbol.stops_level,
        "trade_freeze_level": symbol.freeze_level,
        "trade_exemode": symbol.execution,
        "swap_mode": 1,
        "swap_rollover3days": 3,
        "expiration_mode": int(symbol.expiration),
        "filling_mode": int(symbol.filling),
        "order_mode": int(symbol.orders),
        "point": float(symbol.point),
        "trade_tick_size": float(symbol.tick_size),
        "trade_contract_size": float(symbol.contract),
        "volume_min": float(symbol.volume_min),
        "volume_max": float(symbol.volume_max),
        "volume_step": float(symbol.volume_step),
        "volume_limit": float(symbol.volume_limit),
        "swap_long": float(symbol.swap_long),
        "swap_short": float(symbol.swap_short),
        "margin_hedged": float(symbol.contract),
        "currency_base": symbol.base,
        "currency_profit": symbol.profit,
        "currency_margin": symbol.base,
        "description": symbol.description,
        "name": symbol.name,
        "path": f"{symbol.path}\\{symbol.name}",
    }


def _tick_value(floor: Floor, symbol: Symbol) -> float:
    rate = floor.rate(symbol.profit, floor.account.currency)
    return float(round(symbol.tick_size * symbol.contract * rate, 6))


def position(floor: Floor, record: Position) -> TradePosition:
    opened, updated = server_ms(record.time), server_ms(record.updated)
    return TradePosition(
        ticket=record.ticket,
        time=opened // 1000,
        time_msc=opened,
        time_update=updated // 1000,
        time_update_msc=updated,
        type=record.type,
        magic=record.magic,
        identifier=record.identifier,
        reason=record.reason,
        volume=float(record.volume),
        price_open=float(record.price),
        sl=float(record.sl),
        tp=float(record.tp),
        price_current=float(floor.closing_price(record) or ZERO),
        swap=float(record.swap),
        profit=float(floor.position_profit(record)),
        symbol=record.symbol,
        comment=record.comment,
        external_id="",
    )


def order(floor: Floor, record: Order) -> TradeOrder:
    setup, done = server_ms(record.setup), server_ms(record.done)
    return TradeOrder(
        ticket=record.ticket,
        time_setup=setup // 1000,
        time_setup_msc=setup,
        time_done=done // 1000,
        time_done_msc=done,
        time_expiration=record.expiration,
        type=record.type,
        type_time=record.time_type,
        type_filling=record.filling,
        state=record.state,
        magic=record.magic,
        position_id=record.position,
        position_by_id=record.position_by,
        reason=record.reason,
        volume_initial=float(record.volume),
        volume_current=float(record.left),
        price_open=float(record.price),
        sl=float(record.sl),
        tp=float(record.tp),
        price_current=float(_order_price(floor, record)),
        price_stoplimit=float(record.stoplimit),
        symbol=record.symbol,
        comment=record.comment,
        external_id="",
    )


def _order_price(floor: Floor, record: Order) -> Decimal:
    return floor.market_price(record.symbol, OrderType(record.type).is_buy) or ZERO


def deal(record: Deal) -> TradeDeal:
    moment = server_ms(record.time)
    return TradeDeal(
        ticket=record.ticket,
        order=record.order,
        time=moment // 1000,
        time_msc=moment,
        type=record.type,
        entry=record.entry,
        magic=record.magic,
        position_id=record.position,
        reason=record.reason,
        volume=float(record.volume),
        price=float(record.price),
        commission=float(record.commission),
        swap=float(record.swap),
        profit=float(record.profit),
        fee=0.0,
        symbol=record.symbol,
        comment=record.comment,
        external_id="",
    )
