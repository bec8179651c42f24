"""Pure: stop loss and take profit from the source's prices to the account's, and the steps that set them.

Levels are absolute, or keep their distance from the source's price (`stops = "offset"`). On a netting account a
position that holds other volume than one link's keeps the levels it has: they are not ours to set.
"""

from collections.abc import Iterator
from decimal import Decimal

from msgspec import UNSET, Struct
from msgspec.structs import replace

from executor.book import Book, Holding, Link, Part, Specification
from executor.instruments import entry_price, other, side_of, to_tick
from executor.netting import alone, holding_of, net_holding
from executor.results import Done
from executor.settings import Account
from executor.steps import Open, Protect
from shared.facts import Fact, Level, Levels, Side


class Pair(Struct, frozen=True):
    """Both levels in the account's prices; None is no level."""

    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None


NO_LEVELS = Pair()


def shift_of(fact: Fact, symbol: str, side: Side, book: Book, account: Account) -> Decimal:
    """What is added to the source's levels: 0 when they are absolute, else our price less the source's price now."""
    ours = book.prices.get(symbol)
    if account.stops == "absolute" or ours is None:
        return Decimal(0)
    if fact.quote is not None:
        return (ours.bid + ours.ask - fact.quote.bid - fact.quote.ask) / 2
    entry = entry_price(ours, side)
    return entry - fact.price if fact.price is not None and entry is not None else Decimal(0)


def pair(
    levels: Levels,
    shift: Decimal,
    rules: Specification | None,
    *,
    known: Pair = NO_LEVELS,
    base: Decimal | None = None,
    side: Side = "buy",
) -> Pair:
    """The levels as account prices. `known` stands in for what was never told.

    With a trailing distance the stop is moved by us, and no fact moves it back: it is the better one of what the
    position has and what the source told. Where there is neither, it starts that far behind `base`, so that the
    position is protected at once.
    """
    stop = _converted(levels.stop_loss, shift, rules, known.stop_loss)
    if isinstance(levels.trailing, Decimal):
        stop = nearer(stop, known.stop_loss, side)
        if stop is None and base is not None:
            stop = _rounded(base - levels.trailing if side == "buy" else base + levels.trailing, rules)
    return Pair(stop, _converted(levels.take_profit, shift, rules, known.take_profit))


def nearer(one: Decimal | None, two: Decimal | None, side: Side) -> Decimal | None:
    """The stop that gives up less of a position on `side`; None is no stop."""
    stops = [stop for stop in (one, two) if stop is not None]
    if not stops:
        return None
    return max(stops) if side == "buy" else min(stops)


def protecting(link: Link, book: Book, kept: dict[int, Decimal] | None = None) -> Iterator[Protect]:
    """A step for each position of ours that stays; `kept` may tell the volume left of some, by identifier."""
    if book.margin == "netting":
        holding = net_holding(link.symbol, book)
        if link.parts and holding is not None and alone(link, book):
            yield _protect("protect", link, holding.ticket, holding, side_of(link.own), book)
        return
    for part in link.parts:
        if kept is None or kept.get(part.identifier, part.volume) > 0:
            yield _protect_part(link, part, book)


def unprotected(link: Link, book: Book) -> tuple[Protect, ...]:
    """The steps for those positions of a link that do not show its levels yet."""
    return tuple(step for step in protecting(link, book) if not _shows(step, book))


def bare(step: Open) -> Open:
    """The same opening under the same name without levels: for when MT5 refused them (10016), so nothing was opened."""
    return replace(step, stop_loss=None, take_profit=None)


def protect_after(step: Open, done: Done) -> Protect:
    """Sets the levels that `step` asked for, on the position that its bare form opened."""
    return Protect(
        name=f"protect:{step.name}",
        link=step.link,
        ticket=done.identifier or done.ticket,
        symbol=step.symbol,
        stop_loss=step.stop_loss,
        take_profit=step.take_profit,
    )


def _protect_part(link: Link, part: Part, book: Book) -> Protect:
    holding = holding_of(part, book)
    ticket = holding.ticket if holding else part.ticket
    return _protect(f"protect:{part.identifier}", link, ticket, holding, part.side, book)


def _protect(name: str, link: Link, ticket: int, holding: Holding | None, side: Side, book: Book) -> Protect:
    known = Pair(holding.stop_loss, holding.take_profit) if holding else Pair()
    base = entry_price(book.prices.get(link.symbol), other(side))
    rules = book.specifications.get(link.symbol)
    wanted = pair(link.levels, link.shift, rules, known=known, base=base, side=side)
    return Protect(
        name=name,
        link=link.key,
        ticket=ticket,
        symbol=link.symbol,
        stop_loss=wanted.stop_loss,
        take_profit=wanted.take_profit,
    )


def _shows(step: Protect, book: Book) -> bool:
    holding = book.holdings.get(step.ticket)
    return holding is None or (holding.stop_loss, holding.take_profit) == (step.stop_loss, step.take_profit)


def _converted(level: Level, shift: Decimal, rules: Specification | None, known: Decimal | None) -> Decimal | None:
    if level is UNSET:
        return known
    return None if level is None else _rounded(level + shift, rules)


def _rounded(price: Decimal, rules: Specification | None) -> Decimal | None:
    if price <= 0:
        return None
    return to_tick(price, rules) if rules else price
