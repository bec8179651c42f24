"""The loop of one account: hold the lease, recover, then read, follow, attend and pay, one thing at a time.

Start-up, a crash, a take-over and every loss of Redis or of the terminal are one path: forget what is in memory, take
the lease, read the account's memory and the terminal, and go through everything pending as maybe sent, lowest id first.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, Protocol

from redis.asyncio import Redis
from redis.exceptions import RedisError

from executor.bookkeeping import Bookkeeper, TerminalAway
from executor.brokerclock import BrokerClock
from executor.chronicle import recorded
from executor.follower import Follower
from executor.intake import Bury, Follow, Hold, Missing, PassBy, judge
from executor.ledger import Change, End, LeaseLost, Ledger, Memory, dead_letter
from executor.meter import Meter, unwatched
from executor.mt5.api import Connected, Credentials, Refused, Unknown
from executor.mt5.terminal import Terminal
from executor.operator import Operator
from executor.payer import Payer
from executor.runner import Runner
from executor.settings import Account
from executor.states import AccountState
from executor.telling import Teller
from executor.trailer import Trailer
from executor.watch import Watch, remembered
from shared import outcomes, wire
from shared.facts import Fact
from shared.lease import Lease
from shared.logs import correlated
from shared.process import UserError, cancelled
from shared.streams import BLOCK_MS, Entry, GroupLost, Keys, Reader

log = logging.getLogger(__name__)

RETRY_S = 0.5
ATTEND_S = 0.1
REFRESH_S = 1.0
CANCEL_AGAIN_S = 0.25


EXPECTED = (LeaseLost, TerminalAway, RedisError, OSError)
"""What a lane begins anew after. Anything else ends the process."""


class Watcher(Protocol):
    """What a lane tells those who watch it."""

    def lane(self, account: str, condition: str) -> None:
        """The lane is `standby`, `active` or `away` now."""


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
            said = why
            self.meter.info = None
            self._watcher.lane(self.name, "away")
            await asyncio.sleep(RETRY_S)

    async def _until_interrupted(self) -> str:
        """Hold the account until something interrupts it; says what, for a person."""
        try:
            await self._hold(await self._connect())
        except LeaseLost as error:
            return f"another lane works for this account now ({error})"
        except (RedisError, OSError) as error:
            return f"Redis is away ({error}); trying again"
        except TerminalAway as error:
            return f"the terminal is away ({error}); trying again"
        except GroupLost as error:
            mend = "compare the account by hand; `tradecopier up`, started anew, lets it join at the stream's end"
            return f"its consumer group is gone ({error}), Redis was emptied or is an old copy: {mend}"
        except UserError as error:
            return str(error)
        raise AssertionError("a lane ends only when it is interrupted")

    async def stop(self) -> None:
        """Give the lease up and end the terminal's child."""
        try:
            await self._lease.release()
        except RedisError as error:
            log.warning("%s: the lease could not be given up (%s); it expires by itself", self.name, error)
        await self._terminal.stop()

    async def _connect(self) -> Connected:
        answer = await self._terminal.connect(self._credentials)
        if isinstance(answer, Refused):
            raise TerminalAway(answer.line)
        for obstacle in answer.obstacles:
            log.warning("%s: %s", self.name, obstacle.line)
        return answer

    async def _hold(self, connected: Connected) -> None:
        while holder := await self._lease.acquire():
            self._watcher.lane(self.name, "standby")
            log.info("%s: standing by for %s", self.name, holder)
            await asyncio.sleep(self._lease.duration / 3)
        memory = await self._ledger.begin()
        await self._settle_identity(memory, connected)
        await self._keeper.open(connected, memory.links, remembered(memory.state))
        teller = Teller(self.name, self._clock)
        follower = Follower(
            self._account, self._ledger, self._keeper, self._runner, teller, self._clock, self._reach,
            memory.place, dict(memory.debts),
        )  # fmt: skip
        payer = Payer(self._account, self._keeper, self._runner, follower, teller, self._clock)
        watch = Watch(self.name, self._account, self._ledger, self._keeper, follower, self._clock, memory.state)
        trailer = Trailer(
            self.name, self._account, self._keeper, self._runner, follower, self._clock, self.meter.trailed
        )
        operator = Operator(self.name, self._ledger, self._keeper, follower, self._clock, memory.state)
        await watch.begin()
        self.meter.watch(follower, lambda: self._keeper.book)
        self.meter.info = connected.terminal
        self._watcher.lane(self.name, "active")
        work = self._work(follower, payer, watch, trailer, operator, memory.suspect_before)
        await _together(self._renew(), self._refresh(), work)

    async def _settle_identity(self, memory: Memory, connected: Connected) -> None:
        identity = f"{connected.account.login}@{connected.account.server}"
        known = memory.state.get("identity")
        if known not in (None, identity):
            raise UserError(
                f"account {self.name} was {known} and the terminal is logged in as {identity}: "
                f"log in as {known} again, or give the new account a name of its own in the settings"
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
            info = await self._terminal.info()
            self.meter.info = None if isinstance(info, Unknown) else info

    # -- the loop

    async def _work(
        self,
        follower: Follower,
        payer: Payer,
        watch: Watch,
        trailer: Trailer,
        operator: Operator,
        suspect_before: datetime,
    ) -> None:
        claimed = await self._reader.claim()
        self.meter.redelivered(len(claimed))
        for entry in claimed:
            await self._entry(follower, entry, suspect_before, claimed=True)
        while True:
            await operator.attend()
            await follower.attend()
            await payer.attend()
            await watch.attend()
            waits = follower.parking or follower.debts
            entries = await self._reader.read(1, int(ATTEND_S * 1000) if waits else self._block_ms)
            for entry in entries:
                self._reach("read")
                await self._entry(follower, entry, suspect_before)
            if not entries:
                await trailer.attend()

    async def _entry(
        self, follower: Follower, entry: Entry, suspect_before: datetime, *, claimed: bool = False, looked: bool = False
    ) -> None:
        """Take one entry; all that is logged meanwhile bears the id of its fact."""
        read = self._codec.fact(entry.fields)
        with correlated(read.id if isinstance(read, Fact) else entry.id):
            await self._judged(follower, entry, read, suspect_before, claimed, looked)

    async def _judged(
        self, follower: Follower, entry: Entry, read: Fact | wire.Refused, before: datetime, claimed: bool, looked: bool
    ) -> None:
        judgement = judge(read, entry.id, follower.place, self._account.sources)
        match judgement:
            case Follow(fact, suspect):
                await follower.follow(entry.id, fact, suspect=suspect or claimed or _before(fact, before))
            case PassBy(fact):
                await self._pass_or_follow(follower, entry, fact, suspect=claimed)
            case Bury(reason, text):
                await self._bury(follower, entry, reason, text)
            case Hold(reason, text):
                await self._close_only(f"entry {entry.id} is held: {text}", reason)
            case Missing(fact, expected):
                if not looked:
                    await self._look_for_missing(follower, entry, before)
                if isinstance(judge(read, entry.id, follower.place, self._account.sources), Missing):
                    what = f"facts {expected} to {fact.seq - 1} of {fact.producer}"
                    mend = f"compare the account by hand, then `tradecopier resume {self.name}`"
                    await self._close_only(f"{what} were removed; {mend}", "removed")
                await self._pass_or_follow(follower, entry, fact, suspect=claimed or _before(fact, before))

    async def _pass_or_follow(self, follower: Follower, entry: Entry, fact: Fact, *, suspect: bool) -> None:
        if fact.source in self._account.sources:
            await follower.follow(entry.id, fact, suspect=suspect)
        else:
            await follower.commit(entry.id, fact, Change(ends=[End(entry=entry.id)]))

    async def _look_for_missing(self, follower: Follower, entry: Entry, suspect_before: datetime) -> None:
        """Another consumer of ours may have taken the entries between: look among the pending ones first."""
        between = [e for e in await self._reader.claim() if e.id not in follower.parking and e.id != entry.id]
        for other in between:
            await self._entry(follower, other, suspect_before, claimed=True, looked=True)

    async def _bury(self, follower: Follower, entry: Entry, reason: str, text: str) -> None:
        log.error("%s: entry %s goes to the dead letters: %s", self.name, entry.id, text)
        dead = dead_letter(entry, self.name, reason, text)
        passed = wire.Place(entry=entry.id, seqs={})
        await follower.write(Change(entry=entry.id, ends=[End(entry=entry.id)], passed=passed, dead=dead))
        follower.move(passed)

    async def _close_only(self, text: str, reason: str) -> None:
        log.error("%s: openings are stopped: %s", self.name, text)
        await self._ledger.tighten(AccountState.CLOSE_ONLY, reason)
        notice = outcomes.Notice(account=self.name, reason=reason, text=text, seen=self._clock())
        await self._ledger.commit(Change(messages=[notice]), self._clock())


def _before(fact: Fact, moment: datetime) -> bool:
    """Whether a fact was, or by the clocks' uncertainty may have been, captured before `moment`."""
    return fact.captured.timestamp() - fact.uncertainty <= moment.timestamp()


async def _together(*loops: Coroutine[Any, Any, None]) -> None:
    """Run loops until one fails, end the others, and raise what it failed with."""
    tasks = {asyncio.create_task(loop) for loop in loops}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        await cancelled(*tasks, patience=CANCEL_AGAIN_S)
    failures = [error for task in tasks if not task.cancelled() and (error := task.exception()) is not None]
    raise next((e for e in failures if not isinstance(e, EXPECTED)), failures[0])
