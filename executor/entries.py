"""What becomes of each entry of the orders stream that an account reads: followed, passed by, held or buried.

A fact that is missing before the one in hand is looked for among what is pending; when it is gone, openings stop.
"""

import logging
from collections.abc import Callable, Collection
from datetime import datetime

from executor.follower import Follower
from executor.intake import Bury, Follow, Hold, Missing, PassBy, judge
from executor.ledger import Change, End, Ledger, dead_letter
from executor.states import AccountState
from shared import outcomes, wire
from shared.facts import Fact
from shared.logs import correlated
from shared.streams import Entry, Reader

log = logging.getLogger(__name__)


class Entries:
    """The entries of one account under one lease. What was captured before `suspect_before` may have been sent."""

    def __init__(
        self,
        name: str,
        sources: Collection[str],
        codec: wire.Codec,
        reader: Reader,
        ledger: Ledger,
        follower: Follower,
        clock: Callable[[], datetime],
        suspect_before: datetime,
    ) -> None:
        self._name = name
        self._sources = sources
        self._codec = codec
        self._reader = reader
        self._ledger = ledger
        self._follower = follower
        self._clock = clock
        self._suspect_before = suspect_before

    async def recover(self) -> int:
        """Take everything pending, lowest id first, as maybe sent; says how many entries there were."""
        claimed = await self._reader.claim()
        for entry in claimed:
            await self.take(entry, claimed=True)
        return len(claimed)

    async def take(self, entry: Entry, *, claimed: bool = False, looked: bool = False) -> None:
        """Take one entry; all that is logged meanwhile bears the id of its fact.

        `claimed`: it was delivered before. `looked`: what is missing before it was looked for already.
        """
        read = self._codec.fact(entry.fields)
        with correlated(read.id if isinstance(read, Fact) else entry.id):
            await self._judged(entry, read, claimed, looked)

    async def _judged(self, entry: Entry, read: Fact | wire.Refused, claimed: bool, looked: bool) -> None:
        match judge(read, entry.id, self._follower.place, self._sources):
            case Follow(fact, suspect):
                await self._follower.follow(entry.id, fact, suspect=suspect or claimed or self._old(fact))
            case PassBy(fact):
                await self._pass_or_follow(entry, fact, suspect=claimed)
            case Bury(reason, text):
                await self._bury(entry, reason, text)
            case Hold(reason, text):
                await self._close_only(f"entry {entry.id} is held: {text}", reason)
            case Missing(fact, expected):
                if not looked:
                    await self._look_for_missing(entry)
                if isinstance(judge(read, entry.id, self._follower.place, self._sources), Missing):
                    what = f"facts {expected} to {fact.seq - 1} of {fact.producer}"
                    mend = f"compare the account by hand, then `tradecopier resume {self._name}`"
                    await self._close_only(f"{what} were removed; {mend}", "removed")
                await self._pass_or_follow(entry, fact, suspect=claimed or self._old(fact))

    def _old(self, fact: Fact) -> bool:
        """Whether a fact was, or by the clocks' uncertainty may have been, captured before the moment of suspicion."""
        return fact.captured.timestamp() - fact.uncertainty <= self._suspect_before.timestamp()

    async def _pass_or_follow(self, entry: Entry, fact: Fact, *, suspect: bool) -> None:
        if fact.source in self._sources:
            await self._follower.follow(entry.id, fact, suspect=suspect)
        else:
            await self._follower.commit(entry.id, fact, Change(ends=[End(entry=entry.id)]))

    async def _look_for_missing(self, entry: Entry) -> None:
        """Another consumer of ours may have taken the entries between: look among the pending ones first."""
        pending = await self._reader.claim()
        for other in [e for e in pending if e.id not in self._follower.parking and e.id != entry.id]:
            await self.take(other, claimed=True, looked=True)

    async def _bury(self, entry: Entry, reason: str, text: str) -> None:
        log.error("%s: entry %s goes to the dead letters: %s", self._name, entry.id, text)
        dead = dead_letter(entry, self._name, reason, text)
        passed = wire.Place(entry=entry.id, seqs={})
        await self._follower.write(Change(entry=entry.id, ends=[End(entry=entry.id)], passed=passed, dead=dead))
        self._follower.move(passed)

    async def _close_only(self, text: str, reason: str) -> None:
        log.error("%s: openings are stopped: %s", self._name, text)
        await self._ledger.tighten(AccountState.CLOSE_ONLY, reason)
        notice = outcomes.Notice(account=self._name, reason=reason, text=text, seen=self._clock())
        await self._ledger.commit(Change(messages=[notice]), self._clock())
