"""What came and went while nobody looked: it is known to have happened, and too late for a fact that anybody follows.

Two kinds are put down for the operator. A placement that was asked, had no reply, and that no poll has shown since. And
an order of others that has filled, while no poll of positions has shown what that changed: it was undone before.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from msgspec.structs import replace

from ingest import renaming
from ingest.calls import Fill, OrderRow, OrdersShown, PlaceOrder
from ingest.desk import GRACE, PATIENCE, Desk, clip
from ingest.exchange import plain
from ingest.state import ZERO, Missed, Move, OpenCall, Passing, Picture

LONGEST = 10 * PATIENCE
"""So long after it was asked a placement without a reply may still be found in a poll."""
NEVER_LOOKED = timedelta(days=1)
"""So long a placement without a reply waits for polls; then it is said that none have come."""
GAP = timedelta(seconds=60)
"""Orders that have filled stay listed for a minute: only where polls were missing for longer can one be over unseen."""
KEPT, LINES, NAMES = 200, 100, 10_000
"""How many moves and passing orders, lines for the operator, and names of others' orders are remembered."""


def looked(desk: Desk, before: datetime | None, asked: datetime) -> None:
    """A poll of positions that left at `asked` was used, the one before it had left at `before`."""
    if desk.looked is None and "orders" in desk.polled:
        desk.looked = asked
    if before is not None and asked - before > GAP:
        desk.gaps = (*desk.gaps, (before, asked))[-20:]
    if desk.passing:
        _judge(desk, asked)


def moved(desk: Desk, instrument: str, quantity: Decimal, at: datetime, suspects: Iterable[str] = ()) -> None:
    """A poll has shown a change of what is held that no known order's fill is; it may be the effect of `suspects`."""
    if quantity and not (desk.model == "netting" and explained(desk, instrument, quantity, at)):
        desk.moves = (*desk.moves, Move(instrument=instrument, quantity=quantity, at=at))[-KEPT:]
    if desk.unsettled and (names := set(suspects)):
        desk.unsettled = tuple(replace(o, shown=True) if o.call.flow in names else o for o in desk.unsettled)


# --- placements without a reply --------------------------------------------------------------------------------------


def still_open(desk: Desk, now: datetime) -> tuple[OpenCall, ...]:
    """Requests without a reply of which the polls may still tell something; what they have not told is put down."""
    left = tuple(o for o in desk.unsettled if not _is_settled(desk, o, now))
    for one in desk.unsettled if len(left) < len(desk.unsettled) else ():
        if one not in left and isinstance(one.call, PlaceOrder) and not one.shown:
            _put_down(desk, one.call.asked, *_asked(desk, one.call, one.since or now), now)
    return left


def _is_settled(desk: Desk, one: OpenCall, now: datetime) -> bool:
    if now - one.call.asked < LONGEST:
        return False
    since = max([one.since or one.call.asked, *(end for _, end in desk.gaps[-1:])])
    kinds = {"positions", *desk.polled} & {"orders", "positions"}
    shown = all(desk.polled.get(kind, since) > since + PATIENCE for kind in kinds)
    return shown or now - since > NEVER_LOOKED


def _asked(desk: Desk, call: PlaceOrder, since: datetime) -> tuple[str, str]:
    price = call.stop_price or call.limit_price
    terms = f"{call.type} {plain(price):f}" if price else "at market"
    polled = any(at > since for at in desk.polled.values())
    why = "no poll has shown such an order since" if polled else "no poll has come in since"
    return f"asked to {call.side} {plain(call.quantity):f} {call.instrument} {terms}", f"no reply came, and {why}"


# --- orders of others that have filled -------------------------------------------------------------------------------


def see(desk: Desk, poll: OrdersShown, *, first: bool) -> None:
    """Look through a poll of orders for those that have filled and that nothing of ours explains."""
    over = []
    for row in poll.rows:
        if row.filled and row.level is None and is_strange(desk, row.id):
            if row.standing == "live":
                desk.strangers.setdefault(row.id, poll.asked)  # it may be filling since then
            elif desk.trusts(poll, row.instrument):
                over.append(row)
    if over:
        before = poll.asked if poll.firm else desk.polled.get("orders", poll.asked)
        old = first or not (poll.firm or desk.looked)
        _pass(desk, [_passing(row, min(before, desk.strangers.get(row.id, before)), poll) for row in over], old)


def _passing(row: OrderRow, since: datetime, poll: OrdersShown) -> Passing:
    signed = row.filled if row.side == "buy" else -row.filled
    return Passing(
        order=row.id, instrument=row.instrument, quantity=signed, since=since, seen=poll.asked, price=row.average_price
    )


def history(desk: Desk, fills: Sequence[Fill], asked: datetime) -> None:
    """What the source's history shows of a time in which nobody looked."""
    renaming.remember(desk, fills, asked)
    found: dict[str, Passing] = {}
    for fill in fills:
        if not is_strange(desk, fill.order_id) or fill.order_id in desk.brackets:
            continue
        known = found.get(fill.order_id)
        since = min(fill.at, asked, *([known.since] if known else []))
        found[fill.order_id] = Passing(
            order=fill.order_id, instrument=fill.instrument, since=since, seen=asked, price=fill.price,
            quantity=fill.quantity + (known.quantity if known else 0),
        )  # fmt: skip
    if found:
        unseen = [one for one in found.values() if any(begun <= one.since <= end for begun, end in desk.gaps)]
        _pass(desk, [one for one in found.values() if one not in unseen], before=True)
        _pass(desk, unseen, before=False)


