"""Blind sources: fills, stops that were hit and trades from elsewhere are only known from polls, and none come in.

A trader who has closed TradingView with nothing open is no trouble; with something open it is, and so is trading
through us while no poll is understood.
"""

import math
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from ingest.album import Album
from ingest.state import Picture

AFTER = timedelta(seconds=60)
"""Pages poll every second or so, a hidden tab at least once a minute in all known browsers."""


SECOND = timedelta(seconds=1)


def complaints(album: Album, sources: Iterable[str], now: datetime) -> list[str]:
    """A line for each source account that something is open on and that no good poll has told of for too long."""
    found = []
    for picture in (picture for source in sources for picture in album.of(source)):
        newest, who = max(picture.answered.values(), default=None), f"{picture.source}/{picture.account}"
        if not _is_at_stake(picture):
            continue
        if newest is None:
            found.append(f"{who} is blind: something is open and no good poll has come in yet")
        elif now - newest > AFTER:
            found.append(
                f"{who} is blind: something is open and the last good poll is {(now - newest) // SECOND} s old"
            )
    return found


def age(album: Album, source: str, now: Callable[[], datetime]) -> float:
    """Seconds since the last good poll of the source; NaN when there was none."""
    newest = max((at for picture in album.of(source) for at in picture.answered.values()), default=None)
    return math.nan if newest is None else max(0.0, (now() - newest).total_seconds())


def _is_at_stake(picture: Picture) -> bool:
    positions = any(p.held or p.total for p in picture.positions.values() if not p.over)
    return positions or any(o.live for o in picture.orders.values()) or bool(picture.open or picture.unsettled)
