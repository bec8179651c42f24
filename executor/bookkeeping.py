"""Keeps one account's book in memory while its lane holds the lease, so that a decision needs no question.

The book is read whole when the lane begins, changed at once by what the lane itself does, and refreshed beside it. A
refresh that overlaps with something the lane did is thrown away: it may have been read before and land after.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from time import monotonic
from typing import TypeVar

import msgspec

from executor import funds, readings
from executor.book import Book, Figures, Holding, Link, Price, Resting
from executor.brokerclock import BrokerClock
from executor.marks import Traces
from executor.mt5.api import (
    AccountInfo,
    Connected,
    SymbolInfo,
    TerminalInfo,
    TradeDeal,
    TradeOrder,
    TradePosition,
    Unknown,
)
from executor.mt5.terminal import Terminal
from executor.reference import remembered

T = TypeVar("T")

WINDOW = timedelta(days=2)
"""How far around now the history is searched: a day for recovery and a day for the broker's unknown time zone."""

RULES_S = 10.0
"""How often a symbol's rules are read again: what a tick is worth moves with currencies, brokers change the rest."""

STALE = timedelta(seconds=10)
"""A price is read every second; one so old is asked for anew when it is wanted."""

LISTENED = 3
"""How many symbols are listened to for the broker's clock: one may stand still for a while."""


class TerminalAway(Exception):
    """The terminal gives no answer, so nothing can be decided: connect again and recover."""


