"""Pure: the price with which an opening's own is compared, so that nobody pays what the source would not have paid.

It is the source's, as the fact tells it. A fact that tells none is compared with what this account's terminal showed
when the fact was captured; where nobody looked at the symbol then, the fact's age alone decides.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from executor.book import Book, Price
from executor.instruments import entry_price
from executor.netting import crosses
from executor.steps import Open, Step
from shared.facts import Fact, Side

Compared = Literal["account", "none"]
"""What an opening without a source price was compared with: what this account's terminal showed then, or nothing."""

KEPT = timedelta(seconds=60)
"""For how long prices are remembered."""

NEAR = timedelta(seconds=5)
"""A price that was seen so long before a fact is what it would have cost then: prices are read every second."""

UNTOLD = "the source told no price, so it was compared with what the account's was then, if that is known"


def told(fact: Fact, side: Side) -> Decimal | None:
    """What the source says that it paid, or would have paid."""
    if fact.price is not None or fact.quote is None:
        return fact.price
    return fact.quote.ask if side == "buy" else fact.quote.bid


def instead(step: Step, fact: Fact | None, book: Book) -> Compared | None:
    """What a step's price is compared with for want of the source's; None where the source told it, or where no price
    is compared: of orders that wait for theirs, and of what is an exit.
    """
    if not isinstance(step, Open) or step.reference is not None or crosses(step) or fact is None:
        return None
    known = shown_then(book.earlier.get(step.symbol, ()), fact.captured, step.side)
    return "none" if known is None else "account"


def remembered(earlier: Iterable[Price], newest: Price) -> tuple[Price, ...]:
    """The prices of a symbol that are worth knowing, the oldest first."""
    return (*(price for price in earlier if newest.seen - price.seen <= KEPT), newest)


def shown_then(prices: Iterable[Price], captured: datetime, side: Side) -> Decimal | None:
    """What opening on `side` would have cost when a fact was captured; None when nobody looked then."""
    before = (price for price in prices if timedelta(0) <= captured - price.seen <= NEAR)
    return entry_price(max(before, key=lambda price: price.seen, default=None), side)
