"""Orders as polls show them: fills, ends, new terms, orders placed elsewhere, and requests that had no reply.

A fill or an end is news that only grows, so one poll is enough. New terms, and an order that no call explains, count
when two consecutive polls show them.
"""

from decimal import Decimal

from msgspec.structs import replace

from ingest import identity, levels, missed, order_calls, swept
from ingest.calls import ENDINGS, ModifyOrder, OrderRow, OrdersShown, PlaceOrder, price_of
from ingest.changes import Why
from ingest.desk import GRACE, PATIENCE, Desk
from ingest.rest_rows import bracket_id
from ingest.state import ZERO, OrderState
from ingest.subject import once
from shared.facts import Ending, Levels


def see(desk: Desk, poll: OrdersShown, *, first: bool) -> None:
    """Bring orders and their brackets in line with a poll. The very `first` one is the baseline."""
    brackets = tuple(row for row in poll.rows if row.level is not None)
    swept.see(desk, poll)
    # What has ended comes first: where two changes are shown at once, exposure shrinks before it grows.
    for row in sorted(poll.rows, key=lambda row: row.standing not in ENDINGS):
        if row.level is None and desk.trusts(poll, row.instrument):
            _see_row(desk, row, brackets, poll, first)
    missed.see(desk, poll, first=first)
    if poll.complete:
        _see_absent(desk, poll)
    _links(desk, poll)
    levels.see(desk, brackets, poll, first=first)
    if poll.complete and not _placing(desk):
        desk.listed = frozenset(row.id for row in poll.rows)


def _placing(desk: Desk) -> bool:
    return any(isinstance(o.call, PlaceOrder) for o in (*desk.open.values(), *desk.unsettled))


def _see_row(desk: Desk, row: OrderRow, brackets: tuple[OrderRow, ...], poll: OrdersShown, first: bool) -> None:
    order = desk.order(row.id)
    if order is not None and not _back_again(order, row, poll):
        _compare(desk, order, row, poll)
        return
    asked = _asked_for(desk, row, poll)
    if asked is not None:
        _settle_placement(desk, asked, row, poll)
    elif row.standing == "live" and row.type != "market" and not row.filled:
        _resting_stranger(desk, row, brackets, poll, first)


# --- orders that are known -----------------------------------------------------------------------------------------


def _back_again(order: OrderState, row: OrderRow, poll: OrdersShown) -> bool:
    """An order that had ended, and had its time to vanish from the polls, is alive: its id is used again."""
    if order.live or row.standing != "live" or order.ended is None:
        return False
    return poll.asked >= order.ended + (GRACE if order.filled < order.quantity else PATIENCE)


def _compare(desk: Desk, order: OrderState, row: OrderRow, poll: OrdersShown) -> None:
    why = Why(at=poll.answered, price=row.average_price)
    filled = min(row.filled, order.quantity)
    if filled > order.filled:
        _adopt(desk, order, filled, poll)
        desk.fill(desk.orders[order.id], filled, why, moved=poll.asked)
        order = desk.orders[order.id]
        identity.recognise(desk, order)
    ending = ENDINGS.get(row.standing)
    if ending is not None and order.live:
        desk.end(order, ending, replace(why, price=None), sure=True, text=row.text)
    elif row.standing != "live" and not order.sure:
        desk.orders[order.id] = replace(order, sure=True)
    elif order.live and row.standing == "live":
        _compare_terms(desk, order, row, poll)
        _pushed_levels(desk, order, row)


def _adopt(desk: Desk, order: OrderState, filled: Decimal, poll: OrdersShown) -> None:
    """The position that this order opened may have been taken for a stranger's before the order's fill was listed."""
    own = desk.positions[order.position]
    share = order.remaining if filled == order.quantity else filled.copy_sign(order.remaining)
    if desk.model != "hedging" or own.shown or order.filled:
        return
    for found in list(desk.positions.values()):
        recent = desk.suspects(found, order.id, poll.asked)
        if recent and not found.over and found.held == share:
            desk.keep(replace(own, over=True, opening=ZERO))
            desk.keep(replace(found, surplus=share, opening=order.coming))
            desk.orders[order.id] = replace(order, position=found.key)
            return


def _compare_terms(desk: Desk, order: OrderState, row: OrderRow, poll: OrdersShown) -> None:
    shown = ModifyOrder(
        account=poll.account, flow=poll.flow, asked=poll.asked, order_id=row.id, quantity=row.quantity,
        limit_price=row.limit_price, stop_price=row.stop_price, duration=row.duration, expires=row.expires,
    )  # fmt: skip
    after = order_calls.with_terms(order, shown)
    if after is None or _same_terms(after, order):
        desk.orders[order.id] = replace(order, doubt=None)
    elif not poll.firm and not desk.calm(poll.asked, order.instrument):
        return
    elif poll.firm or order.doubt is not None:
        desk.tell_order("order.modified", after, desk.positions[order.position], Why(at=poll.answered))
    else:
        desk.orders[order.id] = replace(order, doubt=poll.asked)


def _pushed_levels(desk: Desk, order: OrderState, row: OrderRow) -> None:
    """Paper Trading says a resting order's levels in the order itself."""
    who = levels.bearer(desk, order.source_id) if row.levels != Levels() else None
    if who is not None:
        levels.change(desk, who, row.levels, Why(at=order.since))


