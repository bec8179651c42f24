"""Pure: the source's resting orders as pending orders of ours: placed, moved, withdrawn, settled by each other's fill.

What our order gave before the source's filled is *ahead*; what the source's gave while ours still works is *behind*,
and covered by it. Neither is an excess or a lack until one of the two orders is over.
"""

from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from executor.book import Book, Link, Pending, Specification
from executor.instruments import Sizer, orderable, side_of, signed, to_tick
from executor.levels import NO_LEVELS, Pair, pair
from executor.reasons import Denied, Ignored, Reason
from executor.settings import Account
from executor.steps import Move, Rest, Withdraw
from shared.facts import Fact, Order, OrderEnded, OrderFact, OrderModified, OrderPlaced

ZERO = Decimal(0)
_ORDER_FLAGS = {"limit": 2, "stop": 4, "stoplimit": 8}


class Placing(Struct, frozen=True):
    """What a resting order of the source asks for: steps, the refusal, or the reason that it needs nothing.

    `pending` is the mirror as it is to be remembered where the order that replaces it stands for another quantity.
    `lots` is what the order is worth where ours has given more than that already.
    """

    steps: tuple[Withdraw | Rest | Move, ...] = ()
    denied: Denied | None = None
    ignored: Ignored | None = None
    pending: Pending | None = None
    lots: Decimal = ZERO


def is_resting(order: Order) -> bool:
    """Whether an order waits for a price."""
    return order.type != "market"


def given(pending: Pending) -> Decimal:
    """Unsigned lots that a mirror gave so far, with what an order before it had given ahead."""
    return pending.carried + pending.filled


def share(pending: Pending) -> Decimal:
    """Exact, unsigned lots of a mirror that the source's fills have asked for so far; once it is over, what it gave."""
    return given(pending) if over(pending) else pending.volume * pending.matched / pending.quantity


def over(pending: Pending) -> bool:
    """Whether the source's order is over, so that a mirror which still works has to go."""
    return not pending.quantity


def exhausted(pending: Pending) -> bool:
    """Whether a mirror has given everything, so that no order of it works any more."""
    return given(pending) >= pending.volume


def ahead(link: Link) -> Decimal:
    """Signed lots by which our mirrors are ahead (or, against their sign, behind) of what was followed."""
    return sum((signed(p.side, given(p) - share(p)) for p in link.pendings.values()), ZERO)


def behind(link: Link) -> bool:
    """Whether a mirror has given less than the source's order, and still works for it."""
    return any(given(p) < share(p) for p in link.pendings.values())


def gave_ahead(link: Link, fact: Fact) -> bool:
    """Whether the source's order ended with less than what ours has given for it."""
    pending = link.pendings.get(fact.order.id) if isinstance(fact, OrderEnded) else None
    return pending is not None and given(pending) > share(pending)


def ended(fact: OrderFact) -> bool:
    """Whether the order is over at the source: ended, or filled whole."""
    return isinstance(fact, OrderEnded) or fact.order.filled == fact.order.quantity


def matched(link: Link, fact: OrderFact) -> tuple[Link, Decimal, Decimal]:
    """The link once the order's own fill is followed, with that fill as signed quantity and as signed exact lots."""
    pending = link.pendings.get(fact.order.id)
    if pending is None:
        return link, ZERO, ZERO
    gained = ZERO if over(pending) else max(ZERO, fact.order.filled - pending.base - pending.matched)
    lots = pending.volume * gained / pending.quantity if gained else ZERO
    direction = signed(fact.order.side, Decimal(1))
    return _with_pending(link, fact, pending, gained), gained * direction, lots * direction


def withdrawing(link: Link, fact: OrderFact) -> tuple[Withdraw, ...]:
    """The step that removes our order when the source's is over and ours has not given everything."""
    pending = link.pendings.get(fact.order.id)
    if pending is None or not ended(fact) or exhausted(pending):
        return ()
    return (withdraw(link, fact.order.id, pending),)


