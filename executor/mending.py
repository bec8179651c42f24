"""Pure: what would end a disagreement, as links to remember and debts to pay.

A debt goes through the same search, fence and commit as every exit, and is paid however often the process dies before.
What closes belongs to a link: a position under our mark that has none gets one for as long as that takes. Positions
that bear no mark of ours are never part of any. What has to be opened is only named here: it is asked for anew, under
the guards of any opening.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from executor import present
from executor.book import Book, Debt, Link, Part, Pending, link_key
from executor.follow import total
from executor.gone import Gone, without
from executor.mirror import ahead, over
from executor.mirrored import OrderGone, OrderLeft, OrderMissing, settled, stands
from executor.parts import joined
from executor.reconcile import Finding, Resolve, Unfollowed, Unprotected
from executor.settings import Account
from executor.sight import Sight
from executor.strays import Excess, Stray, StrayOrder
from executor.translate import Plan, translate
from shared.facts import Fact, Levels

ZERO = Decimal(0)
REASON = "reconcile"


class Mending(Struct, frozen=True, kw_only=True):
    """What a commit has to write; a link of None is forgotten."""

    links: Mapping[str, Link | None] = {}
    debts: Mapping[str, Debt] = {}


class ToOpen(Struct, frozen=True):
    """The position of `link`, or the resting order `order` of it, is to be opened as the source shows it."""

    link: str
    order: str = ""


def mending(finding: Finding, book: Book, sight: Sight, account: Account, now: datetime) -> Mending | ToOpen:
    """What ends a finding. `now` (UTC) is when it was decided."""
    match finding:
        case Unfollowed(key):
            return ToOpen(key)
        case OrderMissing(key, order):
            return ToOpen(key, order)
        case Resolve(key, fact):
            link = book.links[key]
            return _closed(link, sight, now) if fact is None else _caught_up(fact, link, book, account, now)
        case OrderLeft(key, order):
            return _order_over(key, order, book, sight, account, now)
        case _:
            return _of_account(finding, book, now)


def _of_account(
    finding: Gone | Excess | Unprotected | Stray | StrayOrder | OrderGone, book: Book, now: datetime
) -> Mending:
    """What ends a finding that is seen without the source."""
    match finding:
        case Gone(key) as lost:
            return _forgotten(without(book.links[key], lost))
        case Excess(link=key):
            return _too_much(finding, book.links[key], now)
        case Unprotected(key):
            link = book.links[key]
            return _owing(link, link.own, now)
        case Stray() | StrayOrder():
            return _away(finding, now)
        case OrderGone(key, order):
            return _forgotten(stands(book.links[key], order))
        case _:
            assert_never(finding)


def key_of_stray(ticket: int) -> str:
    """The key of the link that something has only until it is closed."""
    return link_key("stray", "", str(ticket))


def _owing(link: Link, target: Decimal, now: datetime) -> Mending:
    """The link brought to `target`, with its levels as they should be and its orders that are over removed."""
    meaning = f"{REASON}\n{link.key}\n{link.revision}\n{now.isoformat()}"
    debt = Debt(
        link=link.key, fact="", entry="", target=target, since=now, captured=now, meaning=meaning, reason=REASON
    )
    return Mending(links={link.key: link}, debts={link.key: debt})


def _forgotten(link: Link) -> Mending:
    return Mending(links={link.key: None if link.over else link})


def _too_much(excess: Excess, link: Link, now: datetime) -> Mending:
    side, known = excess.side, link.own
    more = Part(ticket=excess.identifier, identifier=excess.identifier, volume=excess.volume, side=side)
    return _owing(replace(link, parts=joined(link.parts, more)), known, now)


def _closed(link: Link, sight: Sight, now: datetime) -> Mending:
    """What the source has closed. Orders that still rest there keep their mirrors, and what these gave ahead."""
    orphan = sight.is_orphan(link.key)
    if orphan:
        link = replace(link, pendings={o: replace(p, quantity=ZERO) for o, p in link.pendings.items()})
    after = replace(link, followed=ZERO, tombstone=False, remainder=ZERO, levels=Levels())
    if not link.parts and not any(over(p) for p in link.pendings.values()):
        return _forgotten(after)
    return _owing(after, ZERO if orphan else _same_side(ahead(link), link.own), now)


def _same_side(target: Decimal, own: Decimal) -> Decimal:
    """A target that only reduces."""
    if target * own <= 0:
        return ZERO
    return min(target, own) if own > 0 else max(target, own)


def _caught_up(fact: Fact, link: Link, book: Book, account: Account, now: datetime) -> Mending | ToOpen:
    """The source's newest fact as far as it closes; what it opens follows when that is done."""
    after = total(fact.exposure.after, account)
    if link.followed * after < 0:
        flat = replace(link, followed=ZERO, remainder=ZERO, levels=Levels())
        return _owing(flat, ZERO, now) if link.parts else _forgotten(flat)
    plan = translate(fact, book, account)
    if not isinstance(plan, Plan):
        return _forgotten(plan.link or replace(link, followed=after, revision=fact.exposure.revision))
    if abs(after) > abs(link.followed):
        found = present.position(fact, book, account, now)
        known = replace(link, followed=after, revision=fact.exposure.revision)
        return ToOpen(link.key) if isinstance(found, present.Present) else _forgotten(known)
    return _owing(replace(plan.link, parts=link.parts), link.own if plan.reduced is None else plan.reduced, now)


def _away(stray: Stray | StrayOrder, now: datetime) -> Mending:
    link = Link(key=key_of_stray(stray.ticket), instrument="", symbol=stray.symbol)
    if isinstance(stray, Stray):
        part = Part(
            ticket=stray.ticket, identifier=stray.identifier, volume=stray.volume, side=stray.side, mark=stray.mark
        )
        return _owing(replace(link, parts=(part,)), ZERO, now)
    order = Pending(
        ticket=stray.ticket, type="limit", side=stray.side, volume=stray.volume, price=ZERO, mark=stray.mark
    )
    return _owing(replace(link, pendings={str(stray.ticket): order}), ZERO, now)


def _order_over(key: str, order: str, book: Book, sight: Sight, account: Account, now: datetime) -> Mending:
    fact, link = sight.positions.get(key), book.links[key]
    wanted = total(fact.exposure.after, account) if fact is not None else ZERO
    after, target = settled(link, order, wanted)
    if order not in after.pendings and target == link.own:
        return _forgotten(after)
    return _owing(after, target, now)
