"""Moves trailing stops, behind everything else: at most one request while the lane has nothing to follow.

What trails is in the links (`levels.trailing`), so a restart goes on where it was. A link that has a debt or a fact
under way is left alone: its levels have another owner then. A move that is refused is tried again later and more
rarely; the stop that stands is never made worse, so nothing is owed.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

from executor.attempt import Attempt, Grace
from executor.bookkeeping import Bookkeeper
from executor.change import Work
from executor.follower import Follower
from executor.report import said
from executor.results import Already, Done, Result, Skipped
from executor.runner import Runner
from executor.settings import Account
from executor.steps import Protect
from executor.trailing import moves, trails

log = logging.getLogger(__name__)

EVERY_S = 1.0
LONGEST_WAIT_S = 60.0


@dataclass
class Turn:
    """When a position's stop may be moved again (monotonic), and how often in a row that was refused."""

    due: float = 0.0
    refusals: int = 0


class Trailer:
    """The trailing stops of one account under one lease."""

    def __init__(
        self,
        name: str,
        account: Account,
        keeper: Bookkeeper,
        runner: Runner,
        follower: Follower,
        clock: Callable[[], datetime],
        moved: Callable[[], None] = lambda: None,
    ) -> None:
        """`moved` is told each time that a stop was moved."""
        self._moved = moved
        self._name = name
        self._account = account
        self._keeper = keeper
        self._runner = runner
        self._follower = follower
        self._clock = clock
        self._turns: dict[str, Turn] = {}

    async def attend(self) -> None:
        """Move the stop whose turn it is, if there is one. Raises what a step of a fact raises."""
        if self._next() is None:
            return
        await self._keeper.reread()  # what somebody did at the terminal meanwhile counts
        step = self._next()
        if step is not None:
            await self._move(step)

    def _next(self) -> Protect | None:
        now, links = monotonic(), [link for key, link in self._keeper.book.links.items() if self._is_ours(key)]
        due = (step for step in moves(links, self._keeper.book) if self._turn(step).due <= now)
        return min(due, key=lambda step: self._turn(step).due, default=None)

    def _is_ours(self, key: str) -> bool:
        busy = key in self._follower.debts or self._follower.parking.on(key)
        return trails(self._keeper.book.links[key]) and not busy

    def _turn(self, step: Protect) -> Turn:
        return self._turns.setdefault(step.name, Turn())

    async def _move(self, step: Protect) -> None:
        attempt = Attempt(
            work=Work(fact=f"{step.name}@{step.link}"),
            meaning="",
            fact=None,
            link=step.link,
            steps=[step],
            grace=Grace(self._account.grace),
            read=self._clock(),
        )
        await self._runner.run(attempt, lambda _opening: True)
        self._settle(step, attempt.results[step.name].result if attempt.results else None)

    def _settle(self, step: Protect, result: Result | None) -> None:
        turn = self._turn(step)
        turn.refusals = 0 if isinstance(result, Done | Already) else turn.refusals + 1
        turn.due = monotonic() + min(LONGEST_WAIT_S, EVERY_S * 2**turn.refusals)
        if isinstance(result, Done):
            self._moved()
            log.info("%s: the stop of position %s trails at %s", self._name, step.ticket, step.stop_loss)
        elif turn.refusals == 1 and not isinstance(result, Skipped):
            log.warning("%s: the stop of position %s does not trail: %s", self._name, step.ticket, said(result))
