"""A wall clock that never goes back: polls and calls are put in order by it, facts are dated by it.

It follows the system's clock forward at once, since a computer that slept is late, not early. When the system's clock
is set back it goes on at half speed until the other has caught up: what comes later has a later time, always, and the
difference, which is measured against the Redis server like any other, goes away by itself.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

log = logging.getLogger(__name__)

WORTH_SAYING_NS = 1_000_000_000
"""A step back of this many nanoseconds is said; smaller ones are everyday corrections."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Steady:
    """`wall` tells nanoseconds since 1970, `monotonic` nanoseconds that only rise."""

    def __init__(self, wall: Callable[[], int], monotonic: Callable[[], int]) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._told = wall()
        self._at = monotonic()
        self._is_ahead = False
        self._ahead = 0

    def nanoseconds(self) -> int:
        """Nanoseconds since 1970; never less than before."""
        wall, at = self._wall(), self._monotonic()
        told = max(wall, self._told + (at - self._at) // 2)
        late = told - wall
        if late > WORTH_SAYING_NS and not self._is_ahead:
            log.warning("the system's clock was set back by %.1f s: ours goes slower until both agree", late / 1e9)
        self._is_ahead = late > WORTH_SAYING_NS or (self._is_ahead and late > 0)
        self._told, self._at, self._ahead = told, at, late
        return told

    @property
    def ahead(self) -> float:
        """By how many seconds it was ahead of the system's clock when it was last asked."""
        return self._ahead / 1e9

    def now(self) -> datetime:
        """The same as UTC."""
        return _EPOCH + timedelta(microseconds=self.nanoseconds() // 1000)
