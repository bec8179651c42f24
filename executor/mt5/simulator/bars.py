"""`market_book_*` and `copy_*` of the vendor's package: their argument checks, over a market without depth or history.

The simulated terminal answers "unsupported" where it has nothing; an order book is subscribed to and stays empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from executor.mt5.codes import LastError
from executor.mt5.simulator import arguments
from executor.mt5.simulator.arguments import Dates, Invalid
from executor.mt5.simulator.surface import Surface, no_keywords, system_error


class FullSurface(Surface):
    """Every function of the package."""

    def market_book_add(self, *args: Any, **kwargs: Any) -> bool | None:
        return self._book("market_book_add", args, kwargs)

    def market_book_release(self, *args: Any, **kwargs: Any) -> bool | None:
        return self._book("market_book_release", args, kwargs)

    def market_book_get(self, *args: Any, **kwargs: Any) -> Any:
        no_keywords("market_book_get", kwargs)

        def get() -> Any:
            found = self._ask("symbol_info", {"symbol": arguments.symbol(args)})
            return None if found is None else ()

        return self._checked("market_book_get", get)

    def copy_rates_from(self, *args: Any, **kwargs: Any) -> Any:
        return self._copy("copy_rates_from", args, kwargs, "sidi")

    def copy_rates_from_pos(self, *args: Any, **kwargs: Any) -> Any:
        return self._copy("copy_rates_from_pos", args, kwargs, "siii")

    def copy_rates_range(self, *args: Any, **kwargs: Any) -> Any:
        return self._copy("copy_rates_range", args, kwargs, "sidd")

    def copy_ticks_from(self, *args: Any, **kwargs: Any) -> Any:
        return self._copy("copy_ticks_from", args, kwargs, "sdii")

    def copy_ticks_range(self, *args: Any, **kwargs: Any) -> Any:
        return self._copy("copy_ticks_range", args, kwargs, "sddi")

    def _book(self, function: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool | None:
        """A bad argument gives None; without a connection it is False, and `last_error` says Success all the same."""
        no_keywords(function, kwargs)
        try:
            name = arguments.symbol(args)
        except Invalid as refused:
            self._error = (int(LastError.E_INVALID_PARAMS), str(refused))
            return None
        if self._link is None:
            self._set(LastError.S_OK)
            return False
        return self._ask("symbol_info", {"symbol": name}) is not None

    def _copy(self, function: str, args: Sequence[Any], kwargs: Mapping[str, Any], shape: str) -> Any:
        no_keywords(function, kwargs)
        dates = Dates()
        value = self._checked(function, lambda: self._ask(function, arguments.copying(args, shape, dates)))
        return system_error(function) if dates.overflow else value
