"""Pure: what disagrees, in words and numbers, as it is kept, told and shown.

What is on its way (a debt, a parked fact) is no disagreement, and neither is what the account never was to follow.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import assert_never

import msgspec
from msgspec import Struct

from executor.book import Book
from executor.follow import total
from executor.gone import Gone
from executor.instruments import signed
from executor.mirror import given
from executor.mirrored import OrderGone, OrderLeft, OrderMissing
from executor.reconcile import Finding, Resolve, Unfollowed, Unprotected
from executor.settings import Account
from executor.sight import Sight, source_of
from executor.steps import Open, Protect
from executor.strays import Excess, Stray, StrayOrder
from executor.translate import Plan, translate
from shared.outcomes import Drift

ZERO = Decimal(0)


class Found(Struct, frozen=True, kw_only=True):
    """One disagreement. `position` is the link that it is about, empty where there is none; lots are signed.

    `what` is one of a closed set of codes (docs list them), `identity` says which one it is, `remedy` what would end
    it. `since` is when it was seen first (UTC).
    """

    identity: str
    what: str
    position: str
    symbol: str
    expected: Decimal
    actual: Decimal
    text: str
    remedy: str
    since: datetime

    @property
    def line(self) -> str:
        """The same for a person."""
        lots = f"{plain(self.expected)} lots expected, {plain(self.actual)} there"
        return f"{self.symbol}: {lots} ({self.text})" if self.expected != self.actual else f"{self.symbol}: {self.text}"


class Under(Struct, frozen=True, kw_only=True):
    """What is under way: on these links and in these symbols, nothing that differs means anything yet."""

    links: Collection[str] = ()
    symbols: Collection[str] = ()


def drifts(
    findings: Collection[Finding], book: Book, sight: Sight, account: Account, under: Under, now: datetime
) -> Iterator[tuple[Found, Finding]]:
    """The findings that count as disagreements, in words, each seen first `now`."""
    for finding in findings:
        found = described(finding, book, sight, account, now)
        if found is not None and judgeable(found, sight, under):
            yield found, finding


def judgeable(found: Found, sight: Sight, under: Under) -> bool:
    """Whether a disagreement, or its absence, can be seen now."""
    if found.position in under.links or (not found.position and found.symbol in under.symbols):
        return False
    if found.what in OF_HISTORY and found.symbol in under.symbols:
        return False
    return found.what in OF_TERMINAL or not found.position or sight.may_judge(found.position)


OF_SOURCE = frozenset({"left-open", "behind", "not-followed", "order-left", "order-gone", "order-missing"})
"""What is seen only beside the source."""
OF_TERMINAL = frozenset({"gone", "levels", "stray", "double", "excess", "stray-order", "double-order"})
"""What is seen without the source."""
OF_HISTORY = frozenset({"gone", "stray", "double", "excess", "stray-order", "double-order"})
"""What an unknown step of the same symbol could explain."""


def described(finding: Finding, book: Book, sight: Sight, account: Account, now: datetime) -> Found | None:
    """A finding in words; None when nothing of it matters to anybody."""
    match finding:
        case Gone() | Excess() | Unprotected():
            return _of_ours(finding, book, now)
        case Resolve():
            return _resolve(finding, book, sight, account, now)
        case Unfollowed(key, step):
            text = "the source holds it and this account has not followed it"
            return _found(f"not-followed:{key}", key, step.symbol, _lots(step), ZERO, text, "open it", now)
        case Stray() | StrayOrder():
            return _stray(finding, now)
        case OrderGone() | OrderLeft() | OrderMissing():
            return _order(finding, book, now)
        case _:
            assert_never(finding)


def told(account: str, found: Found, now: datetime, *, ended: bool = False) -> Drift:
    """The observation that it is certain, or that it is over."""
    return Drift(
        account=account,
        position=found.position,
        symbol=found.symbol,
        expected=found.expected,
        actual=found.actual,
        seen=now,
        text=found.text,
        finding=found.what,
        identity=found.identity,
        remedy=found.remedy,
        since=found.since,
        ended=now if ended else None,
    )


def kept(contents: Mapping[str, bytes]) -> dict[str, Found]:
    """Disagreements by identity, as they are kept in Redis; what cannot be read is found anew."""
    found = {}
    for identity, content in contents.items():
        try:
            found[identity] = msgspec.json.decode(content, type=Found)
        except msgspec.MsgspecError:
            continue
    return found


def plain(number: Decimal) -> str:
    """A signed number without trailing zeros."""
    return f"{number.normalize():+f}"


def _found(
    identity: str, key: str, symbol: str, expected: Decimal, actual: Decimal, text: str, remedy: str, now: datetime
) -> Found:
    return Found(
        identity=identity, what=identity.partition(":")[0], position=key, symbol=symbol, expected=expected,
        actual=actual, text=text, remedy=remedy, since=now,
    )  # fmt: skip


def _of_ours(finding: Gone | Excess | Unprotected, book: Book, now: datetime) -> Found:
    link = book.links[finding.link]
    match finding:
        case Gone(key, identifier, volume):
            left = link.own - (volume if link.own > 0 else -volume)
            text = f"{volume.normalize():f} lots of position {identifier} are gone, and no deal of others says how"
            remedy = "forget what is gone"
            return _found(f"gone:{key}:{identifier}", key, link.symbol, link.own, left, text, remedy, now)
        case Excess():
            there = link.own + signed(finding.side, finding.volume)
            text = f"position {finding.identifier} has more than was opened"
            identity = f"excess:{link.key}:{finding.identifier}"
            return _found(identity, link.key, link.symbol, link.own, there, text, "close what is too much", now)
        case Unprotected(key, step):
            text = f"position {step.ticket} does not have its levels: {_levels(step)}"
            identity = f"levels:{key}:{step.ticket}"
            return _found(identity, key, link.symbol, link.own, link.own, text, "set them", now)


def _resolve(finding: Resolve, book: Book, sight: Sight, account: Account, now: datetime) -> Found | None:
    key, link = finding.link, book.links[finding.link]
    if finding.fact is None:
        if not link.own:
            return None
        orphan = f"the account does not follow {source_of(key)} any more" if sight.is_orphan(key) else ""
        return _found(f"left-open:{key}", key, link.symbol, ZERO, link.own, orphan or _NONE_THERE, "close it", now)
    there, expected = total(finding.fact.exposure.after, account), _expected(finding, book, account)
    text = f"the source holds {plain(there)}, and {plain(link.followed)} was followed"
    if there == link.followed:
        text = "the source has other levels"
    lots = "open the rest" if abs(expected) > abs(link.own) else "close what is too much"
    remedy = "set them" if expected == link.own else lots
    return _found(f"behind:{key}", key, link.symbol, expected, link.own, text, remedy, now)


_NONE_THERE = "the source has none"


def _expected(finding: Resolve, book: Book, account: Account) -> Decimal:
    """Our lots once the source's newest fact were followed."""
    assert finding.fact is not None
    own, plan = book.links[finding.link].own, translate(finding.fact, book, account)
    if not isinstance(plan, Plan):
        return own
    opened = sum((signed(s.side, s.volume) for s in plan.steps if isinstance(s, Open)), ZERO)
    return (own if plan.reduced is None else plan.reduced) + opened


