"""What a new owner of a source takes over from the one before: its picture, and the facts that state it again.

Facts tell of every object that is in Redis; the memory, a picture without what is over, adds what facts do not say:
what was open before anybody looked, levels, units. A new producer begins with the newest fact of each object, unchanged
but for its place, so that after a failover of Redis there is somebody who can publish it again.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from msgspec.structs import replace

from ingest.calls import Instrument, OrdersShown, PositionsShown
from ingest.renaming import called
from ingest.state import ZERO, OrderState, Picture, PositionState
from ingest.times import not_after
from shared.facts import Amount, Fact, OrderFact, PositionFact, objects

KEPT_NAMES = 1000
"""How many ids of the source a memory holds that were used, so that one which comes back gets a name of its own."""

FRESH = timedelta(seconds=60)
"""A frame that has waited for longer is left to the polls: nobody knows what was pushed since."""
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

_NAMED = re.compile(r"(.+)#([1-9]\d*)")


def in_order(living: Iterable[Fact], recent: Sequence[Fact]) -> list[Fact]:
    """Every fact once: `living` ones that are older than all `recent` ones by their age, then `recent` as they came."""
    known = {fact.id for fact in recent}
    older = [fact for fact in living if fact.id not in known]
    last = {fact.id: fact for fact in recent}
    return [*sorted(older, key=lambda f: (f.captured, f.producer, f.seq)), *last.values()]


def restated(told: Iterable[Fact]) -> list[Fact]:
    """The newest of `told` about each object, in their order; readers have seen it or need it."""
    newest: dict[tuple[str, str], Fact] = {}
    told = list(told)
    for fact in told:
        for name, _ in objects(fact):
            known = newest.get((fact.account, name))
            if known is None or fact.exposure.revision >= known.exposure.revision:
                newest[fact.account, name] = fact
    wanted = {fact.id for fact in newest.values()}
    return [replace(fact, evidence="poll") for fact in told if fact.id in wanted]


def memory(picture: Picture) -> Picture:
    """What a successor needs of a picture: all that lives, and neither times of ours nor what is over.

    Frames that wait for a reply are handed over with it: they are pushed once. So is what the trader saw last, since an
    id may have moved on when the successor looks first. What one poll of ours alone has shown is left for it to see.
    Instruments are left out: they are many, change rarely, and are kept beside it.
    """
    positions = {key: _sure(p) for key, p in picture.positions.items() if not p.over}
    orders = {name: replace(o, doubt=None) if o.doubt else o for name, o in picture.orders.items() if o.live}
    panel = {name: row for name, row in picture.panel.items() if row.quantity}
    links = {i: name for i, name in picture.links.items() if any(p.position_id == i for p in positions.values())}
    return replace(
        picture, positions=positions, orders=orders, links=links, instruments={}, quiet={}, answered={}, rows={},
        strangers={}, panel=panel, listed=frozenset(), flows={}, outrun={}, late={}, fills=(),
        polled=dict.fromkeys(picture.polled, LONG_AGO),
        brackets={name: b for name, b in picture.brackets.items() if b.live},
        uses=dict(list({**picture.used, **picture.uses}.items())[-KEPT_NAMES:]), used={},
        passed=dict(list(picture.passed.items())[-KEPT_NAMES:]),
    )  # fmt: skip


def _sure(position: PositionState) -> PositionState:
    if position.doubt is None and position.level_doubt is None:
        return position
    return replace(position, doubt=None, doubted=ZERO, level_doubt=None)


def adopted(base: Picture, told: Iterable[Fact], now: datetime) -> Picture:
    """The picture of a source account whose facts, oldest first, are `told`; `base` is a memory, or a new picture.

    The next polls are compared with it. Where `base` has never been compared with any, they are the first look again.
    """
    picture = not_after(replace(base, polled=dict.fromkeys(base.polled, now)), now)
    mine = [not_after(fact, now) for fact in told if fact.account == base.account]
    for fact in mine:
        picture = _with(picture, fact)
    waiting = tuple(f for f in picture.waiting if now - f.answered < FRESH and not _is_overtaken(f, mine))
    divided = {key: _divided(p, picture) for key, p in picture.positions.items()}
    passing = tuple(replace(one, seen=now) for one in picture.passing)  # its effect has yet to be shown to us
    return replace(picture, positions=divided, waiting=waiting, passing=passing)


def _is_overtaken(frame: OrdersShown | PositionsShown, told: Iterable[Fact]) -> bool:
    """Whether something was told of its instrument since it came: then it may have been told too, or be out of date."""
    named = {row.instrument for row in frame.rows}
    return any(fact.instrument in named and fact.captured >= frame.answered for fact in told)


def _with(picture: Picture, fact: Fact) -> Picture:
    positions, orders = dict(picture.positions), dict(picture.orders)
    uses, key = dict(picture.uses), fact.exposure.position
    position = positions.get(key)
    if position is None or position.revision < fact.exposure.revision:
        positions[key] = _position(fact, position)
    if isinstance(fact, OrderFact):
        _use(uses, "order", fact.order.id)
        revision, known = _revision(fact), orders.get(fact.order.id)
        if known is None or known.revision < revision:
            orders[fact.order.id] = _order(fact, known, revision)
    if fact.model == "hedging" and key.startswith("p"):
        _use(uses, "position", key[1:])
    return replace(
        picture, model=picture.model or fact.model, positions=positions, orders=orders, uses=uses,
        instruments=_instruments(picture, fact),
    )  # fmt: skip


def _use(uses: dict[str, int], kind: str, name: str) -> None:
    source_id, count = _taken_apart(name)
    known = f"{kind}:{source_id}"
    uses[known] = max(count, uses.get(known, 0))


def _taken_apart(name: str) -> tuple[str, int]:
    """The id at the source, and how often it had been used."""
    found = _NAMED.fullmatch(name)
    return (found[1], int(found[2])) if found else (name, 1)


def _revision(fact: Fact) -> int:
    """The revision of the object that a fact is about: the last part of its id."""
    return int(fact.id.rpartition("/")[2])


def _order(fact: OrderFact, known: OrderState | None, revision: int) -> OrderState:
    said = fact.order
    lives = dict(objects(fact))[f"order:{said.id}"]
    before = known or OrderState(
        id=said.id, source_id=_taken_apart(said.id)[0], instrument=fact.instrument, side=said.side, type=said.type,
        quantity=said.quantity, position=fact.exposure.position, since=fact.captured, levels=fact.levels,
    )  # fmt: skip
    return replace(
        before, quantity=said.quantity, filled=said.filled, limit_price=said.limit_price, stop_price=said.stop_price,
        duration=said.duration, expires=said.expires, average_price=said.average_price, live=lives, revision=revision,
        levels=fact.levels.over(before.levels), ended=None if lives else fact.captured, doubt=None,
    )  # fmt: skip


def _position(fact: Fact, known: PositionState | None) -> PositionState:
    exposure, after = fact.exposure, fact.exposure.after
    before = known or PositionState(key=exposure.position, instrument=fact.instrument, since=fact.captured)
    bears = isinstance(fact, PositionFact) or fact.model == "hedging" or fact.order.type == "market"
    if exposure.position_id not in (None, before.position_id):
        before = called(before, exposure.position_id)
    return replace(
        before, held=after.held, opening=after.coming,
        closing=ZERO, revision=exposure.revision, shown=exposure.position_id is not None or before.shown, doubt=None,
        levels=fact.levels.over(before.levels) if bears else before.levels, closing_since=fact.captured,
        over=fact.model == "hedging" and after == Amount(), unbased=False, moved=fact.captured,
    )  # fmt: skip


def _divided(position: PositionState, picture: Picture) -> PositionState:
    """A fact says what is coming; here it is divided into what market orders still open and what was closed."""
    mine = [o for o in picture.orders.values() if o.position == position.key and o.live]
    coming = position.opening + position.closing
    opening = sum((o.coming for o in mine), Decimal(0))
    closing = coming - opening
    return replace(
        position, opening=opening, closing=closing, over=position.over and not mine,
        closing_since=position.closing_since if closing else None,
        turning=bool(closing) and position.held * position.total < 0,
    )  # fmt: skip


def _instruments(picture: Picture, fact: Fact) -> dict[str, Instrument]:
    """What a unit means is in the facts too."""
    found = fact.contract
    if found is None or fact.instrument in picture.instruments:
        return picture.instruments
    told = Instrument(
        name=fact.instrument, unit=found.unit, lot_size=found.lot_size, tick_size=found.tick_size,
        pip_size=found.pip_size, quantity_step=found.quantity_step, quantity_minimum=found.quantity_minimum,
        currency=found.currency,
    )  # fmt: skip
    return {**picture.instruments, fact.instrument: told}
