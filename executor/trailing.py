"""Pure: where trailing stops belong now. They follow the price in the profitable direction and never go back.

A stop trails when its source position has a trailing distance; then nobody else moves it (see `levels.pair`). What the
source's stop does meanwhile is no fact, so each account trails by its own prices.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from msgspec.structs import replace

from executor.book import Book, Holding, Link, Price, Specification
from executor.instruments import signed, to_tick
from executor.levels import protecting
from executor.steps import Protect

SHARE = Decimal("0.02")
"""A stop is moved when it gains this part of its distance (at least a tick): brokers limit how often one may ask."""


def trails(link: Link) -> bool:
    """Whether a stop of this link is ours to move."""
    return isinstance(link.levels.trailing, Decimal) and bool(link.parts)


def moves(links: Iterable[Link], book: Book) -> Iterator[Protect]:
    """A step for each position whose stop can be moved nearer to the price; its take profit stays as it is."""
    for link in links:
        for step in protecting(link, book) if trails(link) else ():
            holding = book.holdings.get(step.ticket)
            stop = _stop(link, holding, book) if holding is not None else None
            if holding is not None and stop is not None:
                name = f"trail:{holding.identifier}"
                yield replace(step, name=name, stop_loss=stop, take_profit=holding.take_profit)


def _stop(link: Link, holding: Holding, book: Book) -> Decimal | None:
    """The stop that a position should have, when that is worth asking for."""
    price, rules, distance = book.prices.get(link.symbol), book.specifications.get(link.symbol), link.levels.trailing
    if price is None or rules is None or not isinstance(distance, Decimal):
        return None
    now = _closing(price, holding)
    distance = max(distance, rules.stops_level * rules.point + rules.tick_size)
    stop = to_tick(now - signed(holding.side, distance), rules)
    if stop <= 0 or _frozen(holding, now, rules):
        return None
    had = holding.stop_loss
    least = max(rules.tick_size, distance * SHARE)
    return stop if had is None or signed(holding.side, stop - had) >= least else None


def _closing(price: Price, holding: Holding) -> Decimal:
    """What closing the position gets now."""
    return price.bid if holding.side == "buy" else price.ask


def _frozen(holding: Holding, now: Decimal, rules: Specification) -> bool:
    """Whether the price is so near to a level that the broker lets nobody touch the position."""
    level = rules.freeze_level * rules.point
    return any(each is not None and abs(now - each) <= level for each in (holding.stop_loss, holding.take_profit))
