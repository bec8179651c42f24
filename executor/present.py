"""Pure: what an account would do now about something that the source holds and the account does not.

An opening that was not followed when it was news is never followed as it was then: it is asked for at the size, the
prices and the levels that the source shows at present, or not at all. What comes out is a plan like any other, for the
same guards. Only its age is counted from the moment at which somebody asked for it; how far the price has run since the
source stated it still counts.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from executor.book import Book, Link, link_key
from executor.follow import follow, total
from executor.mirror import ahead, is_resting
from executor.reasons import Ignored, say
from executor.settings import Account
from executor.translate import Ignore, Plan, translate
from shared.facts import (
    Amount,
    Exposure,
    Fact,
    Levels,
    OrderEnded,
    OrderFact,
    OrderFilled,
    OrderModified,
    OrderPlaced,
    PositionOpened,
)

ZERO = Decimal(0)
NO_LEVELS = Levels()
BY_QUANTITY = ("multiplier", "equity-ratio", "balance-ratio")
"""Ways of sizing in which twice the source's quantity is twice ours; the others size each opening by itself."""


class Present(Struct, frozen=True, kw_only=True):
    """What to do now. `fact` is what guards and `settle` go by: it states the present as if it were all new."""

    fact: Fact
    plan: Plan


def position(
    newest: Fact | None, book: Book, account: Account, asked: datetime, told: Fact | None = None
) -> Present | Ignore:
    """Open what is missing of a position of the source, in its present size and with its present levels.

    `newest` is the newest fact of the position as the source's picture has it (`SourcePicture.positions`), None when it
    is not there. `book` has to know the symbol's rules and a price. `asked` (UTC) is when somebody wanted it. `told` is
    an earlier fact of the same position, which this is to answer: it gives the id, and levels and price where the
    newest one does not say them.

    A position of which nothing is ours is opened whole. Of one that is ours in part the rest is opened, where the
    account sizes by quantity; else what there is counts as its size. Nothing is ever reduced.
    """
    wanted = total(newest.exposure.after, account) if newest is not None else ZERO
    if newest is None or not wanted or (told is not None and _turned(told, wanted, account)):
        return _ignored(Ignored.NOT_SHOWN)
    link = book.links.get(link_of(newest))
    if link is not None and link.tombstone:
        return _ignored(Ignored.CLOSED_HERE)
    if link is not None and (newest.exposure.revision < link.revision or link.own * wanted < 0):
        return _ignored(Ignored.SUPERSEDED)
    fact = _as_new(newest, asked, link, told)
    followed = _stands_for(fact, link, wanted, book, account) if link is not None else ZERO
    if followed is None:
        return _ignored(Ignored.ALREADY_THERE)
    exposure = replace(fact.exposure, before=Amount(held=followed))
    return planned(replace(fact, exposure=exposure), book, account)


def planned(fact: Fact, book: Book, account: Account) -> Present | Ignore:
    """The plan of a fact that `position` or `order` has stated, anew for the account as it is by now."""
    link, before = book.links.get(link_of(fact)), total(fact.exposure.before, account)
    if link is not None:
        stands_for = replace(link, followed=before, remainder=link.remainder if before else ZERO)
        book = replace(book, links={**book.links, link.key: stands_for})
    plan = translate(fact, book, account)
    return plan if isinstance(plan, Ignore) else Present(fact=fact, plan=plan)


def link_of(fact: Fact) -> str:
    """The key of the link that a fact is about."""
    return link_key(fact.source, fact.account, fact.exposure.position)


def order(
    newest: Fact | None, book: Book, account: Account, asked: datetime, told: Fact | None = None
) -> Present | Ignore:
    """Place, or bring up to date, the mirror of a resting order with what it has still to fill at the source.

    `newest` is the newest fact of the order as the source's picture has it, None when it is not there; `told` gives the
    id. What the order has filled already is a matter of its position.
    """
    if not isinstance(newest, OrderFact) or isinstance(newest, OrderEnded) or not is_resting(newest.order):
        return _ignored(Ignored.NOT_SHOWN)
    if newest.order.filled == newest.order.quantity:
        return _ignored(Ignored.NOT_SHOWN)
    link = book.links.get(link_of(newest))
    kind = OrderModified if link is not None and newest.order.id in link.pendings else OrderPlaced
    exposure = _unchanged(newest.exposure, link)
    header = _header(newest, asked) | ({"id": told.id} if told is not None else {})
    return planned(kind(**header, order=newest.order, exposure=exposure, levels=newest.levels), book, account)


def _turned(told: Fact, wanted: Decimal, account: Account) -> bool:
    """Whether what the source holds now is on the other side of what it told then."""
    return total(told.exposure.after, account) * wanted < 0


def _stands_for(fact: Fact, link: Link, wanted: Decimal, book: Book, account: Account) -> Decimal | None:
    """The source quantity that our part of a link stands for; None when nothing is missing."""
    own = link.own - ahead(link) + link.remainder if link.parts else ZERO
    if not own:
        return ZERO
    whole = follow(fact, replace(link, followed=ZERO, parts=(), pendings={}, remainder=ZERO), book, account)
    by_quantity = account.sizing.of(link.symbol).mode in BY_QUANTITY
    if whole.denied is None and (not by_quantity or abs(own) >= abs(whole.exact)):
        return None
    return ZERO if whole.denied is not None else wanted * own / whole.exact


def _as_new(newest: Fact, asked: datetime, link: Link | None, told: Fact | None) -> PositionOpened:
    """The position as if it were opened now: nothing before it, everything after it."""
    exposure = replace(newest.exposure, before=Amount())
    known = (link.levels if link is not None else NO_LEVELS).over(_levels_of(told))
    header = _header(newest, asked) | ({"id": told.id} if told is not None else {})
    if newest.price is None and newest.quote is None and told is not None:
        header |= {"price": told.price, "quote": told.quote}
    return PositionOpened(**header, exposure=exposure, levels=_levels_of(newest).over(known))


def _levels_of(fact: Fact | None) -> Levels:
    """What a fact says of its position's levels; those of an order that has filled nothing are its own."""
    if fact is None or (isinstance(fact, OrderFact) and not isinstance(fact, OrderFilled) and is_resting(fact.order)):
        return NO_LEVELS
    return fact.levels


def _unchanged(exposure: Exposure, link: Link | None) -> Exposure:
    """An exposure that moves nothing: as the link has followed it, or as the source has it."""
    if link is None:
        return replace(exposure, before=exposure.after)
    there = Amount(held=link.followed)
    return replace(exposure, revision=max(1, link.revision), before=there, after=there)


def _header(fact: Fact, asked: datetime) -> dict[str, Any]:
    names = ("id", "source", "account", "instrument", "model", "producer", "seq", "evidence", "price", "quote")
    return {name: getattr(fact, name) for name in (*names, "contract")} | {"captured": asked}


def _ignored(reason: Ignored) -> Ignore:
    return Ignore(reason=reason, text=say(reason))
