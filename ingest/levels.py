"""Stop loss and take profit: who bears them, what a call makes of them, and what bracket orders in polls say.

Brackets are child orders of an order or a position. That a bracket is not listed says something only when it had been
listed before; and what no call explains counts when two polls agree.
"""

from collections.abc import Iterable
from decimal import Decimal

from msgspec import UNSET
from msgspec.structs import replace

from ingest.calls import LevelName, OrderRow, OrdersShown, price_of
from ingest.changes import Why
from ingest.desk import PATIENCE, Desk, stated
from ingest.rest_rows import bracket_id
from ingest.state import Bracket, OrderState, PositionState
from shared.facts import Level, Levels

Bearer = OrderState | PositionState
NAMES: tuple[LevelName, ...] = ("stop_loss", "take_profit")


def bearer(desk: Desk, parent: str, child: str = "") -> Bearer | None:
    """Who bears the levels of a bracket: the position, or on a netting account the order that still rests. Nobody does
    where a netting position is on the other side of its order.

    `parent` is an order's or a position's id; in ids like `1.TP.2` the first part is one of the two as well.
    """
    named = bracket_id(child)
    for name in (parent, named[0] if named else ""):
        position, order = (desk.position(name), desk.order(name)) if name else (None, None)
        if position is not None:
            return position
        if order is not None:
            return _borne_by(desk, order)
    return None


def _borne_by(desk: Desk, order: OrderState) -> Bearer | None:
    if desk.model == "netting" and order.type != "market" and not order.filled:
        return order if order.live else None
    position = desk.positions.get(order.position)
    if position is None or position.over or (desk.model == "netting" and _is_against(order, position)):
        return None
    return position


def _is_against(order: OrderState, position: PositionState) -> bool:
    """Whether an order has only reduced a netting position: what it brings is on the other side of the price, and
    protects nothing there."""
    return position.total < 0 if order.side == "buy" else position.total > 0


def change(desk: Desk, who: Bearer, given: Levels, why: Why, *, unsure: tuple[LevelName, ...] = ()) -> None:
    """State new levels where `given` says something; `unsure` names those that the call may have removed."""
    if isinstance(who, OrderState):
        levels = replace(given.over(who.levels), **dict.fromkeys(unsure, UNSET))
        if levels != who.levels:
            order = replace(who, levels=levels)
            desk.tell_order("order.modified", order, desk.positions[who.position], why, levels=levels)
        return
    still = tuple(n for n in dict.fromkeys((*who.unsure, *unsure)) if getattr(given, n) is UNSET)
    said = any(value is not UNSET and value != getattr(who.levels, name) for name, value in _items(given))
    after = replace(who, levels=given.over(who.levels), unsure=still, level_doubt=None)
    if said:
        _tell(desk, after, why)
    else:
        desk.keep(after)


def _items(levels: Levels) -> tuple[tuple[str, Level], ...]:
    return (
        ("stop_loss", levels.stop_loss),
        ("take_profit", levels.take_profit),
        ("trailing", levels.trailing),
    )


def _tell(desk: Desk, position: PositionState, why: Why) -> None:
    resting = next((o for o in desk.orders.values() if o.live and o.position == position.key), None)
    if resting is None or position.held or position.opening or desk.model == "netting":
        desk.tell_position(position, why)
    else:
        desk.tell_order("order.modified", resting, position, why)


def asked_for(desk: Desk, instrument: str, levels: Levels, pips: Decimal | None) -> Levels:
    """The levels of a call, the trailing distance turned from pips into price units."""
    if pips is None:
        return levels
    found = desk.instruments.get(instrument)
    if found is None or found.pip_size is None:
        desk.note("pip-unknown", instrument)
        return levels
    return replace(levels, trailing=pips * found.pip_size)


def only(name: LevelName, price: Decimal | None) -> Levels:
    """Levels that say one thing."""
    return Levels(stop_loss=price) if name == "stop_loss" else Levels(take_profit=price)


def remember(desk: Desk, children: Iterable[tuple[str, LevelName]], parent: str) -> None:
    """Brackets that a reply has named; no poll has shown them yet."""
    for name, level in children:
        desk.brackets[name] = Bracket(id=name, level=level, parent=parent)


