"""Reads what an account shows once for all who look for something in it, and not again too soon.

The whole history may take seconds to read, and an exit that arrives meanwhile waits. So whoever looks shares the last
reading, and the next one begins only after a rest. A reading that is shared is enough to find something by. That
something is absent is only believed by who asks when the reading began, see `executor.search`. What may have been sent
before a lane began has one grace, and one reading after all of it decides, however much of it there is.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from time import monotonic
from typing import TypeVar

from executor.attempt import Grace
from executor.bookkeeping import Bookkeeper
from executor.marks import Traces, is_ours
from executor.mt5.api import TradeDeal, TradeOrder, TradePosition

LOOKS = 100
"""How often at most a grace is looked through."""
LEAST_S = 0.1
"""How long at least a reading is shared, however short the grace is."""
REST = 5
"""After a reading that took long, so many times as long passes before the next one; once only, when a grace is over."""
LISTEN_S = 0.1
"""How often at most the terminal is asked whether it has its link to the broker."""

Record = TypeVar("Record", TradePosition, TradeOrder, TradeDeal)


class Look:
    """One reading, from `began` to `ended` (monotonic seconds). `breaks`: how often the link was lost before it."""

    def __init__(self, traces: Traces, began: float, ended: float, breaks: int) -> None:
        self.began, self.ended, self.breaks = began, ended, breaks
        self._positions, self._orders = _indexed(traces.positions), _indexed(traces.orders)
        self._history_orders, self._deals = _indexed(traces.history_orders), _indexed(traces.deals)
        self._all = (self._positions, self._orders, self._history_orders, self._deals)
        self._outdated: set[str] = set()

    def shows(self, marks: Iterable[int]) -> bool:
        """Whether anything bears one of `marks`."""
        return any(mark in each for mark in marks for each in self._all)

    def bearing(self, marks: Iterable[int]) -> Traces:
        """What bears one of `marks`, in the terminal's order."""
        ours = tuple(marks)
        return Traces(
            positions=_picked(self._positions, ours),
            orders=_picked(self._orders, ours),
            history_orders=_picked(self._history_orders, ours),
            deals=_picked(self._deals, ours),
        )

    def outdate(self, meaning: str) -> None:
        """It says nothing more about what is meant: that is being sent."""
        self._outdated.add(meaning)

    def answers(self, meaning: str, breaks: int) -> bool:
        """Whether it says something about what is meant, when the link was lost `breaks` times by now."""
        return breaks == self.breaks and meaning not in self._outdated


class Before:
    """What may have been sent before a lane began. Nobody but this lane sends anything since, so one `grace` runs for
    all of it, and a reading of which it is `proven` that it was after that decides about all that is not sent anew.
    """

    def __init__(self, seconds: float) -> None:
        self.grace = Grace(seconds)
        self.proven: Look | None = None
        self._sent: set[str] = set()

    def sending(self, meaning: str) -> None:
        """Something that is meant so is about to be sent by this lane."""
        self._sent.add(meaning)

    def covers(self, meaning: str) -> bool:
        """Whether this lane has sent nothing that is meant so."""
        return meaning not in self._sent


class Looks:
    """The readings of one account. Raises TerminalAway when one fails."""

    def __init__(self, keeper: Bookkeeper, now: Callable[[], float] = monotonic) -> None:
        self._keeper = keeper
        self._now = now
        self._last: Look | None = None
        self._listened = float("-inf")
        self._breaks = -1
        self._connected = False
        self.before: Before | None = None

    def begin(self, seconds: float) -> None:
        """A lane begins: what was read by an earlier one counts no more, and what may have been sent has this grace."""
        self._last, self.before = None, Before(seconds)

    def sending(self, meaning: str) -> None:
        """Something that is meant so is about to be sent."""
        if self._last is not None:
            self._last.outdate(meaning)
        if self.before is not None:
            self.before.sending(meaning)

    async def connected(self) -> bool:
        """Whether the terminal has its link to the broker, as it said a moment ago."""
        if self._now() >= self._listened + LISTEN_S or self._breaks != self._keeper.breaks:
            self._connected = await self._keeper.connected()
            self._listened, self._breaks = self._now(), self._keeper.breaks
        return self._connected

    async def look(self, meaning: str, grace: Grace, *, at_once: bool = False) -> Look | None:
        """A reading that says something about what is meant; None: it is too soon for the next one.

        `at_once`: what waits for it is an exit, so there is one in any case.
        """
        last = self._last
        if last is not None and self._now() < due(last, grace, self._now()):
            if last.answers(meaning, self._keeper.breaks):
                return last
            if not at_once:
                return None
        return await self.read()

    async def any(self) -> Look:
        """The last reading since the lane began; the first one is made when it is wanted."""
        return self._last or await self.read()

    async def read(self) -> Look:
        """Read now."""
        began, breaks = self._now(), self._keeper.breaks
        traces = await self._keeper.traces()
        self._last = Look(traces, began, self._now(), breaks)
        return self._last


def due(last: Look, grace: Grace, now: float) -> float:
    """When the reading after `last` may begin (monotonic), for one whose `grace` is running.

    When it is over the first reading since then decides, so that one need not rest so long.
    """
    ends = grace.ends
    decides = ends is not None and last.began < ends <= now
    return last.ended + max(grace.seconds / LOOKS, LEAST_S, (1 if decides else REST) * (last.ended - last.began))


def _indexed(records: Iterable[Record]) -> Mapping[int, Sequence[tuple[int, Record]]]:
    """The records that bear a mark of ours by that mark, each with its place."""
    found: defaultdict[int, list[tuple[int, Record]]] = defaultdict(list)
    for place, record in enumerate(records):
        if is_ours(record.magic):
            found[record.magic].append((place, record))
    return found


def _picked(index: Mapping[int, Sequence[tuple[int, Record]]], marks: Iterable[int]) -> tuple[Record, ...]:
    found = [placed for mark in marks for placed in index.get(mark, ())]
    return tuple(record for _, record in sorted(found, key=lambda placed: placed[0]))
