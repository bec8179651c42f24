"""What an operator asked for from outside, carried out in the lane's own loop.

`mode` in the account's state needs no help: the fence reads it before each call. `flatten` does: it is a signed order,
and when it is later than the one that was carried out last, everything that is ours becomes a debt. Its moment is noted
after the debts are durable, so a crash between the two only writes them again. `resume` arms the limits on losses
again: they count from the equity that the account has then. An order that nobody of ours has signed is told and not
carried out.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from time import monotonic

from executor.bookkeeping import Bookkeeper
from executor.change import Change
from executor.flatten import flattening
from executor.follower import Follower
from executor.ledger import Ledger
from executor.orders import What, ordered, said
from executor.states import OPERATOR, AccountState
from executor.watch import noted
from shared.outcomes import Notice

log = logging.getLogger(__name__)

EVERY_S = 0.2
FLATTEN: What = "flatten"
REARM: What = "rearm"
FLATTENED, REARMED, TOLD = "flattened", "rearmed", "told-mode"
"""Fields of the account's state: what was asked, what was done of it, and the mode that was told as a notice."""


class Operator:
    """The operator of one account, as a lane knows it under one lease."""

    def __init__(
        self,
        name: str,
        ledger: Ledger,
        keeper: Bookkeeper,
        follower: Follower,
        clock: Callable[[], datetime],
        state: Mapping[str, str],
    ) -> None:
        self._name = name
        self._ledger = ledger
        self._keeper = keeper
        self._follower = follower
        self._clock = clock
        self._done: dict[What, int] = {FLATTEN: said(state.get(FLATTENED, "")), REARM: said(state.get(REARMED, ""))}
        self._refused: dict[What, str] = {}
        self._told = state.get(TOLD, "")
        self._due = 0.0

    async def attend(self, *, at_once: bool = False) -> None:
        """Look whether something was asked; at most a few times a second, or `at_once`."""
        if monotonic() < self._due and not at_once:
            return
        self._due = monotonic() + EVERY_S
        mode, reason, flatten, rearm = await self._ledger.state("mode", "reason", FLATTEN, REARM)
        if moment := await self._new(REARM, rearm):
            self._keeper.rearm()
            await self._ledger.note(**noted(self._keeper.book.figures), **{REARMED: str(moment)})
            self._done[REARM] = moment
        await self._hold(mode)
        if reason == OPERATOR and mode != self._told:
            await self._tell(f"the operator has set the account to {mode}")
            await self._ledger.note(**{TOLD: mode})
            self._told = mode
        if moment := await self._new(FLATTEN, flatten):
            await self._flatten()
            await self._ledger.note(**{FLATTENED: str(moment)})
            self._done[FLATTEN] = moment

    async def _hold(self, mode: str) -> None:
        """Have the account's mode say that openings are stopped, whoever has written something else there."""
        looser = mode not in (AccountState.CLOSE_ONLY, AccountState.HALTED)
        if (reason := await self._ledger.stopped()) and looser:
            await self._ledger.tighten(AccountState.CLOSE_ONLY, reason)

    async def _new(self, what: What, kept: str) -> int:
        """The moment of an order that was not carried out yet; 0 when there is none. A stranger's is told once."""
        moment = ordered(self._ledger.codec, self._name, what, kept)
        known = said(kept) and said(kept) == self._done[what]  # signed with a key that was retired since, or with none
        if moment or not kept or known or self._refused.get(what) == kept:
            return moment if moment > self._done[what] else 0
        self._refused[what] = kept
        text = f"asked by a stranger or an older version and not done: {what}: it bears no sound signature of ours"
        log.warning("%s: %s", self._name, text)
        await self._tell(text)
        return 0

    async def _tell(self, text: str) -> None:
        notice = Notice(account=self._name, reason=OPERATOR, text=text, seen=self._clock())
        await self._follower.write(Change(messages=[notice]))

    async def _flatten(self) -> None:
        links = self._keeper.book.links.values()
        found = flattening(links, self._follower.debts, OPERATOR, self._clock())
        text = f"the operator has everything closed: {len(found.debts)} positions"
        notice = Notice(account=self._name, reason=OPERATOR, text=text, seen=self._clock())
        await self._follower.write(Change(messages=[notice], links=found.links, debts=found.debts))
