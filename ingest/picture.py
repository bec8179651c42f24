"""The source account as calls and polls show it, and how its changes become facts; the one entry for the tap.

`interpret` is the verb of ingest: a captured exchange and the picture give the next picture, the facts in the order
in which they happened, and notes on everything that is no fact.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from ingest import accepted, broker_rest, forgetting, identity, matching, missed, orders, outrun, paper, removal, untold
from ingest.calls import (
    AccountShown,
    Asked,
    Call,
    CancelOrder,
    ClosePosition,
    Event,
    ExecutionsShown,
    HistoryShown,
    InstrumentsShown,
    ModifyOrder,
    ModifyPosition,
    Note,
    OrdersShown,
    PlaceOrder,
    Poll,
    PositionsShown,
    Refused,
    Unanswered,
)
from ingest.changes import Change
from ingest.desk import Desk
from ingest.exchange import Exchange, Frame
from ingest.rest_calls import is_trading
from ingest.source import Source
from ingest.state import Picture
from ingest.stating import Stamp, facts
from ingest.subject import waits
from shared.facts import (
    Fact,
    Model,
)

__all__ = [
    "Interpreted",
    "Picture",
    "Stamp",
    "accounts",
    "apply",
    "asks",
    "elapsed",
    "facts",
    "hear",
    "interpret",
    "new_picture",
    "restarted",
    "trades",
]


class Interpreted(Struct, frozen=True, kw_only=True):
    """The picture after an exchange, the facts it gave (their `seq` counts on from the stamp's), and the rest."""

    picture: Picture
    facts: tuple[Fact, ...] = ()
    notes: tuple[Note, ...] = ()


def new_picture(source: Source, account: str) -> Picture:
    """The picture of a source account that nobody has looked at yet."""
    return Picture(source=source.name, account=account, model=_model(source))


def _model(source: Source) -> Model | None:
    """What the settings say; Paper Trading knows one position per symbol only."""
    if source.protocol == "paper":
        return "netting"
    return None if source.positions == "auto" else source.positions


def accounts(heard: Exchange | Frame, source: Source) -> tuple[str, ...]:
    """The source accounts that an exchange or frame is about; call `interpret` once with the picture of each."""
    if source.protocol == "paper":
        return paper.accounts(heard, source)
    return broker_rest.accounts(heard, source) if isinstance(heard, Exchange) else ()


def trades(exchange: Exchange, source: Source) -> bool:
    """Whether a request may trade, and so has to be kept before it goes on; what it asks for is read afterwards."""
    if source.protocol == "paper":
        return paper.asks(exchange, source) is not None
    place = broker_rest.locate(exchange, source)
    return place is not None and source.owns(place.account) and is_trading(exchange.method, place)


def asks(exchange: Exchange, source: Source) -> Asked | None:
    """The trading request in an exchange that has no reply yet."""
    return paper.asks(exchange, source) if source.protocol == "paper" else broker_rest.asks(exchange, source)


def hear(heard: Exchange | Frame, source: Source) -> tuple[Event, ...]:
    """What an exchange or frame says, in the vocabulary of calls and polls. Never raises."""
    if isinstance(heard, Exchange) and heard.status is None and not heard.error:
        asked = asks(heard, source)
        return () if asked is None else (asked,)
    if source.protocol == "paper":
        return paper.read(heard, source)
    return broker_rest.read(heard, source) if isinstance(heard, Exchange) else ()


def interpret(picture: Picture, heard: Exchange | Frame, source: Source, stamp: Stamp) -> Interpreted:
    """Apply what an exchange or frame says to the picture of its account, and state what has changed.

    An exchange without a reply (`status` unset, no `error`) is a request that waits for one. The same exchange seen
    twice gives no second fact.
    """
    if _model(source) not in (None, picture.model):
        picture = replace(picture, model=_model(source))
    said: list[Change | Note] = []
    for event in hear(heard, source):
        picture, more = apply(picture, event, stamp.captured)
        if picture.withheld:
            picture, more = untold.from_what_was_told(picture, more, source)
        said.extend(more)
        picture, late = untold.told(picture, source, event)
        said.extend(late)
    return _interpreted(picture, said, source, stamp)


def restarted(picture: Picture, source: Source, stamp: Stamp, asked: Iterable[Call] = ()) -> Interpreted:
    """The picture of a copier that was away: requests without a reply (`asked`: from the journal) will have none."""
    desk = Desk(picture)
    for call in asked:
        waits(desk, call)
    accepted.expire(desk, stamp.captured, all_of_them=True)
    if desk.waiting and desk.model is not None:
        _catch_up(desk)
    return _interpreted(desk.picture(), desk.said, source, stamp)


def elapsed(picture: Picture, source: Source, stamp: Stamp) -> Interpreted:
    """What the time that has gone by says: what was pushed, might have been out of date, and has stayed so."""
    desk = Desk(picture)
    if desk.waiting and desk.model is not None:
        _catch_up(desk)
    _stayed(desk, stamp.captured)
    return _interpreted(desk.picture(), desk.said, source, stamp)


def _interpreted(picture: Picture, said: Iterable[Change | Note], source: Source, stamp: Stamp) -> Interpreted:
    changes = [c for c in said if isinstance(c, Change)]
    stated, notes = facts(picture, changes, source, stamp)
    picture = untold.withhold(picture, changes, source) if notes or picture.withheld else picture
    return Interpreted(picture=picture, facts=stated, notes=(*(n for n in said if isinstance(n, Note)), *notes))


# --- events --------------------------------------------------------------------------------------------------------


def apply(picture: Picture, event: Event, now: datetime) -> tuple[Picture, tuple[Change | Note, ...]]:
    """The picture after an event, with what has changed. Events of other accounts change nothing."""
    if isinstance(event, Note):
        return picture, (event,)
    if event.account != picture.account:
        return picture, (Note("other-account"),)
    desk = Desk(picture)
    if picture.open or picture.unsettled:
        accepted.expire(desk, now)
    if desk.waiting and desk.model is not None:
        _catch_up(desk)  # what need not wait any longer is older than this
    _remembered(desk)
    _apply(desk, event)
    if desk.waiting:
        _catch_up(desk)
    _remembered(desk)
    if desk.removed or desk.late:
        _stayed(desk, now)
    forgetting.prune(desk)
    return desk.picture(), tuple(desk.said)


def _stayed(desk: Desk, now: datetime) -> None:
    """Brackets whose end was pushed and that nothing has replaced, and values that a call had seemed to outrun."""
    for poll in (*removal.due(desk, now), *outrun.due(desk, now)):
        _see_pushed(desk, poll)


def _remembered(desk: Desk) -> None:
    """What had to wait until the model was known."""
    for event in untold.early(desk) if desk.model is not None and (desk.early or desk.early_calls) else ():
        _apply(desk, event)
        _catch_up(desk)


def _apply(desk: Desk, event: Asked | Call | Refused | Unanswered | Poll) -> None:
    match event:
        case AccountShown() | InstrumentsShown():
            _learn(desk, event)
        case _ if desk.model is None:
            untold.remember(desk, event)
        case Asked():
            waits(desk, event.call)
        case Refused():
            accepted.refuse(desk, event)
        case Unanswered():
            accepted.unanswered(desk, event)
        case PlaceOrder() | ModifyOrder() | CancelOrder() | ModifyPosition() | ClosePosition():
            outrun.watched(desk, lambda: accepted.accept(desk, event), event.answered or event.asked)
        case OrdersShown() | PositionsShown():
            _see(desk, event)
        case ExecutionsShown() | HistoryShown():
            _look_back(desk, event)
        case _:
            assert_never(event)


def _learn(desk: Desk, event: AccountShown | InstrumentsShown) -> None:
    match event:
        case AccountShown(hedging=bool(hedging)):
            _learn_model(desk, hedging)
        case InstrumentsShown():
            news = {row.name: row for row in event.rows if desk.instruments.get(row.name) != row}
            desk.instruments = {**desk.instruments, **news} if news else desk.instruments
        case _:
            desk.note("ignored", "the account does not say its position model")


def _learn_model(desk: Desk, hedging: bool) -> None:
    """Once known the model stays: positions are named by it."""
    said = "hedging" if hedging else "netting"
    if desk.model is None:
        desk.model = "hedging" if hedging else "netting"
    elif desk.model != said:
        desk.note("ignored", f"the account says {said}, {desk.model} is followed")


def _look_back(desk: Desk, shown: ExecutionsShown | HistoryShown) -> None:
    if isinstance(shown, HistoryShown):
        missed.history(desk, shown.rows, shown.asked)
        return
    for row in shown.rows:
        if row.position_id and row.order_id and not row.closes and desk.model == "hedging":
            identity.relink(desk, row.position_id, row.order_id)
    missed.history(desk, [row.fill for row in shown.rows if row.fill], shown.asked)


def _see(desk: Desk, poll: OrdersShown | PositionsShown) -> None:
    kind = "orders" if isinstance(poll, OrdersShown) else "positions"
    desk.answered[kind] = max(poll.answered, desk.answered.get(kind, poll.answered))
    if not poll.complete:
        _see_frame(desk, poll)
        return
    newest = desk.polled.get(kind)
    if newest is not None and poll.asked <= newest:
        desk.note("late", kind)
        return
    _see_rows(desk, poll, first=newest is None)
    desk.polled[kind] = poll.asked
    if kind == "positions":
        missed.looked(desk, newest, poll.asked)


def _see_rows(desk: Desk, poll: OrdersShown | PositionsShown, *, first: bool) -> None:
    if isinstance(poll, OrdersShown):
        orders.see(desk, poll, first=first)
    else:
        matching.see(desk, poll, first=first)


def _see_frame(desk: Desk, poll: OrdersShown | PositionsShown) -> None:
    """A pushed frame is never repeated: while a call on its instrument has no reply, it is kept for later."""
    if any(desk.busy(row.instrument) for row in poll.rows):
        desk.waiting = (*desk.waiting, poll)[-200:]
        return
    if not removal.is_held(desk, poll):
        _see_pushed(desk, outrun.without(desk, poll))


def _see_pushed(desk: Desk, poll: OrdersShown | PositionsShown) -> None:
    if isinstance(poll, OrdersShown):
        outrun.watched(desk, lambda: _see_rows(desk, poll, first=False), poll.answered, fills=True)
    else:
        _see_rows(desk, poll, first=False)
    for row in poll.rows:
        desk.hush(row.instrument, poll.asked)


def _catch_up(desk: Desk) -> None:
    """Frames that had to wait, in the order in which they came."""
    waiting, desk.waiting = desk.waiting, ()
    for poll in waiting:
        _see_frame(desk, poll)
