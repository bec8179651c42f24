"""The book after a step: what MT5 has confirmed is in memory at once, before the next reading of the account."""

from collections.abc import Mapping
from decimal import Decimal
from typing import assert_never

import msgspec

from executor.book import Book, Holding, Resting
from executor.results import Done
from executor.steps import Close, Move, Open, Protect, Reduce, Rest, Step, Withdraw


def applied(book: Book, step: Step, done: Done) -> Book:
    """`book` with what `done` says about `step`. A later reading of the account replaces it all."""
    match step:
        case Open():
            return _with(book, holdings=_opened(book, step, done))
        case Rest():
            return _with(book, restings={**book.restings, done.ticket: _resting(step, done)})
        case Close():
            return _with(book, holdings=_without(book.holdings, step.ticket))
        case Reduce():
            return _with(book, holdings=_reduced(book.holdings, step.ticket, done.volume))
        case Protect():
            return _with(book, holdings=_protected(book.holdings, step))
        case Move():
            return _with(book, restings=_moved(book.restings, step))
        case Withdraw():
            return _with(book, restings={t: r for t, r in book.restings.items() if t != step.ticket})
        case _:
            assert_never(step)


def _with(book: Book, **fields: object) -> Book:
    return msgspec.structs.replace(book, **fields)


def _opened(book: Book, step: Open, done: Done) -> dict[int, Holding]:
    fresh = Holding(
        ticket=done.identifier or done.ticket,
        identifier=done.identifier or done.ticket,
        symbol=step.symbol,
        side=step.side,
        volume=done.volume,
        price=done.price or Decimal(0),
        stop_loss=step.stop_loss,
        take_profit=step.take_profit,
        magic=done.mark,
    )
    there = next((h for h in book.holdings.values() if h.symbol == step.symbol), None)
    if book.margin == "hedging" or there is None:
        return {**book.holdings, fresh.ticket: fresh}
    return {**book.holdings, there.ticket: _netted(there, fresh)}


def _netted(there: Holding, fresh: Holding) -> Holding:
    sign = 1 if there.side == fresh.side else -1
    volume = there.volume + sign * fresh.volume
    if volume >= 0:
        return msgspec.structs.replace(there, volume=volume)
    return msgspec.structs.replace(fresh, ticket=there.ticket, identifier=there.identifier, volume=-volume)


def _resting(step: Rest, done: Done) -> Resting:
    return Resting(
        ticket=done.ticket,
        symbol=step.symbol,
        type=step.type,
        side=step.side,
        volume=step.volume,
        price=step.price,
        stop_limit=step.stop_limit,
        stop_loss=step.stop_loss,
        take_profit=step.take_profit,
        magic=done.mark,
    )


def _without(holdings: Mapping[int, Holding], ticket: int) -> dict[int, Holding]:
    return {t: h for t, h in holdings.items() if t != ticket}


def _reduced(holdings: Mapping[int, Holding], ticket: int, volume: Decimal) -> dict[int, Holding]:
    held = holdings.get(ticket)
    if held is None or held.volume <= volume:
        return _without(holdings, ticket)
    return {**holdings, ticket: msgspec.structs.replace(held, volume=held.volume - volume)}


def _protected(holdings: Mapping[int, Holding], step: Protect) -> dict[int, Holding]:
    held = holdings.get(step.ticket)
    if held is None:
        return dict(holdings)
    levels = {"stop_loss": step.stop_loss, "take_profit": step.take_profit}
    return {**holdings, step.ticket: msgspec.structs.replace(held, **levels)}


def _moved(restings: Mapping[int, Resting], step: Move) -> dict[int, Resting]:
    there = restings.get(step.ticket)
    if there is None:
        return dict(restings)
    asked = {name: getattr(step, name) for name in ("price", "stop_limit", "stop_loss", "take_profit")}
    return {**restings, step.ticket: msgspec.structs.replace(there, **asked)}
