"""Pure: how far the broker's clock is ahead of UTC, measured from ticks.

Every time that MetaTrader 5 tells or takes is the broker's wall clock, and nothing says which zone that is. A tick
that is newer than the one before it was made just now, so its time is the broker's present; a first tick may be of last
Friday and says nothing. Zones are whole quarters of an hour; what is left beside them is by how much the two clocks
disagree.
"""

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

QUARTER_S = 900
FARTHEST_S = 14 * 3600
"""No zone is farther from UTC."""

DISAGREEMENT_S = 120
"""More than this beside a whole quarter of an hour is no zone: a late tick, or a clock that is wrong."""


class BrokerClock(Struct, frozen=True):
    """What is known. `offset`: seconds ahead of UTC, None before a fresh tick came.

    `skew`: seconds by which the broker's clock, its zone taken off, was ahead of ours when a tick was seen; ticks
    travel, so a little behind is usual. `ticks` has the time of the newest tick of each symbol.
    """

    offset: int | None = None
    skew: float = 0.0
    ticks: Mapping[str, int] = {}

    def ticked(self, symbol: str, milliseconds: int, now: float) -> "BrokerClock":
        """What is known once a tick with this time (broker's clock) was seen at `now` (seconds UTC)."""
        before = self.ticks.get(symbol, 0)
        if milliseconds <= before:
            return self
        seen = replace(self, ticks={**self.ticks, symbol: milliseconds})
        if not before:
            return seen
        ahead = milliseconds / 1000 - now
        offset = round(ahead / QUARTER_S) * QUARTER_S
        if abs(ahead - offset) > DISAGREEMENT_S or abs(offset) > FARTHEST_S:
            return seen
        return replace(seen, offset=offset, skew=ahead - offset)


def zone(offset: int) -> str:
    """An offset as traders write it: `UTC+3`, `UTC-4:30`, `UTC`."""
    hours, rest = divmod(abs(offset), 3600)
    minutes = f":{rest // 60:02}" if rest else ""
    return f"UTC{'+' if offset > 0 else '-'}{hours}{minutes}" if offset else "UTC"
