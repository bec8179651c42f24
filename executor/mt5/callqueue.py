"""The calls of one terminal, one at a time over one child: the most urgent first, each with a deadline."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from enum import IntEnum
from typing import Any

import msgspec

from executor.mt5.child import Request, Response
from executor.mt5.childlink import ChildLink


class Urgency(IntEnum):
    """Trades go ahead of everything that only reads."""

    SEND = 0
    SETUP = 1
    READ = 2


class Gone(msgspec.Struct, frozen=True):
    """The call got no answer; `handed_over` says whether the child had it."""

    reason: str
    handed_over: bool


class Call:
    """A call that waits for its turn or for its answer. `deadline` in seconds, from the moment it is handed over."""

    def __init__(self, request: Request, deadline: float, future: asyncio.Future[Response | Gone]) -> None:
        self.request, self.deadline, self.future = request, deadline, future

    def resolve(self, answer: Response | Gone) -> None:
        """Answer the caller, unless it has gone meanwhile."""
        if not self.future.done():
            self.future.set_result(answer)


class CallQueue:
    """Hands calls to the child and answers to their callers. `kill` is asked for when the child cannot be trusted."""

    def __init__(self, kill: Callable[[str], None]) -> None:
        self._kill = kill
        self._link: ChildLink | None = None
        self._current: Call | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: list[tuple[Urgency, int, Call]] = []
        self._numbers = itertools.count(1)
        self.closed_because = "the process that drives the terminal has not started yet"

    @property
    def is_open(self) -> bool:
        return self._link is not None

    def open(self, link: ChildLink) -> None:
        """There is a child."""
        self._link = link

    def close(self, reason: str) -> None:
        """The child is gone: whatever it had is lost, whatever waited was not sent."""
        self._link, self.closed_because = None, reason
        self._finish(Gone(reason, handed_over=True))
        waiting, self._waiting = self._waiting, []
        for _, _, call in waiting:
            call.resolve(Gone(reason, handed_over=False))

    def put(
        self,
        urgency: Urgency,
        function: str,
        args: list[Any],
        kwargs: dict[str, Any],
        deadline: float,
        not_after: int = 0,
    ) -> asyncio.Future[Response | Gone]:
        """Queue a call; the future gets its answer. Cancelling it takes a call that still waits out of the queue."""
        number = next(self._numbers)
        request = Request(number, function, args, kwargs, 0, not_after)
        call = Call(request, deadline, asyncio.get_running_loop().create_future())
        if self._link is None:
            call.resolve(Gone(self.closed_because, handed_over=False))
        else:
            heapq.heappush(self._waiting, (urgency, number, call))
            self._pump()
        return call.future

    def answered(self, link: ChildLink, response: Response) -> None:
        """The child has answered the call that it has."""
        if link is not self._link or self._current is None or response.id != self._current.request.id:
            self._kill("it answered something that was not asked")
            return
        self._finish(response)
        self._pump()

    def _pump(self) -> None:
        """Hand the next call over when the child is free."""
        while self._waiting and self._current is None and self._link is not None:
            call = heapq.heappop(self._waiting)[2]
            if call.future.done():
                continue
            call.request.asked = time.time_ns()
            self._current = call
            self._timer = asyncio.get_running_loop().call_later(call.deadline, self._overdue, call)
            self._link.write(call.request)

    def _overdue(self, call: Call) -> None:
        self._kill(f"{call.request.function} did not answer within {call.deadline:g} s, so its process was killed")

    def _finish(self, answer: Response | Gone) -> None:
        call, self._current = self._current, None
        if self._timer is not None:
            self._timer.cancel()
        if call is not None:
            call.resolve(answer)
