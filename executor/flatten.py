"""Pure: closing everything that is ours on an account, as debts, because an operator or a limit on losses wants it."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from executor.book import Debt, Link

ZERO = Decimal(0)


class Flattening(Struct, frozen=True, kw_only=True):
    """What a commit has to write: the links with their orders given up, and a debt for each."""

    links: Mapping[str, Link] = {}
    debts: Mapping[str, Debt] = {}


def flattening(links: Iterable[Link], debts: Mapping[str, Debt], reason: str, now: datetime) -> Flattening:
    """Everything that we hold of `links` is to be closed; facts that wait for a debt in `debts` go on waiting."""
    ours = [link for link in links if link.parts or link.pendings]
    return Flattening(
        links={link.key: _given_up(link) for link in ours},
        debts={link.key: _debt(link, debts.get(link.key), reason, now) for link in ours},
    )


def _debt(link: Link, there: Debt | None, reason: str, now: datetime) -> Debt:
    meaning = f"flatten\n{link.key}\n{link.revision}"
    fresh = Debt(link=link.key, fact="", entry="", target=ZERO, since=now, captured=now, meaning=meaning)
    return replace(there or fresh, target=ZERO, reason=reason)


def _given_up(link: Link) -> Link:
    """The link with every mirrored order as one whose source is over: it is removed with the debt."""
    return replace(link, pendings={order: replace(p, quantity=ZERO) for order, p in link.pendings.items()})