def _same_terms(after: OrderState, order: OrderState) -> bool:
    """Durations are said in other words by some sources than in the request, so only what trades is compared."""
    return (after.quantity, after.limit_price, after.stop_price) == (
        order.quantity, order.limit_price, order.stop_price,
    )  # fmt: skip


def _see_absent(desk: Desk, poll: OrdersShown) -> None:
    """An order that two polls no longer list is over. Ended ones stay listed for a minute, so this is rare."""
    listed = {row.id for row in poll.rows} | poll.unreadable
    for order in [o for o in desk.living() if o.source_id not in listed]:
        if not desk.trusts(poll, order.instrument):
            continue
        if order.doubt is None:
            desk.orders[order.id] = replace(order, doubt=poll.asked)
        elif poll.asked >= max(order.doubt + GRACE, order.since + (PATIENCE if order.coming else GRACE)):
            _vanished(desk, order, poll)
    desk.strangers = {k: v for k, v in desk.strangers.items() if k in listed}


def _vanished(desk: Desk, order: OrderState, poll: OrdersShown) -> None:
    reason: Ending = "rejected" if order.coming else "canceled"
    desk.note("unsettled", f"order {order.id}")
    desk.end(order, reason, Why(at=poll.answered), sure=False, text="no longer listed")


# --- orders that are not -------------------------------------------------------------------------------------------


def _asked_for(desk: Desk, row: OrderRow, poll: OrdersShown) -> PlaceOrder | None:
    """The placement without a reply that this row is the answer to; only a row that is new can be."""
    if row.id in desk.listed:
        return None
    for waiting in desk.unsettled:
        call = waiting.call
        if isinstance(call, PlaceOrder) and poll.asked - call.asked < missed.LONGEST and _fits(call, row):
            return call
    return None


def _fits(call: PlaceOrder, row: OrderRow) -> bool:
    asked = (call.instrument, call.side, call.type, call.quantity)
    same_prices = (call.limit_price, call.stop_price) == (row.limit_price, row.stop_price)
    return asked == (row.instrument, row.side, row.type, row.quantity) and (call.type == "market" or same_prices)


def _settle_placement(desk: Desk, call: PlaceOrder, row: OrderRow, poll: OrdersShown) -> None:
    """The request had been carried out after all; a position that it opened may have been shown before."""
    desk.unsettled = tuple(o for o in desk.unsettled if o.call is not call)
    why = Why(at=poll.answered, asked=call.asked, quote=call.quote, price=row.average_price)
    placed = replace(call, order_id=row.id, answered=poll.answered)
    if again := once(placed):
        desk.flows[again] = True
    order = order_calls.place(desk, placed, why)
    if order is not None:
        for found in [p for p in desk.positions.values() if call.flow in p.suspects]:
            desk.keep(replace(found, suspects=(*found.suspects, order.id)))
        _compare(desk, order, row, poll)


def _resting_stranger(
    desk: Desk, row: OrderRow, brackets: tuple[OrderRow, ...], poll: OrdersShown, first: bool
) -> None:
    since = desk.strangers.setdefault(row.id, poll.asked)
    if not first and since == poll.asked and not poll.firm:
        return
    desk.strangers.pop(row.id, None)
    call = PlaceOrder(
        account=poll.account, flow=poll.flow, asked=poll.asked, answered=poll.answered, order_id=row.id,
        instrument=row.instrument, side=row.side, type=row.type, quantity=row.quantity, limit_price=row.limit_price,
        stop_price=row.stop_price, duration=row.duration, expires=row.expires, levels=_levels(row, brackets),
    )  # fmt: skip
    said = len(desk.said)
    order_calls.place(desk, call, Why(at=poll.answered))
    if first:
        del desk.said[said:]
        desk.note("baseline", f"order {row.id}")


def _levels(row: OrderRow, brackets: tuple[OrderRow, ...]) -> Levels:
    found = row.levels
    for child in brackets:
        if child.parent == row.id and child.standing == "live" and (price := price_of(child)):
            found = levels.only(child.level or "stop_loss", price).over(found)
    return found


# --- links ---------------------------------------------------------------------------------------------------------


def _links(desk: Desk, poll: OrdersShown) -> None:
    """What the source says about which order opened which position. Values may carry a suffix behind the id.

    A bracket moves on to the id that its position has now, the order that opened it goes on to name the first one.
    """
    for row in sorted((r for r in poll.rows if r.level is None or r.standing == "live"), key=lambda r: bool(r.level)):
        named = row.position_id or (row.parent if row.parent_type == "position" else "")
        base = bracket_id(row.id)
        order_id = row.id if row.level is None else base[0] if base else ""
        if named not in ("", order_id) and desk.model == "hedging" and desk.order(order_id) is not None:
            identity.relink(desk, _exactly(desk, named), order_id)


def _exactly(desk: Desk, named: str) -> str:
    """The id of a shown position that `named` is or begins with, else `named` itself."""
    shown = [p.position_id for p in desk.positions.values() if p.position_id] + list(desk.rows)
    if named in shown:
        return named
    begun = [i for i in shown if named.startswith(i) and not named[len(i)].isalnum()]
    return begun[0] if begun else named
