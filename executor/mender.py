"""Ends disagreements: by debts and links in one commit, or by asking for an opening like an operator does.

Only what was certain, is still there at this moment, and has nothing under way is touched. Each thing that is done is
told as a notice.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from executor import present
from executor.asked import Desk, Mend, Replay
from executor.bookkeeping import Bookkeeper
from executor.change import Change, End, Work
from executor.drift import Found
from executor.follower import Follower
from executor.mending import REASON, ToOpen, mending
from executor.mirrored import order_name
from executor.reconcile import Finding
from executor.settings import Account
from executor.sight import Sight, source_of
from executor.sights import Sights
from executor.translate import Ignore
from shared.facts import Fact
from shared.outcomes import Notice

log = logging.getLogger(__name__)


class Answered(Struct, frozen=True):
    """What came of asking for an opening: `why` not, empty when it is asked for, and whether it may be had `later`."""

    why: str = ""
    later: bool = False


ASKED = Answered()
ANSWERS: Mapping[str, Answered] = {
    "there": Answered("it is asked for already"),
    "idle": Answered("nobody works for the account", later=True),
    "ended": Answered("that attempt has ended before"),
    "effect": Answered("its last attempt had an effect, or is not over"),
}


class Mender:
    """Mends one account under one lease. `asked` is what an operator wants mended, for whoever looks next."""

    def __init__(
        self,
        name: str,
        account: Account,
        desk: Desk,
        sights: Sights,
        keeper: Bookkeeper,
        follower: Follower,
        clock: Callable[[], datetime],
    ) -> None:
        self.asked: Mend | None = None
        self._name = name
        self._account = account
        self._desk = desk
        self._sights = sights
        self._keeper = keeper
        self._follower = follower
        self._clock = clock

    async def take(self, request: Mend) -> str | None:
        """Take a request up; returns why it cannot be done at all."""
        if not self._account.live:
            return "the account is in shadow: nothing would be sent"
        self.asked = request
        return None

    async def answered(self, request: Mend) -> None:
        """Take away a request that was looked after, whatever came of it."""
        self.asked = None
        await self._follower.write(Change(ends=[End()], requests=[request.field]))

    async def mend(self, found: Found, finding: Finding, sight: Sight) -> bool:
        """Mend one disagreement; whether something is under way now."""
        now = self._clock()
        way = mending(finding, self._keeper.book, sight, self._account, now)
        if isinstance(way, ToOpen):
            why = (await self.open(way, sight)).why
            await self._tell(f"{found.line}: {why or 'to be opened as the source shows it'}")
            return not why
        await self._follower.write(
            Change(messages=[self._notice(f"{found.line}: {found.remedy}")], links=way.links, debts=way.debts)
        )
        return True

    async def open(self, what: ToOpen, sight: Sight) -> Answered:
        """Ask for an opening, of a position or a resting order, as the source shows it."""
        now, source = self._clock(), source_of(what.link)
        fact = sight.orders.get((what.link, what.order)) if what.order else sight.positions.get(what.link)
        if fact is None:
            return Answered("the source does not show it any more")
        if not await self._sights.is_fresh(source, now):
            return Answered(
                f"nobody has looked at {source} for a while: nothing is opened by what it showed then", True
            )
        form = present.order if what.order else present.position
        found = form(fact, self._keeper.book, self._account, now)
        if isinstance(found, Ignore):
            return Answered(found.text)
        opening = replace(found.fact, captured=fact.captured)
        return ANSWERS.get(await self._desk.ask(await self._request(opening, what, now)), ASKED)

    async def _request(self, opening: Fact, what: ToOpen, now: datetime) -> Replay:
        """The opening in the form in which an operator asks for one. Its entry is no real one, and before them all."""
        attempt = 1
        while (await self._desk.ends([Work(fact=opening.id, attempt=attempt)]))[0]:
            attempt += 1
        signed = {name: value.decode() for name, value in self._desk.codec.entry("orders", opening).items()}
        entry = f"0-{int(now.timestamp() * 1e6)}"
        return Replay(
            fact=opening.id, entry=entry, attempt=attempt, asked=now, adopt=True,
            m=signed[b"m"], k=signed[b"k"], s=signed[b"s"],
        )  # fmt: skip

    async def _tell(self, text: str) -> None:
        await self._follower.write(Change(messages=[self._notice(text)]))

    def _notice(self, text: str) -> Notice:
        log.warning("%s: mending: %s", self._name, text)
        return Notice(account=self._name, reason=REASON, text=text, seen=self._clock())


def name_of(what: ToOpen) -> str:
    """What an opening is called among what an account has to adopt."""
    return order_name(what.link, what.order) if what.order else what.link


def named(name: str) -> ToOpen:
    """The opening that is called so."""
    link, _, order = name.partition("\t")
    return ToOpen(link, order)