def absent(known: Levels, given: Levels) -> tuple[LevelName, ...]:
    """Levels that exist and were not in the request: kept or removed, sources differ (reference 4.1)."""
    return tuple(n for n in NAMES if getattr(known, n) is not None and getattr(given, n) is UNSET)


# --- polls ---------------------------------------------------------------------------------------------------------


def see(desk: Desk, rows: tuple[OrderRow, ...], poll: OrdersShown, *, first: bool) -> None:
    """Bring levels in line with the bracket orders of a poll; the very `first` one is the baseline."""
    listed = {row.id for row in rows} | poll.unreadable
    absent = [b for b in desk.brackets.values() if b.shown and b.live and b.id not in listed] if poll.complete else []
    bearers: dict[tuple[str, str], tuple[Bearer, list[OrderRow], list[Bracket]]] = {}
    for row in rows:
        who = bearer(desk, row.parent, row.id)
        if who is not None and desk.trusts(poll, who.instrument):
            _group(bearers, who)[1].append(row)
    for bracket in absent:
        who = bearer(desk, bracket.parent, bracket.id)
        if who is not None and desk.trusts(poll, who.instrument):
            _group(bearers, who)[2].append(bracket)
    for who, shown, gone in bearers.values():
        _settle(desk, who, [row for row in shown if not _is_old(desk, row)], gone, poll, first)


def _group(
    bearers: dict[tuple[str, str], tuple[Bearer, list[OrderRow], list[Bracket]]], who: Bearer
) -> tuple[Bearer, list[OrderRow], list[Bracket]]:
    name = ("order", who.id) if isinstance(who, OrderState) else ("position", who.key)
    return bearers.setdefault(name, (who, [], []))


def _is_old(desk: Desk, row: OrderRow) -> bool:
    """A bracket that was known to have ended: brokers list it for the rest of the session."""
    known = desk.brackets.get(row.id)
    return row.standing != "live" and known is not None and not known.live


def _settle(
    desk: Desk, who: Bearer, shown: list[OrderRow], gone: list[Bracket], poll: OrdersShown, first: bool
) -> None:
    given = Levels(stop_loss=_level("stop_loss", who, shown, gone), take_profit=_level("take_profit", who, shown, gone))
    given = _trailing(desk, who, shown, given)
    if isinstance(who, PositionState):
        given = given.over(_never_listed(desk, who, shown, poll))
        who = _excuse(desk, who, shown, poll)
        if _leaving(desk, who, shown):
            return
    if first or _agreed(desk, who, given, poll):
        _note_brackets(desk, shown, gone)
        _accept(desk, _again(desk, who), given, poll, first)


def _accept(desk: Desk, who: Bearer, given: Levels, poll: OrdersShown, first: bool) -> None:
    """What was there before anybody looked, or belongs to what no fact has told of, is no news."""
    untold = who.revision == 0 and isinstance(who, PositionState)
    if not (first or untold):
        change(desk, who, given, Why(at=poll.answered))
    elif isinstance(who, PositionState):
        desk.keep(replace(who, levels=given.over(who.levels)))
    else:
        desk.orders[who.id] = replace(who, levels=given.over(who.levels))


def _again(desk: Desk, who: Bearer) -> Bearer:
    return desk.orders[who.id] if isinstance(who, OrderState) else desk.positions[who.key]


def _level(name: LevelName, who: Bearer, shown: list[OrderRow], gone: list[Bracket]) -> Level:
    """What the brackets say about one level: its price, `None` when it has been taken back, else nothing.

    Of several that are alive the known one counts, else the last.
    """
    alive = [p for row in shown if row.level == name and row.standing == "live" and (p := price_of(row)) is not None]
    if alive:
        known = getattr(who.levels, name)
        return known if known in alive else alive[-1]
    ended = any(row.level == name and row.standing not in ("live", "filled") for row in shown)
    return None if ended or any(b.level == name for b in gone) else UNSET


