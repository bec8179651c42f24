"""The book in memory is the account as it was read, changed by what we did, and never by a reading that overlapped."""

import asyncio
import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from executor import bookkeeping
from executor.book import Link
from executor.bookkeeping import Bookkeeper, TerminalAway
from executor.brokerclock import BrokerClock
from executor.mt5.api import Connected
from executor.mt5.simulator.faults import FaultKind
from executor.mt5.terminal import Terminal
from tests.executor.records import order, position
from tests.executor.rig import Simulator

D = Decimal


def bought(simulator: Simulator, volume: float = 0.1) -> int:
    ticket: int = simulator.trade(action=1, symbol="EURUSD", volume=volume, type=0)["order"]
    return ticket


async def test_the_account_is_read_whole(simulator: Simulator) -> None:
    ticket = bought(simulator)

    async with simulator.keeper({"k": Link(key="k", instrument="GBPUSD", symbol="GBPUSD")}) as (_, keeper):
        book = keeper.book

    assert (book.identity, book.margin) == ("1@Demo", "hedging")
    assert {t: (h.side, h.volume) for t, h in book.holdings.items()} == {ticket: ("buy", D("0.1"))}
    assert {"EURUSD", "GBPUSD"} <= book.symbols
    assert set(book.specifications) == set(book.prices) == {"GBPUSD"}


async def test_a_symbol_is_made_ready_when_it_is_wanted(simulator: Simulator) -> None:
    async with simulator.keeper() as (_, keeper):
        await keeper.ensure("EURUSD")

        assert keeper.book.prices["EURUSD"].bid == D("1.08504")
        assert keeper.book.specifications["EURUSD"].contract_size == 100000


async def test_a_symbol_that_is_not_there_stays_unknown(simulator: Simulator) -> None:
    async with simulator.keeper() as (_, keeper):
        await keeper.ensure("NOWHERE")

        assert "NOWHERE" not in keeper.book.specifications


