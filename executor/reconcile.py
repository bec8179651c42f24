"""Pure: what our links, the terminal and the sources say about the same positions, compared.

Each disagreement becomes a finding; `drift` puts it into words and `mending` says what would end it. Only what is
complete may be compared: a book that was read whole, and a picture of which every fact has been passed. Whether a
finding lasts, and whether something under way explains it, is for the caller to see.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from decimal import Decimal

from msgspec import Struct

from executor import present
from executor.book import Book, Link
from executor.follow import total
from executor.gone import Gone, gone
from executor.guards import guard
from executor.levels import unprotected
from executor.mirror import ahead
from executor.mirrored import OrderGone, OrderLeft, OrderMissing, orders
from executor.present import Present
from executor.reasons import Reason
from executor.settings import Account
from executor.sight import Sight
from executor.steps import Open, Opening, Protect
from executor.strays import Excess, Stray, StrayOrder, strays
from executor.trailing import trails
from shared.facts import Fact, OrderFact

ZERO = Decimal(0)
MEANT = (Reason.SYMBOL_DENIED, Reason.SIDE_DENIED)
"""Refusals that the settings ask for: what they keep out is not missing."""


class Resolve(Struct, frozen=True):
    """The source is past what was followed: `fact` is to be followed; None: it has nothing, so ours is to be closed."""

    link: str
    fact: Fact | None


class Unfollowed(Struct, frozen=True):
    """The source holds a position of which the account has nothing; `step` is how it would be opened now."""

    link: str
    step: Open
    fact: Fact


class Unprotected(Struct, frozen=True):
    """A position of ours does not have the levels that its link says; `step` sets them."""

    link: str
    step: Protect


Finding = Gone | Resolve | Unfollowed | Unprotected | Stray | Excess | StrayOrder | OrderGone | OrderLeft | OrderMissing


class Traced(Struct, frozen=True, kw_only=True):
    """What the history was asked for: see `strays.strays`."""

    ours: Mapping[int, Decimal] = {}
    openings: Mapping[int, Collection[int]] = {}


NOTHING = Traced()


def reconcile(
    book: Book, sight: Sight, account: Account, now: datetime, *, left: Collection[str] = (), traced: Traced = NOTHING
) -> tuple[Finding, ...]:
    """Everything that disagrees.

    `left` are the links, and the orders by `mirrored.order_name`, that the account was never to follow: what the
    sources held when it joined. `now` (UTC) is when an opening would be asked for.
    """
    return (
        *gone(book),
        *_resolves(book, sight, account),
        *_unfollowed(book, sight, account, left, now),
        *_unprotected(book),
        *strays(book, traced.ours, traced.openings),
        *orders(book, sight, account, left, now),
    )


def _resolves(book: Book, sight: Sight, account: Account) -> Iterator[Resolve]:
    for key, link in book.links.items():
        fact = sight.positions.get(key)
        if fact is not None:
            if _is_past(fact, link, account):
                yield Resolve(key, fact)
        elif sight.is_orphan(key):
            if link.parts:
                yield Resolve(key, None)
        elif sight.lacks(key) and (link.followed or link.tombstone or link.own != ahead(link)):
            yield Resolve(key, None)


def _is_past(fact: Fact, link: Link, account: Account) -> bool:
    """Whether the source's newest fact says more than was followed: another total, or other levels."""
    if fact.exposure.revision < link.revision or link.tombstone:
        return False
    newer = fact.exposure.revision > link.revision and not isinstance(fact, OrderFact)
    relevelled = newer and bool(link.parts) and fact.levels.over(link.levels) != link.levels
    return total(fact.exposure.after, account) != link.followed or relevelled


def _unfollowed(
    book: Book, sight: Sight, account: Account, left: Collection[str], now: datetime
) -> Iterator[Unfollowed]:
    for key, fact in sight.positions.items():
        if key in left or key in book.links or not total(fact.exposure.after, account):
            continue
        found = present.position(fact, book, account, now)
        steps = found.plan.steps if isinstance(found, Present) else ()
        for step in steps:
            if isinstance(step, Open) and not is_kept_out(step, fact, book, account):
                yield Unfollowed(key, step, fact)


def is_kept_out(step: Opening, fact: Fact, book: Book, account: Account) -> bool:
    """Whether the settings keep the account out of an opening altogether."""
    refused = guard(step, fact, book, account.limits, fact.captured, ())
    return refused is not None and refused.reason in MEANT


def _unprotected(book: Book) -> Iterator[Unprotected]:
    """A link that trails is moved by us; one that is not followed to the end has its levels stated anew."""
    for key, link in book.links.items():
        if link.parts and not trails(link):
            yield from (Unprotected(key, step) for step in unprotected(link, book))
