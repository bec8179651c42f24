"""Finds out what became of a step that may have been sent, before anything is decided about it.

Openings are searched by their mark. Exits on a hedging account go by what the position still has, levels and orders by
what they are: both are read from the terminal at this moment and owe nothing to our memory. That a step was not done is
believed by a reading alone that began after a whole grace, in which nothing of it was sent and the link never lost. For
all that may have been sent before the lane began that is one grace, and one reading: it is said once what that shows.
"""

from time import monotonic

from executor import marks
from executor.attempt import Attempt, Grace
from executor.bookkeeping import Bookkeeper
from executor.gone import agrees
from executor.instruments import signed
from executor.looks import Look, Looks
from executor.netting import CROSS, crosses, foreign
from executor.reasons import Obstacle
from executor.requests import as_asked
from executor.results import Already, Done, Owed, Rejected, Result
from executor.steps import Close, Marked, Move, Open, Protect, Reduce, Rest, Step, Withdraw

OPENINGS = ("open", "rest")
"""The names of the steps by which a fact opens something."""


class Search:
    """Searches one account. Raises TerminalAway when the terminal gives no answer."""

    def __init__(self, keeper: Bookkeeper) -> None:
        self._keeper = keeper
        self._looks = Looks(keeper)

    def begin(self, seconds: float) -> None:
        """A lane begins: what may have been sent before it has a grace of so many seconds from now on."""
        self._looks.begin(seconds)

    def grace(self, meaning: str) -> Grace | None:
        """The grace of all that was sent before the lane began; None when it does not count for what is meant."""
        before = self._looks.before
        return before.grace if before is not None and before.covers(meaning) else None

    def over(self) -> None:
        """Nothing is left that may have been sent before the lane began."""
        self._looks.before = None

    def sending(self, attempt: Attempt) -> None:
        """Something of an attempt is about to be sent: what was read before says nothing about it."""
        if self._is_from_before(attempt):
            attempt.grace = Grace(attempt.grace.seconds)
        attempt.grace.stop()
        self._looks.sending(attempt.meaning)

    async def shows(self, meaning: str) -> bool:
        """Whether a reading since the lane began shows anything that a fact so meant has made, or taken off a position.

        An exit of a hedging account is found by what its position has left, so it needs no mark.
        """
        look, book = await self._looks.any(), self._keeper.book
        names = OPENINGS if book.margin == "hedging" else (*OPENINGS, CROSS, "reduce")
        return any(look.shows(marks.candidates(book.identity, meaning, name)) for name in names)

    async def finds(self, attempt: Attempt) -> bool:
        """Whether a reading since the lane began shows what an attempt that may have been made before has opened."""
        opened = [step for step in attempt.steps if isinstance(step, Open | Rest) and step.name in OPENINGS]
        sought = [step for step in opened if attempt.maybe_sent(step)]
        look = await self._looks.any() if sought else None
        return look is not None and any(self._find(attempt, step, look) for step in sought)

    async def listen(self) -> None:
        """Notice whether the terminal has its link, for what waits for a grace."""
        if self._looks.before is not None:
            await self._run(self._looks.before.grace)
        else:
            await self._looks.connected()

    async def has_news(self, attempt: Attempt) -> bool:
        """Whether a search may say something about what is unknown of an attempt that it did not say before."""
        steps = [step for step in attempt.steps if step.name in attempt.unknown]
        if self._proven(attempt) is not None or not all(isinstance(step, Open | Rest) for step in steps):
            return True
        await self._run(attempt.grace)
        look = await self._looks.look(attempt.meaning, attempt.grace)
        if look is None or look is attempt.seen:
            return False
        if attempt.grace.outlasted(look.began, self._keeper.breaks):
            return True
        if any(look.shows(self._marks(attempt, step.name)) for step in steps):
            return True
        attempt.seen = look
        return False

    async def search(self, attempt: Attempt, step: Step) -> Result | None:
        """What became of a step. None: nobody knows (it stays among the attempt's unknown), or it was not done."""
        attempt.unknown.add(step.name)
        match step:
            case Open() | Rest():
                return await self._by_mark(attempt, step)
            case Reduce() if self._keeper.book.margin == "netting":
                return await self._by_mark(attempt, step)
            case Reduce():
                await self._run(attempt.grace)
                began = monotonic()
                return await self.there(attempt, step) or await self._absent(attempt, step, began)
            case Close() | Protect() | Move() | Withdraw():
                there = await self.there(attempt, step)
                attempt.unknown.discard(step.name)
                return there

    async def there(self, attempt: Attempt, step: Step) -> Result | None:
        """The result of a step that the account shows as done at this moment, else None."""
        await self._keeper.reread()
        if not as_asked(step, self._keeper.book):
            return None
        if isinstance(step, Close | Reduce):
            return await self._closed(attempt, step)
        return await self.withdrawn(step, Already()) if isinstance(step, Withdraw) else Already()

    async def withdrawn(self, step: Withdraw, result: Result) -> Result:
        """An order that is gone may have filled instead; then what was to follow its removal must not be done."""
        pending = self._keeper.book.links[step.link].pendings.get(step.order)
        filled = await self._keeper.filled(step.ticket)
        return Rejected(0, Obstacle.CHANGED) if pending is None or filled > pending.filled else result

    async def _by_mark(self, attempt: Attempt, step: Marked) -> Result | None:
        proven = self._proven(attempt)
        if proven is not None and self._find(attempt, step, proven) is None:
            _believe(attempt, step)
            return None
        await self._run(attempt.grace)
        look = await self._looks.look(attempt.meaning, attempt.grace, at_once=_is_exit(attempt, step))
        if look is None:
            return None
        found = self._find(attempt, step, look)
        attempt.seen = look
        return _result(step, found) if found is not None else await self._not_shown(attempt, step, look)

    def _is_from_before(self, attempt: Attempt) -> bool:
        return self._looks.before is not None and attempt.grace is self._looks.before.grace

    def _proven(self, attempt: Attempt) -> Look | None:
        """The reading that decides about an attempt, if it was made and nothing that is meant so was sent since."""
        before = self._looks.before
        covered = before is not None and attempt.grace is before.grace and before.covers(attempt.meaning)
        return before.proven if before is not None and covered else None

    async def _not_shown(self, attempt: Attempt, step: Marked, look: Look) -> Result | None:
        """What follows from a reading that shows nothing of a step. One that decides does so for all from before."""
        result = await self._absent(attempt, step, look.began)
        before = self._looks.before
        if step.name in attempt.absent and before is not None and attempt.grace is before.grace:
            before.proven = look
        return result

    async def _run(self, grace: Grace) -> None:
        """Let a grace run for as long as the terminal has its link."""
        if await self._looks.connected():
            grace.run(monotonic(), self._keeper.breaks)
        else:
            grace.stop()

    def _find(self, attempt: Attempt, step: Marked | Close, look: Look) -> marks.Found | None:
        ours = self._marks(attempt, step.name)
        return marks.find(ours, step, look.bearing(ours)) if look.shows(ours) else None

    def _marks(self, attempt: Attempt, name: str) -> tuple[int, ...]:
        if name not in attempt.marks:
            attempt.marks[name] = marks.candidates(self._keeper.book.identity, attempt.meaning, name)
        return attempt.marks[name]

    async def _closed(self, attempt: Attempt, step: Close | Reduce) -> Result:
        """The deal by which an exit of ours was done, or that somebody else did it.

        The history has to agree: a terminal that has just come back may list no position at all.
        """
        deals = await self._keeper.deals_of_position(await self._position(step))
        own = Look(marks.Traces(positions=(), orders=(), history_orders=(), deals=deals), 0.0, 0.0, 0)
        if (found := self._find(attempt, step, own)) is None and (attempt.contested or self._stands(step)):
            return Owed(Obstacle.CHANGED)
        if found is None and deals and agrees(deals, self._keeper.book):
            return Already()
        found = found or self._find(attempt, step, await self._looks.read())
        result = _result(step, found) if found is not None else None
        return result if isinstance(result, Done) else Owed(Obstacle.NO_ANSWER)

    async def _position(self, step: Close | Reduce) -> int:
        """The identifier of the position that an exit works on; on a netting account that of the symbol's last deal."""
        if self._keeper.book.margin == "hedging":
            return step.ticket
        deals = [d for d in await self._keeper.deals() if d.symbol == step.symbol]
        return max(deals, key=lambda d: d.ticket).position_id if deals else step.ticket

    def _stands(self, step: Close | Reduce) -> bool:
        """Whether nothing of ours is missing from a netting position: other links of ours stand against this one."""
        book = self._keeper.book
        link = book.links.get(step.link) if book.margin == "netting" else None
        return link is not None and signed(step.side, foreign(link, book)) >= 0

    async def _absent(self, attempt: Attempt, step: Marked, began: float) -> Result | None:
        """Believe that a step was not done when a reading that began then was after the whole grace."""
        keeper, grace = self._keeper, attempt.grace
        if grace.outlasted(began, keeper.breaks) and await keeper.connected():
            await keeper.reread()
            if grace.outlasted(began, keeper.breaks):
                _believe(attempt, step)
                return None
        return Owed(Obstacle.NO_ANSWER) if _is_exit(attempt, step) else None


def _believe(attempt: Attempt, step: Step) -> None:
    """Take it that a step was not done."""
    attempt.unknown.discard(step.name)
    attempt.absent.add(step.name)


def _is_exit(attempt: Attempt, step: Marked) -> bool:
    """Whether a step is an exit that a fact asks for: what nobody knows of it is owed, and does not wait."""
    return (isinstance(step, Reduce) or crosses(step)) and attempt.fact is not None


def _result(step: Marked | Close, found: marks.Found) -> Result | None:
    if found.state == "ended" and not found.volume:
        return Rejected(0, Obstacle.REFUSED, "its order ended without a fill")
    if found.state == "working" and not isinstance(step, Rest):
        return None
    return Done(
        ticket=found.ticket,
        identifier=found.identifier or found.ticket,
        deal=found.deal or 0,
        volume=step.volume if found.state == "working" else found.volume,
        price=found.price,
        mark=found.mark,
    )
