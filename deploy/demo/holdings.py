"""What each side holds by itself: the broker's own book, the terminals asked over their own socket, the archive's rows.

Nothing in here goes through the copier's memory; that is what makes comparing worth something.
"""

from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from deploy.demo.book import Book
from deploy.demo.brackets import kind_of
from deploy.demo.rows import Order
from deploy.demo.rules import FINAL
from executor.mt5.simulator.client import connect
from executor.mt5.simulator.surface import Surface
from executor.mt5.vocabulary import DealType, OrderType, PositionType
from shared.process import UserError

DIGITS = 8
FAR_AHEAD = 2**31 - 1
"""The end of all history as the terminal counts it (seconds in 32 bits)."""


class Holding(Struct, frozen=True, order=True):
    """A position. `lots` is signed, levels are 0 where there is none."""

    symbol: str
    lots: Decimal
    stop_loss: Decimal
    take_profit: Decimal


class Trade(Struct, frozen=True):
    """A fill; `lots` is signed: bought is positive."""

    symbol: str
    lots: Decimal


class Books(Struct, frozen=True, kw_only=True):
    """One side's account. `trades` in their order, `deals` are their numbers (the broker's own have none)."""

    holdings: tuple[Holding, ...]
    trades: tuple[Trade, ...]
    resting: int
    deals: tuple[int, ...] = ()


class Row(Struct, frozen=True, array_like=True):
    """One outcome as the archive has it."""

    account: str
    fact: str
    result: str
    final: bool
    opened: Decimal
    reduced: Decimal
    deals: tuple[int, ...]


class Archive(Struct, frozen=True):
    """What the archive holds of one namespace: the facts' ids with their evidence, and all outcomes."""

    facts: dict[str, str]
    outcomes: tuple[Row, ...]


def of_broker(book: Book) -> Books:
    """The stand-in broker's own book."""
    working = [order for order in book.orders.values() if order.status not in FINAL]
    holdings = [
        Holding(p.instrument, p.signed, _level(working, p.id, "SL"), _level(working, p.id, "TP"))
        for p in book.positions.values()
    ]
    trades = [Trade(x.instrument, x.qty if x.side == "buy" else -x.qty) for x in book.executions]
    resting = sum(order.parent_id is None for order in working)
    return Books(holdings=tuple(sorted(holdings)), trades=tuple(trades), resting=resting)


def of_terminal(address: str, login: int, server: str) -> Books:
    """What a simulated terminal answers over its own socket. Raises UserError when it does not answer. Blocks."""
    terminal = Surface(connect)
    if not terminal.initialize(address, login=login, server=server):
        raise UserError(f"the terminal at {address} does not answer: {terminal.last_error()[1]}")
    try:
        positions, orders = _known(terminal, terminal.positions_get()), _known(terminal, terminal.orders_get())
        history = _known(terminal, terminal.history_deals_get(0, FAR_AHEAD))
    finally:
        terminal.shutdown()
    deals = [deal for deal in history if deal.type in (DealType.BUY, DealType.SELL)]
    return Books(
        holdings=tuple(sorted(_holding(position) for position in positions)),
        trades=tuple(Trade(deal.symbol, _signed(deal.volume, deal.type == DealType.BUY)) for deal in deals),
        resting=sum(order.type > OrderType.SELL for order in orders),
        deals=tuple(deal.ticket for deal in deals),
    )


def of_archive(dsn: str, namespace: str) -> Archive:
    """The archive's rows. Raises psycopg.Error. Blocks."""
    import psycopg

    with psycopg.connect(dsn, application_name="tradecopier-demo") as connection:
        facts = connection.execute("select id, evidence from facts where namespace = %s", [namespace]).fetchall()
        rows = connection.execute(
            "select account, fact, result, final, lots_opened, lots_reduced, deals from outcomes"
            " where namespace = %s order by committed",
            [namespace],
        ).fetchall()
    return Archive(dict(facts), tuple(msgspec.convert(row, Row) for row in rows))


def netted(holdings: tuple[Holding, ...]) -> tuple[Holding, ...]:
    """The same as a netting account shows it: one position per symbol. Levels stay where a symbol has one position."""
    symbols = sorted({holding.symbol for holding in holdings})
    return tuple(one for symbol in symbols if (one := _net([h for h in holdings if h.symbol == symbol])).lots)


def _net(of_symbol: list[Holding]) -> Holding:
    if len(of_symbol) == 1:
        return of_symbol[0]
    return Holding(of_symbol[0].symbol, sum((h.lots for h in of_symbol), Decimal(0)), Decimal(0), Decimal(0))


def _level(working: list[Order], position: str, kind: str) -> Decimal:
    """A position's level from its bracket orders; a broker's rows of positions carry none."""
    for order in working:
        if order.parent_id == position and kind_of(order) == kind:
            return _number(order.limit_price or order.stop_price or 0)
    return Decimal(0)


def _holding(position: Any) -> Holding:
    lots = _signed(position.volume, position.type == PositionType.BUY)
    return Holding(position.symbol, lots, _number(position.sl), _number(position.tp))


def _signed(volume: float, bought: bool) -> Decimal:
    return _number(volume) if bought else -_number(volume)


def _number(value: Decimal | float) -> Decimal:
    """A float of the vendor's as the decimal it stands for."""
    return round(Decimal(repr(value)) if isinstance(value, float) else Decimal(value), DIGITS).normalize()


def _known(terminal: Surface, answer: Any) -> Any:
    """None is not "nothing": the terminal did not say."""
    if answer is None:
        raise UserError(f"the terminal does not say what it holds: {terminal.last_error()[1]}")
    return answer