def withdraw(link: Link, order: str, pending: Pending, name: str = "withdraw") -> Withdraw:
    """Remove one mirror."""
    return Withdraw(name=name, link=link.key, order=order, ticket=pending.ticket, symbol=link.symbol)


def placing(fact: OrderPlaced | OrderModified, link: Link, book: Book, account: Account) -> Placing:
    """What a placed or modified resting order asks for where resting orders are mirrored."""
    pending = link.pendings.get(fact.order.id)
    if pending is None:
        if isinstance(fact, OrderModified):
            return Placing(ignored=Ignored.NOTHING_HERE)
        return _rest(fact, link, book, account)
    if isinstance(fact, OrderPlaced) or (exhausted(pending) and _same_shape(pending, fact.order)):
        return Placing(ignored=Ignored.ALREADY_THERE)
    if _same_shape(pending, fact.order):
        return Placing(steps=(_move(fact, pending, link, book),))
    return _replaced(fact, pending, link, book, account)


def placed(link: Link, fact: OrderFact, step: Rest, ticket: int, volume: Decimal, mark: int) -> Pending:
    """What is remembered of a mirror that now stands as `ticket`; one that it replaces goes on in it."""
    known = link.pendings.get(step.order)
    if known is None:
        left = fact.order.quantity - fact.order.filled
        known = Pending(
            ticket=ticket,
            type=step.type,
            side=step.side,
            volume=volume,
            price=step.price,
            quantity=left,
            base=fact.order.filled,
        )
    fresh = replace(known, ticket=ticket, type=step.type, side=step.side, price=step.price, mark=mark)
    return replace(fresh, carried=given(known), filled=ZERO)


def _with_pending(link: Link, fact: OrderFact, pending: Pending, gained: Decimal) -> Link:
    pendings = dict(link.pendings)
    if not ended(fact):
        pendings[fact.order.id] = replace(pending, matched=pending.matched + gained)
    elif not exhausted(pending):
        pendings[fact.order.id] = replace(pending, quantity=ZERO, matched=ZERO)
    else:
        del pendings[fact.order.id]
    return replace(link, pendings=pendings)


def _replaced(fact: OrderModified, pending: Pending, link: Link, book: Book, account: Account) -> Placing:
    """MT5 cannot change an order's volume: ours is removed, and placed anew for what it has not given yet."""
    gone = () if exhausted(pending) else (withdraw(link, fact.order.id, pending),)
    placing = _rest(fact, link, book, account, lead=given(pending) - share(pending))
    if placing.denied is not None and not exhausted(pending):
        return Placing(steps=gone, denied=placing.denied)
    anew = sum((step.volume for step in placing.steps if isinstance(step, Rest)), ZERO)
    left = fact.order.quantity - fact.order.filled
    changed = replace(
        pending,
        quantity=left,
        base=fact.order.filled,
        matched=ZERO,
        volume=placing.lots or anew + given(pending) - share(pending),
        carried=pending.carried - share(pending),
    )
    ignored = None if gone or placing.steps else Ignored.ALREADY_THERE
    return Placing(steps=(*gone, *placing.steps), ignored=ignored, pending=changed)


def _rest(fact: OrderPlaced | OrderModified, link: Link, book: Book, account: Account, lead: Decimal = ZERO) -> Placing:
    """An order for what the source's has still to fill, less the `lead` that ours has given already."""
    order, rules = fact.order, book.specifications.get(link.symbol)
    if rules is None:
        return Placing(denied=Denied(Reason.NO_SPECIFICATION, {"symbol": link.symbol}))
    if not rules.order_mode & _ORDER_FLAGS[order.type]:
        return Placing(denied=Denied(Reason.ORDER_TYPE, {"symbol": link.symbol, "type": order.type}))
    step = _rest_step(fact, link, rules)
    lots = _lots(fact, link, step, book, account, rules)
    if isinstance(lots, Denied):
        return Placing(denied=lots)
    if lots - lead <= 0:
        return Placing(ignored=Ignored.NOTHING_HERE, lots=lots)
    volume = orderable(lots - lead, rules, account.sizing, first=not lead)
    return Placing(denied=volume) if isinstance(volume, Denied) else Placing(steps=(replace(step, volume=volume),))


