"""Pure: what is known after a call: a table of every retcode and one of `last_error` codes, each with its reason.

The same code means different things to different steps: what an opening is refused for good, an exit still owes. Only
what is surely refused or surely done is called so; every other answer, and every code in no list, is unresolved.
"""

import math
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum, auto
from typing import Literal, assert_never

from msgspec import Struct

from executor.mt5 import api
from executor.mt5.api import Answered, Expired, LastError, Lost, NoResult, OrderSendResult, Reply, Retcode, retcode_text
from executor.reasons import Obstacle
from executor.results import Already, Done, Rejected
from executor.steps import Close, Move, Open, Opening, Protect, Reduce, Reducing, Rest, Step, Withdraw


class Passing(Struct, frozen=True, tag=True):
    """Refused, nothing was done; the cause can pass, or the step is an exit or a stop: it is owed."""

    reason: Obstacle
    retcode: int = 0
    text: str = ""


class Retry(Struct, frozen=True, tag=True):
    """Surely refused, and worth asking again at once: with a fresh price, another allowed filling mode, after a moment,
    or without levels (`bare`, then `protect_after`). `otherwise` is the verdict when asking again has not helped.
    """

    how: Literal["price", "filling", "backoff", "levels"]
    otherwise: Rejected | Passing


class Unresolved(Struct, frozen=True, tag=True):
    """It may or may not have been done, or is accepted and not filled: search the mark, or read the state."""

    reason: Obstacle
    retcode: int = 0
    text: str = ""


class NotSent(Struct, frozen=True, tag=True):
    """The trade server never saw it, so nothing was done."""

    text: str


Verdict = Done | Already | Rejected | Passing | Retry | Unresolved | NotSent


class Meaning(Enum):
    """What a retcode says, before it is known what was asked."""

    DONE = auto()
    PARTLY = auto()
    PLACED = auto()
    UNKNOWN = auto()
    PRICE = auto()
    FILLING = auto()
    BUSY = auto()
    LEVELS = auto()
    GONE = auto()
    SAME = auto()
    REFUSED = auto()


class Row(Struct, frozen=True):
    """One row of the table: the meaning, the reason that outcomes show, and why the code has that meaning."""

    meaning: Meaning
    reason: Obstacle
    why: str


_M, _O = Meaning, Obstacle

