"""Pure: what trying a fact once more comes to, now and on this account.

What opened something is asked for as the source shows it at present (`executor.present`); everything else states what
is after it, and is followed as it was told. One function says beforehand what would happen, and decides what does.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from msgspec.structs import replace

from executor import present
from executor.book import Book, Link, Margin
from executor.follow import total
from executor.instruments import side_of, wanted_symbol
from executor.mirror import is_resting
from executor.present import Present, link_of
from executor.reasons import Ignored
from executor.settings import Account
from executor.steps import Open, Rest
from executor.translate import Ignore, Plan, level_steps, translate
from shared.facts import Fact, OrderFact, OrderModified, OrderPlaced

ZERO = Decimal(0)


def reopens(fact: Fact, account: Account, margin: Margin) -> bool:
    """Whether a fact opened something at the source, by the totals that the account follows."""
    before, after = (total(amount, account) for amount in (fact.exposure.before, fact.exposure.after))
    return abs(after) > abs(before) or after * before < 0 or _rests(fact, account, margin)


def now(
    fact: Fact, positions: Iterable[Fact], facts: Iterable[Fact], book: Book, account: Account, asked: datetime
) -> Present | Ignore:
    """What to do about `fact` now.

    `positions` and `facts` are those of the source's picture, `asked` (UTC) is when somebody wanted it; `book` has to
    know the symbol's rules and a price.
    """
    if not reopens(fact, account, book.margin):
        return _by_totals(fact, book, account)
    if _rests(fact, account, book.margin):
        return present.order(_newest_order(fact, facts), book, account, asked, fact)
    newest = next((each for each in positions if link_of(each) == link_of(fact)), None)
    return present.position(newest, book, account, asked, fact)


def sought(sent: Fact, book: Book, account: Account) -> Plan:
    """What to look for, and what it makes of the link when it is there. `sent` is what was decided to be followed."""
    link = book.links.get(link_of(sent))
    known = link if link is not None and link.revision <= sent.exposure.revision else None
    if link is known:
        planned = present.planned(sent, book, account)
        if isinstance(planned, Present) and any(isinstance(step, Open | Rest) for step in planned.plan.steps):
            return planned.plan
    symbol = wanted_symbol(sent.instrument, account.symbols)
    base = known or Link(key=link_of(sent), instrument=sent.instrument, symbol=symbol)
    after = total(sent.exposure.after, account)
    return Plan(
        link=replace(base, followed=after, revision=sent.exposure.revision), steps=(_probe(sent, base.key, symbol),)
    )


def _rests(fact: Fact, account: Account, margin: Margin) -> bool:
    """Whether it is about a resting order that this account mirrors."""
    placed = isinstance(fact, OrderPlaced | OrderModified) and is_resting(fact.order)
    return placed and account.mirrors(fact.model, margin)


def _newest_order(fact: Fact, facts: Iterable[Fact]) -> Fact | None:
    """The newest fact of the same order: an order of the source has one id of its own."""
    assert isinstance(fact, OrderFact)
    same = [f for f in facts if isinstance(f, OrderFact) and (f.account, f.order.id) == (fact.account, fact.order.id)]
    return max(same, key=lambda f: f.exposure.revision, default=None)


def _by_totals(fact: Fact, book: Book, account: Account) -> Present | Ignore:
    """As it was told; levels that were refused are set as they are wanted by now."""
    plan, link = translate(fact, book, account), book.links.get(link_of(fact))
    if isinstance(plan, Plan):
        return Present(fact=fact, plan=plan)
    unset = level_steps(link, book) if link is not None and plan.reason is Ignored.ALREADY_THERE else ()
    if link is not None and unset:
        return Present(fact=fact, plan=Plan(link=link, steps=unset))
    return plan


def _probe(sent: Fact, link: str, symbol: str) -> Open | Rest:
    """A step that is never sent: under its marks the one that may have been sent is found."""
    if isinstance(sent, OrderPlaced) and is_resting(sent.order):
        order = sent.order
        price = (order.limit_price if order.type == "limit" else order.stop_price) or ZERO
        return Rest(
            name="rest", link=link, order=order.id, symbol=symbol, type=order.type, side=order.side, volume=ZERO,
            price=price,
        )  # fmt: skip
    side = side_of(sent.exposure.after.total or sent.exposure.before.total)
    return Open(name="open", link=link, symbol=symbol, side=side, volume=ZERO)
