"""The vendor's records, field by field in the vendor's order, with the numbers as the vendor gives them.

Volumes are lots, prices and money are floats, times are seconds (`*_msc`: milliseconds) of the broker's wall clock.
A field is never renamed, so that these structs can be filled straight from the vendor's `_asdict()`.
"""

from __future__ import annotations

import msgspec


class SentRequest(msgspec.Struct, frozen=True):
    """`TradeRequest` of the vendor: the client's own echo of what was sent, with defaults for what was left out."""

    action: int
    magic: int
    order: int
    symbol: str
    volume: float
    price: float
    stoplimit: float
    sl: float
    tp: float
    deviation: int
    type: int
    type_filling: int
    type_time: int
    expiration: int
    comment: str
    position: int
    position_by: int


class OrderSendResult(msgspec.Struct, frozen=True):
    """`order_send()`. `deal` and `order` are 0 when unknown yet, `request_id` is 0 when the terminal itself refused."""

    retcode: int
    deal: int
    order: int
    volume: float
    price: float
    bid: float
    ask: float
    comment: str
    request_id: int
    retcode_external: int
    request: SentRequest


class OrderCheckResult(msgspec.Struct, frozen=True):
    """`order_check()`. Retcode 0 means that the request looks right; it promises nothing."""

    retcode: int
    balance: float
    equity: float
    profit: float
    margin: float
    margin_free: float
    margin_level: float
    comment: str
    request: SentRequest


class AccountInfo(msgspec.Struct, frozen=True):
    """`account_info()`. `trade_allowed` is False for an investor, `trade_expert` when the server forbids robots."""

    login: int
    trade_mode: int
    leverage: int
    limit_orders: int
    margin_so_mode: int
    trade_allowed: bool
    trade_expert: bool
    margin_mode: int
    currency_digits: int
    fifo_close: bool
    balance: float
    credit: float
    profit: float
    equity: float
    margin: float
    margin_free: float
    margin_level: float
    margin_so_call: float
    margin_so_so: float
    margin_initial: float
    margin_maintenance: float
    assets: float
    liabilities: float
    commission_blocked: float
    name: str
    server: str
    currency: str
    company: str


class TerminalInfo(msgspec.Struct, frozen=True):
    """`terminal_info()`. `connected`: to the broker; `trade_allowed`: the Algo Trading button; `ping_last` in us."""

    community_account: bool
    community_connection: bool
    connected: bool
    dlls_allowed: bool
    trade_allowed: bool
    tradeapi_disabled: bool
    email_enabled: bool
    ftp_enabled: bool
    notifications_enabled: bool
    mqid: bool
    build: int
    maxbars: int
    codepage: int
    ping_last: int
    community_balance: float
    retransmission: float
    company: str
    name: str
    language: str
    path: str
    data_path: str
    commondata_path: str


class Tick(msgspec.Struct, frozen=True):
    """`symbol_info_tick()`. All zero right after a symbol was selected."""

    time: int
    bid: float
    ask: float
    last: float
    volume: int
    time_msc: int
    flags: int
    volume_real: float


class TradeOrder(msgspec.Struct, frozen=True):
    """`orders_get()` and `history_orders_get()`."""

    ticket: int
    time_setup: int
    time_setup_msc: int
    time_done: int
    time_done_msc: int
    time_expiration: int
    type: int
    type_time: int
    type_filling: int
    state: int
    magic: int
    position_id: int
    position_by_id: int
    reason: int
    volume_initial: float
    volume_current: float
    price_open: float
    sl: float
    tp: float
    price_current: float
    price_stoplimit: float
    symbol: str
    comment: str
    external_id: str


class TradePosition(msgspec.Struct, frozen=True):
    """`positions_get()`. `identifier` never changes; `ticket` does when a netting position reverses."""

    ticket: int
    time: int
    time_msc: int
    time_update: int
    time_update_msc: int
    type: int
    magic: int
    identifier: int
    reason: int
    volume: float
    price_open: float
    sl: float
    tp: float
    price_current: float
    swap: float
    profit: float
    symbol: str
    comment: str
    external_id: str


class TradeDeal(msgspec.Struct, frozen=True):
    """`history_deals_get()`. `profit` is set on exits only; a net result adds swap, commission and fee."""

    ticket: int
    order: int
    time: int
    time_msc: int
    type: int
    entry: int
    magic: int
    position_id: int
    reason: int
    volume: float
    price: float
    commission: float
    swap: float
    profit: float
    fee: float
    symbol: str
    comment: str
    external_id: str