def _rest_step(fact: OrderPlaced | OrderModified, link: Link, rules: Specification) -> Rest:
    order = fact.order
    price, stop_limit = _prices(order, rules)
    levels = _levels(fact, price if stop_limit is None else stop_limit, rules, NO_LEVELS)
    return Rest(
        name="rest",
        link=link.key,
        order=order.id,
        symbol=link.symbol,
        type=order.type,
        side=order.side,
        volume=ZERO,
        price=price,
        stop_limit=stop_limit,
        stop_loss=levels.stop_loss,
        take_profit=levels.take_profit,
        expires=order.expires,
    )


def _lots(
    fact: OrderPlaced | OrderModified, link: Link, step: Rest, book: Book, account: Account, rules: Specification
) -> Decimal | Denied:
    """Exact lots of what is still to fill: a share of ours for what the order takes off, sized for what it opens."""
    open_quantity = fact.order.quantity - fact.order.filled
    against = abs(link.followed) if link.followed and side_of(link.followed) != step.side else ZERO
    closing = min(open_quantity, against)
    lots = abs(link.own - ahead(link) + link.remainder) * closing / against if closing else ZERO
    if open_quantity == closing:
        return lots
    side, entry, stop = step.side, step.entry, step.stop_loss
    sizer = Sizer(account.sizing, rules, book.figures, fact.contract, side=side, entry=entry, stop=stop)
    opened = sizer.lots(open_quantity - closing, fact.order.quantity - closing)
    return opened if isinstance(opened, Denied) else lots + opened


def _prices(order: Order, rules: Specification) -> tuple[Decimal, Decimal | None]:
    """MT5's price and stop-limit price: a stop-limit order's price is its trigger."""
    first = order.limit_price if order.type == "limit" else order.stop_price
    if first is None:
        raise ValueError(f"a {order.type} order without its price")
    second = order.limit_price if order.type == "stoplimit" else None
    return to_tick(first, rules), to_tick(second, rules) if second is not None else None


def _levels(fact: OrderPlaced | OrderModified, entry: Decimal, rules: Specification | None, known: Pair) -> Pair:
    """The levels of a resting order that opens at `entry`; `known` stands in for what was never told.

    A stop that is to trail rests where the source told it, else its distance behind the entry, so that the position is
    protected when it opens; it trails from then on.
    """
    levels = fact.levels
    if not isinstance(levels.trailing, Decimal):
        return pair(levels, ZERO, rules, known=known)
    if isinstance(levels.stop_loss, Decimal):
        return pair(replace(levels, trailing=None), ZERO, rules, known=known)
    known = Pair(None, known.take_profit)
    return pair(levels, ZERO, rules, known=known, base=entry, side=fact.order.side)


def _same_shape(pending: Pending, order: Order) -> bool:
    """Whether MT5 can modify our order into the source's: volume, side and type cannot be changed."""
    stands_for = (pending.type, pending.side, pending.base + pending.quantity)
    return stands_for == (order.type, order.side, order.quantity)


def _move(fact: OrderModified, pending: Pending, link: Link, book: Book) -> Move:
    rules, resting = book.specifications.get(link.symbol), book.restings.get(pending.ticket)
    known = Pair(resting.stop_loss, resting.take_profit) if resting else Pair()
    price, stop_limit = _prices(fact.order, rules) if rules else (pending.price, None)
    levels = _levels(fact, price if stop_limit is None else stop_limit, rules, known)
    return Move(
        name="move",
        link=link.key,
        order=fact.order.id,
        ticket=pending.ticket,
        symbol=link.symbol,
        price=price,
        stop_limit=stop_limit,
        stop_loss=levels.stop_loss,
        take_profit=levels.take_profit,
        expires=fact.order.expires,
    )
