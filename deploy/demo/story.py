"""What the trader does in the demo, one deed after the other, each as TradingView's page would let one do it.

The trader waits for the page to show the effect before going on, as people do. At the end one position is left open, so
that comparing the books means something.
"""

from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from deploy.demo.trader import Refused, Trader, shortest

FIRST, SECOND = "EURUSD", "GBPUSD"
PIP = Decimal("0.0001")
FAR = Decimal("0.98")
"""A limit this far from the price rests until it is cancelled."""


class Deed(Struct, frozen=True):
    """One thing the trader did. `answer` is the broker's: an accepted deed is copied, a refused one must not be."""

    text: str
    answer: Literal["accepted", "refused"] = "accepted"
    reason: str = ""


async def story(trader: Trader) -> AsyncIterator[Deed]:
    """Do one deed at a time; whoever iterates sees what became of it before the next one."""
    async for deed in _long(trader):
        yield deed
    async for deed in _short_and_resting(trader):
        yield deed
    yield await _too_much(trader)


async def _long(trader: Trader) -> AsyncIterator[Deed]:
    price = (await trader.quote(FIRST)).bid
    stop, target = _price(price - 30 * PIP), _price(price + 60 * PIP)
    await trader.place(FIRST, "buy", "0.1", stopLoss=stop, takeProfit=target)
    yield Deed(f"buy 0.10 {FIRST} at market, stop loss {stop}, take profit {target}")
    await trader.until(_holds(FIRST, 0.1))
    position = _position(trader, FIRST)
    stop, target = _price(price - 20 * PIP), _price(price + 80 * PIP)
    await trader.move(position, FIRST, stopLoss=stop, takeProfit=target)
    yield Deed(f"move the stop loss to {stop} and the take profit to {target}")
    await trader.looked_again()
    await trader.close(position, "0.04")
    yield Deed("close 0.04 of it")
    await trader.until(_holds(FIRST, 0.06))
    await trader.close(position)
    yield Deed("close the rest")
    await trader.until(_holds(FIRST, 0))


async def _short_and_resting(trader: Trader) -> AsyncIterator[Deed]:
    await trader.place(SECOND, "sell", "0.05")
    yield Deed(f"sell 0.05 {SECOND} at market")
    await trader.until(_holds(SECOND, 0.05))
    price = (await trader.quote(FIRST)).bid
    limit, lower = _price(price * FAR), _price(price * FAR - 10 * PIP)
    order = await trader.place(FIRST, "buy", "0.2", "limit", limitPrice=limit, durationType="GTC")
    yield Deed(f"place a limit order: buy 0.20 {FIRST} at {limit}")
    await trader.modify(order, FIRST, qty="0.2", limitPrice=lower, durationType="GTC")
    yield Deed(f"move the limit to {lower}")
    await trader.cancel(order)
    yield Deed("cancel the limit order")


async def _too_much(trader: Trader) -> Deed:
    text = f"buy 80 {FIRST} at market"
    try:
        await trader.place(FIRST, "buy", "80")
    except Refused as refused:
        await trader.looked_again()
        return Deed(text, "refused", str(refused))
    return Deed(text)


def _price(value: Decimal) -> str:
    return shortest(round(value, 5))


def _holds(instrument: str, quantity: float) -> Callable[[Trader], bool]:
    """Whether the page shows this much of the instrument."""
    return lambda page: sum(row["qty"] for row in page.positions if row["instrument"] == instrument) == quantity


def _position(trader: Trader, instrument: str) -> str:
    return next(str(row["id"]) for row in trader.positions if row["instrument"] == instrument)
