"""Looks at what an operator has asked of an account, and hands each request to who can do it.

What was asked before the lane began is looked at before any entry: another lane may have done it half. What cannot be
done is refused with a notice, and the request goes with it.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from time import monotonic
from typing import assert_never

from executor.asked import Desk, Mend, Replay, Request, Resolve
from executor.change import Change, End
from executor.follower import Follower
from executor.mender import Mender
from executor.replaying import Replayer
from executor.resolving import Resolver
from executor.telling import Teller
from shared.logs import correlated

log = logging.getLogger(__name__)

EVERY_S = 0.2
NOT_DONE = "asked by the operator and not done"
UNSOUND = "it bears no sound signature of ours"
LATE_S = 300.0
"""Nobody wants to find that done which was asked so long ago; what may have been sent is looked for all the same."""


class Clerk:
    """The requests of account `name`, under one lease."""

    def __init__(
        self,
        name: str,
        desk: Desk,
        replayer: Replayer,
        resolver: Resolver,
        mender: Mender,
        follower: Follower,
        teller: Teller,
        clock: Callable[[], datetime],
    ) -> None:
        self._name = name
        self._desk = desk
        self._replayer = replayer
        self._resolver = resolver
        self._mender = mender
        self._follower = follower
        self._teller = teller
        self._clock = clock
        self._due = 0.0

    async def begin(self) -> None:
        """Take up what is there already, and what the server has forgotten since it was worked at."""
        lost = await self._desk.lost()
        if lost is not None:
            await self._follower.write(lost)
        await self._look(inherited=True)

    async def attend(self) -> None:
        """Look whether something was asked; at most a few times a second."""
        if monotonic() >= self._due:
            self._due = monotonic() + EVERY_S
            await self._look(inherited=False)

    async def _look(self, *, inherited: bool) -> None:
        for field, request in (await self._desk.requests()).items():
            if request is not None and (not inherited or isinstance(request, Replay)):
                with correlated(request.fact if isinstance(request, Replay) else request.field):
                    why = await self._take(request, inherited)
            else:
                why = UNSOUND if request is None else None
            if why is not None:
                await self._refuse(field, why)

    async def _take(self, request: Request, inherited: bool) -> str | None:
        match request:
            case Replay():
                return await self._replayer.take(request, inherited=inherited)
            case Resolve():
                late = (self._clock() - request.asked).total_seconds() > LATE_S
                return "it was asked too long ago" if late else await self._resolver.take(request)
            case Mend():
                late = (self._clock() - request.asked).total_seconds() > LATE_S
                return "it was asked too long ago" if late else await self._mender.take(request)
            case _:
                assert_never(request)

    async def _refuse(self, field: str, why: str) -> None:
        text = f"{NOT_DONE}: {field}: {why}"
        log.warning("%s: %s", self._name, text)
        self._desk.noted.pop(field, None)
        await self._follower.write(Change(ends=[End()], messages=[self._teller.notice(text)], requests=[field]))