TABLE: Mapping[int, Row] = {
    Retcode.REQUOTE: Row(_M.PRICE, _O.PRICE, "the server offers another price and has traded nothing"),
    Retcode.REJECT: Row(_M.REFUSED, _O.REFUSED, "the dealer refused; asking again is the trader's decision"),
    Retcode.CANCEL: Row(_M.REFUSED, _O.REFUSED, "canceled by the trader or dealer before it was executed"),
    Retcode.PLACED: Row(_M.PLACED, _O.PLACED, "a resting order stands; a market order is accepted and not yet filled"),
    Retcode.DONE: Row(_M.DONE, _O.PLACED, "done"),
    Retcode.DONE_PARTIAL: Row(_M.PARTLY, _O.PARTLY_DONE, "the volume of the answer was done, the rest was not"),
    Retcode.ERROR: Row(_M.UNKNOWN, _O.NO_ANSWER, "an error while it was processed says nothing about its effect"),
    Retcode.TIMEOUT: Row(_M.UNKNOWN, _O.NO_ANSWER, "the terminal stopped waiting, the server may still execute"),
    Retcode.INVALID: Row(_M.REFUSED, _O.INVALID_REQUEST, "refused before the market; the same request stays invalid"),
    Retcode.INVALID_VOLUME: Row(_M.REFUSED, _O.INVALID_VOLUME, "outside the symbol's volume rules"),
    Retcode.INVALID_PRICE: Row(_M.PRICE, _O.INVALID_PRICE, "an old or missing price; a fresh one may do"),
    Retcode.INVALID_STOPS: Row(_M.LEVELS, _O.INVALID_STOPS, "levels too near or on the wrong side; nothing was opened"),
    Retcode.TRADE_DISABLED: Row(_M.REFUSED, _O.SYMBOL_OFF, "the symbol's trading is off until the broker changes it"),
    Retcode.MARKET_CLOSED: Row(_M.REFUSED, _O.MARKET_CLOSED, "passes when the session opens"),
    Retcode.NO_MONEY: Row(_M.REFUSED, _O.NO_MONEY, "passes when margin is free"),
    Retcode.PRICE_CHANGED: Row(_M.PRICE, _O.PRICE, "the price moved beyond the deviation, nothing was traded"),
    Retcode.PRICE_OFF: Row(_M.PRICE, _O.PRICE, "no quotes at this moment"),
    Retcode.INVALID_EXPIRATION: Row(_M.REFUSED, _O.INVALID_EXPIRATION, "the symbol does not take that expiration"),
    Retcode.ORDER_CHANGED: Row(_M.BUSY, _O.CHANGED, "its state changed under the request; look again"),
    Retcode.TOO_MANY_REQUESTS: Row(_M.BUSY, _O.BUSY, "passes after a moment"),
    Retcode.NO_CHANGES: Row(_M.SAME, _O.CHANGED, "it is as asked already"),
    Retcode.SERVER_DISABLES_AT: Row(_M.REFUSED, _O.TRADING_OFF, "passes when the broker allows trading by program"),
    Retcode.CLIENT_DISABLES_AT: Row(_M.REFUSED, _O.TRADING_OFF, "passes when Algo Trading is pressed"),
    Retcode.LOCKED: Row(_M.BUSY, _O.BUSY, "the order is being processed for another request"),
    Retcode.FROZEN: Row(_M.REFUSED, _O.FROZEN, "passes when the price leaves the freeze distance"),
    Retcode.INVALID_FILL: Row(_M.FILLING, _O.FILLING, "another filling mode of the symbol may do"),
    Retcode.CONNECTION: Row(_M.UNKNOWN, _O.NO_ANSWER, "the link to the server broke; before or after is not told"),
    Retcode.ONLY_REAL: Row(_M.REFUSED, _O.NOT_ALLOWED, "not on this kind of account"),
    Retcode.LIMIT_ORDERS: Row(_M.REFUSED, _O.BROKER_LIMIT, "passes when another order has gone"),
    Retcode.LIMIT_VOLUME: Row(_M.REFUSED, _O.BROKER_LIMIT, "passes when volume of the symbol has gone"),
    Retcode.INVALID_ORDER: Row(
        _M.REFUSED, _O.INVALID_REQUEST, "the order type is not allowed, or the order is not there"
    ),
    Retcode.POSITION_CLOSED: Row(_M.GONE, _O.GONE, "the position is closed"),
    Retcode.INVALID_CLOSE_VOLUME: Row(_M.REFUSED, _O.CHANGED, "the position is smaller than was known; look again"),
    Retcode.CLOSE_ORDER_EXIST: Row(_M.BUSY, _O.BUSY, "another closing order of it is under way"),
    Retcode.LIMIT_POSITIONS: Row(_M.REFUSED, _O.BROKER_LIMIT, "passes when a position has gone"),
    Retcode.REJECT_CANCEL: Row(_M.REFUSED, _O.REFUSED, "the activation was refused and the order canceled"),
    Retcode.LONG_ONLY: Row(_M.REFUSED, _O.NOT_ALLOWED, "the symbol only takes buys"),
    Retcode.SHORT_ONLY: Row(_M.REFUSED, _O.NOT_ALLOWED, "the symbol only takes sells"),
    Retcode.CLOSE_ONLY: Row(_M.REFUSED, _O.NOT_ALLOWED, "the symbol only takes closes"),
    Retcode.FIFO_CLOSE: Row(_M.REFUSED, _O.NOT_ALLOWED, "an older position of the symbol has to be closed first"),
    Retcode.HEDGE_PROHIBITED: Row(_M.REFUSED, _O.NOT_ALLOWED, "the account takes no opposite positions"),
}
"""Every retcode. A code that is not here is unresolved."""

NOT_SENT: Mapping[int, str] = {
    LastError.E_INTERNAL_FAIL_SEND: "the request could not be written to the terminal",
    LastError.E_INTERNAL_FAIL_INIT: "there is no terminal",
    LastError.E_INTERNAL_FAIL_CONNECT: "there is no connection to the terminal",
}
"""`last_error` codes after which the terminal surely got no request."""

