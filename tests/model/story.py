"""What the trader does, as facts with totals, and the independent answer to "what should the account hold now?".

Quantities are small whole numbers, signed. `coming` was accepted by the source and is not filled yet. One link is one
source position; links with the same instrument share one order of openings.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple


class Fact(NamedTuple):
    """One fact: the position's (link's) totals before and after it, and the position's revision."""

    name: str
    link: int
    instrument: int
    revision: int
    held_before: int
    coming_before: int
    held: int
    coming: int
    again: int | None = None
    """Where the same fact stands before it: a new owner of a source states again, under its id, what it took over."""


Story = tuple[Fact, ...]


def _plain(name: str, link: int, revision: int, before: int, after: int) -> Fact:
    return Fact(name, link, 0, revision, before, 0, after, 0)


OPEN = (_plain("open 2", 0, 1, 0, 2),)
OPEN_CLOSE = (*OPEN, _plain("close", 0, 2, 2, 0))
GROWN = (_plain("open 1", 0, 1, 0, 1), _plain("add to 2", 0, 2, 1, 2))
GROWN_AGAIN = (*GROWN, _plain("add to 3", 0, 3, 2, 3))
OPEN_PART = (_plain("open 3", 0, 1, 0, 3), _plain("part-close to 2", 0, 2, 3, 2))
OPEN_PART_CLOSE = (*OPEN_PART, _plain("close", 0, 3, 2, 0))
OPEN_PART_PART = (
    _plain("open 4", 0, 1, 0, 4),
    _plain("part-close to 3", 0, 2, 4, 3),
    _plain("part-close to 2", 0, 3, 3, 2),
)
REVERSAL = (*OPEN, _plain("reverse to -2", 0, 2, 2, -2))
REVERSAL_CLOSE = (*REVERSAL, _plain("close", 0, 3, -2, 0))
TWO_LINKS = (*OPEN, _plain("open 1 elsewhere", 1, 1, 0, 1), _plain("close", 0, 2, 2, 0))
TWO_INSTRUMENTS = (*OPEN, Fact("open 1 there", 1, 1, 1, 0, 0, 1, 0), Fact("close there", 1, 1, 2, 1, 0, 0, 0))
PLACED_FILLED_CLOSED = (
    Fact("placed 2", 0, 0, 1, 0, 0, 0, 2),
    Fact("filled 2", 0, 0, 2, 0, 2, 2, 0),
    Fact("close", 0, 0, 3, 2, 0, 0, 0),
)
STATED_AGAIN = (*OPEN, OPEN[0]._replace(name="open 2, stated again", again=0))
STATED_AGAIN_PART = (
    _plain("open 3", 0, 1, 0, 3),
    _plain("open 3", 0, 1, 0, 3)._replace(name="open 3, stated again", again=0),
    _plain("part-close to 2", 0, 2, 3, 2),
)
RETOLD = (*OPEN, _plain("the polls show 2", 0, 1, 0, 2))


def identity(story: Story, entry: int) -> int:
    """The fact of an entry, by the first entry that has it: what its marks and its end go by."""
    again = story[entry].again
    return entry if again is None else again


def total(fact: Fact, act_on: str) -> int:
    """The number that is followed: held and coming with `accept`, held alone with `fill`."""
    return fact.held + (fact.coming if act_on == "accept" else 0)


def total_before(fact: Fact, act_on: str) -> int:
    """The same number as it was before the fact."""
    return fact.held_before + (fact.coming_before if act_on == "accept" else 0)


def expected(story: Story, results: Sequence[str], act_on: str, late: Collection[int] = ()) -> list[int]:
    """What the account should hold per link when the facts ended with `results`: written without the lane's code.

    A refused opening leaves a smaller part, and later exits keep the proportion. `late` are facts that were done when
    they were tried again: then the link is where its source is.
    """
    links = 1 + max(fact.link for fact in story)
    own, followed = [0] * links, [0] * links
    for fact, result in zip(story, results, strict=True):
        i, now = fact.link, total(fact, act_on)
        turned = now * followed[i] < 0
        grows = turned or abs(now) > abs(followed[i])
        if not grows:
            own[i] = own[i] * now // followed[i] if followed[i] else 0
        elif result == "filled" and fact not in [story[n] for n in late]:
            own[i] = now if turned else own[i] + now - followed[i]
        elif turned:
            own[i] = 0
        followed[i] = now
    for n in late:
        own[story[n].link] = followed[story[n].link]
    return own
