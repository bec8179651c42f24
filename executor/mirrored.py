"""Pure: the resting orders of the sources and our mirrors of them, compared.

A mirror that filled is adopted by whoever watches the account; here it only counts as what it gave. The rest disagrees:
an order of ours that vanished, one whose order at the source is over, and an order of the source that has none here.
"""

from collections.abc import Collection, Iterator
from datetime import datetime
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from executor import present
from executor.book import Book, Link
from executor.instruments import signed
from executor.mirror import exhausted, given, is_resting, over
from executor.present import Present
from executor.settings import Account
from executor.sight import Sight
from executor.steps import Rest
from shared.facts import OrderFact

ZERO = Decimal(0)


class OrderGone(Struct, frozen=True):
    """Our order for the source's `order` is not there any more, has not filled, and the source's still rests."""

    link: str
    order: str


class OrderLeft(Struct, frozen=True):
    """The source's `order` is over and that was not followed; ours may still rest, or has filled for it."""

    link: str
    order: str


class OrderMissing(Struct, frozen=True):
    """An order rests at the source that has no mirror here, though this account mirrors such orders."""

    link: str
    order: str
    step: Rest
    fact: OrderFact


def orders(
    book: Book, sight: Sight, account: Account, left: Collection[str], asked: datetime
) -> Iterator[OrderGone | OrderLeft | OrderMissing]:
    """Every disagreement about orders. `left` names what the account is not to follow (see `order_name`)."""
    for key, link in book.links.items():
        for order, pending in sorted(link.pendings.items()):
            if over(pending) or sight.is_orphan(key) or sight.lacks_order(key, order):
                yield OrderLeft(key, order)
            elif not exhausted(pending) and pending.ticket not in book.restings:
                yield OrderGone(key, order)
    for (key, order), fact in sorted(sight.orders.items()):
        there = book.links.get(key)
        known = there is not None and order in there.pendings
        if not known and order_name(key, order) not in left and account.mirrors(fact.model, book.margin):
            yield from _missing(key, order, fact, book, account, asked)


def order_name(key: str, order: str) -> str:
    """The name of a source's order among what an account is not to follow."""
    return f"{key}\t{order}"


def settled(link: Link, order: str, wanted: Decimal) -> tuple[Link, Decimal]:
    """The link once it is known that a mirrored order is over, the source's total being `wanted` now, and its target.

    What ours has given counts as the source's fill, as far as the source has that much more; the rest of it is too
    much. Of what still rests nothing is wanted any more: its quantity is 0, and it is withdrawn.
    """
    pending, gained, excess = link.pendings[order], ZERO, ZERO
    if not over(pending):
        more = signed(pending.side, wanted - link.followed)
        stood_for = pending.quantity * given(pending) / pending.volume - pending.matched
        gained = max(ZERO, min(more, stood_for))
        excess = given(pending) - pending.volume * (pending.matched + gained) / pending.quantity
    kept = {o: p for o, p in link.pendings.items() if o != order}
    if not exhausted(pending):
        kept[order] = replace(pending, quantity=ZERO, matched=ZERO)
    after = replace(link, followed=link.followed + signed(pending.side, gained), pendings=kept)
    return after, link.own - signed(pending.side, max(ZERO, excess))


def stands(link: Link, order: str) -> Link:
    """The link whose mirror is over at what it has given, because it was removed here."""
    pending = link.pendings[order]
    kept = {o: p for o, p in link.pendings.items() if o != order}
    if given(pending):
        kept[order] = replace(pending, volume=given(pending))
    return replace(link, pendings=kept)


def _missing(
    key: str, order: str, fact: OrderFact, book: Book, account: Account, asked: datetime
) -> Iterator[OrderMissing]:
    if not is_resting(fact.order):
        return
    found = present.order(fact, book, account, asked)
    steps = found.plan.steps if isinstance(found, Present) else ()
    yield from (OrderMissing(key, order, step, fact) for step in steps if isinstance(step, Rest))
