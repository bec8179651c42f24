"""What was seen and could not be told: while nobody says how positions are counted, or in which unit quantities are.

The page asks for both only when it loads, so an ingest that starts beside an open page may wait for it. Until then
nothing is guessed. What the first polls showed is kept as the baseline, so that what is traded meanwhile stands out
when the model is known; what a missing unit held back is told when the unit is known and a poll still shows it.
"""

from collections.abc import Iterable
from datetime import datetime

from msgspec.structs import replace

from ingest import accepted
from ingest.calls import (
    Asked,
    Call,
    CancelOrder,
    ClosePosition,
    Event,
    ModifyOrder,
    ModifyPosition,
    Note,
    OrdersShown,
    PlaceOrder,
    PositionsShown,
    Refused,
    Unanswered,
)  # fmt: skip
from ingest.changes import Change, Why, kind_of
from ingest.desk import Desk
from ingest.source import Source
from ingest.state import Picture
from ingest.stating import contract_of, opens
from ingest.subject import instrument_of, waits
from shared.facts import Amount

EARLY_CALLS = 200
"""So many calls are kept that came before the first look at the account."""


def complaints(picture: Picture) -> list[str]:
    """What keeps trades on this account from being told, and what to do about it."""
    who, found = f"{picture.source}/{picture.account}", []
    if picture.model is None:
        found.append(
            f"{who}: no trade is published, for it is not known whether positions are hedging or netting: "
            'reload the TradingView page, or set positions = "hedging" or "netting" for this source'
        )
    if names := sorted({name for name, _ in picture.withheld.values()}):
        found.append(
            f"{who}: trades on {', '.join(names[:5])} are held back, for the unit of their quantity is not known: "
            "reload the TradingView page, or set quantity-unit for this source"
        )
    return found


# --- the model ------------------------------------------------------------------------------------------------------


def remember(desk: Desk, event: Event) -> None:
    """What happens while the model is not known."""
    match event:
        case Asked():
            waits(desk, event.call)
        case Refused():
            accepted.refuse(desk, event)
        case Unanswered():
            accepted.unanswered(desk, event)
        case OrdersShown() | PositionsShown():
            _look(desk, event)
        case PlaceOrder() | ModifyOrder() | CancelOrder() | ModifyPosition() | ClosePosition():
            _accepted(desk, event)
        case _:
            pass
    desk.note("model-unknown", "neither the settings nor /accounts say hedging or netting")


def _look(desk: Desk, poll: OrdersShown | PositionsShown) -> None:
    """The first look of each kind counts; not while a call has no reply, whose effect would go for the baseline."""
    kind = "orders" if isinstance(poll, OrdersShown) else "positions"
    desk.answered[kind] = max(poll.answered, desk.answered.get(kind, poll.answered))
    is_first = all(type(known) is not type(poll) for known in desk.early)
    is_clear = not desk.open and not desk.unsettled and all(poll.asked >= at for at in desk.quiet.values())
    if poll.complete and is_first and is_clear:
        desk.early = (*desk.early, poll)


def _accepted(desk: Desk, call: Call) -> None:
    """What was accepted after the first look is in the polls to come; what came before it has to be remembered."""
    desk.open.pop(call.flow, None)
    desk.hush(instrument_of(desk, call), call.answered or call.asked)
    if len(desk.early) < 2 and all(known.flow != call.flow for known in desk.early_calls):
        desk.early_calls = (*desk.early_calls, call)[-EARLY_CALLS:]


def early(desk: Desk) -> list[Call | OrdersShown | PositionsShown]:
    """What was remembered, oldest first; it is forgotten by this."""
    found = sorted((*desk.early_calls, *desk.early), key=_at)
    desk.early, desk.early_calls = (), ()
    return found


def _at(event: Call | OrdersShown | PositionsShown) -> datetime:
    return event.asked if isinstance(event, OrdersShown | PositionsShown) else event.answered or event.asked


# --- the unit -------------------------------------------------------------------------------------------------------


def withhold(picture: Picture, changes: Iterable[Change], source: Source) -> Picture:
    """Remember what could not be stated, each object with what it was before; what is over is forgotten."""
    kept = dict(picture.withheld)
    for change in changes:
        if contract_of(picture.instruments.get(change.instrument), source) is None and opens(change):
            is_resting = change.order is not None and change.before.total == change.after.total
            name = f"order:{change.order.id}" if is_resting and change.order else f"position:{change.position}"
            kept.setdefault(name, (change.instrument, change.before))
    kept = {name: of for name, of in kept.items() if _lives(picture, name)}
    return picture if kept == picture.withheld else replace(picture, withheld=kept)


def _lives(picture: Picture, name: str) -> bool:
    kind, _, key = name.partition(":")
    if kind == "order":
        return key in picture.orders and picture.orders[key].live
    position = picture.positions.get(key)
    return position is not None and not position.over and bool(position.total or position.held)


def from_what_was_told(
    picture: Picture, said: tuple[Change | Note, ...], source: Source
) -> tuple[Picture, tuple[Change | Note, ...]]:
    """The first change that can be told of what was held back begins at what readers know, and so tells that too.

    Else a reader would take for followed already what nobody has told.
    """
    left, found = dict(picture.withheld), list[Change | Note]()
    for one in said:
        can_be = isinstance(one, Change) and contract_of(picture.instruments.get(one.instrument), source) is not None
        found.append(_from_what_was_told(one, left) if isinstance(one, Change) and can_be else one)
    picture = picture if len(left) == len(picture.withheld) else replace(picture, withheld=left)
    return picture, tuple(found)


def _from_what_was_told(change: Change, withheld: dict[str, tuple[str, Amount]]) -> Change:
    _, before = withheld.pop(f"position:{change.position}", ("", change.before))
    kind = change.kind
    if change.order is None:
        kind = kind_of(before, change.after)
    elif withheld.pop(f"order:{change.order.id}", None) and kind == "order.modified":
        kind = "order.placed"
    return replace(change, before=before, kind=kind)


def told(picture: Picture, source: Source, poll: Event) -> tuple[Picture, list[Change]]:
    """What was held back, and that a poll of its kind still shows now that its unit is known, as changes."""
    if not picture.withheld or not isinstance(poll, OrdersShown | PositionsShown):
        return picture, []
    kind = "order:" if isinstance(poll, OrdersShown) else "position:"
    desk, left = Desk(picture), dict(picture.withheld)
    for name, (instrument, before) in picture.withheld.items():
        known = contract_of(picture.instruments.get(instrument), source) is not None
        if known and name.startswith(kind) and desk.trusts(poll, instrument) and _tell(desk, name, before, poll):
            del left[name]
    if len(left) == len(picture.withheld):
        return picture, []
    desk.withheld = left
    return desk.picture(), [c for c in desk.said if isinstance(c, Change)]


def _tell(desk: Desk, name: str, before: Amount, poll: OrdersShown | PositionsShown) -> bool:
    """Whether it could be told: a doubt is settled first."""
    kind, _, key = name.partition(":")
    why = Why(at=poll.answered)
    if kind == "order":
        order = desk.orders[key]
        if order.doubt is None:
            desk.tell_order("order.placed", order, desk.positions[order.position], why, levels=order.levels)
        return order.doubt is None
    position = desk.positions[key]
    if position.doubt is None:
        desk.tell_again(position, before, why)
    return position.doubt is None
