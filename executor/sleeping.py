"""Tells which parked facts need not be looked at again yet, so that thousands of them cost next to nothing.

A fact sleeps while what it was parked for stands: its link and its debt are the same, and either the terminal has shown
nothing new about what is unknown of it, or an opening before it that it waits for has no end yet. Everything else, time
and rules of the terminal among it, makes no difference to such a fact: to plan or search it again ended here again.
"""

from collections.abc import AsyncIterator

from executor.book import Debt, Link
from executor.bookkeeping import Bookkeeper
from executor.debts import Debts
from executor.parking import TURN_S, Parked, Parking
from executor.search import Search


def standing(parked: Parked, keeper: Bookkeeper, debts: Debts) -> tuple[Link | None, Debt | None]:
    """The link and the debt of a parked fact as they are now."""
    return keeper.book.links.get(parked.attempt.link), debts.get(parked.attempt.link)


async def awake(
    parking: Parking, idle: bool, keeper: Bookkeeper, debts: Debts, search: Search
) -> AsyncIterator[Parked]:
    """Those of a turn that do not sleep; `idle`: there is nothing to read meanwhile. Raises TerminalAway."""
    if parking:
        await search.listen()
    for parked in parking.turn(TURN_S, idle=idle):
        link, debt = standing(parked, keeper, debts)
        moved = parked.stood is None or parked.stood[0] is not link or parked.stood[1] is not debt
        if moved or not await _stands(parked, link, parking, search):
            yield parked


async def _stands(parked: Parked, link: Link | None, parking: Parking, search: Search) -> bool:
    """Whether what a fact waits for is as it was when it was parked."""
    if parked.attempt.unknown:
        return not await search.has_news(parked.attempt)
    return parked.attempt.untouched and (parking.waits(parked, link) or parking.queues(parked))
