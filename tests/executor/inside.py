"""An account's whole following inside one process and at once: the real follower, runner, payer and watch over the
real child's calls and a simulated terminal, with a ledger that only remembers.

Nothing is started and nothing waits, so that many stories can be told; what crosses processes is tested elsewhere.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from time import time
from typing import Any, cast

import pytest
from msgspec.structs import replace

from executor import payer, search
from executor.bookkeeping import Bookkeeper
from executor.change import Change, Work
from executor.follower import Follower
from executor.ledger import Fenced, Ledger, Passed
from executor.looks import Looks
from executor.mt5.api import Connected, Credentials
from executor.mt5.child import Caller, Request, WallClock
from executor.mt5.simulator.bars import FullSurface
from executor.mt5.simulator.machine import Machine, Options
from executor.mt5.terminal import Terminal
from executor.runner import Runner
from executor.settings import Account
from executor.states import AccountState
from executor.telling import Teller
from executor.watch import Watch
from shared import wire
from shared.facts import Fact
from shared.outcomes import Message, Notice, Outcome
from tests.executor.mt5.simulated import DirectLink

LEASE_S = 60.0
ENOUGH = 60
"""So many turns are more than any story needs."""


class MemoryLedger:
    """What a lane's ledger answers when nobody else is there; an end that comes twice is a surprise."""

    def __init__(self) -> None:
        self.mode = AccountState.ACTIVE
        self.messages: list[Message] = []
        self.ends: dict[str, str] = {}
        self.noted: dict[str, str] = {}

    async def fence(self, work: Work, modes: Sequence[AccountState]) -> Passed | Fenced:
        return Passed(LEASE_S) if self.mode in modes else Fenced("state", self.mode)

    async def commit(self, change: Change, _now: datetime) -> None:
        for end in change.ends:
            if end.work is not None and end.work.fact:
                assert end.work.key not in self.ends, f"{end.work} has ended before"
                self.ends[end.work.key] = end.result
        self.messages.extend(change.messages)

    async def outcome(self, work: Work) -> str | None:
        return self.ends.get(work.key)

    async def note(self, **fields: str) -> None:
        self.noted |= fields

    async def tighten(self, mode: AccountState, _reason: str = "") -> None:
        self.mode = mode


class Inside:
    """One account at work. `machine` is its terminal; `link` has the terminal's clock."""

    def __init__(self, account: Account, **options: Any) -> None:
        self.machine = Machine(Options(prices="still", **options), "inside")
        self.link = DirectLink(self.machine)
        self.machine.fund(self.link.now)
        self.ledger = MemoryLedger()
        self.terminal = Terminal()
        self._caller = Caller(FullSurface(lambda _path: self.link), WallClock())
        self._account = account
        self._told = 0

    def write(self, request: Request) -> None:
        """What the parent hands to the child."""
        response = self._caller.answer(request)
        asyncio.get_running_loop().call_soon(self.terminal._calls.answered, cast(Any, self), response)

    async def begin(self) -> None:
        """Connect, and read the account."""
        self.terminal._calls.open(cast(Any, self))
        connected = await self.terminal.connect(Credentials("inside"))
        assert isinstance(connected, Connected), connected
        self.keeper = Bookkeeper("main", self.terminal, now)
        await self.keeper.open(connected, {})
        ledger, teller = cast(Ledger, self.ledger), Teller("main", now)
        runner = Runner(self._account, ledger, self.terminal, self.keeper, now, lambda _point: None)
        place = wire.Place(entry="0-0", seqs={})
        self.follower = Follower(
            self._account, ledger, self.keeper, runner, teller, now, lambda _point: None, place, {}
        )  # fmt: skip
        self.payer = payer.Payer(self._account, self.keeper, runner, self.follower, teller, now)
        self.watch = Watch("main", self._account, ledger, self.keeper, self.follower, now, {})
        await self.watch.begin()

    async def follow(self, fact: Fact) -> None:
        """Follow a fact that comes now, and do what is due."""
        self._told += 1
        await self.follower.follow(f"{self._told}-0", replace(fact, captured=now()), suspect=False)
        await self.turn()

    async def turn(self) -> None:
        """What a lane does between two entries."""
        self.link.now += 1000
        await self.follower.attend()
        await self.payer.attend()
        await self.keeper.refresh()
        await self.watch.attend()

    async def settle(self) -> None:
        """Until nothing is unfinished."""
        for _ in range(ENOUGH):
            if not self.follower.debts and not self.follower.parking:
                return
            await self.turn()
        raise AssertionError(f"unfinished: {dict(self.follower.debts)}, {list(self.follower.parking)}")

    @property
    def outcomes(self) -> list[Outcome]:
        """The outcomes so far."""
        return [m for m in self.ledger.messages if isinstance(m, Outcome)]

    @property
    def notices(self) -> list[Notice]:
        """The notices so far."""
        return [m for m in self.ledger.messages if isinstance(m, Notice)]


@contextmanager
def own_time(inside: Inside) -> Iterator[None]:
    """Searches and debts wait by the terminal's clock, in which a turn takes a second; it begins with the present."""

    def seconds() -> float:
        return inside.link.now / 1000

    inside.link.now = int(time() * 1000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(payer, "FIRST_TRY_S", 0.0)
        patch.setattr(payer, "monotonic", seconds)
        patch.setattr(search, "monotonic", seconds)
        patch.setattr(search, "Looks", partial(Looks, now=seconds))
        yield


def now() -> datetime:
    """The present."""
    return datetime.now(UTC)