def _never_listed(desk: Desk, who: PositionState, shown: list[OrderRow], poll: OrdersShown) -> Levels:
    """What a call has set and no poll has ever listed, though long since the other level is: it is not there.

    So it is when it was taken back while nobody looked. A broker that lists no brackets at all says nothing by that.
    """
    listed = {row.level for row in shown}
    missing = [name for name in NAMES if getattr(who.levels, name) and name not in listed]
    if not missing or not poll.complete or not who.held or not any(row.standing == "live" for row in shown):
        return Levels()
    if poll.asked < max(who.since, desk.quieted(who.instrument) or who.since) + PATIENCE:
        return Levels()
    listed |= {b.level for b in desk.brackets.values() if b.shown and b.level in missing and _is_of(desk, b, who)}
    return Levels(**dict.fromkeys((name for name in missing if name not in listed), None))


def _is_of(desk: Desk, bracket: Bracket, who: PositionState) -> bool:
    found = bearer(desk, bracket.parent, bracket.id)
    return isinstance(found, PositionState) and found.key == who.key


def _trailing(desk: Desk, who: Bearer, shown: list[OrderRow], given: Levels) -> Levels:
    """A trailing stop states its distance; that its price moves is what it is for, and no news."""
    row = next((r for r in shown if r.trailing_pips and r.standing == "live"), None)
    if row is None:
        return given if given.stop_loss is UNSET or not who.levels.trailing else replace(given, trailing=None)
    found = asked_for(desk, who.instrument, given, row.trailing_pips)
    known = who.levels if isinstance(who, OrderState) else stated(who)
    same = found.trailing is not UNSET and found.trailing == known.trailing
    return replace(found, stop_loss=known.stop_loss) if same and known.stop_loss else found


def _excuse(desk: Desk, who: PositionState, shown: list[OrderRow], poll: OrdersShown) -> PositionState:
    """What brackets have filled may be missing from the position: then one poll is enough."""
    more = Decimal(0)
    for row in shown:
        known = desk.brackets.get(row.id) or Bracket(id=row.id, level=row.level or "stop_loss", parent=row.parent)
        if row.filled > known.filled:
            more += row.filled - known.filled
            desk.brackets[row.id] = replace(known, filled=row.filled, live=row.standing == "live")
    if not more or not who.held:
        return who
    return desk.keep(replace(who, excused=who.excused + more, moved=poll.asked))


def _leaving(desk: Desk, who: PositionState, shown: list[OrderRow]) -> bool:
    """A position that is closing, or may have been closed, loses its brackets with it: that is no news."""
    if who.held and (not who.total or who.doubt is not None or who.excused):
        return True
    flat = desk.model == "netting" and not who.held and not who.total
    return flat or any(row.standing == "filled" for row in shown)


def siblings(desk: Desk, who: PositionState, bracket: Bracket) -> list[Bracket]:
    """Other living brackets of the same level: on a netting account each order can bring one."""
    same = [b for b in desk.brackets.values() if b.live and b.shown and b.level == bracket.level and b.id != bracket.id]
    return [b for b in same if bearer(desk, b.parent, b.id) == who]


def _agreed(desk: Desk, who: Bearer, given: Levels, poll: OrdersShown) -> bool:
    """Whether what the brackets say counts now: no news, called for, pushed, or shown by a second poll."""
    levels = who.levels
    news = [n for n, value in _items(given) if value is not UNSET and value != getattr(levels, n)]
    called_for = who.unsure if isinstance(who, PositionState) else ()
    open_ones = [n for n in news if not _unknown(who, n) and (n not in called_for or getattr(given, n) is None)]
    doubt = who.level_doubt if isinstance(who, PositionState) else who.doubt
    if not open_ones or poll.firm:
        return True
    if not desk.calm(poll.asked, who.instrument):
        return False
    if doubt is not None:
        return True
    if isinstance(who, PositionState):
        desk.keep(replace(who, level_doubt=poll.asked))
    else:
        desk.orders[who.id] = replace(who, doubt=poll.asked)
    return False


def _unknown(who: Bearer, name: str) -> bool:
    return getattr(who.levels, name) is UNSET


def _note_brackets(desk: Desk, shown: list[OrderRow], gone: list[Bracket]) -> None:
    for row in shown:
        if row.level is not None:
            live = row.standing == "live"
            old = desk.brackets.get(row.id)
            was = old is not None and old.shown
            desk.brackets[row.id] = Bracket(
                id=row.id, level=row.level, parent=row.parent, shown=live or was, live=live, filled=row.filled
            )
    for bracket in gone:
        desk.brackets[bracket.id] = replace(bracket, live=False)
