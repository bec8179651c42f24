"""Pure: what an account is not to follow, because the sources held it when the account joined, or it was given up.

`join = "new"` leaves alone what is open at the sources when the account begins; `"adopt"` opens it, each position once.
What was closed on an operator's word, or by a limit, is not opened again by itself either. All of it ends with the
position at the source.
"""

from collections.abc import Collection, Iterable

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from executor.mirrored import order_name
from executor.sight import Sight, source_of
from shared.facts import Fact

FIELD = "joined"
"""The field of the account's state in which it is kept."""


class Joined(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`left` is not to be followed, `adopt` is still to be opened: links, and orders by `mirrored.order_name`.

    `seen` are the sources of which it is known what they held when the account joined. `adopting`: what is found at
    the others is to be opened. `met` is what they held before anybody looked at them, and said afterwards.
    """

    adopting: bool = False
    seen: frozenset[str] = frozenset()
    met: frozenset[str] = frozenset()
    left: frozenset[str] = frozenset()
    adopt: frozenset[str] = frozenset()


def read(kept: str) -> Joined:
    """What is kept in the account's state; nothing for an account that has just begun."""
    return msgspec.json.decode(kept, type=Joined) if kept else Joined()


def written(joined: Joined) -> str:
    """The same as text."""
    return msgspec.json.encode(joined, order="deterministic").decode()


def looked(
    joined: Joined, sight: Sight, here: Collection[str], refused: Collection[str], *, adopts: bool = False
) -> Joined:
    """After a look at the sources; the first one comes before the account follows anything.

    `here` is what the account follows, and `refused` what it was to follow and did not: neither is from before it
    joined. `adopts`: what a source held before anybody looked at it is to be opened too.
    """
    joined = _met(joined, sight, here, adopts)
    found = {name for name in held(sight) if source_of(name) in sight.readable - joined.seen} - set(refused)
    if joined.adopting:
        joined = replace(joined, adopt=joined.adopt | found)
    else:
        joined = replace(joined, left=joined.left | found)
    joined = replace(joined, left=joined.left - set(here), adopt=joined.adopt - set(here))
    return over(replace(joined, seen=joined.seen | sight.readable | sight.blank), sight)


def _met(joined: Joined, sight: Sight, here: Collection[str], adopts: bool) -> Joined:
    there = {name for name, fact in sight.positions.items() if _was_there(fact)}
    found = there - joined.met - set(here)
    joined = replace(joined, met=joined.met | there)
    if adopts:
        return replace(joined, adopt=joined.adopt | found)
    return replace(joined, left=joined.left | found)


def _was_there(fact: Fact) -> bool:
    """Whether a fact is the first word about a position, and says that nothing has changed."""
    return fact.exposure.revision == 1 and fact.exposure.before == fact.exposure.after


def in_shadow(before: Joined, after: Joined, held_there: Collection[str]) -> Joined:
    """The same for an account that is in shadow: what is held then is never made up for, or all of it is to be adopted
    once the account is live and has therefore begun.
    """
    if before.adopting:
        return Joined(adopting=True, adopt=frozenset(held_there))
    return replace(after, left=after.left | set(held_there))


def over(joined: Joined, sight: Sight) -> Joined:
    """Without what the sources hold no more, and without sources that are not followed any more."""

    def lasts(name: str) -> bool:
        return name in there or source_of(name) not in sight.whole

    there, followed = held(sight), sight.followed
    return Joined(
        adopting=joined.adopting and not followed <= joined.seen,
        seen=joined.seen & followed,
        met=frozenset(filter(lasts, _of(followed, joined.met))),
        left=frozenset(filter(lasts, _of(followed, joined.left))),
        adopt=frozenset(filter(lasts, _of(followed, joined.adopt))),
    )


def held(sight: Sight) -> set[str]:
    """Everything that the sources hold, by name."""
    return {*sight.positions, *(order_name(key, order) for key, order in sight.orders)}


def _of(sources: Collection[str], names: Iterable[str]) -> list[str]:
    return [name for name in names if source_of(name) in sources]