def _stray(finding: Stray | StrayOrder, now: datetime) -> Found:
    lots = signed(finding.side, finding.volume)
    if isinstance(finding, StrayOrder):
        what, remedy, is_there = "order", "remove it", ZERO
        name = "double-order" if finding.double else "stray-order"
    else:
        what, remedy, is_there = "position", "close it", lots
        name = "double" if finding.double else "stray"
    text = f"{what} {finding.ticket} bears our mark and is not known to us"
    if finding.double:
        text = f"{what} {finding.ticket} was made by a step that was done twice"
    return _found(f"{name}:{finding.ticket}", finding.link, finding.symbol, ZERO, is_there, text, remedy, now)


def _order(finding: OrderGone | OrderLeft | OrderMissing, book: Book, now: datetime) -> Found:
    key, order = finding.link, finding.order
    if isinstance(finding, OrderMissing):
        text = f"order {order} rests at the source and has none here"
        return _found(f"order-missing:{key}:{order}", key, finding.step.symbol, ZERO, ZERO, text, "place it", now)
    link = book.links[key]
    pending = link.pendings[order]
    own, gave = link.own, signed(pending.side, given(pending))
    if isinstance(finding, OrderGone):
        text = f"our resting order {pending.ticket} is not there any more"
        return _found(f"order-gone:{key}:{order}", key, link.symbol, own, own, text, "forget it", now)
    text = f"order {order} is over at the source, and ours is not"
    return _found(f"order-left:{key}:{order}", key, link.symbol, own - gave, own, text, "remove it", now)


def _lots(step: Open) -> Decimal:
    return signed(step.side, step.volume)


def _levels(step: Protect) -> str:
    named = (("stop", step.stop_loss), ("target", step.take_profit))
    return ", ".join(f"{name} {'none' if level is None else f'{level:f}'}" for name, level in named)
