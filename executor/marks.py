"""Our identity inside MT5: the number in `magic` by which a step is found again after nobody knows what became of it.

A mark is below 2^53: eight bits say TradeCopier, the rest is a hash of who (login@server), what the fact states and
which step, with one of four salts. Every attempt of a step draws from the same four, so a search that tries all four
finds it whoever sent it. MT5 copies the mark to order, deal and (for an opening) position, and nobody rewrites it.
"""

import hashlib
from collections.abc import Container, Iterable, Sequence
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from executor.mt5.api import OrderState, OrderType, TradeDeal, TradeOrder, TradePosition
from executor.steps import Close, Marked, Open, Reduce, Rest
from shared.facts import Fact, OrderFact, Side

TAG = 0x95
"""The eight bits on top."""

HASH_BITS = 45
SALTS = 4


class Traces(Struct, frozen=True, kw_only=True):
    """All that a terminal shows of the last day: what is open, and what happened."""

    positions: Sequence[TradePosition]
    orders: Sequence[TradeOrder]
    history_orders: Sequence[TradeOrder]
    deals: Sequence[TradeDeal]


class Found(Struct, frozen=True, kw_only=True):
    """What a step left behind. `working`: an order of it still waits; `ended`: its order ended without any fill.

    `ticket` is the order's, `identifier` the position's (0 when there is none), `volume` in lots what was filled.
    """

    state: Literal["filled", "working", "ended"]
    ticket: int
    identifier: int = 0
    deal: int | None = None
    volume: Decimal = Decimal(0)
    price: Decimal | None = None
    mark: int = 0


def meaning(fact: Fact, attempt: int = 1) -> str:
    """What a fact states, as the text from which its marks are made: told again under another id, it means the same.

    A position's revision and its total after tell facts of one position apart; resting orders leave both as they
    are, so they bring their own id. A later attempt has marks of its own, or what the history has of an earlier one
    would count as its effect.
    """
    after = fact.exposure.after.total.normalize()
    order = fact.order.id if isinstance(fact, OrderFact) and fact.order.type != "market" else ""
    exposure = f"{fact.exposure.position}\n{fact.exposure.revision}\n{after:f}"
    again = f"\n{attempt}" if attempt > 1 else ""
    return f"{fact.source}\n{fact.account}\n{exposure}\n{order}{again}"


def candidates(identity: str, meaning: str, step: str) -> tuple[int, ...]:
    """The four marks that a step may bear on the account `identity` (login@server), in order of choice."""
    return tuple(_mark(f"{identity}\n{meaning}\n{step}\n{salt}") for salt in range(SALTS))


def choose(marks: Sequence[int], taken: Container[int]) -> int | None:
    """The first mark that nothing on the account bears yet; None when all four are taken."""
    return next((m for m in marks if m not in taken), None)


def is_ours(magic: int) -> bool:
    """Whether a magic number is one of TradeCopier's marks, of this account's lane or another's."""
    return magic >> HASH_BITS == TAG


def find(marks: Container[int], step: Marked | Close, traces: Traces) -> Found | None:
    """What `step` left in the terminal under one of its marks, or None when nothing agrees in symbol and side."""
    side = _trading_side(step)
    return (
        _in_deals(marks, step.symbol, side, traces.deals, once=isinstance(step, Open | Rest))
        or _in_orders(marks, step.symbol, side, traces.orders, working=True)
        or _in_positions(marks, step, side, traces.positions)
        or _in_orders(marks, step.symbol, side, traces.history_orders, working=False)
    )


def _mark(text: str) -> int:
    digest = hashlib.sha256(text.encode()).digest()
    return TAG << HASH_BITS | int.from_bytes(digest[:8], "big") >> (64 - HASH_BITS)


def _trading_side(step: Marked | Close) -> Side:
    match step:
        case Open() | Rest():
            return step.side
        case Reduce() | Close():
            return "sell" if step.side == "buy" else "buy"


def _in_deals(
    marks: Container[int], symbol: str, side: Side, deals: Iterable[TradeDeal], *, once: bool
) -> Found | None:
    """The deals under one of the marks. `once`: those of the first order alone; another one is a double of it."""
    ours = [d for d in deals if d.magic in marks and d.symbol == symbol and d.type == (0 if side == "buy" else 1)]
    if not ours:
        return None
    ours = [d for d in ours if d.order == ours[0].order or not once]
    volume = sum((_number(d.volume) for d in ours), Decimal(0))
    money = sum((_number(d.volume) * _number(d.price) for d in ours), Decimal(0))
    first = ours[0]
    return Found(
        state="filled",
        ticket=first.order,
        identifier=first.position_id,
        deal=first.ticket,
        volume=volume,
        price=money / volume if volume and money.is_finite() else None,
        mark=first.magic,
    )


def _in_positions(
    marks: Container[int], step: Marked | Close, side: Side, positions: Iterable[TradePosition]
) -> Found | None:
    if isinstance(step, Reduce | Close):
        return None
    for p in positions:
        if p.magic in marks and p.symbol == step.symbol and p.type == (0 if side == "buy" else 1):
            volume, price = _number(p.volume), _number(p.price_open)
            return Found(
                state="filled", ticket=p.identifier, identifier=p.identifier, volume=volume, price=price, mark=p.magic
            )
    return None


def _in_orders(
    marks: Container[int], symbol: str, side: Side, orders: Iterable[TradeOrder], *, working: bool
) -> Found | None:
    for o in orders:
        if o.magic in marks and o.symbol == symbol and OrderType(o.type).is_buy == (side == "buy"):
            filled = _number(o.volume_initial) - _number(o.volume_current)
            return Found(
                state=_state(o, working),
                ticket=o.ticket,
                identifier=o.position_id,
                volume=filled,
                price=_number(o.price_open),
                mark=o.magic,
            )
    return None


def _state(order: TradeOrder, working: bool) -> Literal["filled", "working", "ended"]:
    if working:
        return "working"
    return "filled" if order.state in (OrderState.FILLED, OrderState.PARTIAL) else "ended"


def _number(value: float) -> Decimal:
    return Decimal(str(value))
