"""Result objects like the vendor's: read-only tuples with names and `_asdict`, as hard to pickle as the real ones."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, ClassVar, Self

import msgspec

from executor.mt5 import records
from executor.mt5.symbolinfo import SymbolInfo as _SymbolInfo


class Record(tuple[Any, ...]):
    """What all of them share. The constructor takes one sequence of the exact length."""

    __match_args__: ClassVar[tuple[str, ...]] = ()
    n_fields: ClassVar[int] = 0
    n_sequence_fields: ClassVar[int] = 0
    n_unnamed_fields: ClassVar[int] = 0

    __slots__ = ()

    def __new__(cls, values: Sequence[Any]) -> Self:
        if len(values) != cls.n_fields:
            raise TypeError(f"{cls.__name__}() takes a {cls.n_fields}-sequence ({len(values)}-sequence given)")
        return super().__new__(cls, values)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._asdict().items())})"

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(f"Can't pickle <class '{type(self).__name__}'>: attribute lookup on builtins failed")

    def __copy__(self) -> Record:
        return self

    def __deepcopy__(self, memo: Any) -> Record:
        return self

    def _asdict(self) -> dict[str, Any]:
        return dict(zip(self.__match_args__, self, strict=True))


def _record(struct: type[msgspec.Struct], name: str = "") -> type[Record]:
    fields = struct.__struct_fields__
    attributes: dict[str, Any] = {field: property(itemgetter(index)) for index, field in enumerate(fields)}
    attributes |= {"__slots__": (), "__match_args__": fields, "n_fields": len(fields), "__module__": "builtins"}
    attributes["n_sequence_fields"] = len(fields)
    return type(name or struct.__name__, (Record,), attributes)


AccountInfo = _record(records.AccountInfo)
TerminalInfo = _record(records.TerminalInfo)
SymbolInfo = _record(_SymbolInfo)
Tick = _record(records.Tick)
TradeOrder = _record(records.TradeOrder)
TradePosition = _record(records.TradePosition)
TradeDeal = _record(records.TradeDeal)
TradeRequest = _record(records.SentRequest, "TradeRequest")
OrderSendResult = _record(records.OrderSendResult)
OrderCheckResult = _record(records.OrderCheckResult)
