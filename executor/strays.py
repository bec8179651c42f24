"""Pure: what stands on the account under a mark of TradeCopier and belongs to no link.

On a hedging account a position is its own: one that bears the mark of a link's and is not the link's was opened by the
same step a second time, a *double*; any other is a *stray*. On a netting account there is one position for all, and its
mark says nothing about whose volume it is: what is ours of it is counted from its own deals, the way the ledger counts.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal

from msgspec import Struct

from executor.book import Book, Holding, Link
from executor.deals import not_ours
from executor.instruments import side_of, signed
from executor.marks import is_ours
from executor.mt5.api import DealType, TradeDeal
from executor.readings import number
from shared.facts import Side

ZERO = Decimal(0)


class Stray(Struct, frozen=True, kw_only=True):
    """`volume` lots of a position that are ours by their mark and belong to no link.

    `double`: the step that opened it was done twice. `link` is the one that has the other position, if it still has it.
    """

    ticket: int
    identifier: int
    symbol: str
    side: Side
    volume: Decimal
    mark: int
    double: bool = False
    link: str = ""


class Excess(Struct, frozen=True, kw_only=True):
    """A position of a link on a hedging account has `volume` lots more than the link says."""

    link: str
    identifier: int
    symbol: str
    side: Side
    volume: Decimal


class StrayOrder(Struct, frozen=True, kw_only=True):
    """A resting order that bears our mark and mirrors nothing. `double` as above."""

    ticket: int
    symbol: str
    side: Side
    volume: Decimal
    mark: int
    double: bool = False
    link: str = ""


def strays(
    book: Book, ours: Mapping[int, Decimal], openings: Mapping[int, Collection[int]]
) -> Iterator[Stray | Excess | StrayOrder]:
    """Everything of that kind.

    `ours` are the signed lots of netting positions, by identifier, that `claimed` says are ours; a position that is
    not in it is not judged. `openings` are, by mark, the identifiers of the positions that the history shows as opened
    under it.
    """
    owners = {mark: link.key for link in book.links.values() for mark in _marks(link)}
    if book.margin == "netting":
        yield from _of_net(book, ours)
    else:
        yield from _of_positions(book, owners, openings)
    tickets = {p.ticket for link in book.links.values() for p in link.pendings.values()}
    for order in book.restings.values():
        if is_ours(order.magic) and order.ticket not in tickets:
            link = owners.get(order.magic, "")
            yield StrayOrder(
                ticket=order.ticket, symbol=order.symbol, side=order.side, volume=order.volume, mark=order.magic,
                double=bool(link), link=link,
            )  # fmt: skip


def claimed(deals: Iterable[TradeDeal]) -> Decimal:
    """Signed lots of a netting position that are ours, by all the deals that made it, in their order.

    What somebody else takes off is first of all taken off what is not ours; what is then missing is missing of ours,
    and stays so when it is bought again. That is how the ledger sees it while it happens.
    """
    own = other = ZERO
    for deal in sorted(deals, key=lambda d: (d.time_msc, d.ticket)):
        volume = number(deal.volume) if deal.type == DealType.BUY else -number(deal.volume)
        if not not_ours(deal):
            own += volume
            continue
        other += volume
        held = own + other
        if own and signed(side_of(own), other) < 0:
            own = max(ZERO, min(own, held)) if own > 0 else min(ZERO, max(own, held))
            other = held - own
    return own


def suspects(book: Book) -> list[Holding]:
    """The positions of a netting account whose deals have to be looked at: what seems somebody else's may be ours."""
    own: dict[str, Decimal] = {}
    for link in book.links.values():
        own[link.symbol] = own.get(link.symbol, ZERO) + link.own
    held = (h for h in book.holdings.values() if h.symbol in own or is_ours(h.magic))
    return [h for h in held if signed(h.side, h.volume) != own.get(h.symbol, ZERO)] if book.margin == "netting" else []


def _of_positions(
    book: Book, owners: Mapping[int, str], openings: Mapping[int, Collection[int]]
) -> Iterator[Stray | Excess]:
    parts = {part.identifier: (link, part) for link in book.links.values() for part in link.parts}
    mirrors = {p.ticket for link in book.links.values() for p in link.pendings.values()}
    for held in book.holdings.values():
        if held.identifier in mirrors:
            continue  # what a mirror gives is adopted, see `executor.mirrored`
        if held.identifier in parts:
            link, part = parts[held.identifier]
            if held.side == part.side and held.volume > part.volume:
                yield Excess(
                    link=link.key, identifier=held.identifier, symbol=held.symbol, side=held.side,
                    volume=held.volume - part.volume,
                )  # fmt: skip
        elif is_ours(held.magic):
            owner = owners.get(held.magic, "")
            again = bool(set(openings.get(held.magic, ())) - {held.identifier})
            yield _stray(held, held.volume, double=bool(owner) or again, link=owner)


def _of_net(book: Book, ours: Mapping[int, Decimal]) -> Iterator[Stray]:
    for held in suspects(book):
        links = [link for link in book.links.values() if link.symbol == held.symbol and link.own]
        known, there = sum((link.own for link in links), ZERO), signed(held.side, held.volume)
        more, foreign = ours.get(held.identifier, known) - known, there - known
        volume = min(abs(more), abs(foreign), held.volume)
        if volume and more * foreign > 0 and more * there > 0:
            owner = next((link.key for link in links if link.own * more > 0), "")
            yield _stray(held, volume, double=bool(owner), link=owner)


def _stray(held: Holding, volume: Decimal, *, double: bool, link: str) -> Stray:
    return Stray(
        ticket=held.ticket, identifier=held.identifier, symbol=held.symbol, side=held.side, volume=volume,
        mark=held.magic, double=double, link=link,
    )  # fmt: skip


def _marks(link: Link) -> Iterator[int]:
    yield from (part.mark for part in link.parts)
    yield from (pending.mark for pending in link.pendings.values())