REFUSED: Mapping[int, tuple[Obstacle, str]] = {
    LastError.E_INVALID_PARAMS: (Obstacle.INVALID_REQUEST, "the vendor's package does not take the request"),
    LastError.E_AUTO_TRADING_DISABLED: (Obstacle.TRADING_OFF, "trading by Python is switched off in the terminal"),
}
"""`last_error` codes after which surely nothing was traded though it was asked. All others are unresolved."""


def classify(reply: Reply, step: Step) -> Verdict:
    """What is known of `step` after `reply`."""
    match reply:
        case Answered(result=result):
            return _answered(result, step)
        case NoResult(error=(code, text)):
            return _no_result(code, text, step)
        case Expired(jumped=jumped):
            return NotSent("the clock jumped" if jumped else "the request was too old when it was its turn")
        case api.NotSent(reason=reason):
            return NotSent(reason)
        case Lost(reason=reason):
            return Unresolved(Obstacle.NO_ANSWER, text=reason)
        case _:
            assert_never(reply)


def _no_result(code: int, text: str, step: Step) -> Verdict:
    if code in NOT_SENT:
        return NotSent(text)
    if code in REFUSED:
        return _refused(REFUSED[code][0], code, text, step)
    return Unresolved(Obstacle.NO_ANSWER, code, text)


def _answered(result: OrderSendResult, step: Step) -> Verdict:
    code, text = result.retcode, retcode_text(result.retcode)
    row = TABLE.get(code)
    if row is None:
        return Unresolved(Obstacle.UNKNOWN_CODE, code, text)
    match row.meaning:
        case Meaning.DONE | Meaning.PARTLY | Meaning.PLACED:
            return _done(result, row, step)
        case Meaning.UNKNOWN:
            return Unresolved(row.reason, code, text)
        case Meaning.PRICE | Meaning.FILLING | Meaning.BUSY | Meaning.LEVELS:
            return _again(row, code, text, step)
        case Meaning.GONE if not isinstance(step, Opening):
            return Already(code)
        case Meaning.SAME if isinstance(step, Protect | Move | Withdraw):
            return Already(code)
        case Meaning.GONE | Meaning.SAME | Meaning.REFUSED:
            return _refused(row.reason, code, text, step)
        case _:
            assert_never(row.meaning)


def _done(result: OrderSendResult, row: Row, step: Step) -> Verdict:
    """Done, if the answer says so of this kind of step and names what a later search would look for."""
    text = retcode_text(result.retcode)
    if isinstance(step, Protect | Move | Withdraw):
        return Done(ticket=step.ticket, retcode=result.retcode)
    if row.meaning is Meaning.PLACED and not isinstance(step, Rest):
        return Unresolved(row.reason, result.retcode, text)
    unsaid = not math.isfinite(result.volume) or (row.meaning is Meaning.PARTLY and not result.volume)
    if not result.order or unsaid:
        return Unresolved(Obstacle.NO_ANSWER, result.retcode, text)
    return Done(
        ticket=result.order,
        identifier=result.order if isinstance(step, Open) else 0,
        deal=result.deal,
        volume=Decimal(repr(result.volume)) if result.volume else step.volume,
        price=Decimal(repr(result.price)) if result.price and math.isfinite(result.price) else None,
        retcode=result.retcode,
    )


def _again(row: Row, code: int, text: str, step: Step) -> Verdict:
    refused = _refused(row.reason, code, text, step)
    match row.meaning:
        case Meaning.PRICE if isinstance(step, Open | Reducing):
            return Retry("price", refused)
        case Meaning.FILLING if isinstance(step, Opening | Reducing):
            return Retry("filling", refused)
        case Meaning.LEVELS if isinstance(step, Open) and (step.stop_loss or step.take_profit):
            return Retry("levels", refused)
        case Meaning.BUSY:
            return Retry("backoff", refused)
        case _:
            return refused


def _refused(reason: Obstacle, code: int, text: str, step: Step) -> Rejected | Passing:
    """An opening or a move is refused for good; an exit, a cancel or a stop is still to be done, whatever the cause."""
    match step:
        case Open() | Rest() | Move():
            return Rejected(code, reason, text)
        case Close() | Reduce() | Protect() | Withdraw():
            return Passing(reason, code, text)
        case _:
            assert_never(step)
