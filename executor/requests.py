"""Pure: the one place that turns a step into a request to MetaTrader 5.

Prices and volumes come from the step and the book; the vendor's traps live here: the filling mode is chosen from the
symbol's bit mask by execution mode, levels are sent bare, a comment has at most 29 UTF-16 units, an expiration is a
time of the broker's clock.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple, assert_never

from msgspec.structs import replace

from executor.book import Book, Holding, Resting, Specification
from executor.brokerclock import FARTHEST_S
from executor.instruments import entry_price, other
from executor.mt5.api import (
    MAX_TEXT,
    ExpirationFlag,
    FillingFlag,
    OrderFilling,
    OrderTime,
    OrderType,
    TradeAction,
    TradeRequest,
    utf16_units,
)
from executor.netting import net_holding
from executor.settings import Account
from executor.steps import Close, Move, Open, Protect, Reduce, Rest, Step, Withdraw
from shared.facts import Side

ZERO = Decimal(0)

LONGEST = timedelta(days=90)
"""How long an order rests that has no end at the source, where the broker takes none without one."""


class _Clock(NamedTuple):
    """The broker's clock less UTC in seconds, and the present in UTC; None: not known."""

    offset: int | None = None
    now: datetime | None = None


_PENDING_TYPES: dict[tuple[str, Side], OrderType] = {
    ("limit", "buy"): OrderType.BUY_LIMIT,
    ("limit", "sell"): OrderType.SELL_LIMIT,
    ("stop", "buy"): OrderType.BUY_STOP,
    ("stop", "sell"): OrderType.SELL_STOP,
    ("stoplimit", "buy"): OrderType.BUY_STOP_LIMIT,
    ("stoplimit", "sell"): OrderType.SELL_STOP_LIMIT,
}


def request(
    step: Step,
    book: Book,
    mark: int,
    account: Account,
    *,
    tag: str = "",
    filling: OrderFilling | None = None,
    clock_offset: int | None = None,
    now: datetime | None = None,
) -> TradeRequest:
    """The request for a step, with `mark` in `magic` where MT5 keeps it.

    `tag` names the fact in the comment. `filling` overrides the preferred mode, for the one retry after 10030.
    `clock_offset` is the broker's clock less UTC in seconds, None while it is not known; `now` is UTC. Raises KeyError
    when the symbol's rules are not in the book and ValueError when a `Reduce` has nothing left to take (`as_asked`
    tells before).
    """
    match step:
        case Open():
            deal = _deal(step, step.side, step.volume, book, account, filling)
            return replace(deal, sl=step.stop_loss, tp=step.take_profit, magic=mark, comment=comment(tag))
        case Close() | Reduce():
            deal = _deal(step, other(step.side), taking(step, book), book, account, filling)
            return replace(deal, position=_ticket(step, book), magic=mark, comment=comment(tag))
        case Rest():
            return replace(_rest(step, book, filling, _Clock(clock_offset, now)), magic=mark, comment=comment(tag))
        case Protect():
            bare = TradeRequest(action=TradeAction.SLTP, symbol=step.symbol, position=step.ticket)
            return replace(bare, sl=step.stop_loss, tp=step.take_profit)
        case Move():
            return _move(step, book, _Clock(clock_offset, now))
        case Withdraw():
            return TradeRequest(action=TradeAction.REMOVE, order=step.ticket)
        case _:
            assert_never(step)


def fillings(step: Step, specification: Specification | None) -> tuple[OrderFilling, ...]:
    """The filling modes that the symbol allows for a step, the preferred first; every one while its rules are unknown.

    An opening prefers all or nothing; an exit prefers what can be had at once.
    """
    if specification is None:
        return (OrderFilling.IOC, OrderFilling.FOK, OrderFilling.RETURN)
    if isinstance(step, Rest):
        return _pending_fillings(step, specification)
    if specification.execution in ("request", "instant"):
        return (OrderFilling.FOK, OrderFilling.IOC)
    allowed = _by_mask(specification)
    if specification.execution == "exchange":
        allowed = (*allowed, OrderFilling.RETURN)
    if not allowed:
        allowed = (OrderFilling.FOK, OrderFilling.IOC)
    return allowed if isinstance(step, Open) else tuple(sorted(allowed, key=_EXIT_ORDER.index))


def as_asked(step: Step, book: Book) -> bool:
    """Whether the book shows the account as the step wants it, so that it needs not be asked. Never of an opening."""
    match step:
        case Open() | Rest():
            return False
        case Close():
            return _held(step, book) is None
        case Reduce():
            return taking(step, book) <= 0
        case Protect():
            holding = book.holdings.get(step.ticket)
            return holding is None or (holding.stop_loss, holding.take_profit) == (step.stop_loss, step.take_profit)
        case Move():
            return _moved(step, book.restings.get(step.ticket))
        case Withdraw():
            return step.ticket not in book.restings
        case _:
            assert_never(step)


def taking(step: Close | Reduce, book: Book) -> Decimal:
    """Lots that an exit may take now: a `Close` all that is there, a `Reduce` never more than is above its floor."""
    holding = _held(step, book)
    if isinstance(step, Close):
        return holding.volume if holding else step.volume
    return min(step.volume, (holding.volume if holding else ZERO) - step.floor)


