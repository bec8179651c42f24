"""Pure: from the source's total to ours. How much of the account should belong to a link after a fact, exactly.

The exact size is what we have, less what mirrors gave ahead of the source, plus the remainder that rounding took. Down
it shrinks in the source's own proportion, up it grows by the difference sized anew, through zero it starts again. An
order whose mirror rests counts with the mirror's own size. Facts may be missing in between: only totals matter.
"""

from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from executor.book import Book, Link, link_key
from executor.instruments import Sizer, entry_price, orderable, side_of, signed, symbol_of
from executor.levels import pair
from executor.mirror import ahead, matched
from executor.netting import foreign, volume_on
from executor.reasons import Denied, Reason
from executor.settings import Account
from shared.facts import Amount, Fact, OrderEnded, OrderFilled, Side

ZERO = Decimal(0)


class Following(Struct, frozen=True):
    """Where a fact leads. `link` has its total and mirrors followed, `exact` is our signed lots before rounding.

    `denied` says why what the source opened has no size here; `exact` then leaves it out.
    """

    link: Link
    exact: Decimal
    denied: Denied | None = None


def total(amount: Amount, account: Account) -> Decimal:
    """The quantity that counts: everything accepted, or only what is filled."""
    return amount.total if account.act_on == "accept" else amount.held


def linked(had: Link | None, fact: Fact, book: Book, account: Account) -> Link:
    """The link as the fact takes it to be.

    Where there is none, or the fact is told anew, all that was held before it counts as followed. Where nothing of it
    is on the account, it goes by the symbol that the settings name now; empty when the terminal does not list that.
    """
    symbol, before = symbol_of(fact.instrument, account.symbols, book), total(fact.exposure.before, account)
    if had is None:
        key = link_key(fact.source, fact.account, fact.exposure.position)
        return Link(key=key, instrument=fact.instrument, symbol=symbol or "", followed=before)
    if not had.parts and not had.pendings:
        had = replace(had, symbol=symbol or had.symbol)
    told_anew = fact.exposure.anew and fact.exposure.revision >= had.revision
    return replace(had, followed=before) if told_anew else had


def follow(fact: Fact, link: Link, book: Book, account: Account) -> Following:
    """The link brought to the fact's total, and our exact size of it. `link` has the fact's levels already."""
    before, exact = link.followed, link.own - ahead(link) + link.remainder
    if isinstance(fact, OrderFilled | OrderEnded):
        link, quantity, lots = matched(link, fact)
        before, exact = before + quantity, exact + lots
    after = total(fact.exposure.after, account)
    link = replace(link, followed=after, revision=fact.exposure.revision)
    size = _size(fact, link, before, after, exact, book, account)
    if isinstance(size, Denied):
        return Following(link, ZERO if before * after < 0 else exact, size)
    return Following(link, size)


def wanted(following: Following) -> Decimal:
    """The signed lots that we should own, mirrors ahead and behind included; not rounded yet."""
    return following.exact + ahead(following.link)


def opening_volume(following: Following, had: Link, book: Book, account: Account) -> Decimal | Denied:
    """Unsigned lots still to be opened in whole steps: 0 when there is nothing to open, or why there is too little."""
    want = wanted(following)
    if not want:
        return ZERO
    side, rules = side_of(want), book.specifications.get(had.symbol)
    lack = abs(want) - (volume_on(had, side) if book.margin == "hedging" else max(ZERO, signed(side, had.own)))
    if lack <= 0:
        return ZERO
    if rules is None:
        return Denied(Reason.NO_SPECIFICATION, {"symbol": had.symbol})
    if book.margin == "netting" and signed(side, foreign(had, book)) < 0:
        return Denied(Reason.FOREIGN_POSITION, {"symbol": had.symbol})
    return orderable(lack, rules, account.sizing, first=signed(side, had.own) <= 0)


def _size(
    fact: Fact, link: Link, before: Decimal, after: Decimal, exact: Decimal, book: Book, account: Account
) -> Decimal | Denied:
    if after == 0:
        return ZERO
    if after == before:
        return exact
    if before * after > 0 and abs(after) < abs(before):
        return exact * after / before
    base, opened = (ZERO, after) if before * after < 0 else (exact, after - before)
    lots = _sized(fact, link, opened, before, book, account)
    return lots if isinstance(lots, Denied) else base + lots


def _sized(fact: Fact, link: Link, opened: Decimal, before: Decimal, book: Book, account: Account) -> Decimal | Denied:
    rules = book.specifications.get(link.symbol)
    if rules is None:
        return Denied(Reason.NO_SPECIFICATION, {"symbol": link.symbol})
    side = side_of(opened)
    price = book.prices.get(link.symbol)
    entry = entry_price(price, side) or fact.price
    stop = pair(link.levels, link.shift, rules, base=entry, side=side).stop_loss
    sizer = Sizer(
        account.sizing, rules, book.figures, fact.contract, side=side, entry=entry, stop=stop, price=price
    )  # fmt: skip
    lots = sizer.lots(abs(opened), _whole(fact, side, before, abs(opened)))
    return lots if isinstance(lots, Denied) else signed(side, lots)


def _whole(fact: Fact, side: Side, before: Decimal, opened: Decimal) -> Decimal:
    """What the order of a fact opens in all, `opened` being what it opens now on `side`.

    An order that fills bit by bit is one opening. `before` is the signed total before the fact.
    """
    if not isinstance(fact, OrderFilled | OrderEnded) or fact.order.side != side:
        return opened
    order, there = fact.order, signed(side, before)
    filled_before = order.filled - opened - max(ZERO, -there)
    return opened + max(ZERO, min(there, filled_before)) + order.quantity - order.filled
