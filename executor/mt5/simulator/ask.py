"""A trade request as the server reads it: exact numbers in place of the vendor's floats. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from executor.mt5.simulator.store import ZERO
from executor.mt5.vocabulary import OrderType

FLOATS = ("volume", "price", "stoplimit", "sl", "tp")
LARGEST = 1e15
"""What is larger is refused anyhow, and can be reckoned with as exactly as everything else when it counts as this."""


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """The seventeen fields of a request, 0 or empty when left out; `finite` is False with a NaN or an infinity."""

    action: int = 0
    magic: int = 0
    order: int = 0
    symbol: str = ""
    volume: Decimal = ZERO
    price: Decimal = ZERO
    stoplimit: Decimal = ZERO
    sl: Decimal = ZERO
    tp: Decimal = ZERO
    deviation: int = 0
    type: int = 0
    type_filling: int = 0
    type_time: int = 0
    expiration: int = 0
    comment: str = ""
    position: int = 0
    position_by: int = 0
    finite: bool = True

    @property
    def kind(self) -> OrderType:
        """The order type; raises ValueError for a number that is none."""
        return OrderType(self.type)


def read(fields: Mapping[str, Any]) -> Ask:
    """Read the fields that the client sent, floats as the shortest decimal that prints them."""
    finite = all(math.isfinite(fields.get(name, 0.0)) for name in FLOATS)
    values: dict[str, Any] = {name: value for name, value in fields.items() if name not in FLOATS}
    values |= {name: _decimal(fields[name]) for name in FLOATS if finite and name in fields}
    return Ask(**values, finite=finite)


def _decimal(number: float) -> Decimal:
    """A float such as 107.98100000000001 is tolerated: what lies beyond the tenth digit is noise."""
    within = max(-LARGEST, min(LARGEST, float(number)))
    return Decimal(repr(within)).quantize(Decimal("1e-10")).normalize()
