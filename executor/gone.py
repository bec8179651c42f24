"""Pure: what of ours is not on the account any more, by what the terminal shows, and a link without it.

Whether it was closed by a level, by hand, or twice by us is not said here; and a reading that lacks a position is no
proof by itself: a terminal that has just come back may list none at all.
"""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from executor.book import Book, Link
from executor.deals import not_ours
from executor.instruments import side_of, signed
from executor.mt5.api import DealEntry, DealType, TradeDeal
from executor.netting import holding_of, net_holding
from executor.readings import number

ZERO = Decimal(0)


class Gone(Struct, frozen=True):
    """`volume` lots of a position of ours are not there any more, and we do not know that we closed them."""

    link: str
    identifier: int
    volume: Decimal


def gone(book: Book) -> Iterator[Gone]:
    """Every part of a link that the account has less of than the link says."""
    if book.margin == "netting":
        for symbol in sorted({link.symbol for link in book.links.values() if link.own}):
            yield from _of_net(symbol, book)
        return
    for link in book.links.values():
        for part in link.parts:
            holding = holding_of(part, book)
            there = holding.volume if holding is not None and holding.side == part.side else ZERO
            if there < part.volume:
                yield Gone(link.key, part.identifier, part.volume - there)


def lacks(symbol: str, book: Book) -> bool:
    """Whether a netting position has less than ours: somebody has closed some of it, or it is not listed yet."""
    return book.margin == "netting" and any(_of_net(symbol, book))


def closed_by_others(lost: Gone, histories: Iterable[Sequence[TradeDeal]], book: Book) -> bool:
    """Whether a level, the broker or a person has closed it, by the deals of each position that it may have been in.

    They have to agree with what is listed now: a terminal that has just come back may list no position at all, and
    what somebody had taken of it long before would explain that.
    """
    closed = ZERO
    for deals in histories:
        if not agrees(deals, book):
            return False
        closed += sum((number(d.volume) for d in deals if d.entry != DealEntry.IN and not_ours(d)), ZERO)
    return closed >= lost.volume


def agrees(deals: Sequence[TradeDeal], book: Book) -> bool:
    """Whether the deals of a position leave what is listed of it. Of no deals nothing is left."""
    left = sum((number(d.volume) if d.type == DealType.BUY else -number(d.volume) for d in deals), ZERO)
    held = next((h for h in book.holdings.values() if any(h.identifier == d.position_id for d in deals)), None)
    return left == (signed(held.side, held.volume) if held else ZERO)


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


def _of_net(symbol: str, book: Book) -> Iterator[Gone]:
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
