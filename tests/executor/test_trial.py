"""A trial trades on demo accounts only, says what is not as it should be, and closes what it opened."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from typing import Any

import pytest

from executor.checktable import Tried
from executor.mt5.api import AccountTradeMode, Connected
from executor.mt5.simulator.faults import FaultKind
from executor.mt5.simulator.remote import Remote
from executor.mt5.terminal import Terminal
from executor.service import SIMULATOR
from executor.trial import trial
from tests.executor.rig import Simulator, account


@asynccontextmanager
async def connected(simulator: Simulator) -> AsyncIterator[tuple[Terminal, Connected]]:
    terminal = Terminal(SIMULATOR)
    await terminal.start()
    answer = await terminal.connect(simulator.credentials())
    assert isinstance(answer, Connected)
    yield terminal, answer
    await terminal.stop()


async def tried(simulator: Simulator, symbol: str = "EURUSD") -> list[Tried]:
    async with connected(simulator) as (terminal, answer):
        return await trial(account(), terminal, answer, symbol, lambda: datetime.now(UTC))


def rules(simulator: Simulator, change: Callable[[Remote], Any]) -> None:
    with closing(Remote.at(simulator.address)) as remote:
        change(remote)


@pytest.mark.parametrize("mode", [AccountTradeMode.REAL, AccountTradeMode.CONTEST])
async def test_an_account_that_is_no_demo_account_is_never_traded(simulator: Simulator, mode: int) -> None:
    rules(simulator, lambda remote: remote.account(trade_mode=int(mode)))
    (refused,) = await tried(simulator)
    assert "no demo account" in refused.wrong
    assert await simulator.deals() == []


@pytest.mark.parametrize("symbol", ["EURUSD", "XAUUSD", "US30"])
async def test_it_works_by_each_kind_of_execution_and_filling(simulator: Simulator, symbol: str) -> None:
    found = await tried(simulator, symbol)
    assert [each.wrong for each in found] == [""] * 9
    assert await simulator.volumes() == []


async def test_it_works_on_a_netting_account_and_leaves_a_position_there_alone(netting: Simulator) -> None:
    assert [each.wrong for each in await tried(netting)] == [""] * 9
    netting.trade(action=1, symbol="EURUSD", volume=0.1, type=0)
    (refused,) = await tried(netting)
    assert "holds EURUSD already" in refused.wrong
    assert await netting.volumes() == [("EURUSD", 0, 0.1)]


async def test_a_refusal_is_told_with_its_reason(simulator: Simulator) -> None:
    rules(simulator, lambda remote: remote.settings(algo_trading=False))
    first, *_ = await tried(simulator)
    assert "Algo Trading" in first.wrong
    assert await simulator.deals() == []


async def test_what_was_opened_is_closed_when_a_later_step_is_refused(simulator: Simulator) -> None:
    simulator.goes_wrong(FaultKind.RETCODE, code=10018, skip=3, times=2)
    found = await tried(simulator)
    assert [each.what for each in found if "market is closed" in each.wrong] == ["close a part", "close the rest"]
    assert Tried("close what is left") in found
    assert await simulator.volumes() == []


async def test_a_symbol_without_a_price_is_not_tried(simulator: Simulator) -> None:
    simulator.price("EURUSD", "0", "0")
    (refused,) = await tried(simulator)
    assert "no rules or no price" in refused.wrong


async def test_orders_of_others_are_left_alone(simulator: Simulator) -> None:
    simulator.trade(action=5, symbol="EURUSD", volume=0.1, type=2, price=1.0, type_filling=2)
    assert [each.wrong for each in await tried(simulator)] == [""] * 9
    assert len(await simulator.orders()) == 1
