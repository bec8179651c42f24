"""Those who work for one account under one lease: who follows facts, and who attends to what no entry asks for.

Each attendant looks whether there is something to do for it and does at most a little of it, so that an entry that
arrives meanwhile never waits long. All of them act through the same fence and the same commit.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from executor.bookkeeping import Bookkeeper
from executor.follower import Follower
from executor.ledger import Ledger, Memory
from executor.meter import Meter
from executor.operator import Operator
from executor.payer import Payer
from executor.runner import Runner
from executor.settings import Account
from executor.telling import Teller
from executor.trailer import Trailer
from executor.watch import Watch


class Attendant(Protocol):
    """One who has work without an entry."""

    async def attend(self) -> None:
        """Do what is due now, if anything is."""


class Crew:
    """The workers of one account, made anew whenever its lane begins. `memory` is what the lane begins with."""

    def __init__(
        self,
        name: str,
        account: Account,
        ledger: Ledger,
        keeper: Bookkeeper,
        runner: Runner,
        clock: Callable[[], datetime],
        reach: Callable[[str], None],
        meter: Meter,
        memory: Memory,
    ) -> None:
        teller = Teller(name, clock)
        self.follower = Follower(
            account, ledger, keeper, runner, teller, clock, reach, memory.place, dict(memory.debts)
        )
        self._watch = Watch(name, account, ledger, keeper, self.follower, clock, memory.state)
        self._trailer = Trailer(name, account, keeper, runner, self.follower, clock, meter.trailed)
        self._attendants: tuple[Attendant, ...] = (
            Operator(name, ledger, keeper, self.follower, clock, memory.state),
            self.follower,
            Payer(account, keeper, runner, self.follower, teller, clock),
            self._watch,
        )

    @property
    def waits(self) -> bool:
        """Whether something unfinished has to be looked at soon, entry or no entry."""
        return bool(self.follower.parking or self.follower.debts)

    async def begin(self) -> None:
        """See what happened to the account while nobody looked."""
        await self._watch.begin()

    async def attend(self) -> None:
        """Let each do what is due now, what an operator asks first."""
        for attendant in self._attendants:
            await attendant.attend()

    async def rest(self) -> None:
        """Do what may wait for as long as there are entries."""
        await self._trailer.attend()
