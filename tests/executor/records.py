"""Records of the vendor with everything that a test does not care about filled in."""

from typing import Any, TypeVar

import msgspec

from executor.mt5.api import TradeDeal, TradeOrder, TradePosition

T = TypeVar("T")

_POSITION: dict[str, Any] = {
    "ticket": 1, "time": 0, "time_msc": 0, "time_update": 0, "time_update_msc": 0, "type": 0, "magic": 0,
    "identifier": 1, "reason": 3, "volume": 0.1, "price_open": 1.1, "sl": 0.0, "tp": 0.0, "price_current": 1.1,
    "swap": 0.0, "profit": 0.0, "symbol": "EURUSD", "comment": "", "external_id": "",
}  # fmt: skip
_ORDER: dict[str, Any] = {
    "ticket": 1, "time_setup": 0, "time_setup_msc": 0, "time_done": 0, "time_done_msc": 0, "time_expiration": 0,
    "type": 0, "type_time": 0, "type_filling": 0, "state": 4, "magic": 0, "position_id": 0, "position_by_id": 0,
    "reason": 3, "volume_initial": 0.1, "volume_current": 0.1, "price_open": 1.1, "sl": 0.0, "tp": 0.0,
    "price_current": 1.1, "price_stoplimit": 0.0, "symbol": "EURUSD", "comment": "", "external_id": "",
}  # fmt: skip
_DEAL: dict[str, Any] = {
    "ticket": 9, "order": 1, "time": 0, "time_msc": 0, "type": 0, "entry": 0, "magic": 0, "position_id": 1,
    "reason": 3, "volume": 0.1, "price": 1.1, "commission": 0.0, "swap": 0.0, "profit": 0.0, "fee": 0.0,
    "symbol": "EURUSD", "comment": "", "external_id": "",
}  # fmt: skip


def position(**changes: Any) -> TradePosition:
    return TradePosition(**{**_POSITION, **changes})


def order(**changes: Any) -> TradeOrder:
    return TradeOrder(**{**_ORDER, **changes})


def deal(**changes: Any) -> TradeDeal:
    return TradeDeal(**{**_DEAL, **changes})


def blank(kind: type[T], **said: Any) -> T:
    """A record of the vendor with nothing in it but what is said."""
    zeros: dict[Any, Any] = {int: 0, float: 0.0, bool: False, str: ""}
    return kind(**({f.name: zeros[f.type] for f in msgspec.structs.fields(kind)} | said))  # type: ignore[arg-type]
