"""The trader at a browser, against the stand-in broker itself."""

import asyncio
import http.client
import ssl
import threading
from collections.abc import AsyncIterator
from decimal import Decimal as D

import pytest

from deploy.demo.trader import Line, Refused, Trader, request_id, shortest
from tests.deploy.demo.conftest import Counter

PATIENCE_S = 30.0


@pytest.fixture
async def trader(counter: Counter) -> AsyncIterator[Trader]:
    trader = Trader(counter.seat(), poll_s=0.02)
    await trader.sit_down()
    yield trader
    await trader.leave()


async def test_what_the_trader_does_is_seen_on_the_page(trader: Trader) -> None:
    order = await trader.place("EURUSD", "buy", "0.1", stopLoss="1.083", takeProfit="1.09")
    await trader.until(lambda page: len(page.positions) == 1)
    await trader.looked_again()
    assert [row["status"] for row in trader.orders if row["id"] == order] == ["filled"]
    position = trader.positions[0]["id"]
    await trader.move(position, "EURUSD", stopLoss="1.084")
    await trader.close(position, "0.04")
    await trader.until(lambda page: page.positions[0]["qty"] == 0.06)
    await trader.close(position)
    await trader.until(lambda page: not page.positions)


async def test_a_refusal_has_the_brokers_words(trader: Trader) -> None:
    with pytest.raises(Refused, match="Not enough money"):
        await trader.place("EURUSD", "buy", "80")


async def test_a_resting_order_is_edited_and_cancelled(trader: Trader) -> None:
    order = await trader.place("EURUSD", "buy", "0.2", "limit", limitPrice="1.05", durationType="GTC")
    await trader.modify(order, "EURUSD", qty="0.2", limitPrice="1.04")
    await trader.cancel(order)
    await trader.until(lambda page: any(row["status"] == "cancelled" for row in page.orders))
    assert trader.orders[-1]["limitPrice"] == 1.04


async def test_looking_again_means_polls_that_left_after_the_call(counter: Counter, trader: Trader) -> None:
    counter.broker.books["10001"].place({"instrument": "EURUSD", "qty": "0.1", "side": "buy", "type": "market"}, 0.0)
    await trader.looked_again()
    assert len(trader.orders) == 1


async def test_what_the_page_shows_stays_while_polls_fail(counter: Counter, trader: Trader) -> None:
    await trader.place("EURUSD", "buy", "0.1")
    await trader.until(lambda page: len(page.positions) == 1)
    token, counter.broker.token = counter.broker.token, "another"
    with pytest.raises(Refused, match="invalid or expired"):
        await trader.quote("EURUSD")
    assert len(trader.positions) == 1
    counter.broker.token = token
    await trader.looked_again()
    assert len(trader.positions) == 1


async def test_a_broker_that_the_trader_does_not_trust_gets_no_order(counter: Counter) -> None:
    line = Line(counter.seat(context=ssl.create_default_context()))
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.to_thread(line.call, "GET", "/config", {}, None)


async def test_a_call_on_a_broken_line_is_not_repeated(counter: Counter) -> None:
    line = Line(counter.seat(port=1))
    with pytest.raises(ConnectionRefusedError):
        await asyncio.to_thread(line.call, "GET", "/config", {}, None)


async def test_a_line_that_is_closed_while_it_calls_hangs_up_at_the_end_of_the_call(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call runs in a thread; the connection that it was about to open would be left over."""
    line, calling, left = Line(counter.seat()), threading.Event(), threading.Event()
    opened = line._opened

    def slowly() -> http.client.HTTPSConnection:
        calling.set()
        assert left.wait(PATIENCE_S)
        return opened()

    monkeypatch.setattr(line, "_opened", slowly)
    call = asyncio.create_task(asyncio.to_thread(line.call, "GET", "/config", {}, None))
    assert await asyncio.to_thread(calling.wait, PATIENCE_S)
    line.close()
    left.set()
    await call
    assert line._connection is None


async def test_the_page_that_never_shows_it_is_a_timeout(trader: Trader) -> None:
    with pytest.raises(TimeoutError):
        await trader.until(lambda page: bool(page.positions), patience=0.1)


def test_request_ids_are_ten_alphanumerics() -> None:
    assert all(len(i) == 10 and i.isalnum() for i in {request_id() for _ in range(50)})
    assert len({request_id() for _ in range(50)}) == 50


@pytest.mark.parametrize(("value", "text"), [("1.08300", "1.083"), ("27780", "27780"), ("100", "100"), ("0.10", "0.1")])
def test_numbers_are_written_as_the_page_writes_them(value: str, text: str) -> None:
    assert shortest(D(value)) == text
