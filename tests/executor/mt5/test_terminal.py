"""The parent's side over real child processes and real simulated terminals."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from executor.mt5 import api
from executor.mt5.simulator.faults import Fault, FaultKind
from executor.mt5.simulator.remote import Remote
from executor.mt5.simulator.views import server_ms
from executor.mt5.terminal import Deadlines, Terminal
from tests.executor.mt5.simulated import ROOT, SimulatorProcess

Start = Callable[..., Awaitable[Terminal]]
Simulator = Callable[..., SimulatorProcess]

BUY = api.TradeRequest(action=api.TradeAction.DEAL, symbol="EURUSD", volume=Decimal("0.1"), magic=42, comment="mark")


@pytest.fixture
def broker(simulator: Simulator) -> SimulatorProcess:
    return simulator(login=77, password="secret", prices="still")


@pytest.fixture
def remote(broker: SimulatorProcess) -> Iterator[Remote]:
    hand = Remote.at(broker.address)
    yield hand
    hand.close()


def credentials(broker: SimulatorProcess, **other: Any) -> api.Credentials:
    known: dict[str, Any] = {"path": broker.address, "login": 77, "password": "secret", "server": "Simulator-Demo"}
    return api.Credentials(**(known | other))


async def connected(start: Start, broker: SimulatorProcess, **deadlines: float) -> Terminal:
    terminal = await start(**deadlines)
    answer = await terminal.connect(credentials(broker))
    assert isinstance(answer, api.Connected), answer
    return terminal


def soon() -> int:
    return time.time_ns() + 5_000_000_000


def is_dead(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_connecting_tells_account_and_terminal(terminal: Start, broker: SimulatorProcess) -> None:
    answer = await (await terminal()).connect(credentials(broker))
    assert isinstance(answer, api.Connected)
    assert (answer.account.login, answer.account.server, answer.obstacles) == (77, "Simulator-Demo", ())
    assert answer.terminal.connected


async def test_an_order_is_answered_with_the_result_and_when_it_was_sent(
    terminal: Start, broker: SimulatorProcess
) -> None:
    mt5 = await connected(terminal, broker)
    before = time.time_ns()
    reply = await mt5.send(BUY, soon())
    assert isinstance(reply, api.Answered)
    assert (reply.result.retcode, reply.error) == (api.Retcode.DONE, (1, "Success"))
    assert before <= reply.called <= reply.returned <= time.time_ns()
    assert (reply.result.request.magic, reply.result.request.volume) == (42, 0.1)


async def test_reads_give_typed_values(terminal: Start, broker: SimulatorProcess) -> None:
    mt5 = await connected(terminal, broker)
    assert await mt5.positions() == ()
    reply = await mt5.send(BUY, soon())
    assert isinstance(reply, api.Answered)
    positions = await mt5.positions("EURUSD")
    assert isinstance(positions, tuple)
    assert isinstance(positions[0], api.TradePosition)
    assert positions[0].ticket == reply.result.order
    deals = await mt5.history_deals(ticket=reply.result.order)
    assert isinstance(deals, tuple)
    assert deals[0].magic == 42
    orders = await mt5.history_orders(0, 2**31 + 5)
    assert isinstance(orders, tuple)
    assert [each.ticket for each in orders] == [reply.result.order]
    symbol, tick = await mt5.symbol("EURUSD"), await mt5.tick("EURUSD")
    assert isinstance(symbol, api.SymbolInfo)
    assert isinstance(tick, api.Tick)
    assert tick.ask == symbol.ask > tick.bid
    symbols = await mt5.symbols()
    assert isinstance(symbols, tuple)
    assert len(symbols) > 5
    assert await mt5.select("EURUSD") is True
    assert await mt5.orders() == ()
    check = await mt5.check(BUY)
    assert isinstance(check, api.OrderCheckResult)
    assert check.retcode == 0


async def test_a_failed_read_is_unknown_with_the_vendors_words(terminal: Start, broker: SimulatorProcess) -> None:
    mt5 = await connected(terminal, broker)
    assert await mt5.symbol("NOPE") == api.Unknown(-4, "Terminal: Not found")
    assert await mt5.history_orders(ticket=5) == api.Unknown(-4, "Terminal: Not found")
    assert await mt5.select("NOPE") is False


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"password": "guess"}, api.Refusal.LOGIN_REFUSED),
        ({"login": 5}, api.Refusal.LOGIN_REFUSED),
        ({"path": "127.0.0.1:1"}, api.Refusal.TERMINAL_MISSING),
        ({"login": -1}, api.Refusal.LOGIN_REFUSED),
    ],
)
async def test_a_terminal_that_cannot_be_used_is_refused(
    terminal: Start, broker: SimulatorProcess, wrong: dict[str, Any], reason: api.Refusal
) -> None:
    mt5 = await terminal()
    answer = await mt5.connect(credentials(broker, **wrong))
    assert isinstance(answer, api.Refused)
    assert answer.reason == reason
    assert "secret" not in answer.line
    assert not mt5.connected
    assert isinstance(await mt5.send(BUY, soon()), api.NotSent)


async def test_a_switched_off_algo_trading_is_an_obstacle(
    terminal: Start, broker: SimulatorProcess, remote: Remote
) -> None:
    remote.settings(algo_trading=False)
    answer = await (await terminal()).connect(credentials(broker))
    assert isinstance(answer, api.Connected)
    assert [each.reason for each in answer.obstacles] == [api.Refusal.ALGO_TRADING_OFF]


async def test_a_request_that_is_too_old_never_reaches_the_vendor(terminal: Start, broker: SimulatorProcess) -> None:
    mt5 = await connected(terminal, broker)
    reply = await mt5.send(BUY, time.time_ns() - 1)
    assert isinstance(reply, api.Expired)
    assert reply.now > reply.not_after
    assert not reply.jumped
    assert await mt5.positions() == ()


async def test_a_hanging_order_is_lost_when_its_child_is_dead_and_a_new_child_follows(
    terminal: Start, broker: SimulatorProcess, remote: Remote
) -> None:
    mt5 = await connected(terminal, broker, order=0.3)
    remote.fault(Fault(kind=FaultKind.HANG, execute=True))
    first, generation = mt5.child_pid, mt5.generation
    reply = await mt5.send(BUY, soon())
    assert isinstance(reply, api.Lost)
    assert "order_send did not answer within 0.3 s" in reply.reason
    assert first is not None
    assert is_dead(first)
    assert not mt5.connected
    assert isinstance(await mt5.connect(credentials(broker)), api.Connected)
    assert mt5.generation == generation + 1
    positions = await mt5.positions()
    assert isinstance(positions, tuple)
    assert [each.magic for each in positions] == [42]


async def test_an_order_may_be_executed_after_its_child_has_died(
    terminal: Start, broker: SimulatorProcess, remote: Remote
) -> None:
    mt5 = await connected(terminal, broker, order=0.3)
    remote.fault(Fault(kind=FaultKind.LATE, delay=300))
    assert isinstance(await mt5.send(BUY, soon()), api.Lost)
    lost = server_ms(time.time_ns() // 1_000_000)
    assert isinstance(await mt5.connect(credentials(broker)), api.Connected)
    while (positions := await mt5.positions()) == ():
        await asyncio.sleep(0.01)
    assert isinstance(positions, tuple)
    assert positions[0].magic == 42
    assert positions[0].time_msc > lost


async def test_a_terminal_that_dies_after_the_trade_leaves_it_in_doubt_and_on_disk(
    terminal: Start, broker: SimulatorProcess, remote: Remote
) -> None:
    mt5 = await connected(terminal, broker)
    remote.fault(Fault(kind=FaultKind.DIE, execute=True))
    reply = await mt5.send(BUY, soon())
    assert isinstance(reply, api.NoResult)
    assert reply.error == (-10002, "IPC recv failed")
    assert not mt5.connected
    assert await mt5.positions() == api.Unknown(-10004, "No IPC connection")
    assert broker.process is not None
    broker.process.wait()
    broker.start()
    assert isinstance(await mt5.connect(credentials(broker)), api.Connected)
    positions = await mt5.positions()
    assert isinstance(positions, tuple)
    assert len(positions) == 1


async def test_a_child_that_dies_during_an_order_is_lost_and_what_waited_was_not_sent(
    terminal: Start, broker: SimulatorProcess, remote: Remote
) -> None:
    mt5 = await connected(terminal, broker)
    remote.fault(Fault(kind=FaultKind.HANG))
    first = asyncio.create_task(mt5.send(BUY, soon()))
    second = asyncio.create_task(mt5.send(BUY, soon()))
    reading = asyncio.create_task(mt5.positions())
    await asyncio.sleep(0)
    assert mt5.child_pid is not None
    os.kill(mt5.child_pid, 9)
    assert isinstance(await first, api.Lost)
    assert isinstance(await second, api.NotSent)
    unknown = await reading
    assert isinstance(unknown, api.Unknown)
    assert unknown.code == 0


async def test_orders_go_ahead_of_waiting_reads(terminal: Start, broker: SimulatorProcess, remote: Remote) -> None:
    mt5 = await connected(terminal, broker)
    remote.fault(Fault(kind=FaultKind.LATENCY, function="positions_get", delay=200))
    ended: list[str] = []

    async def noted(name: str, work: Awaitable[Any]) -> None:
        await work
        ended.append(name)

    reads = [asyncio.create_task(noted(f"read {n}", mt5.positions())) for n in range(3)]
    await asyncio.sleep(0)
    await asyncio.gather(*reads, noted("order", mt5.send(BUY, soon())))
    assert ended == ["read 0", "order", "read 1", "read 2"]


async def test_a_caller_that_gives_up_takes_a_waiting_order_with_it(
    terminal: Start, broker: SimulatorProcess, remote: Remote
) -> None:
    mt5 = await connected(terminal, broker)
    remote.fault(Fault(kind=FaultKind.LATENCY, function="positions_get", delay=200))
    reading = asyncio.create_task(mt5.positions())
    await asyncio.sleep(0)
    order = asyncio.create_task(mt5.send(BUY, soon()))
    await asyncio.sleep(0)
    order.cancel()
    assert await reading == ()
    assert await mt5.positions() == ()


async def test_every_change_of_state_can_be_waited_for(terminal: Start, broker: SimulatorProcess) -> None:
    mt5 = await connected(terminal, broker)
    epoch = mt5.epoch
    assert mt5.child_pid is not None
    os.kill(mt5.child_pid, 9)
    lost = await mt5.changed(epoch)
    assert not mt5.connected
    assert "exit code -9" in mt5.lost_reason
    await mt5.changed(lost)
    assert mt5.generation == 2


async def test_a_command_that_cannot_be_started_is_refused_in_words() -> None:
    mt5 = Terminal("MetaTrader5", ["/no/such/python"], Deadlines(start=0.2))
    await mt5.start()
    answer = await mt5.connect(api.Credentials("C:/terminal64.exe", 1))
    await mt5.stop()
    assert isinstance(answer, api.Refused)
    assert answer.reason == api.Refusal.CHILD_LOST
    assert "/no/such/python cannot be started" in answer.line


async def test_a_missing_vendor_module_ends_the_child_and_says_so() -> None:
    mt5 = Terminal("no_such_module", deadlines=Deadlines(start=0.5))
    await mt5.start()
    answer = await mt5.connect(api.Credentials("anything"))
    await mt5.stop()
    assert isinstance(answer, api.Refused)
    assert "exit code 3" in answer.line
    assert "no_such_module cannot be imported" in answer.line


async def test_stopping_leaves_no_process_and_answers_what_is_in_flight(
    terminal: Start, broker: SimulatorProcess, remote: Remote
) -> None:
    mt5 = await connected(terminal, broker)
    remote.fault(Fault(kind=FaultKind.HANG))
    order = asyncio.create_task(mt5.send(BUY, soon()))
    await asyncio.sleep(0)
    pid = mt5.child_pid
    await mt5.stop()
    assert isinstance(await order, api.Lost)
    assert pid is not None
    assert is_dead(pid)


@pytest.mark.parametrize("fault", [None, Fault(kind=FaultKind.HANG, function="positions_get")], ids=["idle", "blocked"])
async def test_a_child_dies_with_its_parent(broker: SimulatorProcess, remote: Remote, fault: Fault | None) -> None:
    if fault:
        remote.fault(fault)
    program = (
        "import asyncio\n"
        "from executor.mt5 import api\n"
        "from executor.mt5.terminal import Terminal\n"
        "async def main():\n"
        "    mt5 = Terminal('executor.mt5.simulator.client')\n"
        "    await mt5.start()\n"
        f"    await mt5.connect(api.Credentials('{broker.address}'))\n"
        "    reading = asyncio.create_task(mt5.positions())\n"
        "    await asyncio.sleep(0)\n"
        "    print(mt5.child_pid, flush=True)\n"
        "    await asyncio.sleep(3600)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    assert not is_dead(pid)
    parent.kill()
    await parent.wait()
    while not is_dead(pid) and not _is_zombie(pid):
        await asyncio.sleep(0.01)


def _is_zombie(pid: int) -> bool:
    """Without an init that reaps, an orphan stays a zombie: dead all the same."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True
