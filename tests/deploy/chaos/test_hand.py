"""A trader at random does all that a trader can do, only ever to what is there, and goes on without an answer."""

import time
from collections import Counter
from decimal import Decimal
from itertools import count
from random import Random
from typing import cast

import pytest

from deploy.chaos.hand import LEFT_OPEN, Hand
from deploy.chaos.story import PRICES, SIDES
from deploy.demo.book import Book
from deploy.demo.rules import Price, Rules
from deploy.demo.trader import Trader


class Page:
    """In place of the page: gives every call straight to the book, or no answer when the line is cut."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self.asked: Counter[str] = Counter()
        self.cut = False

    async def place(self, instrument: str, side: str, qty: str, kind: str = "market", **more: str) -> str:
        self._ask(f"place {kind}")
        form = {"instrument": instrument, "side": side, "qty": qty, "type": kind, **more}
        return self._book.place(form, time.time()).id

    async def cancel(self, order: str) -> None:
        self._ask("cancel")
        self._book.cancel(order, time.time())

    async def move(self, position: str, _instrument: str, **levels: str) -> None:
        self._ask("reverse" if "side" in levels else "stop")
        self._book.move(position, levels, time.time())

    async def close(self, position: str, amount: str | None = None) -> None:
        self._ask("part close" if amount else "close")
        self._book.close(position, {"amount": amount} if amount else {}, time.time())

    def _ask(self, what: str) -> None:
        self.asked[what] += 1
        if self.cut:
            raise ConnectionResetError
        self._book.advance(time.time() + 1)


@pytest.fixture
def book() -> Book:
    prices = {name: Price(*both) for name, both in PRICES.items()} | {"XAUUSD": Price(Decimal(1), Decimal(2))}
    return Book("1", Rules(fill_delay=0), count(1), prices)


def hand(book: Book, *, opposed: bool = True) -> tuple[Hand, Page]:
    page = Page(book)
    return Hand(cast(Trader, page), book, Random(4), opposed=opposed), page


async def test_everything_that_a_trader_can_do_is_done(book: Book) -> None:
    trader, page = hand(book)

    for _ in range(400):
        await trader.act()
        book.advance(time.time() + 1)

    assert set(page.asked) == {"place market", "place limit", "cancel", "reverse", "stop", "part close", "close"}
    assert trader.answered > 380, "what is not there is not asked for"


async def test_without_opposed_positions_an_instrument_has_one_side(book: Book) -> None:
    trader, page = hand(book, opposed=False)

    for _ in range(200):
        await trader.act()
        book.advance(time.time() + 1)
        assert all((p.side == "buy") == SIDES[p.instrument] for p in book.positions.values() if p.qty)

    assert "reverse" not in page.asked


async def test_a_call_without_an_answer_is_no_end(book: Book) -> None:
    trader, page = hand(book)
    page.cut = True

    assert not await trader.act()

    page.cut = False
    assert await trader.act()
    assert trader.answered == 1


async def test_at_the_end_only_a_few_positions_are_left(book: Book) -> None:
    trader, _ = hand(book)
    for _ in range(60):
        await trader.act()
        book.advance(time.time() + 1)

    await trader.close_most()
    book.advance(time.time() + 2)

    assert len([p for p in book.positions.values() if p.qty]) <= LEFT_OPEN
