"""How a step's result is told on the outcomes stream."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, assert_never

from msgspec import Struct
from msgspec.structs import replace

from executor.book import Book
from executor.instruments import entry_price, risked
from executor.mt5.api import Answered, NoResult, Reply
from executor.reasons import Denied, say
from executor.results import Already, Done, Owed, Rejected, Result, Skipped
from executor.steps import Close, Move, Open, Protect, Reduce, Rest, Step, Withdraw, kind
from shared.outcomes import StepReport

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Call(Struct, frozen=True, kw_only=True):
    """The last call made for a step: its mark, and when the vendor was called and answered (None: not known).

    `at_stop` is what it risked by the price that it was sent with, in the account's currency.
    """

    mark: int = 0
    at_stop: Decimal | None = None
    sent: datetime | None = None
    answered: datetime | None = None


def call(reply: Reply, mark: int, at_stop: Decimal | None = None) -> Call:
    """What is to be told of a call from its reply."""
    if isinstance(reply, Answered | NoResult):
        return Call(mark=mark, at_stop=at_stop, sent=_time(reply.called), answered=_time(reply.returned))
    return Call(mark=mark, at_stop=at_stop)


def at_stop(step: Step, book: Book) -> Decimal | None:
    """What an opening would lose at its stop loss, to the cent; None for other steps and what is not known."""
    if not isinstance(step, Open | Rest) or step.stop_loss is None:
        return None
    rules = book.specifications.get(step.symbol)
    entry = step.entry if isinstance(step, Rest) else entry_price(book.prices.get(step.symbol), step.side)
    if rules is None or entry is None:
        return None
    money = risked(step.side, step.volume, entry, step.stop_loss, rules)
    return None if money is None else round(money, 2)


def step_report(step: Step, result: Result | None, made: Call) -> StepReport:
    """The report of one step; a result of None says that nobody knows yet."""
    fields: dict[str, Any] = {**_asked(step), **_became(result)}
    if isinstance(result, Done) and result.mark:
        made = replace(made, mark=result.mark)
    fields |= {"mark": made.mark or None, "at_stop": made.at_stop, "sent": made.sent, "answered": made.answered}
    return StepReport(name=step.name, kind=kind(step), symbol=step.symbol, **fields)


def said(result: Result | None) -> str:
    """A result in words, for a log."""
    told = _became(result)
    return str(told.get("text") or told["result"])


def _asked(step: Step) -> dict[str, Any]:
    match step:
        case Open():
            return {"action": "open", "side": step.side, "volume": step.volume, **_levels(step)}
        case Rest():
            place = {"action": f"place {step.type}", "side": step.side, "volume": step.volume, "price": step.price}
            return {**place, **_levels(step)}
        case Close():
            return {"action": "close", "side": step.side, "volume": step.volume, "ticket": step.ticket}
        case Reduce():
            return {"action": "part close", "side": step.side, "volume": step.volume, "ticket": step.ticket}
        case Protect():
            return {"action": "set levels", "ticket": step.ticket, **_levels(step)}
        case Move():
            return {"action": "move order", "ticket": step.ticket, "price": step.price, **_levels(step)}
        case Withdraw():
            return {"action": "remove order", "ticket": step.ticket}
        case _:
            assert_never(step)


def _levels(step: Open | Rest | Protect | Move) -> dict[str, Any]:
    return {"stop_loss": step.stop_loss, "take_profit": step.take_profit}


def _became(result: Result | None) -> dict[str, Any]:
    match result:
        case None:
            return {"result": "unresolved"}
        case Done():
            return {"result": "done", **_done(result)}
        case Already():
            return {"result": "already", "retcode": result.retcode or None}
        case Denied():
            return {"result": "denied", "reason": str(result.reason), "text": result.text}
        case Rejected():
            text = result.text or say(result.reason)
            return {"result": "rejected", "retcode": result.retcode, "reason": str(result.reason), "text": text}
        case Owed():
            text = result.text or say(result.reason)
            return {"result": "owed", "retcode": result.retcode or None, "reason": str(result.reason), "text": text}
        case Skipped():
            return {"result": "skipped", "reason": "shadow" if result.shadow else ""}
        case _:
            assert_never(result)


def _done(done: Done) -> dict[str, Any]:
    known = {"deal": done.deal, "retcode": done.retcode, "price": done.price, "volume": done.volume}
    told = {name: value for name, value in known.items() if value}
    ticket = done.identifier or done.ticket
    return {**told, "ticket": ticket} if ticket else told


def _time(nanoseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)
