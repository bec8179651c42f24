"""Pure: what a fact of the source asks of one account. The place where the source's words and MetaTrader 5's meet.

A plan's steps come in the order in which they must be taken: remove a resting order that is over, reduce, open, set
levels, place or move a resting order. A fact that both reduces and opens becomes both, each under its own name, and
the opening waits for the reduction. A name follows from the fact and the link alone, so the same fact planned again,
after a crash half way, gives every step the same name.
"""

from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from executor import reference
from executor.book import Book, Debt, Link, link_key
from executor.follow import Following, follow, linked, opening_volume, total, wanted
from executor.instruments import entry_price, side_of, signed, wanted_symbol
from executor.levels import Pair, bare, pair, protect_after, protecting, shift_of, unprotected
from executor.mirror import Placing, ahead, behind, gave_ahead, is_resting, over, placing, withdraw, withdrawing
from executor.netting import alone, left, reducing
from executor.reasons import Denied, Ignored, Obstacle, Reason, say
from executor.settings import Account
from executor.steps import Close, Open, Protect, Reduce, Step, Withdraw
from shared.facts import Fact, Levels, OrderEnded, OrderFact, OrderModified, OrderPlaced, Side

__all__ = [
    "Ignore",
    "Plan",
    "bare",
    "level_steps",
    "owed_steps",
    "protect_after",
    "target_steps",
    "translate",
    "withdraw_steps",
]

ZERO = Decimal(0)


class Plan(Struct, frozen=True, kw_only=True):
    """What to do about a fact, and what to remember of it.

    `link` has revision, followed, levels and remainder as they are once the fact is done, parts and mirrors as they are
    before it; `settle` puts the steps' effects in. `reduced` is our signed lots after the reducing steps, None when
    there are none. `denied` says why what the source opened could not become a step, `closes` why something is closed
    that the source did not close. `note` belongs into the text.
    """

    link: Link
    steps: tuple[Step, ...] = ()
    denied: Denied | None = None
    reduced: Decimal | None = None
    closes: Obstacle | None = None
    note: str = ""


class Ignore(Struct, frozen=True, kw_only=True):
    """Nothing is to be done. `link` is what is to be remembered from now on, None when there is nothing of it."""

    reason: Ignored
    text: str
    link: Link | None = None


def translate(fact: Fact, book: Book, account: Account) -> Plan | Ignore:
    """The steps by which the account follows `fact`, or why there is nothing to do.

    `book` must know the rules and a price of the fact's symbol if the terminal has them; without the rules openings are
    denied, exits still go. The account's state and the guards come afterwards, per step.
    """
    had = book.links.get(link_key(fact.source, fact.account, fact.exposure.position))
    link = linked(had, fact, book, account)
    if not link.symbol:
        return _unmapped(fact, link, account, book)
    if fact.exposure.revision < link.revision:
        return _ignore(Ignored.SUPERSEDED, link)
    if link.tombstone and not _turns(link, total(fact.exposure.after, account)):
        return _closed_here(fact, link, account)
    levelled = _with_levels(fact, replace(link, tombstone=False), book, account)
    return _planned(fact, had, levelled, book, account)


def target_steps(link: Link, target: Decimal, book: Book) -> tuple[Close | Reduce | Open, ...]:
    """The exits from what a link has to `target` signed lots: for what is owed and for `flatten`."""
    return reducing(link, target, book)


def level_steps(link: Link, book: Book) -> tuple[Protect, ...]:
    """The steps for those positions of a link that do not show its levels, e.g. because MT5 refused a stop."""
    return unprotected(link, book)


def withdraw_steps(link: Link, *, only_over: bool = False) -> tuple[Withdraw, ...]:
    """The steps that remove a link's resting orders: all, or only those whose order is over at the source."""
    pendings = ((order, p) for order, p in sorted(link.pendings.items()) if over(p) or not only_over)
    return tuple(withdraw(link, order, p, f"withdraw:{order}") for order, p in pendings)


def owed_steps(link: Link, debt: Debt, book: Book) -> tuple[Step, ...]:
    """What is still to be done for a debt: orders to remove, volume to close, levels to set on what stays."""
    reductions = target_steps(link, debt.target, book)
    staying = level_steps(link, book) if debt.target else ()
    levels = (step for step in staying if step.ticket not in _closed(reductions))
    return (*withdraw_steps(link, only_over=True), *reductions, *levels)