class Bookkeeper:
    """The book of `account`, read through `terminal`. Raises TerminalAway whenever a read that it needs fails."""

    def __init__(self, account: str, terminal: Terminal, clock: Callable[[], datetime]) -> None:
        self.book: Book
        self.clock = BrokerClock()
        self._liveliest: tuple[str, ...] = ()
        self._account = account
        self._terminal = terminal
        self._clock = clock
        self._effects = 0
        self._fresh = False
        self._lost = 0
        self._turn = 0
        self._rules_due = 0.0

    async def open(self, connected: Connected, links: Mapping[str, Link], known: Figures | None = None) -> None:
        """Read the whole account. `known` are the day's start and the peak of equity from before."""
        self._lost += 1
        info, symbols = connected.account, _known(await self._terminal.symbols())
        self._liveliest = liveliest(symbols)
        self.book = Book(
            account=self._account,
            identity=f"{info.login}@{info.server}",
            margin=readings.margin(info),
            figures=self._measured(info, known),
            specifications={},
            prices={},
            holdings=_held(await self._terminal.positions()),
            restings=_rested(await self._terminal.orders()),
            links=dict(links),
            symbols=frozenset(s.name for s in symbols),
            fifo_close=bool(info.fifo_close),
        )
        for symbol in {link.symbol for link in links.values()}:
            await self.ensure(symbol)

    async def list_symbols(self) -> None:
        """Ask for the symbols again while the terminal has listed none: one that has just come back does not yet."""
        if not self.book.symbols:
            symbols = _known(await self._terminal.symbols())
            self._liveliest = liveliest(symbols)
            self._put(symbols=frozenset(s.name for s in symbols))

    async def ensure(self, symbol: str) -> None:
        """Have the rules and a price of `symbol`; selects it in the terminal the first time."""
        if symbol not in self.book.specifications:
            await self._terminal.select(symbol)
            await self._rules(symbol)
        told = self.book.prices.get(symbol)
        if told is None or self._clock() - told.seen > STALE:
            await self.price(symbol)

    async def price(self, symbol: str) -> None:
        """Take the newest price of `symbol`, if the terminal has one."""
        price = await self._ticked(symbol)
        if price is not None:
            known = remembered(self.book.earlier.get(symbol, ()), price)
            self._put(prices={**self.book.prices, symbol: price}, earlier={**self.book.earlier, symbol: known})

    async def refresh(self) -> None:
        """Read positions, orders, money and the prices of every symbol in use again."""
        before = self._effects
        positions, orders = await self._terminal.positions(), await self._terminal.orders()
        account = await self._same_account()
        if self._effects == before:
            self._put(
                holdings=_held(positions),
                restings=_rested(orders),
                figures=self._measured(account, self.book.figures),
            )
            self._fresh = True
        for symbol in (known := list(self.book.specifications)):
            await self.price(symbol)
        if known and monotonic() >= self._rules_due:  # one after the other
            self._turn, self._rules_due = self._turn + 1, monotonic() + RULES_S / len(known)
            await self._rules(known[self._turn % len(known)])
        for symbol in self._liveliest:
            if symbol not in self.book.specifications:
                await self._ticked(symbol)

    async def _rules(self, symbol: str) -> None:
        """Take the rules of `symbol` as the terminal tells them now; what it does not tell stays as it was."""
        info = await self._terminal.symbol(symbol)
        rules = None if isinstance(info, Unknown) else readings.specification(info)
        if rules is not None:
            self._put(specifications={**self.book.specifications, symbol: rules})

    def _measured(self, info: AccountInfo, before: Figures | None) -> Figures:
        """The account's money as it was read now; UTC stands for the broker's clock while its zone is not known."""
        return funds.measured(readings.figures(info), before, self._clock(), self.clock.offset or 0)

    def account_for(self, figures: Figures) -> None:
        """Take over figures of which deals have explained what changed."""
        self._put(figures=figures)

    def rearm(self) -> None:
        """Let limits on losses count from the equity that the account has now."""
        self.account_for(funds.rearmed(self.book.figures))

    def take_fresh(self) -> bool:
        """Whether the account was read again since this was asked last, with nothing of ours in between."""
        fresh, self._fresh = self._fresh, False
        return fresh

    async def reread(self) -> None:
        """Read positions and orders now, for a decision about what is there."""
        self._effects += 1
        positions, orders = await self._terminal.positions(), await self._terminal.orders()
        await self._same_account()
        self._put(holdings=_held(positions), restings=_rested(orders))

    async def _same_account(self) -> AccountInfo:
        """The account, which must be the one that the book is of: a person can log in to another one at any time."""
        info = _known(await self._terminal.account())
        if f"{info.login}@{info.server}" != self.book.identity:
            raise TerminalAway(f"the terminal is logged in as {info.login}@{info.server}, not {self.book.identity}")
        return info

    async def traces(self) -> Traces:
        """Everything that a maybe-sent step could have left behind."""
        now = self._clock()
        start, end = (int(moment.timestamp()) for moment in (now - WINDOW, now + WINDOW))
        return Traces(
            positions=_known(await self._terminal.positions()),
            orders=_known(await self._terminal.orders()),
            history_orders=_known(await self._terminal.history_orders(start, end)),
            deals=_known(await self._terminal.history_deals(start, end)),
        )

    async def deals(self, since: int | None = None) -> tuple[TradeDeal, ...]:
        """The deals of the window, or those since then (seconds of the broker's clock), however long ago that is."""
        now = self._clock()
        start, end = (int(moment.timestamp()) for moment in (now - WINDOW, now + WINDOW))
        return _known(await self._terminal.history_deals(start if since is None else since, end))

    async def deals_of_position(self, identifier: int) -> tuple[TradeDeal, ...]:
        """The deals that made and unmade a position."""
        return _known(await self._terminal.history_deals(position=identifier))

    async def filled(self, ticket: int) -> Decimal:
        """Lots that an order has given so far."""
        deals = _known(await self._terminal.history_deals(ticket=ticket))
        return sum((readings.number(d.volume) for d in deals), Decimal(0))

    async def connected(self) -> bool:
        """Whether the terminal answers and has its link to the broker: the grace only runs while it does."""
        info = await self.info()
        return not isinstance(info, Unknown) and info.connected

    async def info(self) -> TerminalInfo | Unknown:
        """What the terminal says of itself. No answer, or no link to the broker, counts as a break."""
        info = await self._terminal.info()
        if isinstance(info, Unknown) or not info.connected:
            self._lost += 1
        return info

    @property
    def breaks(self) -> int:
        """Rises whenever what the terminal shows may have been cut off: child, link or lease were lost."""
        return self._lost + self._terminal.epoch

    def taken(self) -> set[int]:
        """Marks that something on the account bears."""
        held = {h.magic for h in self.book.holdings.values()}
        return held | {r.magic for r in self.book.restings.values()}

    def changed(self, book: Book) -> None:
        """Take over a book that something we did has changed."""
        self._effects, self._fresh = self._effects + 1, False
        self.book = book

    def remember(self, links: Mapping[str, Link | None]) -> None:
        """Take over links as they were committed."""
        kept = {**self.book.links, **links}
        self._put(links={key: link for key, link in kept.items() if link is not None})

    async def _ticked(self, symbol: str) -> Price | None:
        tick, now = await self._terminal.tick(symbol), self._clock()
        if isinstance(tick, Unknown):
            return None
        self.clock = self.clock.ticked(symbol, tick.time_msc, now.timestamp())
        return readings.price(tick, now)

    def _put(self, **fields: object) -> None:
        self.book = msgspec.structs.replace(self.book, **fields)


def liveliest(symbols: Iterable[SymbolInfo]) -> tuple[str, ...]:
    """The selected symbols with the newest prices: their ticks tell the broker's clock before we trade anything."""
    newest = sorted((s for s in symbols if s.select and s.time), key=lambda s: s.time, reverse=True)
    return tuple(s.name for s in newest[:LISTENED])


def _held(positions: tuple[TradePosition, ...] | Unknown) -> Mapping[int, Holding]:
    return readings.holdings(_numbered(_known(positions), lambda p: p.volume))


def _rested(orders: tuple[TradeOrder, ...] | Unknown) -> Mapping[int, Resting]:
    return readings.restings(_numbered(_known(orders), lambda o: o.volume_current))


def _numbered(records: tuple[T, ...], volume: Callable[[T], float]) -> tuple[T, ...]:
    """Records whose volumes are numbers; others say as little as no answer."""
    if not all(math.isfinite(volume(record)) for record in records):
        raise TerminalAway("it tells volumes that are no numbers")
    return records


def _known(value: T | Unknown) -> T:
    if isinstance(value, Unknown):
        raise TerminalAway(f"{value.text} ({value.code})")
    return value
