"""Trades the smallest volume on a demo account, through the code that copies: for `executor check --trade`.

Each kind of step is taken once and then looked at in the terminal. What was opened is closed again whatever happens. On
any account but a demo one nothing is done.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from time import monotonic, time_ns
from typing import assert_never

from executor.book import Holding, Resting, Specification
from executor.bookkeeping import Bookkeeper
from executor.checktable import Tried
from executor.classify import NotSent, Passing, Retry, Unresolved, Verdict, classify
from executor.instruments import to_tick
from executor.mt5.api import AccountTradeMode, Connected, OrderFilling
from executor.mt5.terminal import Terminal
from executor.reasons import say
from executor.requests import as_asked, fillings, request
from executor.results import Already, Done, Rejected
from executor.settings import Account
from executor.steps import Close, Move, Open, Protect, Reduce, Rest, Step, Withdraw

MARK = 20_260_001
"""The number in `magic` by which a trial finds its own trades; no mark of a copied trade looks like it."""

FAR = Decimal("0.1")
"""Levels and orders stand this part of the price away, so that nothing is triggered."""

WINDOW_NS = 5_000_000_000
TRIES = 3
HISTORY_PATIENCE_S = 10.0
LINK = "trial"


async def trial(
    account: Account, terminal: Terminal, connected: Connected, symbol: str, clock: Callable[[], datetime]
) -> list[Tried]:
    """Try everything with `symbol`. One line that says why when nothing may be tried."""
    if connected.account.trade_mode != AccountTradeMode.DEMO:
        return [Tried("nothing", "this is no demo account, and a trial trades: nothing was sent")]
    keeper = Bookkeeper("trial", terminal, clock)
    await keeper.open(connected, {})
    await keeper.ensure(symbol)
    if symbol not in keeper.book.specifications or symbol not in keeper.book.prices:
        return [Tried("nothing", f"{symbol} has no rules or no price now: nothing was sent")]
    if keeper.book.margin == "netting" and any(h.symbol == symbol for h in keeper.book.holdings.values()):
        return [Tried("nothing", f"the account holds {symbol} already: close that or try another symbol")]
    return await Trial(account, terminal, keeper, symbol).run()


class Trial:
    """One trial on a demo account whose book `keeper` has open and which knows `symbol`."""

    def __init__(self, account: Account, terminal: Terminal, keeper: Bookkeeper, symbol: str) -> None:
        self._account = account
        self._terminal = terminal
        self._keeper = keeper
        self._symbol = symbol
        self._tried: list[Tried] = []

    async def run(self) -> list[Tried]:
        """Try it all and leave nothing behind. Raises TerminalAway when the terminal goes."""
        try:
            await self._position()
            await self._order()
        finally:
            await self._tidy()
        return self._tried

    async def _position(self) -> None:
        volume, bid = self._rules.volume_min, self._keeper.book.prices[self._symbol].bid
        low, high = (to_tick(bid * (1 + far), self._rules) for far in (-FAR, FAR))
        opening = self._open(volume * 2, low, high)
        done = await self._do("open with stop loss and take profit", opening)
        held = self._held()
        if not isinstance(done, Done) or held is None:
            return
        await self._deal(done)
        ticket, name, moved = held.ticket, self._symbol, to_tick(bid * (1 - FAR / 2), self._rules)
        protect = Protect(name="protect", link=LINK, ticket=ticket, symbol=name, stop_loss=moved, take_profit=None)
        await self._do("move the stop loss, remove the take profit", protect)
        await self._do("the same levels again change nothing", protect)
        floor = held.volume - volume
        part = Reduce(name="reduce", link=LINK, ticket=ticket, symbol=name, side="buy", volume=volume, floor=floor)
        await self._do("close a part", part)
        await self._do("close the rest", self._close(held, volume))

    async def _order(self) -> None:
        bid = self._keeper.book.prices[self._symbol].bid
        first, second = (to_tick(bid * (1 - far), self._rules) for far in (FAR, 2 * FAR))
        least, name = self._rules.volume_min, self._symbol
        rest = Rest(
            name="rest", link=LINK, order=LINK, symbol=name, type="limit", side="buy", volume=least, price=first
        )
        done = await self._do("place a pending order", rest)
        if not isinstance(done, Done):
            return
        move = Move(name="move", link=LINK, order=LINK, ticket=done.ticket, symbol=name, price=second)
        await self._do("move the pending order", move)
        await self._do("remove the pending order", self._withdraw(done.ticket))

    @property
    def _rules(self) -> Specification:
        return self._keeper.book.specifications[self._symbol]

    def _open(self, volume: Decimal, low: Decimal, high: Decimal) -> Open:
        name = self._symbol
        return Open(name="open", link=LINK, symbol=name, side="buy", volume=volume, stop_loss=low, take_profit=high)

    def _close(self, held: Holding, volume: Decimal) -> Close:
        return Close(name="close", link=LINK, ticket=held.ticket, symbol=self._symbol, side=held.side, volume=volume)

    def _withdraw(self, ticket: int) -> Withdraw:
        return Withdraw(name="withdraw", link=LINK, order=LINK, ticket=ticket, symbol=self._symbol)

    def _held(self) -> Holding | None:
        return next((h for h in self._keeper.book.holdings.values() if h.magic == MARK), None)

    def _resting(self) -> Resting | None:
        return next((r for r in self._keeper.book.restings.values() if r.magic == MARK), None)

    async def _do(self, what: str, step: Step) -> Verdict:
        """Take a step, then see whether the terminal shows what it was to bring about."""
        verdict = await self._asked(step)
        await self._keeper.reread()
        if not isinstance(verdict, Done | Already):
            self._tried.append(Tried(what, _words(verdict)))
        else:
            self._tried.append(Tried(what, "" if self._shows(step) else "the terminal does not show it"))
        return verdict

    async def _asked(self, step: Step) -> Verdict:
        """The verdict after a few tries, each with a fresh price and, where refused, another filling mode."""
        modes: list[OrderFilling | None] = [None]
        if isinstance(step, Open | Rest | Reduce | Close):
            modes += fillings(step, self._rules)[1:]
        verdict: Verdict = NotSent("nothing was asked")
        for _ in range(TRIES):
            await self._keeper.price(self._symbol)
            wanted = request(step, self._keeper.book, MARK, self._account, tag="trial", filling=modes[0])
            verdict = classify(await self._terminal.send(wanted, time_ns() + WINDOW_NS), step)
            if not isinstance(verdict, Retry):
                break
            modes = modes[1:] or modes if verdict.how == "filling" else modes
        return verdict

    def _shows(self, step: Step) -> bool:
        match step:
            case Open(volume=volume, stop_loss=stop, take_profit=take):
                held = self._held()
                return held is not None and (held.volume, held.stop_loss, held.take_profit) == (volume, stop, take)
            case Rest(volume=volume, price=price):
                resting = self._resting()
                return resting is not None and (resting.volume, resting.price) == (volume, price)
            case _:
                return as_asked(step, self._keeper.book)

    async def _deal(self, done: Done) -> None:
        """The history has the deal under its mark: what a restart after a crash goes by. It may lag the fill."""
        end = monotonic() + HISTORY_PATIENCE_S
        while monotonic() < end:
            if any(d.magic == MARK and d.order == done.ticket for d in (await self._keeper.traces()).deals):
                self._tried.append(Tried("find the trade by its mark in the history"))
                return
            await asyncio.sleep(0.1)
        self._tried.append(Tried("find the trade by its mark in the history", "it is not there"))

    async def _tidy(self) -> None:
        await self._keeper.reread()
        if (held := self._held()) is not None:
            await self._do("close what is left", self._close(held, held.volume))
        if (resting := self._resting()) is not None:
            await self._do("remove what is left", self._withdraw(resting.ticket))


def _words(verdict: Verdict) -> str:
    match verdict:
        case Retry(otherwise=otherwise):
            return _words(otherwise)
        case NotSent(text=text):
            return text
        case Done() | Already():
            return ""
        case Rejected() | Passing() | Unresolved():
            return f"{say(verdict.reason)} ({verdict.text})"
        case _:
            assert_never(verdict)