def _held(step: Close | Reduce, book: Book) -> Holding | None:
    """The position that an exit works on: on a netting account the symbol's one, if it is still on our side."""
    holding = book.holdings.get(step.ticket)
    if holding is None and book.margin == "netting":
        holding = net_holding(step.symbol, book)
    return holding if holding is not None and holding.side == step.side else None


def _ticket(step: Close | Reduce, book: Book) -> int:
    holding = _held(step, book)
    return holding.ticket if holding else step.ticket


def _deal(
    step: Open | Close | Reduce, side: Side, volume: Decimal, book: Book, account: Account, filling: OrderFilling | None
) -> TradeRequest:
    if volume <= 0:
        raise ValueError(f"{step.name} has no volume left to trade")
    return TradeRequest(
        action=TradeAction.DEAL,
        symbol=step.symbol,
        volume=volume,
        type=OrderType.BUY if side == "buy" else OrderType.SELL,
        price=entry_price(book.prices.get(step.symbol), side),
        deviation=account.deviation,
        type_filling=_filling(step, book, filling),
    )


def _rest(step: Rest, book: Book, filling: OrderFilling | None, clock: _Clock) -> TradeRequest:
    rules = book.specifications[step.symbol]
    until, expiration = _expiry(step.expires, rules.expiration_mode, clock)
    return TradeRequest(
        action=TradeAction.PENDING,
        symbol=step.symbol,
        volume=step.volume,
        type=_PENDING_TYPES[step.type, step.side],
        price=step.price,
        stoplimit=step.stop_limit,
        sl=step.stop_loss,
        tp=step.take_profit,
        type_filling=_filling(step, book, filling),
        type_time=until,
        expiration=expiration,
    )


def _move(step: Move, book: Book, clock: _Clock) -> TradeRequest:
    rules = book.specifications.get(step.symbol)
    until, expiration = _expiry(step.expires, rules.expiration_mode if rules else 15, clock)
    return TradeRequest(
        action=TradeAction.MODIFY,
        symbol=step.symbol,
        order=step.ticket,
        price=step.price,
        stoplimit=step.stop_limit,
        sl=step.stop_loss,
        tp=step.take_profit,
        type_time=until,
        expiration=expiration,
    )


def _expiry(expires: datetime | None, mode: int, clock: _Clock) -> tuple[OrderTime, int]:
    """How long an order rests: as long as the source's, and else rather too long than too short.

    An order that is there too long is removed when the source's ends; one that is gone too early misses its fill. A
    symbol without a flag is asked for as usual.
    """
    timed, endless = expires is not None and clock.offset is not None, OrderTime.GTC
    dated = [until for flag, until in _DATED if mode & flag]
    if mode & ExpirationFlag.GTC or not mode:
        return (dated[0], _moment(expires, clock)) if timed and dated else (endless, 0)
    if dated and (expires or clock.now):
        return dated[0], _moment(expires, clock)
    return (OrderTime.DAY if mode & ExpirationFlag.DAY else endless), 0


def _moment(expires: datetime | None, clock: _Clock) -> int:
    """When an order ends, by the broker's clock; by the one that is farthest ahead while its zone is not known."""
    ends = expires or (clock.now or _EPOCH) + LONGEST
    return int(ends.timestamp()) + (FARTHEST_S if clock.offset is None else clock.offset)


_EPOCH = datetime.fromtimestamp(0, UTC)
_DATED = (
    (ExpirationFlag.SPECIFIED, OrderTime.SPECIFIED),
    (ExpirationFlag.SPECIFIED_DAY, OrderTime.SPECIFIED_DAY),
)
_EXIT_ORDER = (OrderFilling.IOC, OrderFilling.RETURN, OrderFilling.FOK)


def _by_mask(specification: Specification) -> tuple[OrderFilling, ...]:
    modes = ((FillingFlag.FOK, OrderFilling.FOK), (FillingFlag.IOC, OrderFilling.IOC))
    return tuple(mode for flag, mode in modes if specification.filling_mode & flag)


def _pending_fillings(step: Rest, specification: Specification) -> tuple[OrderFilling, ...]:
    """Limits may always stay in the book; stops follow the mask where there is one."""
    if step.type == "stop":
        return (*_by_mask(specification), OrderFilling.RETURN)
    return (OrderFilling.RETURN, *_by_mask(specification))


def _filling(step: Open | Close | Reduce | Rest, book: Book, chosen: OrderFilling | None) -> OrderFilling:
    if chosen is not None:
        return chosen
    return fillings(step, book.specifications.get(step.symbol))[0]


def _moved(step: Move, resting: Resting | None) -> bool:
    """Whether an order stands as asked. Its expiry cannot be read from the book, so with one it is always asked."""
    if resting is None or step.expires is not None:
        return False
    wanted = (step.price, step.stop_limit, step.stop_loss, step.take_profit)
    return (resting.price, resting.stop_limit, resting.stop_loss, resting.take_profit) == wanted


def comment(tag: str) -> str:
    """What a trader sees in the terminal, as long as the vendor's package takes it; only a hint, brokers rewrite it."""
    text = f"TC {tag}".strip()
    while utf16_units(text) > MAX_TEXT:
        text = text[:-1]
    return text