def worth_keeping(link: Link) -> bool:
    """Whether a link says more than the source's next fact does by itself.

    A netting source's position is its instrument, which comes back: that flat was followed is worth knowing.
    """
    comes_back = link.key.endswith(f"/{link.instrument}") and link.revision > 0
    return bool(link.parts or link.pendings or link.tombstone or (link.followed and link.remainder) or comes_back)


def _planned(fact: Fact, had: Link | None, link: Link, book: Book, account: Account) -> Plan | Ignore:
    following = follow(fact, link, book, account)
    reductions = reducing(link, wanted(following), book)
    opened = opening_volume(following, link, book, account)
    opens = (_open(fact, following, opened, book),) if isinstance(opened, Decimal) and opened else ()
    placed = _placing(fact, link, book, account)
    withdrawn = withdrawing(link, fact) if isinstance(fact, OrderFact) else ()
    protects = _protects(had, following.link, reductions, book)
    steps = (*withdrawn, *reductions, *opens, *protects, *placed.steps)
    denied = placed.denied or following.denied or _refused(opened, link, following)
    rest = left(link, reductions)
    planned = _with_mirror(fact, _remember(link, following, rest, opens, opened), placed)
    if not steps and denied is None:
        return _idle(fact, had, link, planned, placed, book, account)
    left_alone = say(Ignored.LEVELS_LEFT_ALONE) if _unset_levels(planned, opens, had, book) else ""
    untold = reference.UNTOLD if any(step.reference is None for step in opens) else ""
    note = "; ".join(filter(None, (left_alone, untold)))
    closes = Obstacle.SOURCE_UNFILLED if reductions and gave_ahead(link, fact) else None
    reduced = rest if reductions else None
    return Plan(link=planned, steps=steps, denied=denied, reduced=reduced, closes=closes, note=note)


def _unmapped(fact: Fact, link: Link, account: Account, book: Book) -> Plan | Ignore:
    """A terminal that lists no symbol at all has just come back: whether it has this one, nobody knows yet."""
    after = total(fact.exposure.after, account)
    opens = after != 0 and (link.followed * after < 0 or abs(after) > abs(link.followed))
    if not opens and not _mirrored(fact, book, account):
        return _ignore(Ignored.NOTHING_HERE, None)
    if book.symbols:
        return Plan(link=link, denied=Denied(Reason.UNMAPPED_SYMBOL, {"instrument": fact.instrument}))
    name = wanted_symbol(fact.instrument, account.symbols)
    return Plan(link=replace(link, symbol=name), denied=Denied(Reason.NO_SPECIFICATION, {"symbol": name}))


def _turns(link: Link, after: Decimal) -> bool:
    """Whether a total is another position than the one that was closed by hand."""
    return link.followed == 0 or link.followed * after < 0


def _closed_here(fact: Fact, link: Link, account: Account) -> Ignore:
    after = total(fact.exposure.after, account)
    kept = replace(link, followed=after, revision=fact.exposure.revision)
    return _ignore(Ignored.CLOSED_HERE, kept if after else None)


def _with_levels(fact: Fact, link: Link, book: Book, account: Account) -> Link:
    """The link with the levels that hold after the fact; a new position does not inherit its predecessor's."""
    after = total(fact.exposure.after, account)
    if _of_order_only(fact) and (fact.model == "netting" or link.followed or link.parts):
        return link
    inherited = link.levels if link.followed * after >= 0 else Levels()
    levels = inherited if _only_reduces(fact, after) else fact.levels.over(inherited)
    if levels == link.levels:
        return link
    side = side_of(after or link.followed) if after or link.followed else "buy"
    return replace(link, levels=levels, shift=shift_of(fact, link.symbol, side, book, account))


def _only_reduces(fact: Fact, after: Decimal) -> bool:
    """Whether a fact's levels are those of an order that leaves a position of the other side: they protect nothing."""
    return isinstance(fact, OrderFact) and fact.model == "netting" and signed(fact.order.side, after) < 0


def _of_order_only(fact: Fact) -> bool:
    """Whether a fact's levels are those of a resting order and not (yet) of the position."""
    return isinstance(fact, OrderPlaced | OrderModified | OrderEnded) and is_resting(fact.order)


def _mirrored(fact: Fact, book: Book, account: Account) -> bool:
    if not isinstance(fact, OrderPlaced | OrderModified) or not is_resting(fact.order):
        return False
    return account.mirrors(fact.model, book.margin)


def _placing(fact: Fact, link: Link, book: Book, account: Account) -> Placing:
    if isinstance(fact, OrderPlaced | OrderModified) and _mirrored(fact, book, account):
        return placing(fact, link, book, account)
    return Placing()