def is_strange(desk: Desk, order_id: str) -> bool:
    """Whether an order is neither ours nor one of others that was seen to have filled."""
    return order_id not in desk.passed and not desk.uses_of("order", order_id)


def remember(desk: Desk, *order_ids: str) -> None:
    """Remember that orders of others were seen to have filled."""
    names = {**desk.passed, **dict.fromkeys(order_ids, True)}
    desk.passed = dict(list(names.items())[-NAMES:]) if len(names) > NAMES else names


def _pass(desk: Desk, found: list[Passing], before: bool) -> None:
    """Remember orders of others; those of `before` were there when nobody looked, or were seen when they happened."""
    remember(desk, *(one.order for one in found))
    if not before:
        found = [one for one in found if desk.model == "hedging" or not _was_told(desk, one)]
        desk.passing = (*desk.passing, *(one for one in found if not desk.looked or one.since >= desk.looked))[-KEPT:]
        desk.unsettled = tuple(replace(o, shown=True) if _is_one_of(o, found) else o for o in desk.unsettled)


def _was_told(desk: Desk, one: Passing) -> bool:
    """Whether positions have shown its effect before, on a netting account; it was no fill of ours that did it then."""
    if not _take_whole(desk, one):
        return False
    position = desk.positions.get(one.instrument)
    if position is not None and position.surplus == one.quantity:
        desk.keep(replace(position, surplus=ZERO, suspects=(), suspected=None))
    return True


def explained(desk: Desk, instrument: str, change: Decimal, asked: datetime) -> bool:
    """Whether fills of others' orders, seen lately and not told yet, are just this change of what is held.

    On a netting account two changes within one poll of positions look like one; the orders that made them tell them
    apart. What counts for this change counts for no other.
    """
    mine = [one for one in desk.passing if one.instrument == instrument and asked - one.seen < 3 * GRACE]
    for taken in (mine, *([one] for one in mine)):
        if taken and sum(one.quantity for one in taken) == change:
            desk.passing = tuple(one for one in desk.passing if one not in taken)
            return True
    return False


def _is_one_of(one: OpenCall, found: list[Passing]) -> bool:
    """Whether a placement without a reply is among orders that are dealt with by themselves."""
    call = one.call
    if not isinstance(call, PlaceOrder):
        return False
    signed = call.quantity if call.side == "buy" else -call.quantity
    return any((f.instrument, f.quantity) == (call.instrument, signed) and f.seen >= call.asked for f in found)


def _judge(desk: Desk, asked: datetime) -> None:
    """What has had its time: either something was told that is its effect, or it came and went."""
    due = [one for one in desk.passing if asked > one.seen + PATIENCE + GRACE]
    if not due:
        return
    desk.passing = tuple(one for one in desk.passing if one not in due)
    for one in [one for one in due if not _take_whole(desk, one)]:
        if left := _take_parts(desk, one):
            did = "bought" if left > 0 else "sold"
            price = f" at {plain(one.price):f}" if one.price else ""
            what = f"{did} {plain(abs(left)):f} {one.instrument}{price} (order {one.order[:60]})"
            _put_down(desk, one.since, what, "it was undone before a poll of positions showed it", asked)


def _take_whole(desk: Desk, one: Passing) -> bool:
    """Whether a change of just this size was told; it counts for one order only."""
    for index, move in enumerate(desk.moves):
        if _explains(move, one) and move.quantity == one.quantity:
            desk.moves = desk.moves[:index] + desk.moves[index + 1 :]
            return True
    return False


def _take_parts(desk: Desk, one: Passing) -> Decimal:
    """What is left of an order's quantity when changes of other sizes are taken for parts of it."""
    left, moves = one.quantity, []
    for move in desk.moves:
        part = clip(move.quantity, left) if _explains(move, one) else Decimal(0)
        left -= part
        if move.quantity != part:
            moves.append(replace(move, quantity=move.quantity - part) if part else move)
    desk.moves = tuple(moves)
    return left


def _explains(move: Move, one: Passing) -> bool:
    return move.instrument == one.instrument and move.quantity * one.quantity > 0 and move.at >= one.since - PATIENCE


# --- for the operator ------------------------------------------------------------------------------------------------


def _put_down(desk: Desk, at: datetime, what: str, why: str, now: datetime) -> None:
    desk.missed = (*desk.missed, Missed(at=at, what=what, why=why, noted=now))[-LINES:]
    desk.note("untold", f"{what}: {why}")


def seen(picture: Picture, until: datetime) -> Picture:
    """The picture when the operator has seen what was noted up to then."""
    left = tuple(one for one in picture.missed if one.noted > until)
    return picture if len(left) == len(picture.missed) else replace(picture, missed=left)


def lines(picture: Picture) -> list[str]:
    """What the operator has to see, oldest first."""
    return [f"{one.at:%Y-%m-%d %H:%M:%S} UTC, {picture.account}: {one.what}: {one.why}" for one in picture.missed]
