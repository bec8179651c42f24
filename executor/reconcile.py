"""Pure: what our links, the terminal and the source say about the same positions, compared.

Each disagreement becomes a finding that names the remedy: a fill of a mirror to adopt, a position of ours that is gone
(closed by hand or by a level: it stays closed), a position whose source has moved on, an order under our mark that
nobody here sent, and the rest as drift for the operator. Finding nothing is not the same as not having looked: the
book and the picture must be complete readings.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from executor.book import Book, Link, Part, Pending, link_key
from executor.follow import total
from executor.instruments import side_of, signed
from executor.marks import is_ours
from executor.mirror import exhausted
from executor.netting import holding_of, net_holding
from executor.settings import Account
from executor.steps import Open
from executor.translate import Plan, translate
from shared.facts import Amount, Fact

ZERO = Decimal(0)


class Adopt(Struct, frozen=True):
    """The mirror of `order` has given `filled` lots in all, as the position `identifier`: see `parts.adopt_fill`."""

    link: str
    order: str
    filled: Decimal
    identifier: int


class Gone(Struct, frozen=True):
    """`volume` lots of a position of ours are not there any more, and we did not close them: see `without`."""

    link: str
    identifier: int
    volume: Decimal


class Resolve(Struct, frozen=True):
    """The source is past what was followed: `fact` is to be followed; None: it has closed, so ours is to be closed."""

    link: str
    fact: Fact | None


class Stray(Struct, frozen=True):
    """A position or order under a mark of TradeCopier that belongs to no link: another copier, or a lost outcome."""

    ticket: int
    symbol: str
    mark: int


class Drift(Struct, frozen=True):
    """A disagreement without a remedy of ours. `expected` and `actual` are signed lots."""

    position: str
    symbol: str
    expected: Decimal
    actual: Decimal
    text: str


Finding = Adopt | Gone | Resolve | Stray | Drift


def reconcile(
    book: Book, picture: Iterable[Fact], account: Account, fills: Mapping[int, Decimal], sent: Collection[int]
) -> tuple[Finding, ...]:
    """Everything that disagrees, remedies first.

    `picture` has the newest fact of every position that the account's sources hold. `fills` are the lots that the
    history's deals give per order ticket. `sent` are the marks of what this lane has under way.
    """
    living = {link_key(f.source, f.account, f.exposure.position): f for f in picture}
    adopts = [adopt for link in book.links.values() for adopt in _adopts(link, book, fills)]
    filled = {(a.link, a.order) for a in adopts}
    return (
        *adopts,
        *_gone(book),
        *_resolves(book, living, account),
        *_strays(book, sent),
        *_vanished_orders(book, filled),
        *_not_followed(book, living, account),
    )


def without(link: Link, gone: Gone) -> Link:
    """The link without what is gone. When nothing is left of it while the source still has it, it stays closed."""
    parts, volume = [], gone.volume
    for part in link.parts:
        taken = min(volume, part.volume) if part.identifier == gone.identifier else ZERO
        volume -= taken
        if part.volume > taken:
            parts.append(replace(part, volume=part.volume - taken))
    closed = not parts and link.followed != 0
    return replace(link, parts=tuple(parts), tombstone=closed, remainder=ZERO if closed else link.remainder)


def _adopts(link: Link, book: Book, fills: Mapping[int, Decimal]) -> Iterator[Adopt]:
    for order, pending in sorted(link.pendings.items()):
        filled = max(_filled(link, pending, book), fills.get(pending.ticket, ZERO))
        if filled > pending.filled:
            shared = net_holding(link.symbol, book) if book.margin == "netting" else None
            yield Adopt(link.key, order, filled, shared.identifier if shared else pending.ticket)


def _filled(link: Link, pending: Pending, book: Book) -> Decimal:
    """What a mirror has given, as far as positions and orders show it."""
    resting, placed = book.restings.get(pending.ticket), pending.volume - pending.carried
    if resting is not None:
        return max(ZERO, placed - resting.volume)
    own = next((p.volume for p in link.parts if p.identifier == pending.ticket), ZERO)
    position = next((h for h in book.holdings.values() if h.identifier == pending.ticket), None)
    if book.margin == "netting" or position is None:
        return ZERO
    return pending.filled + max(ZERO, position.volume - own)


def _gone(book: Book) -> Iterator[Gone]:
    if book.margin == "netting":
        for symbol in sorted({link.symbol for link in book.links.values() if link.own}):
            yield from _gone_of_net(symbol, book)
        return
    for link in book.links.values():
        for part in link.parts:
            holding = holding_of(part, book)
            there = holding.volume if holding is not None and holding.side == part.side else ZERO
            if there < part.volume:
                yield Gone(link.key, part.identifier, part.volume - there)


def _gone_of_net(symbol: str, book: Book) -> Iterator[Gone]:
    """What a netting position lacks of ours, taken from the oldest link of its side."""
    links = [link for link in book.links.values() if link.symbol == symbol]
    claimed = sum((link.own for link in links), ZERO)
    holding = net_holding(symbol, book)
    held = signed(holding.side, holding.volume) if holding else ZERO
    if not claimed:
        return
    side = side_of(claimed)
    lacking = signed(side, claimed) - max(ZERO, signed(side, held))
    for key, part in ((link.key, part) for link in links for part in link.parts if part.side == side):
        if lacking > 0:
            yield Gone(key, part.identifier, min(lacking, part.volume))
            lacking -= part.volume


def _resolves(book: Book, living: Mapping[str, Fact], account: Account) -> Iterator[Resolve]:
    for key, link in book.links.items():
        fact = living.get(key)
        if fact is None:
            if link.parts or link.pendings or link.tombstone:
                yield Resolve(key, None)
        elif fact.exposure.revision >= link.revision and total(fact.exposure.after, account) != link.followed:
            yield Resolve(key, fact)


def _strays(book: Book, sent: Collection[int]) -> Iterator[Stray]:
    known = {m for link in book.links.values() for m in _marks(link)} | set(sent)
    for holding in book.holdings.values():
        if is_ours(holding.magic) and holding.magic not in known:
            yield Stray(holding.ticket, holding.symbol, holding.magic)
    for resting in book.restings.values():
        if is_ours(resting.magic) and resting.magic not in known:
            yield Stray(resting.ticket, resting.symbol, resting.magic)


def _marks(link: Link) -> Iterator[int]:
    marked: Iterable[Part | Pending] = (*link.parts, *link.pendings.values())
    return (x.mark for x in marked)


def _vanished_orders(book: Book, filled: Collection[tuple[str, str]]) -> Iterator[Drift]:
    for key, link in book.links.items():
        for order, pending in sorted(link.pendings.items()):
            there = pending.ticket in book.restings or exhausted(pending) or (key, order) in filled
            if not there:
                lots = signed(pending.side, pending.volume - pending.filled)
                yield Drift(key, link.symbol, lots, ZERO, f"our resting order {pending.ticket} is not there any more")


def _not_followed(book: Book, living: Mapping[str, Fact], account: Account) -> Iterator[Drift]:
    """What the source holds and this account does not: joined later, denied, or opened while nobody looked."""
    for key, fact in living.items():
        if key in book.links or not total(fact.exposure.after, account):
            continue
        anew = replace(fact, exposure=replace(fact.exposure, before=Amount()))
        plan = translate(anew, book, account)
        opens = [s for s in plan.steps if isinstance(s, Open)] if isinstance(plan, Plan) else []
        if opens:
            lots = signed(opens[0].side, opens[0].volume)
            yield Drift(key, opens[0].symbol, lots, ZERO, "the source holds it and this account has not followed it")
