"""Pure: bringing our part of an account down to a target, on hedging and netting accounts, for sources of either kind.

A hedging account has a position per opening; a netting source on it is closed oldest first. A netting account has one
position per symbol, of which ours is what our ledger says: never more than that is taken, never past zero, and volume
that is not ours stays. Two links of a hedging source may stand against each other there; then closing one of them goes
down to zero first and on to the other side by an opening of its own, `cross`.
"""

from collections.abc import Iterator
from decimal import Decimal

from executor.book import Book, Holding, Link, Part, Specification
from executor.instruments import chunks, other, side_of, signed, whole_steps
from executor.steps import Close, Open, Reduce, Step
from shared.facts import Side

ZERO = Decimal(0)
CROSS = "cross"


def crosses(step: Step) -> bool:
    """Whether a step is the rest of an exit that goes past the zero of a netting position: no guard holds it back."""
    return isinstance(step, Open) and step.name.partition("/")[0].partition(":")[0] == CROSS


def volume_on(link: Link, side: Side) -> Decimal:
    """Our lots of a link on one side; a link has both sides only where a mirrored order filled against it."""
    return sum((p.volume for p in link.parts if p.side == side), ZERO)


def holding_of(part: Part, book: Book) -> Holding | None:
    """The position that a part is (or is a share of), by the identifier, which never changes."""
    found = book.holdings.get(part.ticket)
    if found is not None and found.identifier == part.identifier:
        return found
    return next((h for h in book.holdings.values() if h.identifier == part.identifier), None)


def net_holding(symbol: str, book: Book) -> Holding | None:
    """The one position that a netting account has of a symbol."""
    return next((h for h in book.holdings.values() if h.symbol == symbol), None)


def others(link: Link, book: Book) -> tuple[Link, ...]:
    """The other links with a part of the same symbol; on a netting account they share its position."""
    return tuple(o for o in book.links.values() if o.symbol == link.symbol and o.key != link.key and o.own)


def ours(link: Link, book: Book) -> Decimal:
    """Signed lots of the link's symbol that our ledger claims, over all links; `link` counts as given."""
    return link.own + sum((o.own for o in others(link, book)), ZERO)


def foreign(link: Link, book: Book) -> Decimal:
    """Signed lots of a netting position that are not ours."""
    holding = net_holding(link.symbol, book)
    held = signed(holding.side, holding.volume) if holding else ZERO
    return held - ours(link, book)


def uncovered(symbol: str, book: Book) -> Decimal:
    """The most lots, on either side, that a netting position can come to by exits alone: links may stand against each
    other in it, and no guard is asked when one of them is closed.
    """
    own = [link.own for link in book.links.values() if link.symbol == symbol]
    holding = net_holding(symbol, book)
    held = signed(holding.side, holding.volume) if holding else ZERO
    longs, shorts = (sum((o for o in own if o * sign > 0), ZERO) for sign in (1, -1))
    return max(abs(held), abs(held - longs), abs(held - shorts))


def alone(link: Link, book: Book) -> bool:
    """Whether a netting position is (or will be) this link's only, so that its levels are ours to set."""
    return not others(link, book) and foreign(link, book) == 0


def reducing(link: Link, target: Decimal, book: Book) -> tuple[Close | Reduce | Open, ...]:
    """The steps from what a link has to `target` (signed lots), exits only; names say part and place, never progress.

    Whole steps are closed and never more than asked; `target` 0 closes everything. The `cross` of a netting account
    is the one opening that can be among them.
    """
    if book.margin == "hedging":
        return tuple(step for side in _SIDES for step in _close_parts(link, side, target, book))
    return tuple(_reduce_share(link, target, book))


def left(link: Link, steps: tuple[Close | Reduce | Open, ...]) -> Decimal:
    """Our signed lots of a link after `steps` of `reducing`."""
    taken = sum((signed(_undone(step), step.volume) for step in steps), ZERO)
    return link.own - taken


_SIDES: tuple[Side, Side] = ("buy", "sell")


def _undone(step: Close | Reduce | Open) -> Side:
    return other(step.side) if isinstance(step, Open) else step.side


def _close_parts(link: Link, side: Side, target: Decimal, book: Book) -> Iterator[Close | Reduce]:
    keep = max(ZERO, signed(side, target))
    excess = volume_on(link, side) - keep
    for part in link.parts:
        if part.side != side or excess <= 0:
            continue
        step = _close_part(link, part, excess, book)
        if step is not None:
            yield step
            excess -= step.volume


def _close_part(link: Link, part: Part, excess: Decimal, book: Book) -> Close | Reduce | None:
    holding = holding_of(part, book)
    ticket = holding.ticket if holding else part.ticket
    if excess >= part.volume or whole_steps(excess, book.specifications.get(link.symbol)) >= part.volume:
        name = f"close:{part.identifier}"
        return Close(name=name, link=link.key, ticket=ticket, symbol=link.symbol, side=part.side, volume=part.volume)
    volume = _part_volume(part.volume, excess, book.specifications.get(link.symbol))
    if not volume:
        return None
    return Reduce(
        name=f"reduce:{part.identifier}",
        link=link.key,
        ticket=ticket,
        symbol=link.symbol,
        side=part.side,
        volume=volume,
        floor=part.volume - volume,
    )


def _part_volume(held: Decimal, excess: Decimal, rules: Specification | None) -> Decimal:
    """Whole steps of `excess`, such that the broker takes the order and what remains could still be closed."""
    volume = whole_steps(excess, rules)
    minimum = rules.volume_min if rules else ZERO
    if held - volume < minimum:
        volume = whole_steps(max(ZERO, held - minimum), rules)
    return volume if volume >= minimum else ZERO


def _reduce_share(link: Link, target: Decimal, book: Book) -> Iterator[Reduce | Open]:
    own = link.own
    if not own:
        return
    side = side_of(own)
    excess = abs(own) - max(ZERO, signed(side, target))
    rules = book.specifications.get(link.symbol)
    whole = excess >= abs(own) or whole_steps(max(ZERO, excess), rules) >= abs(own)
    volume = abs(own) if whole else _part_volume(abs(own), max(ZERO, excess), rules)
    towards_zero = min(volume, max(ZERO, signed(side, ours(link, book))))
    least = min(towards_zero, volume - towards_zero)
    if rules is not None and ZERO < least < rules.volume_min <= volume:
        towards_zero = ZERO  # one of the two orders would be too small, and one order can do it all
    yield from _reduces(link, side, towards_zero, book)
    for number, chunk in enumerate(chunks(volume - towards_zero, rules), start=1):
        name = CROSS if number == 1 else f"{CROSS}:{number}"
        yield Open(name=name, link=link.key, symbol=link.symbol, side=other(side), volume=chunk)


def _reduces(link: Link, side: Side, volume: Decimal, book: Book) -> Iterator[Reduce]:
    """One `Reduce`, or several where the symbol's maximum is smaller than what we have."""
    holding = net_holding(link.symbol, book)
    floor = max(ZERO, signed(side, ours(link, book))) + max(ZERO, signed(side, foreign(link, book)))
    for number, chunk in enumerate(chunks(volume, book.specifications.get(link.symbol)), start=1):
        floor -= chunk
        yield Reduce(
            name="reduce" if number == 1 else f"reduce:{number}",
            link=link.key,
            ticket=holding.ticket if holding else link.parts[0].identifier,
            symbol=link.symbol,
            side=side,
            volume=chunk,
            floor=max(ZERO, floor),
        )
