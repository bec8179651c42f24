"""Those who work for one account under one lease: who follows facts, and who attends to what no entry asks for.

Each attendant looks whether there is something to do for it and does at most a little of it, so that an entry that
arrives meanwhile never waits long. All of them act through the same fence and the same commit.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from executor.asked import Desk
from executor.bookkeeping import Bookkeeper
from executor.clerk import Clerk
from executor.follower import Follower
from executor.guards import breach
from executor.ledger import Ledger
from executor.mender import Mender
from executor.meter import Meter
from executor.operator import Operator
from executor.payer import Payer
from executor.recalling import Memory
from executor.reconciler import Reconciler
from executor.replaying import Replayer
from executor.resolving import Resolver
from executor.runner import Runner
from executor.settings import Account
from executor.sights import Sights
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
        desk: Desk,
        sights: Sights,
    ) -> None:
        self._ledger = ledger
        self._limits, self._keeper = account.limits, keeper
        teller = Teller(name, clock)
        self.follower = Follower(
            account, ledger, keeper, runner, teller, clock, reach, memory.place, dict(memory.debts)
        )
        self._watch = Watch(name, account, ledger, keeper, self.follower, clock, memory.state)
        self._trailer = Trailer(name, account, keeper, runner, self.follower, clock, meter.trailed)
        replayer = Replayer(account, desk, keeper, self.follower, clock)
        resolver = Resolver(name, account, desk, keeper, self.follower, teller, clock)
        mender = Mender(name, account, desk, sights, keeper, self.follower, clock)
        self._clerk = Clerk(name, desk, replayer, resolver, mender, self.follower, teller, clock)
        self._reconciler = Reconciler(
            name, account, ledger, desk, sights, keeper, self.follower, mender, meter, clock, memory
        )
        self._payer = Payer(account, keeper, runner, self.follower, teller, clock)
        self._operator = Operator(name, ledger, keeper, self.follower, clock, memory.state)
        self._attendants: tuple[Attendant, ...] = (
            self._operator,
            self._clerk,
            self.follower,
            self._payer,
            self._watch,
            self._reconciler,
        )

    @property
    def waits(self) -> bool:
        """Whether something unfinished has to be looked at soon, entry or no entry."""
        return bool(self.follower.parking or self.follower.debts or self.follower.errands)

    async def begin(self) -> None:
        """See what happened to the account while nobody looked, and what another lane may have left half done."""
        await self._payer.begin(self._ledger.outcome)
        await self._watch.begin()
        await self._reconciler.begin()
        await self._clerk.begin()

    async def attend(self) -> None:
        """Let each do what is due now, what an operator asks first."""
        for attendant in self._attendants:
            await attendant.attend()

    async def heed(self) -> None:
        """Before an entry is taken: past a limit on losses, what an operator has said until now counts for it."""
        if breach(self._keeper.book.figures, self._limits) is not None:
            await self._operator.attend(at_once=True)

    async def rest(self) -> None:
        """Do what may wait for as long as there are entries."""
        await self.follower.rest()
        await self._trailer.attend()
