"""Reading what each side holds by itself."""

import sys
from collections.abc import AsyncIterator
from decimal import Decimal as D
from pathlib import Path

import pytest

from deploy.demo import holdings
from deploy.demo.holdings import Holding, Trade
from deploy.fleet import ROOT
from deploy.groundwork import migrated
from deploy.worker import Job, Worker
from executor.mt5.simulator.client import connect
from executor.mt5.simulator.surface import Surface
from executor.mt5.vocabulary import OrderFilling, OrderType, TradeAction
from shared.process import UserError
from shared.settings import Secret
from tests.conftest import Database
from tests.deploy.demo.conftest import Bench

BUY = {"instrument": "EURUSD", "qty": "0.1", "side": "buy", "type": "market"}


@pytest.fixture
async def terminal(tmp_path: Path) -> AsyncIterator[str]:
    argv = [sys.executable, "-m", "executor.mt5.simulator.server", "--state", str(tmp_path), "--prices", "still"]
    worker = Worker(Job("terminal", argv, {"PYTHONPATH": str(ROOT)}, tmp_path / "address"), tmp_path)
    await worker.started()
    yield (tmp_path / "address").read_text()
    await worker.stop()


def test_the_brokers_book_has_levels_from_its_bracket_orders(bench: Bench) -> None:
    book = bench.book()
    book.place(BUY | {"stopLoss": "1.083", "takeProfit": "1.09"}, bench.now)
    book.place(BUY | {"side": "sell", "qty": "0.2", "instrument": "GBPUSD"}, bench.now)
    book.place(BUY | {"type": "limit", "limitPrice": "1.05"}, bench.now)
    bench.pass_time(book)
    found = holdings.of_broker(book)
    assert found.holdings == (
        Holding("EURUSD", D("0.1"), D("1.083"), D("1.09")),
        Holding("GBPUSD", D("-0.2"), D(0), D(0)),
    )
    assert found.trades == (Trade("EURUSD", D("0.1")), Trade("GBPUSD", D("-0.2")))
    assert found.resting == 1


async def test_a_terminal_tells_positions_deals_and_resting_orders(terminal: str) -> None:
    surface = Surface(connect)
    assert surface.initialize(terminal, login=1001, server="Simulator-Demo")
    deal = {"symbol": "EURUSD", "volume": 0.1, "type_filling": int(OrderFilling.IOC)}
    sent = surface.order_send(
        deal | {"action": int(TradeAction.DEAL), "type": int(OrderType.SELL), "sl": 1.1, "tp": 1.0}
    )
    assert sent.retcode == 10009, sent
    resting = {"action": int(TradeAction.PENDING), "type": int(OrderType.BUY_LIMIT), "price": 1.0}
    assert surface.order_send(deal | resting | {"type_filling": int(OrderFilling.RETURN)}).order
    surface.shutdown()
    found = holdings.of_terminal(terminal, 1001, "Simulator-Demo")
    assert found.holdings == (Holding("EURUSD", D("-0.1"), D("1.1"), D(1)),)
    assert found.trades == (Trade("EURUSD", D("-0.1")),)
    assert found.deals == (sent.deal,)
    assert found.resting == 1


def test_a_terminal_that_is_not_there_is_not_an_empty_one() -> None:
    with pytest.raises(UserError, match="does not answer"):
        holdings.of_terminal("127.0.0.1:1", 1001, "Simulator-Demo")


async def test_an_archive_without_rows_is_empty(postgres: Database) -> None:
    await migrated(Secret(postgres.dsn))
    archive = holdings.of_archive(postgres.dsn, "main")
    assert (archive.facts, archive.outcomes) == ({}, ())


def test_netting_adds_up_by_symbol_and_leaves_out_what_is_flat() -> None:
    def held(symbol: str, lots: str) -> Holding:
        return Holding(symbol, D(lots), D(1), D(2))

    found = holdings.netted((held("A", "1"), held("A", "-1"), held("B", "1"), held("B", "0.5"), held("C", "-2")))
    assert found == (Holding("B", D("1.5"), D(0), D(0)), held("C", "-2"))
