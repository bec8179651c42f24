"""Pure: what debts change about a book, and how a debt comes to be that no refusal made.

An opening can show up after newer facts of its position were followed: then it is brought to the newest total, as a
debt, so that it is done or stays owed.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from executor.book import Book, Debt, Holding, Link, Owing, link_key
from executor.follow import total
from executor.instruments import side_of, signed, wanted_symbol
from executor.mirror import is_resting
from executor.netting import CROSS, crosses, net_holding, others
from executor.parts import added
from executor.parts import joined as joined_parts
from executor.reasons import Obstacle
from executor.results import Done, Owed, StepResult
from executor.settings import Account
from executor.settle import Settled
from executor.steps import Close, Open, Opening, Reduce, Rest, Step
from executor.translate import Plan, target_steps, worth_keeping
from shared.facts import Fact, OrderPlaced
from shared.outcomes import Result


def when_paid(book: Book, debts: Mapping[str, Debt]) -> Book:
    """The book as it will be when every debt is paid: the totals of later facts are shares of that."""
    for key, debt in debts.items():
        if key in book.links:
            link = at_target(book.links[key], debt.target)
            book = replace(_less_held(book, book.links[key], link), links={**book.links, key: link})
    return book


def staying(key: str, book: Book, debts: Mapping[str, Debt], after: Decimal) -> Link | None:
    """What a fact that asks nothing goes by, to wait for an opening before it or not; `after` is the source's total.

    Where the source holds something, a position that is owed whole does not count: another is to be opened for it.
    """
    return (when_paid(book, debts) if after else book).links.get(key)


def _less_held(book: Book, before: Link, after: Link) -> Book:
    """A netting account without the volume that a debt will take off: else it would look like somebody else's."""
    if book.margin != "netting" or before.own == after.own:
        return book
    held = net_holding(before.symbol, book) or _flat(before)
    left = signed(held.side, held.volume) - (before.own - after.own)
    holdings = {ticket: h for ticket, h in book.holdings.items() if ticket != held.ticket}
    if left:
        holdings[held.ticket] = replace(held, side=side_of(left), volume=abs(left))
    return replace(book, holdings=holdings)


def _flat(link: Link) -> Holding:
    """The position of a netting account that is flat because links of ours stand against each other in it."""
    number, zero = link.parts[0].identifier, Decimal(0)
    return Holding(ticket=number, identifier=number, symbol=link.symbol, side="buy", volume=zero, price=zero)


def at_target(link: Link, target: Decimal) -> Link:
    """The link as it will be when it has been brought down to `target`, the oldest parts gone first."""
    excess = abs(link.own) - abs(target)
    parts = []
    for part in link.parts:
        taken = min(part.volume, max(excess, Decimal(0)))
        excess -= taken
        if part.volume > taken:
            parts.append(replace(part, volume=part.volume - taken))
    return replace(link, parts=tuple(parts))


def joined(debt: Debt, target: Decimal, fact: Fact, entry: str, attempt: int = 1, did: Result | None = None) -> Debt:
    """The debt with the target that a later fact of the link moves it to, and that fact waiting for it, once.

    `did` is what that fact has done already.
    """
    if any(owing.fact == fact.id for owing in debt.owing):
        return replace(debt, target=target)
    owing = Owing(fact=fact.id, entry=entry, captured=fact.captured, attempt=attempt, did=did)
    return replace(debt, target=target, also=(*debt.also, owing))


def unfinished(results: Iterable[StepResult]) -> dict[str, Any]:
    """What a new debt remembers of the attempt that made it: which steps nobody knows the end of, and that some did
    their part, so that the marks of the tries to come are other ones.
    """
    results = list(results)
    exits = [r for r in results if isinstance(r.step, Close | Reduce) or crosses(r.step)]
    unknown = [r for r in exits if isinstance(r.result, Owed) and r.result.reason is Obstacle.NO_ANSWER]
    return {
        "sought": tuple(r.step.name for r in unknown),
        "attempts": int(any(isinstance(r.result, Done) for r in exits)),
    }


def probes(link: Link, debt: Debt, book: Book) -> list[Step]:
    """The exits under whose marks a debt may have been worked at before: searched first, never sent.

    On a hedging account they are the ones that would be sent now, since they go by what the position has left. On a
    netting one each name that may have been sent is asked for; what is found is taken off what is ours.
    """
    steps = renamed(target_steps(link, debt.target, book), debt.attempts)
    if book.margin == "hedging":
        return [s for s in steps if isinstance(s, Reduce)]
    side, own = side_of(link.own), abs(link.own)
    crossing = Open(name=CROSS, link=link.key, symbol=link.symbol, side=side, volume=own)
    names = dict.fromkeys((*debt.sought, *(s.name for s in (*steps, *renamed([crossing], debt.attempts)))))
    floor, symbol = Decimal(0), link.symbol
    return [Reduce(name=n, link=link.key, ticket=0, symbol=symbol, side=side, volume=own, floor=floor) for n in names]


