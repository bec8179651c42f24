"""The loop of one account: hold the lease, recover, then read, follow, attend and pay, one thing at a time.

Start-up, a crash, a take-over and every loss of Redis or of the terminal are one path: forget what is in memory, take
the lease, read the account's memory and the terminal, and go through everything pending as maybe sent, lowest id first.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

from redis.asyncio import Redis
from redis.exceptions import RedisError

from executor import attachment
from executor.asked import Desk
from executor.bookkeeping import Bookkeeper, TerminalAway
from executor.brokerclock import BrokerClock
from executor.chronicle import recorded
from executor.crew import Crew
from executor.entries import Entries
from executor.ledger import LeaseLost, Ledger
from executor.meter import Meter, unwatched
from executor.mt5.api import Connected, Credentials, Refused, Unknown
from executor.mt5.terminal import Terminal
from executor.recalling import Memory
from executor.runner import Runner
from executor.settings import Account
from executor.sights import Sights
from executor.states import AccountState
from executor.watch import remembered
from shared import wire
from shared.lease import Lease
from shared.plainly import plainly
from shared.process import UserError, cancelled
from shared.streams import BLOCK_MS, GroupLost, Keys, Reader

log = logging.getLogger(__name__)

RETRY_S = 0.5
ATTEND_S = 0.1
REFRESH_S = 1.0
STANDBY_S = 0.25
"""How often a standby looks whether the account is free: the longest that a take-over waits beyond the lease."""
CANCEL_AGAIN_S = 0.25


EXPECTED = (LeaseLost, TerminalAway, RedisError, OSError)
"""What a lane begins anew after. Anything else ends the process."""


class Watcher(Protocol):
    """What a lane tells those who watch it."""

    def lane(self, account: str, condition: str) -> None:
        """The lane is `standby`, `active`, `away`, `lost` (without its group) or `removed` (by a person) now."""


def never(_point: str) -> None:
    """Reach a named point of the protocol: in service nothing happens there, a fault suite ends the process."""


class Lane:
    """One account. `work` and `blocking` are two connections: the second is blocked while the lane reads."""

    def __init__(
        self,
        name: str,
        account: Account,
        credentials: Credentials,
        terminal: Terminal,
        work: Redis,
        blocking: Redis,
        keys: Keys,
        codec: wire.Codec,
        lease_s: float,
        watcher: Watcher,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        reach: Callable[[str], None] = never,
        meter: Meter | None = None,
    ) -> None:
        self.name = name
        self._account = account
        self._credentials = credentials
        self._terminal = terminal
        self._codec = codec
        self._watcher = watcher
        self._clock = clock
        self._reach = reach
        self._lease = Lease(work, keys.account("lease", name), duration=lease_s, owner=f"executor-{name}")
        self.meter = meter or unwatched(name, clock)
        self._ledger = Ledger(work, keys, codec, name, self._lease, recorded(name, self.meter.committed))
        self._ill = "away"
        self._attach = partial(attachment.attach, work, keys, name)
        self._desk = Desk(work, keys, codec, name)
        self._sights = Sights(work, keys, codec, account.sources)
        # A read that outlived the lease could take an entry away from the lane that holds it then.
        self._block_ms = min(BLOCK_MS, int(lease_s * 250))
        self._reader = Reader(blocking, keys.orders, name, "executor")
        self._keeper = Bookkeeper(name, terminal, clock)
        self._runner = Runner(account, self._ledger, terminal, self._keeper, clock, reach, self.meter.done)

    @property
    def broker_clock(self) -> BrokerClock:
        """What is known of the broker's clock by now."""
        return self._keeper.clock

    async def run(self) -> None:
        """Work until cancelled. What an operator has to mend is said once, and looked at again until it is."""
        said = ""
        while True:
            why = await self._until_interrupted()
            if why != said:
                log.warning("%s: %s", self.name, why)
            said = self.meter.why = why
            self.meter.info = None
            self._watcher.lane(self.name, self._ill)
            await asyncio.sleep(RETRY_S)

    async def _until_interrupted(self) -> str:
        """Hold the account until something interrupts it; says what, for a person."""
        self._ill = "away"
        try:
            await self._hold(await self._connect())
        except LeaseLost as error:
            return f"{error}; beginning anew"
        except (RedisError, OSError) as error:
            return f"Redis does not serve us ({plainly(error)}); trying again"
        except TerminalAway as error:
            return f"the terminal is gone: start MetaTrader 5 and log in ({error}); trying again"
        except GroupLost as error:
            self._ill = attachment.condition(error)
            return attachment.line(self.name, error)
        except UserError as error:
            return str(error)
        raise AssertionError("a lane ends only when it is interrupted")

    async def stop(self) -> None:
        """Give the lease up and end the terminal's child."""
        await self._give_way()
        await self._terminal.stop()

    async def _give_way(self) -> None:
        try:
            await self._lease.release()
        except (RedisError, OSError) as error:
            log.warning("%s: the lease could not be given up (%s); it expires by itself", self.name, error)

    async def _connect(self) -> Connected:
        answer = await self._terminal.connect(self._credentials)
        if isinstance(answer, Refused):
            raise TerminalAway(answer.line)
        for obstacle in answer.obstacles:
            log.warning("%s: %s", self.name, obstacle.line)
        return answer

    async def _hold(self, connected: Connected) -> None:
        known = ""
        while holder := await self._lease.acquire():
            self.meter.let_go()
            self._watcher.lane(self.name, "standby")
            if holder != known:
                log.info("%s: standing by for %s", self.name, holder)
            known = holder
            await asyncio.sleep(STANDBY_S)
        if await self._attach():
            log.warning("%s: nobody read for it for long; it goes on where it was", self.name)
        try:
            memory = await self._ledger.begin()
            await self._settle_identity(memory, connected)
        except UserError:  # another machine may have the key, or the login, that this one lacks
            await self._give_way()
            raise
        self._runner.search.begin(self._account.grace)
        await self._keeper.open(connected, memory.links, remembered(memory.state))
        await self._ledger.tell(memory, self._clock())
        crew = Crew(
            self.name,
            self._account,
            self._ledger,
            self._keeper,
            self._runner,
            self._clock,
            self._reach,
            self.meter,
            memory,
            self._desk,
            self._sights,
        )
        entries = Entries(
            self.name, self._account.sources, self._codec, self._reader, self._ledger, crew.follower, self._clock,
            memory.suspect_before, memory.began, lambda: self._keeper.book,
        )  # fmt: skip
        await crew.begin()
        self.meter.watch(crew.follower, lambda: self._keeper.book)
        self.meter.info, self.meter.why = connected.terminal, ""
        self._watcher.lane(self.name, "active")
        await _together(self._renew(), self._refresh(), self._work(crew, entries))

    async def _settle_identity(self, memory: Memory, connected: Connected) -> None:
        identity = f"{connected.account.login}@{connected.account.server}"
        known = memory.state.get("identity")
        if known not in (None, identity):
            raise UserError(
                f"account {self.name} was {known} and the terminal is logged in as {identity}: "
                f"log in as {known} again, or run `tradecopier account repoint {self.name}`"
            )
        await self._ledger.note(identity=identity)
        await self._ledger.tighten(AccountState.ACTIVE)

    # -- beside the loop

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._lease.duration / 4)
            await self._ledger.renew()

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            await self._keeper.refresh()
            info = await self._keeper.info()
            self.meter.info = None if isinstance(info, Unknown) else info

    # -- the loop

    async def _work(self, crew: Crew, entries: Entries) -> None:
        self.meter.redelivered(await entries.recover())
        while True:
            await crew.attend()
            await entries.attend()
            found = await self._reader.read(1, int(ATTEND_S * 1000) if crew.waits else self._block_ms)
            for entry in found:
                self._reach("read")
                await crew.heed()
                await entries.take(entry)
            if not found:
                await entries.rest()
                await crew.rest()


async def _together(*loops: Coroutine[Any, Any, None]) -> None:
    """Run loops until one fails, end the others, and raise what it failed with."""
    tasks = {asyncio.create_task(loop) for loop in loops}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        await cancelled(*tasks, patience=CANCEL_AGAIN_S)
        # Asked in any case: what failed while we were told to stop would else end the process as a surprise.
        failures = [error for task in tasks if not task.cancelled() and (error := task.exception()) is not None]
    raise next((e for e in failures if not isinstance(e, EXPECTED)), failures[0])
