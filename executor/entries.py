"""What becomes of each entry of the orders stream that an account reads: followed, passed by, held or buried.

A fact that is missing before the one in hand is looked for among what is pending; when it is gone, openings stop.
"""

import logging
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from time import monotonic

from executor.book import Book, link_key
from executor.change import Change, End, Work, dead_letter
from executor.follower import Follower
from executor.holding import Gap, Holding
from executor.intake import Bury, Follow, Hold, Missing, PassBy, judge
from executor.ledger import PASSING, Ledger
from executor.states import AccountState
from shared import outcomes, wire
from shared.facts import Fact
from shared.logs import correlated
from shared.returned import is_returned
from shared.streams import Entry, Reader

log = logging.getLogger(__name__)

REST_S = 1.0
"""How often at most it is looked, while nothing comes, whether somebody has taken an entry away."""
NO_DEAD_LETTER: Mapping[bytes, bytes] = {}


class Entries:
    """The entries of one account under one lease. What was captured before `suspect_before` may have been sent.

    What was there already when the lane `began`, by the server's clock, is looked for once before it is opened: an
    earlier memory may have been put back, and with it entries that were followed.
    """

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
        began: datetime,
        book: Callable[[], Book],
    ) -> None:
        self._name = name
        self._sources = sources
        self._codec = codec
        self._reader = reader
        self._ledger = ledger
        self._follower = follower
        self._clock = clock
        self._suspect_before = suspect_before
        self._began = began
        self._book = book
        self._holding = Holding(codec, reader, self._take_held)
        self._coming: set[str] = set()
        self._due = 0.0

    async def recover(self) -> int:
        """Take everything pending, lowest id first, as maybe sent; says how many entries there were.

        What is not pending and we have not passed was acknowledged by a stranger, or our memory is an earlier one.
        """
        vanished = await self._vanished()
        await self._take_back()
        claimed, delivered = await self._reader.claim(), wire.entry_order(await self._reader.delivered())
        # What waits and was delivered to a group that is gone comes again: after `restore`, or when it was detached.
        self._coming = {e for e in self._ledger.standing.parked if wire.entry_order(e) > delivered}
        self._expect()
        for entry in claimed:
            self._follower.parking.recovering = entry is not claimed[-1]
            await self.take(entry, claimed=True)
        if vanished is not None:
            await self._follower.write(Change(passed=vanished))
            self._follower.move(vanished)
        if not self._holding:
            await self._all_read([])
        return len(claimed)

    async def _vanished(self) -> wire.Place | None:
        """Stop openings when facts were delivered that we have not passed, and nobody can read any more; answers the
        place beyond them, for when all that is left before it has been read.
        """
        delivered = await self._reader.delivered()
        gaps = await self._ledger.vanished(delivered)
        for gap in gaps:
            await self._removed(gap)
        return wire.Place(entry=delivered, seqs={name: last for name, _, last in gaps}) if gaps else None

    async def _take_back(self) -> None:
        known = self._ledger.standing
        taken = await self._reader.take_back(known.place.entry, known.parked)
        if not taken:
            return
        text = f"{len(taken)} entries from {taken[0]} on were acknowledged and have no end here: each is looked up"
        log.warning("%s: %s", self._name, text)
        await self._say("acknowledged", text)
        if gone := set(taken) - set(await self._reader.pending()):
            mend = f"`tradecopier restore --account {self._name}` gets back what the archive has of them"
            await self._close_only(f"{len(gone)} entries that waited are not in the stream any more; {mend}", "removed")
            # They wait no more: once it was said, a `resume` holds for the lanes that begin later too.
            await self._ledger.commit(Change(ends=[End(entry=entry) for entry in gone]), self._clock())

    async def attend(self) -> None:
        """See whether what is held can be read by now."""
        if (missing := await self._holding.attend()) is not None:
            await self._all_read(missing)

    async def rest(self) -> None:
        """There is nothing to read: see whether something was delivered that nobody follows.

        A process of ours that stood still for longer than its lease may take one more entry when it goes on, before it
        learns of that. The next fact would show that one is missing; there may be no next one for long.
        """
        if monotonic() < self._due:
            return
        self._due = monotonic() + REST_S
        if await self._reader.waiting() > len(self._ledger.standing.parked):
            await self._look_among_pending()

    async def take(self, entry: Entry, *, claimed: bool = False, looked: bool = False) -> None:
        """Take one entry; all that is logged meanwhile bears the id of its fact.

        `claimed`: it was delivered before. `looked`: what is missing before it was looked for already.
        """
        read, claimed = self._codec.fact(entry.fields), claimed or entry.id in self._reader.left_alone
        self._coming.discard(entry.id)
        self._expect()
        with correlated(read.id if isinstance(read, Fact) else entry.id):
            await self._judged(entry, read, claimed, looked)

    def _expect(self) -> None:
        self._follower.parking.held = bool(self._holding or self._coming)

    async def _judged(self, entry: Entry, read: Fact | wire.Refused, claimed: bool, looked: bool) -> None:
        match judge(read, entry.id, self._follower.place, self._sources):
            case Follow(fact, _) | PassBy(fact) if self._ledger.standing.has_ended(entry.id, fact.producer, fact.seq):
                await self._follower.write(Change(entry=entry.id, ends=[End(entry=entry.id)]))
            case Follow(fact, suspect):
                await self._require_no_end(entry, fact, claimed)
                await self._follow(entry, fact, suspect=suspect or claimed or self._old(fact))
            case PassBy(fact):
                await self._pass_or_follow(entry, fact, suspect=claimed)
            case Bury("replayed", _) if is_returned(self._codec, entry.fields):
                await self._pass(entry)
            case Bury(reason, text):
                await self._bury(entry, reason, text)
            case Hold(reason, text):
                await self._hold(entry, reason, text)
            case Missing(fact, expected):
                if not looked:
                    await self._look_among_pending(entry.id)
                gap = (fact.producer, expected, fact.seq - 1)
                missing = isinstance(judge(read, entry.id, self._follower.place, self._sources), Missing)
                if missing and not self._holding.explains(gap):
                    await self._removed(gap)
                await self._require_no_end(entry, fact, claimed)
                await self._pass_or_follow(entry, fact, suspect=claimed or self._old(fact))

    async def _require_no_end(self, entry: Entry, fact: Fact, claimed: bool) -> None:
        """What was delivered before and has no end by the account's memory has none, whatever a stranger has written of
        it. What a poll states again may have ended under an entry before: then the memory has followed as much.
        """
        known = self._ledger.standing
        passed = wire.entry_order(entry.id) <= wire.entry_order(known.place.entry)
        doubtful = self._is_news(fact) if fact.evidence == "poll" else claimed
        if doubtful and (entry.id in known.parked or not passed):
            await self._ledger.forget(Work(fact=fact.id))

    def _is_news(self, fact: Fact) -> bool:
        link = self._book().links.get(link_key(fact.source, fact.account, fact.exposure.position))
        return link is not None and link.revision < fact.exposure.revision

    def _old(self, fact: Fact) -> bool:
        """Whether a fact was, or by the clocks' uncertainty may have been, captured before the moment of suspicion."""
        return _was_captured(fact, self._suspect_before)

    async def _follow(self, entry: Entry, fact: Fact, *, suspect: bool) -> None:
        early = wire.entry_time(entry.id) <= self._began or _was_captured(fact, self._began)
        await self._follower.follow(entry.id, fact, suspect=suspect, early=early)

    async def _pass_or_follow(self, entry: Entry, fact: Fact, *, suspect: bool) -> None:
        if fact.source in self._sources:
            await self._follow(entry, fact, suspect=suspect)
        else:
            await self._follower.commit(entry.id, fact, Change(ends=[End(entry=entry.id)]))

    async def _look_among_pending(self, besides: str = "") -> None:
        """Take what another consumer of ours has taken and not followed."""
        pending = await self._reader.claim()
        known = (self._follower.parking, self._holding)
        for other in [e for e in pending if e.id != besides and not any(e.id in each for each in known)]:
            await self.take(other, claimed=True, looked=True)

    async def _hold(self, entry: Entry, reason: str, text: str) -> None:
        """Keep it pending. The first one is told; somebody may add thousands, and each is seen as pending."""
        is_first = not self._holding
        self._holding.keep(entry.id)
        if is_first:
            await self._close_only(f"entry {entry.id} is held: {text}", reason)
        else:
            log.error("%s: entry %s is held too: %s", self._name, entry.id, text)
        if entry.id not in self._ledger.standing.parked:
            await self._follower.write(Change(entry=entry.id, held=True))

    async def _take_held(self, entry: Entry) -> None:
        await self.take(entry, claimed=True)

    async def _all_read(self, missing: Collection[Gap]) -> None:
        """Nothing is held any more: let the account open again, unless facts turn out to be missing."""
        for gap in missing:
            await self._removed(gap)
        if not missing and await self._ledger.loosen():
            await self._say("readable", "all that was held has been read or resolved: openings go on")

    async def _removed(self, gap: Gap) -> None:
        producer, first, last = gap
        mend = f"`tradecopier restore --account {self._name}` gets back what the archive has of them"
        lacking = outcomes.Lacking(producer, first, last)
        await self._close_only(f"facts {first} to {last} of {producer} were removed; {mend}", "removed", lacking)

    async def _bury(self, entry: Entry, reason: str, text: str) -> None:
        log.error("%s: entry %s goes to the dead letters: %s", self._name, entry.id, text)
        await self._pass(entry, dead_letter(entry, self._name, reason, text))

    async def _pass(self, entry: Entry, dead: Mapping[bytes, bytes] = NO_DEAD_LETTER) -> None:
        """Be done with an entry that asks nothing of this account."""
        passed = wire.Place(entry=entry.id, seqs={})
        await self._follower.write(Change(entry=entry.id, ends=[End(entry=entry.id)], passed=passed, dead=dead))
        self._follower.move(passed)

    async def _close_only(self, text: str, reason: str, *lacking: outcomes.Lacking) -> None:
        log.error("%s: openings are stopped: %s", self._name, text)
        if reason in PASSING:
            await self._ledger.tighten(AccountState.CLOSE_ONLY, reason)
        else:
            await self._ledger.stop(reason)
        await self._say(reason, text, *lacking)

    async def _say(self, reason: str, text: str, *lacking: outcomes.Lacking) -> None:
        notice = outcomes.Notice(account=self._name, reason=reason, text=text, seen=self._clock(), lacking=lacking)
        await self._ledger.commit(Change(messages=[notice]), self._clock())


def _was_captured(fact: Fact, before: datetime) -> bool:
    """Whether a fact was captured by that moment, as far as its clock's uncertainty allows to say."""
    return fact.captured.timestamp() - fact.uncertainty <= before.timestamp()