def renamed(steps: Iterable[Step], attempts: int) -> list[Step]:
    """Steps of a debt's later tries: a new name each, since what the marks of the earlier ones did is known."""
    return [replace(s, name=f"{s.name}/{attempts}") if attempts else s for s in steps]


def probe(fact: Fact, symbol: str, account: Account) -> Plan | None:
    """A step under whose marks a superseded opening would be found, if it was sent before a crash; never sent.

    A fact that reduces may have opened as well: where facts before it were missing, its total was more than ours.
    """
    after = total(fact.exposure.after, account)
    if not after:
        return None
    key = link_key(fact.source, fact.account, fact.exposure.position)
    link = Link(key=key, instrument=fact.instrument, symbol=symbol, revision=fact.exposure.revision, followed=after)
    step = Open(name="open", link=key, symbol=symbol, side=side_of(after), volume=Decimal(0))
    return Plan(link=link, steps=(step,))


def set_off(book: Book, key: str, lots: Decimal, kept: Callable[[Link], Link | None]) -> dict[str, Link | None]:
    """The other links of a netting position without the signed `lots` that the link `key` gave up untraded.

    These lots stood against theirs, so neither is in the position any more: the sum of what is ours stays what it is.
    `kept` says what is remembered of a link that is over.
    """
    changed: dict[str, Link | None] = {}
    for link in others(book.links[key], book) if lots and book.margin == "netting" and key in book.links else ():
        off = min(abs(lots), abs(link.own)) if link.own * lots < 0 else Decimal(0)
        if off:
            lots -= off if lots > 0 else -off
            less = at_target(link, link.own - signed(side_of(link.own), off))
            changed[link.key] = less if worth_keeping(less) else kept(less)
    return changed


def doubted(plan: Plan, fact: Fact, account: Account, *, suspect: bool) -> Plan:
    """The plan of a fact; with a search where an opening is denied now that may have been made before.

    A terminal that has just come back may not tell what a size needs, nor which symbols it has, and a denial must not
    be written over an effect. What the source's totals were before says nothing: facts may have been missing.
    """
    if not suspect or plan.denied is None or any(isinstance(step, Opening) for step in plan.steps):
        return plan
    after, link = total(fact.exposure.after, account), plan.link
    if link.revision != fact.exposure.revision:  # its symbol was not known
        name = link.symbol or wanted_symbol(fact.instrument, account.symbols)
        link = replace(link, symbol=name, followed=after, revision=fact.exposure.revision)
    return replace(plan, link=link, steps=(*plan.steps, *_sought(fact, after, link)))


def _sought(fact: Fact, after: Decimal, link: Link) -> Iterator[Open | Rest]:
    """The openings of a fact as they are searched: without volume, so they are never sent."""
    if isinstance(fact, OrderPlaced) and is_resting(fact.order):
        order, zero = fact.order, Decimal(0)
        price = order.limit_price if order.type == "limit" else order.stop_price
        yield Rest(
            name="rest", link=link.key, order=order.id, symbol=link.symbol, type=order.type, side=order.side,
            volume=zero, price=price or zero,
        )  # fmt: skip
    if after:
        yield Open(name="open", link=link.key, symbol=link.symbol, side=side_of(after), volume=Decimal(0))


def brought_up(
    fact: Fact, before: Decimal, plan: Plan, settled: Settled, book: Book, owed: Debt | None, now: datetime
) -> Settled:
    """What was settled, laid into the link as newer facts have made it; the rest that is too much becomes a debt.

    `before` is the source's total before the fact. `owed` is the debt of the link, if there is one: what showed up
    comes on top of its target.
    """
    current = book.links.get(plan.link.key)
    if current is None or settled.link is None or current.revision <= plan.link.revision:
        return settled
    parts = current.parts
    for fresh in added(plan.link.parts, settled.link.parts):
        parts = joined_parts(parts, fresh)
    link = replace(current, parts=parts)
    base = current.own if owed is None else owed.target
    target = base + (link.own - current.own) * _share(before, plan.link.followed, current.followed)
    if not target_steps(link, target, book):
        return replace(settled, link=link)
    debt = Debt(link=link.key, fact=fact.id, entry="", target=target, since=now, captured=fact.captured)
    return Settled(link=link, debt=debt, result=None, reason="late", text="it showed up after newer facts")


def _share(before: Decimal, wanted: Decimal, newest: Decimal) -> Decimal:
    """How much of the way from `before` to `wanted` the newest total still goes.

    What opened though its fact states less than before it came from where nobody had followed anything.
    """
    if abs(before) > abs(wanted) and before * wanted > 0:
        before = Decimal(0)
    share = (newest - before) / (wanted - before) if wanted != before else Decimal(0)
    return min(Decimal(1), max(Decimal(0), share))


def relieved(debt: Debt, over: Collection[Owing]) -> Debt:
    """The debt without those that wait for it and have their end already."""
    first = bool(debt.fact) and debt.owing[0] in over
    return replace(debt, fact="" if first else debt.fact, also=tuple(each for each in debt.also if each not in over))


def newer(planned: Link, known: Link | None) -> Link:
    """The link as the newest fact about it left it; an older one that ends late does not take that back."""
    return known if known is not None and known.revision > planned.revision else planned
