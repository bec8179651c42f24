"""Pure: on which positions an account and its sources disagree, in words, for whoever watches.

Nothing is decided here. What is on its way (a debt, a parked fact) is no disagreement, and neither is what the account
never was to follow: a position that was open before it joined.
"""

from collections.abc import Collection, Iterable, Iterator
from decimal import Decimal

from executor.book import Book, link_key
from executor.follow import total
from executor.reconcile import Drift, Resolve, Stray, reconcile
from executor.settings import Account
from shared.facts import Fact


def disagreements(
    book: Book, facts: Collection[Fact], account: Account, busy: Collection[str], refused: Collection[str]
) -> dict[str, str]:
    """What differs, by position.

    `facts` are the newest of everything that the sources hold, `busy` the links on which something is under way, and
    `refused` the links, and the ids of facts, of which something ended here without an effect.
    """
    return dict(_found(book, _newest(facts), account, busy, refused))


def plain(number: Decimal) -> str:
    """A signed number without trailing zeros."""
    return f"{number.normalize():+f}"


def _newest(facts: Iterable[Fact]) -> dict[str, Fact]:
    """The newest fact of each position."""
    ordered = sorted(facts, key=lambda fact: fact.exposure.revision)
    return {link_key(f.source, f.account, f.exposure.position): f for f in ordered}


def _found(
    book: Book, living: dict[str, Fact], account: Account, busy: Collection[str], refused: Collection[str]
) -> Iterator[tuple[str, str]]:
    for finding in reconcile(book, living.values(), account, {}, ()):
        match finding:
            case Resolve(key, fact) if key not in busy and (fact is not None or book.links[key].parts):
                yield key, _resolve(book, key, fact, account)
            case Drift(key, symbol, expected, actual, text) if key not in busy and _counts(key, living, refused):
                yield key, f"{symbol}: {plain(expected)} lots expected, {plain(actual)} there ({text})"
            case Stray(ticket, symbol) if not busy:
                yield str(ticket), f"{symbol}: position or order {ticket} bears our mark and is not known to us"
            case _:
                pass


def _counts(key: str, living: dict[str, Fact], refused: Collection[str]) -> bool:
    """A position that the account has not followed counts when it was to follow it and did not."""
    return key not in living or key in refused or living[key].id in refused


def _resolve(book: Book, key: str, fact: Fact | None, account: Account) -> str:
    link = book.links[key]
    if fact is None:
        return f"{link.symbol}: {plain(link.own)} lots here, and the source has none"
    there = total(fact.exposure.after, account)
    return f"{link.symbol}: the source holds {plain(there)}, and {plain(link.followed)} was followed"
