"""Finds out what became of a step that may have been sent, before anything is decided about it.

Openings are searched by their mark. Exits on a hedging account go by what the position still has, levels and orders by
what they are: both are read from the terminal at this moment and owe nothing to our memory.
"""

from decimal import Decimal
from time import monotonic

from executor import marks
from executor.attempt import Attempt, Grace
from executor.bookkeeping import Bookkeeper
from executor.instruments import signed
from executor.mt5.api import DealType
from executor.mt5.terminal import Terminal
from executor.readings import number
from executor.reasons import Obstacle
from executor.requests import as_asked
from executor.results import Already, Done, Owed, Rejected, Result
from executor.steps import Close, Marked, Move, Open, Protect, Reduce, Rest, Step, Withdraw

LOOKS = 100
"""How often at most a grace is looked through: the whole history is read at each look, and exits do not wait for it."""
REST = 5
"""After a look that took long, so many times as long passes before the next one."""


class Search:
    """Searches one account. Raises TerminalAway when the terminal gives no answer."""

    def __init__(self, terminal: Terminal, keeper: Bookkeeper) -> None:
        self._terminal = terminal
        self._keeper = keeper

    async def search(self, attempt: Attempt, step: Step) -> Result | None:
        """What became of a step. None: nobody knows (it stays among the attempt's unknown), or it was not done."""
        attempt.unknown.add(step.name)
        match step:
            case Open() | Rest():
                return await self._by_mark(attempt, step)
            case Reduce() if self._keeper.book.margin == "netting":
                return await self._by_mark(attempt, step)
            case Reduce():
                return await self.there(attempt, step) or await self._absent(attempt, step)
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
            return await self._marked(attempt, step) or await self._by_somebody(step)
        return await self.withdrawn(step, Already()) if isinstance(step, Withdraw) else Already()

    async def withdrawn(self, step: Withdraw, result: Result) -> Result:
        """An order that is gone may have filled instead; then what was to follow its removal must not be done."""
        pending = self._keeper.book.links[step.link].pendings.get(step.order)
        filled = await self._keeper.filled(step.ticket)
        return Rejected(0, Obstacle.CHANGED) if pending is None or filled > pending.filled else result

    async def _by_mark(self, attempt: Attempt, step: Marked) -> Result | None:
        began = monotonic()
        if began < attempt.look_again.get(step.name, 0.0):
            return None
        found = await self._find(attempt, step)
        result = _result(step, found) if found is not None else await self._absent(attempt, step)
        attempt.look_again[step.name] = _next_look(attempt.grace, began, monotonic())
        return result

    async def _marked(self, attempt: Attempt, step: Close | Reduce) -> Result | None:
        """The deal by which an exit of ours was done; None when somebody else did it."""
        found = await self._find(attempt, step)
        return _result(step, found) if found is not None else None

    async def _by_somebody(self, step: Close | Reduce) -> Result:
        """The history has to agree: a terminal that has just come back may list no position at all."""
        deals = await self._keeper.deals_of_position(step.ticket)
        bought = sum((number(d.volume) if d.type == DealType.BUY else -number(d.volume) for d in deals), Decimal(0))
        held = self._keeper.book.holdings.get(step.ticket)
        there = signed(held.side, held.volume) if held else Decimal(0)
        return Already() if deals and bought == there else Owed(Obstacle.NO_ANSWER)

    async def _find(self, attempt: Attempt, step: Marked | Close) -> marks.Found | None:
        ours = marks.candidates(self._keeper.book.identity, attempt.meaning, step.name)
        return marks.find(ours, step, await self._keeper.traces())

    async def _absent(self, attempt: Attempt, step: Marked) -> Result | None:
        """Believe that a step was not done when nothing of it has shown for a whole grace."""
        if not await self._keeper.connected():
            attempt.grace.began = None
        elif attempt.grace.over(monotonic(), self._terminal.generation):
            await self._keeper.reread()
            attempt.unknown.discard(step.name)
            attempt.absent.add(step.name)
            return None
        return Owed(Obstacle.NO_ANSWER) if isinstance(step, Reduce) and attempt.fact is not None else None


def _next_look(grace: Grace, began: float, ended: float) -> float:
    """When to look again after a look that took from `began` to `ended`; the end of the grace is not slept through."""
    due = ended + max(grace.seconds / LOOKS, REST * (ended - began))
    over = grace.began + grace.seconds if grace.began is not None else 0.0
    return min(due, over) if over > ended else due


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
