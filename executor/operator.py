"""What an operator asked for from outside, carried out in the lane's own loop.

`mode` in the account's state needs no help: the fence reads it before each call. `flatten` does: it is a token, and as
long as it is not the one that was carried out last, everything that is ours becomes a debt. The token is noted after
the debts are durable, so a crash between the two only writes them again. `resume` arms the limits on losses again: they
count from the equity that the account has then.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from time import monotonic

from executor.bookkeeping import Bookkeeper
from executor.flatten import flattening
from executor.follower import Follower
from executor.ledger import Change, Ledger
from executor.states import OPERATOR
from executor.watch import noted
from shared.outcomes import Notice

EVERY_S = 0.2
FLATTEN, FLATTENED, REARM, REARMED, TOLD = "flatten", "flattened", "rearm", "rearmed", "told-mode"
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
        self._flattened = state.get(FLATTENED, "")
        self._rearmed = state.get(REARMED, "")
        self._told = state.get(TOLD, "")
        self._due = 0.0

    async def attend(self) -> None:
        """Look whether something was asked; at most a few times a second."""
        if monotonic() < self._due:
            return
        self._due = monotonic() + EVERY_S
        mode, reason, flatten, rearm = await self._ledger.state("mode", "reason", FLATTEN, REARM)
        if rearm and rearm != self._rearmed:
            self._keeper.rearm()
            await self._ledger.note(**noted(self._keeper.book.figures), **{REARMED: rearm})
            self._rearmed = rearm
        if reason == OPERATOR and mode != self._told:
            await self._tell(f"the operator has set the account to {mode}")
            await self._ledger.note(**{TOLD: mode})
            self._told = mode
        if flatten and flatten != self._flattened:
            await self._flatten()
            await self._ledger.note(**{FLATTENED: flatten})
            self._flattened = flatten

    async def _tell(self, text: str) -> None:
        notice = Notice(account=self._name, reason=OPERATOR, text=text, seen=self._clock())
        await self._follower.write(Change(messages=[notice]))

    async def _flatten(self) -> None:
        links = self._keeper.book.links.values()
        found = flattening(links, self._follower.debts, OPERATOR, self._clock())
        text = f"the operator has everything closed: {len(found.debts)} positions"
        notice = Notice(account=self._name, reason=OPERATOR, text=text, seen=self._clock())
        await self._follower.write(Change(messages=[notice], links=found.links, debts=found.debts))