async def test_the_rules_of_every_symbol_in_use_are_read_again_in_turn(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a tick is worth in dollars moves with the yen; and brokers change steps and minimums."""
    monkeypatch.setattr(bookkeeping, "RULES_S", 0.0)
    simulator.price("USDJPY", "150.000", "150.000")
    async with simulator.keeper() as (_, keeper):
        for symbol in ("EURUSD", "USDJPY", "XAUUSD"):
            await keeper.ensure(symbol)
        before = keeper.book.specifications
        simulator.price("USDJPY", "100.000", "100.000")
        simulator.rules("EURUSD", volume_min="0.05")
        for _ in range(3):
            await keeper.refresh()
        after = keeper.book.specifications

    assert before["USDJPY"].tick_value == D("0.666667")
    assert after["USDJPY"].tick_value == D(1)
    assert after["EURUSD"].volume_min == D("0.05")
    assert after["XAUUSD"] == before["XAUUSD"]


async def test_rules_are_not_read_again_before_it_is_time(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def tells(name: str) -> Any:
        asked.append(name)
        return await read(name)

    async with simulator.keeper() as (terminal, keeper):
        await keeper.ensure("EURUSD")
        read = terminal.symbol
        monkeypatch.setattr(terminal, "symbol", tells)
        for _ in range(5):
            await keeper.refresh()

    assert asked == ["EURUSD"]


async def test_rules_that_the_terminal_does_not_tell_any_more_stay_as_they_were(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with simulator.keeper() as (_, keeper):
        await keeper.ensure("EURUSD")
        before = keeper.book.specifications
        monkeypatch.setattr(bookkeeping, "RULES_S", 0.0)
        simulator.goes_wrong(FaultKind.NONE, function="symbol_info", code=-4)
        await keeper.refresh()
        simulator.rules("EURUSD", volume_step="0")
        await keeper.refresh()

        assert keeper.book.specifications == before


async def test_an_old_price_is_asked_for_anew_when_it_is_wanted(simulator: Simulator) -> None:
    async with simulator.keeper() as (_, keeper):
        await keeper.ensure("EURUSD")
        known = keeper.book.prices["EURUSD"]
        old = replace(known, seen=known.seen - bookkeeping.STALE - timedelta(seconds=1))
        keeper.changed(replace(keeper.book, prices={"EURUSD": old}))
        simulator.price("EURUSD", "1.2", "1.2001")
        await keeper.ensure("EURUSD")

        assert keeper.book.prices["EURUSD"].bid == D("1.2")


@pytest.mark.parametrize("kind", ["positions", "orders"])
async def test_a_volume_that_is_no_number_is_no_answer(
    kind: str, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def listed() -> tuple[Any, ...]:
        return (position(volume=math.nan),) if kind == "positions" else (order(volume_current=math.inf),)

    async with simulator.keeper() as (terminal, keeper):
        monkeypatch.setattr(terminal, kind, listed)
        with pytest.raises(TerminalAway, match="no numbers"):
            await keeper.reread()


async def test_the_day_of_the_loss_limit_is_the_brokers(simulator: Simulator) -> None:
    """An hour before midnight in London it is tomorrow already for a broker in Athens, whose first tick tells."""
    evening = datetime(2026, 11, 25, 23, 0, tzinfo=UTC)
    async with simulator.keeper() as (terminal, read):
        keeper = Bookkeeper("main", terminal, lambda: evening)
        await keeper.open(await connected(terminal, simulator), {}, replace(read.book.figures, day=evening.date()))
        opened = keeper.book.figures
        keeper.clock = BrokerClock(offset=7200)
        await keeper.refresh()

    assert opened.day == date(2026, 11, 25)
    assert keeper.book.figures.day == date(2026, 11, 26)


async def connected(terminal: Terminal, simulator: Simulator) -> Connected:
    answer = await terminal.connect(simulator.credentials())
    assert isinstance(answer, Connected)
    return answer


async def test_a_reading_that_overlaps_with_something_we_did_is_thrown_away(simulator: Simulator) -> None:
    async with simulator.keeper() as (_, keeper):
        bought(simulator)
        reading = asyncio.create_task(keeper.refresh())
        await asyncio.sleep(0)
        keeper.changed(keeper.book)
        await reading

        assert keeper.book.holdings == {}
        assert not keeper.take_fresh()

        await keeper.refresh()

        assert len(keeper.book.holdings) == 1
        assert keeper.take_fresh()
        assert not keeper.take_fresh()


async def test_the_history_can_be_read_from_a_moment_on(simulator: Simulator) -> None:
    bought(simulator)

    async with simulator.keeper() as (_, keeper):
        everything = await keeper.deals()
        newest = max(deal.time for deal in everything)

        assert len([deal for deal in everything if deal.symbol]) == 1
        assert {deal.ticket for deal in await keeper.deals(newest)} <= {deal.ticket for deal in everything}
        assert [deal.symbol for deal in await keeper.deals(newest) if deal.symbol] == ["EURUSD"]
        assert await keeper.deals(newest + 60) == ()


async def test_what_an_order_gave_is_counted_from_its_deals(simulator: Simulator) -> None:
    ticket = bought(simulator, 0.3)

    async with simulator.keeper() as (_, keeper):
        assert await keeper.filled(ticket) == D("0.3")
        assert await keeper.filled(ticket + 1) == 0
        assert [d.order for d in await keeper.deals_of_position(ticket)] == [ticket]


@pytest.mark.parametrize("function", ["positions_get", "orders_get"])
async def test_none_is_never_read_as_flat(function: str, simulator: Simulator) -> None:
    bought(simulator)

    async with simulator.keeper() as (_, keeper):
        simulator.goes_wrong(FaultKind.NONE, function=function, code=-1)
        with pytest.raises(TerminalAway):
            await keeper.reread()

        assert len(keeper.book.holdings) == 1


async def test_a_break_is_counted_whenever_the_link_may_have_been_lost(simulator: Simulator) -> None:
    async with simulator.keeper() as (terminal, keeper):
        before = keeper.breaks
        assert await keeper.connected()
        assert keeper.breaks == before

        simulator.goes_wrong(FaultKind.NONE, function="terminal_info", code=-1)
        assert not await keeper.connected()
        silent = keeper.breaks
        connected = await terminal.connect(simulator.credentials())
        again = keeper.breaks
        assert isinstance(connected, Connected)
        await keeper.open(connected, {})

        assert before < silent < again < keeper.breaks
