"""Pure: what the stream says that a trader did, and whether it is what the broker's own book says.

The facts are read as plain JSON; the rules are this suite's own.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from msgspec import Struct

from deploy.chaos.checker import Finding
from deploy.chaos.story import Statement, Totals
from deploy.demo.book import Book
from deploy.demo.rules import FINAL

Held = Counter[tuple[str, Decimal]]
"""How many positions there are of each instrument and signed size."""


class Booked(Struct, frozen=True, kw_only=True):
    """What the broker's book says at the end."""

    held: Held
    resting: int


def booked(book: Book) -> Booked:
    """The broker's own book."""
    held = Counter((p.instrument, p.signed.normalize()) for p in book.positions.values() if p.qty)
    working = [o for o in book.orders.values() if o.status not in FINAL]
    return Booked(held=held, resting=sum(o.parent_id is None and o.type != "market" for o in working))


def statements(facts: Sequence[Mapping[str, Any]]) -> list[Statement]:
    """The facts of a stream as statements of a story, each told once."""
    once = {fact["id"]: fact for fact in facts}
    return [_statement(number, fact) for number, fact in enumerate(once.values(), start=1)]


def differences(facts: Sequence[Mapping[str, Any]], broker: Booked) -> Iterator[Finding]:
    """Where stream and book do not agree."""
    for fact, times in Counter(fact["id"] for fact in facts).items():
        if times > 1:
            yield Finding("doubled", f"{fact} is in the stream {times} times")
    told = _held(facts)
    for what, count in (broker.held - told).items():
        yield Finding("lost", f"the broker holds {_words(what, count)}, of which the stream does not tell")
    for what, count in (told - broker.held).items():
        yield Finding("wrong", f"the stream tells of {_words(what, count)}, which the broker does not hold")


def _held(facts: Sequence[Mapping[str, Any]]) -> Held:
    newest: dict[str, Mapping[str, Any]] = {}
    for fact in facts:
        name, known = fact["exposure"]["position"], newest.get(fact["exposure"]["position"])
        if known is None or fact["exposure"]["revision"] > known["exposure"]["revision"]:
            newest[name] = fact
    totals = ((f["instrument"], _totals(f["exposure"]["after"]).total.normalize()) for f in newest.values())
    return Counter((instrument, total) for instrument, total in totals if total)


def _statement(number: int, fact: Mapping[str, Any]) -> Statement:
    exposure = fact["exposure"]
    return Statement(
        number=number,
        kind=fact["kind"],
        instrument=fact["instrument"],
        position=exposure["position"],
        revision=exposure["revision"],
        before=_totals(exposure["before"]),
        after=_totals(exposure["after"]),
        stop=_stop(fact.get("levels", {})),
        fact=fact["id"],
    )


def _stop(levels: Mapping[str, Any]) -> Decimal | None:
    """Where a fact says that the stop is, 0 for nowhere; None when it says nothing."""
    if "stop_loss" not in levels:
        return None
    return Decimal(str(levels["stop_loss"] or 0))


def _totals(amount: Mapping[str, Any]) -> Totals:
    return Totals(Decimal(str(amount.get("held", 0))), Decimal(str(amount.get("coming", 0))))


def _words(what: tuple[str, Decimal], count: int) -> str:
    return f"{what[1]} {what[0]}" + (f" {count} times" if count > 1 else "")