def _with_mirror(fact: Fact, link: Link, placed: Placing) -> Link:
    if placed.pending is None or not isinstance(fact, OrderFact):
        return link
    return replace(link, pendings={**link.pendings, fact.order.id: placed.pending})


def _open(fact: Fact, following: Following, volume: Decimal, book: Book) -> Open:
    link, side = following.link, side_of(wanted(following))
    levels = _opening_levels(fact, link, side, book)
    return Open(
        name="open",
        link=link.key,
        symbol=link.symbol,
        side=side,
        volume=volume,
        stop_loss=levels.stop_loss,
        take_profit=levels.take_profit,
        reference=reference.told(fact, side),
    )


def _opening_levels(fact: Fact, link: Link, side: Side, book: Book) -> Pair:
    if book.margin == "netting" and not alone(link, book):
        return Pair()
    base = entry_price(book.prices.get(link.symbol), side) or fact.price
    return pair(link.levels, link.shift, book.specifications.get(link.symbol), base=base, side=side)


def _protects(
    had: Link | None, link: Link, reductions: tuple[Close | Reduce | Open, ...], book: Book
) -> tuple[Protect, ...]:
    """Levels for the positions that stay, when the source's levels are not the ones that were followed before."""
    if had is None or had.levels == link.levels or not link.followed:
        return ()
    kept = {p.identifier: ZERO for p in link.parts if _is_closed(p.identifier, reductions)}
    return tuple(protecting(link, book, kept)) if left(link, reductions) else ()


def _is_closed(identifier: int, reductions: tuple[Close | Reduce | Open, ...]) -> bool:
    return any(isinstance(s, Close) and s.name == f"close:{identifier}" for s in reductions)


def _closed(reductions: tuple[Close | Reduce | Open, ...]) -> set[int]:
    return {step.ticket for step in reductions if isinstance(step, Close)}


def _refused(opened: Decimal | Denied, link: Link, following: Following) -> Denied | None:
    """Too little to open is a denial when nothing of it is ours; beside what we have it is a remainder."""
    if isinstance(opened, Decimal):
        return None
    has_some = signed(side_of(wanted(following)), link.own) > 0
    return None if opened.reason is Reason.SIZE_BELOW_MINIMUM and has_some else opened


def _remember(
    link: Link, following: Following, rest: Decimal, opens: tuple[Open, ...], opened: Decimal | Denied
) -> Link:
    """The link with what rounding took. What was denied is let go, except what is only too small by itself."""
    after = following.link
    if isinstance(opened, Denied) and opened.reason is not Reason.SIZE_BELOW_MINIMUM:
        return replace(after, remainder=link.remainder if link.followed * after.followed > 0 else ZERO)
    own = rest + sum((signed(o.side, o.volume) for o in opens), ZERO)
    levels = Levels() if link.followed and not after.followed else after.levels
    return replace(after, remainder=following.exact + ahead(after) - own, levels=levels)


def _unset_levels(link: Link, opens: tuple[Open, ...], had: Link | None, book: Book) -> bool:
    wants = any(isinstance(level, Decimal) for level in (link.levels.stop_loss, link.levels.take_profit))
    touched = bool(opens) or (had is not None and had.levels != link.levels and bool(link.parts))
    return wants and touched and book.margin == "netting" and not alone(link, book)


def _idle(
    fact: Fact, had: Link | None, before: Link, link: Link, placed: Placing, book: Book, account: Account
) -> Ignore:
    """Why there is nothing to do, and what to remember. An order that waits for its fill keeps its levels."""
    waits = isinstance(fact, OrderPlaced | OrderModified) and (is_resting(fact.order) or account.act_on == "fill")
    keep = worth_keeping(link) or (waits and link.levels != Levels() and not link.followed)
    reason = placed.ignored or _idle_reason(had, before, link, waits=waits)
    if _unset_levels(link, (), had, book):
        reason = Ignored.LEVELS_LEFT_ALONE
    return _ignore(reason, link if keep else None)


def _idle_reason(had: Link | None, before: Link, link: Link, *, waits: bool) -> Ignored:
    if waits:
        return Ignored.WAITS_FOR_FILL
    if had is None or not (link.parts or link.pendings or link.remainder):
        return Ignored.NOTHING_HERE
    if before.followed == link.followed or ahead(before) != ahead(link):
        return Ignored.ORDER_COVERS if behind(link) else Ignored.ALREADY_THERE
    return Ignored.ROUNDED


def _ignore(reason: Ignored, link: Link | None) -> Ignore:
    return Ignore(reason=reason, text=say(reason), link=link)
