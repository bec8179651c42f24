"""Pure: what a link has after what happened: the volume that was really opened or closed, and its resting orders.

Volume is taken off the part that a step names, then off the oldest. What is told twice is counted once.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import assert_never

from msgspec.structs import replace

from executor.book import Book, Link, Margin, Part
from executor.instruments import other, side_of, signed
from executor.mirror import over, placed
from executor.netting import crosses, net_holding
from executor.results import Already, Done, StepResult
from executor.steps import Close, Move, Open, Protect, Reduce, Rest, Withdraw
from shared.facts import Fact, OrderFact, Side

ZERO = Decimal(0)


def adopt_fill(link: Link, order: str, filled: Decimal, identifier: int, *, margin: Margin = "hedging") -> Link:
    """The link once the mirror of the source's `order` has given `filled` lots in all; told again it changes nothing.

    On a hedging account the fill is a position of its own, whose identifier is the order's ticket. On a netting one it
    adds to our share, or takes from it.
    """
    pending = link.pendings.get(order)
    if pending is None or filled <= pending.filled:
        return link
    gained = filled - pending.filled
    part = Part(ticket=identifier, identifier=identifier, volume=gained, side=pending.side, mark=pending.mark)
    parts = joined(link.parts, part)
    if margin == "netting":
        parts = _cancelled_out(parts)
    return replace(
        link, parts=parts, pendings={**link.pendings, order: replace(pending, filled=filled)}, tombstone=False
    )


def adopt_fills(link: Link, filled: Mapping[str, Decimal], book: Book) -> Link:
    """The link once each of its mirrors has given what `filled` says, by the source's order; see `adopt_fill`."""
    shared = net_holding(link.symbol, book) if book.margin == "netting" else None
    for order, pending in link.pendings.items():
        identifier = shared.identifier if shared else pending.ticket
        link = adopt_fill(link, order, filled[order], identifier, margin=book.margin)
    return link


def after_step(link: Link, done: StepResult, fact: Fact | None) -> Link:
    """The link with one step's effect."""
    step, result = done.step, done.result
    match step:
        case Open() if crosses(step):
            crossed = (result.volume or step.volume) if isinstance(result, Done) else ZERO
            return replace(link, parts=_less(link.parts, other(step.side), crossed, "", 0))
        case Open():
            return _opened(link, step, result) if isinstance(result, Done) else link
        case Close() | Reduce():
            taken = _taken(step, result)
            return replace(link, parts=_less(link.parts, step.side, taken, step.name, step.ticket)) if taken else link
        case Rest():
            return _rested(link, step, result, fact) if isinstance(result, Done) else link
        case Move():
            return _moved(link, step) if isinstance(result, Done | Already) else link
        case Withdraw():
            return _withdrawn(link, step) if isinstance(result, Done | Already) else link
        case Protect():
            return link
        case _:
            assert_never(step)


def let_go(link: Link, results: Sequence[StepResult]) -> Link:
    """The link without what should have crossed to the other side of a netting account and was refused there.

    The exit down to zero is done; what another link of ours holds against it stays that link's.
    """
    for done in results:
        if isinstance(done.step, Open) and crosses(done.step):
            crossed = (done.result.volume or done.step.volume) if isinstance(done.result, Done) else ZERO
            left = done.step.volume - crossed
            link = replace(link, parts=_less(link.parts, other(done.step.side), left, "", 0))
    return link


def down_to(link: Link, target: Decimal) -> Link:
    """The link at its debt's target. More can be left only where another link stands against it (netting account)."""
    if not link.own:
        return link
    side = side_of(link.own)
    beyond = abs(link.own) - max(ZERO, signed(side, target))
    return replace(link, parts=_less(link.parts, side, beyond, "", 0)) if beyond > 0 else link


def given_up(link: Link, target: Decimal) -> Link:
    """The link without what is beyond `target` and without orders that are over at the source: not ours any more."""
    return replace(down_to(link, target), pendings={order: p for order, p in link.pendings.items() if not over(p)})


def _opened(link: Link, step: Open, done: Done) -> Link:
    part = Part(
        ticket=done.ticket,
        identifier=done.identifier or done.ticket,
        volume=done.volume or step.volume,
        side=step.side,
        mark=done.mark,
    )
    return replace(link, parts=joined(link.parts, part))


def added(before: tuple[Part, ...], after: tuple[Part, ...]) -> tuple[Part, ...]:
    """What `after` has more than `before`, position by position."""
    had = {(p.identifier, p.side): p.volume for p in before}
    more = ((p, p.volume - had.get((p.identifier, p.side), ZERO)) for p in after)
    return tuple(replace(p, volume=volume) for p, volume in more if volume > 0)


def joined(parts: tuple[Part, ...], part: Part) -> tuple[Part, ...]:
    """The parts with one more, which joins the one that has its position and side already."""
    for index, known in enumerate(parts):
        if (known.identifier, known.side) == (part.identifier, part.side):
            grown = replace(known, volume=known.volume + part.volume, mark=part.mark or known.mark)
            return (*parts[:index], grown, *parts[index + 1 :])
    return (*parts, part)


def _cancelled_out(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Parts of both sides of a netting position as the one side that remains."""
    buys, sells = (sum((p.volume for p in parts if p.side == side), ZERO) for side in ("buy", "sell"))
    both = min(buys, sells)
    return _less(_less(parts, "buy", both, "", 0), "sell", both, "", 0)


def _taken(step: Close | Reduce, result: object) -> Decimal:
    """What a step took off: where the account was already as asked, all that it was to take."""
    match result:
        case Done(volume=volume) if volume:
            return min(volume, step.volume)
        case Done() | Already():
            return step.volume
        case _:
            return ZERO


def _less(parts: tuple[Part, ...], side: Side, volume: Decimal, name: str, ticket: int) -> tuple[Part, ...]:
    """The parts of `side` with `volume` taken off: first off the one that the step names, then the oldest."""
    identifier = name.partition("/")[0].partition(":")[2]
    named = [p for p in parts if p.side == side and (str(p.identifier) == identifier or p.ticket == ticket)]
    remaining = {id(p): p.volume for p in parts}
    for part in (*named, *(p for p in parts if p.side == side)):
        off = min(volume, remaining[id(part)])
        remaining[id(part)] -= off
        volume -= off
    return tuple(replace(p, volume=remaining[id(p)]) for p in parts if remaining[id(p)] > 0)


def _rested(link: Link, step: Rest, done: Done, fact: Fact | None) -> Link:
    if not isinstance(fact, OrderFact):
        return link
    pending = placed(link, fact, step, done.ticket, done.volume or step.volume, done.mark)
    return replace(link, pendings={**link.pendings, step.order: pending})


def _moved(link: Link, step: Move) -> Link:
    pending = link.pendings.get(step.order)
    if pending is None:
        return link
    return replace(link, pendings={**link.pendings, step.order: replace(pending, price=step.price)})


def _withdrawn(link: Link, step: Withdraw) -> Link:
    """A mirror whose order is over is forgotten; of one that is to be replaced it stays known what it gave."""
    pending = link.pendings.get(step.order)
    if pending is None or not over(pending):
        return link
    return replace(link, pendings={order: p for order, p in link.pendings.items() if order != step.order})
