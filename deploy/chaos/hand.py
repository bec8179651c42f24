"""A trader who acts at random at the stand-in broker, through the real proxy, and goes on when a call gets no answer.

What can be done is seen in the broker's own book, not on a page: the page goes through what is being broken.
"""

import http.client
from contextlib import suppress
from decimal import Decimal
from random import Random

from deploy.chaos.story import MOST_OPEN, PRICES, SIDES, SIZES, SMALLEST
from deploy.demo.book import Book
from deploy.demo.rows import Order, Position
from deploy.demo.rules import FINAL
from deploy.demo.trader import Refused, Trader, shortest

NO_ANSWER = (OSError, http.client.HTTPException, Refused)
"""What a call can end with besides an answer; whether it was carried out is the broker's to know."""
FAR = Decimal("0.05")
LEFT_OPEN = 4


class Hand:
    """One trader. `opposed`: long and short in one instrument, and reversals."""

    def __init__(self, trader: Trader, book: Book, random: Random, *, opposed: bool) -> None:
        self._trader = trader
        self._book = book
        self._random = random
        self._opposed = opposed
        self.answered = 0

    async def act(self) -> bool:
        """Do one thing; whether it got an answer."""
        with suppress(*NO_ANSWER):
            await self._act()
            self.answered += 1
            return True
        return False

    async def close_most(self) -> None:
        """Close what is open but for the first few: their sizes and stops are what is compared at the end."""
        for position in self._positions()[LEFT_OPEN:]:
            with suppress(*NO_ANSWER):
                await self._trader.close(position.id)

    async def _act(self) -> None:
        resting, positions = self._resting(), self._positions()
        dice = self._random.random()
        if dice < 0.1 and resting:
            await self._trader.cancel(self._random.choice(resting).id)
        elif not positions or (dice < 0.4 and len(positions) + len(resting) < MOST_OPEN):
            await self._open()
        else:
            await self._turn(self._random.choice(positions))

    async def _open(self) -> None:
        instrument, size = self._random.choice(sorted(PRICES)), shortest(self._random.choice(SIZES))
        buy = self._random.random() < 0.6 if self._opposed else SIDES[instrument]
        side, (bid, ask) = "buy" if buy else "sell", PRICES[instrument]
        if self._random.random() < 0.15:
            price = bid * (1 - FAR) if buy else ask * (1 + FAR)
            await self._trader.place(instrument, side, size, "limit", limitPrice=_price(price), durationType="GTC")
        elif self._random.random() < 0.3:
            await self._trader.place(instrument, side, size, stopLoss=self._stop(instrument, side))
        else:
            await self._trader.place(instrument, side, size)

    async def _turn(self, position: Position) -> None:
        dice = self._random.random()
        if dice < 0.35 and position.qty >= 2 * SMALLEST:
            await self._trader.close(position.id, shortest(position.qty / 2))
        elif dice < 0.6:
            stop = self._stop(position.instrument, position.side)
            await self._trader.move(position.id, position.instrument, stopLoss=stop)
        elif dice < 0.7 and self._opposed:
            other = "sell" if position.side == "buy" else "buy"
            await self._trader.move(position.id, position.instrument, side=other)
        else:
            await self._trader.close(position.id)

    def _stop(self, instrument: str, side: str) -> str:
        away = FAR + Decimal(self._random.randint(0, 9)) / 1000
        bid, ask = PRICES[instrument]
        return _price(bid * (1 - away) if side == "buy" else ask * (1 + away))

    def _positions(self) -> list[Position]:
        return [position for position in self._book.positions.values() if position.qty]

    def _resting(self) -> list[Order]:
        orders = self._book.orders.values()
        return [o for o in orders if o.status not in FINAL and o.type != "market" and o.parent_id is None]


def _price(value: Decimal) -> str:
    return shortest(round(value, 5))
