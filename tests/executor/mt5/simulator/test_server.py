"""The terminal's process: kill -9, second starts, bad options, several clients."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from executor.mt5.simulator.bars import FullSurface
from executor.mt5.simulator.client import connect
from executor.mt5.simulator.faults import Fault, FaultKind
from executor.mt5.simulator.journal import FILE
from executor.mt5.simulator.remote import Remote
from executor.mt5.simulator.server import DIED, read_options
from executor.mt5.vocabulary import OrderState
from tests.executor.mt5.simulated import ROOT, SimulatorProcess, wait_for

Simulator = Callable[..., SimulatorProcess]
BUY = {"action": 1, "symbol": "EURUSD", "volume": 0.01, "type": 0, "type_filling": 0}


def opened(broker: SimulatorProcess) -> FullSurface:
    mt5 = FullSurface(connect)
    assert mt5.initialize(broker.address), mt5.last_error()
    return mt5


def test_kill_minus_nine_loses_nothing_that_was_answered(simulator: Simulator) -> None:
    broker = simulator(prices="still", margin_mode="netting", balance="5000", login=9)
    answered: list[int] = []
    for _ in range(3):
        mt5 = opened(broker)
        answered += [mt5.order_send({**BUY, "magic": n}).order for n in range(5)]
        before = mt5.account_info()
        broker.kill()
        mt5.shutdown()
        broker.start()
        mt5 = opened(broker)
        assert mt5.account_info() == before
        assert [each.order for each in mt5.history_deals_get(0, 2**31 - 1) if each.order] == answered
        mt5.shutdown()
    assert len(set(answered)) == 15


def test_what_was_set_by_request_survives_too(simulator: Simulator) -> None:
    broker = simulator(prices="still")
    remote = Remote.at(broker.address)
    remote.price("EURUSD", "1.5", "1.6")
    remote.symbol("EURUSD", stops_level=33)
    remote.close()
    broker.kill()
    broker.start()
    mt5 = opened(broker)
    assert mt5.symbol_info_tick("EURUSD").ask == 1.6
    assert mt5.symbol_info("EURUSD").trade_stops_level == 33
    mt5.shutdown()


def test_several_clients_share_the_account_and_a_hanging_one_stops_nobody(simulator: Simulator) -> None:
    broker = simulator(prices="still")
    one, two, remote = opened(broker), opened(broker), Remote.at(broker.address)
    remote.fault(Fault(kind=FaultKind.HANG, function="version"))
    hanging = connect(broker.address)
    hanging.send("version", {})
    one.order_send(BUY)
    assert len(two.positions_get()) == 1
    for each in (one, two):
        each.shutdown()
    hanging.close()
    remote.close()


def test_a_terminal_dies_when_it_is_told_to(simulator: Simulator) -> None:
    broker = simulator(prices="still")
    mt5, remote = opened(broker), Remote.at(broker.address)
    remote.fault(Fault(kind=FaultKind.DIE))
    assert mt5.order_send(BUY) is None
    assert mt5.last_error()[0] == -10002
    assert broker.process is not None
    assert broker.process.wait(10) == DIED
    remote.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_quietly(simulator: Simulator, number: signal.Signals) -> None:
    broker = simulator(prices="still")
    mt5 = opened(broker)
    assert broker.process is not None
    broker.process.send_signal(number)
    assert broker.process.wait(10) == 0
    mt5.shutdown()


TOLD_AGAIN = """
import os, runpy, signal
from asyncio.selector_events import BaseSelectorEventLoop as Loop
close = Loop._close_self_pipe
def closed(loop):
    close(loop)
    os.kill(os.getpid(), signal.SIGTERM)
Loop._close_self_pipe = closed
runpy.run_module("executor.mt5.simulator.server", run_name="__main__")
"""


def test_a_signal_while_its_loop_closes_is_no_complaint(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TOLD_AGAIN, "--listen", "127.0.0.1:0", "--state", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) as process:
        wait_for((tmp_path / "address").exists)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)

    assert said == b""
    assert process.returncode == 0


def run(*arguments: str, typed: str = "{}\n") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "executor.mt5.simulator.server", *arguments]
    return subprocess.run(command, cwd=ROOT, input=typed, capture_output=True, text=True, timeout=30, check=False)


def test_a_second_terminal_on_one_folder_is_refused(simulator: Simulator) -> None:
    broker = simulator(prices="still")
    second = run("--state", str(broker.folder))
    assert second.returncode == 2
    assert second.stderr == f"simulator: another simulated terminal already uses {broker.folder}\n"


@pytest.mark.parametrize(
    ("arguments", "typed", "text"),
    [
        (["--balance", "lots"], "{}", "balance"),
        (["--margin-mode", "both"], "{}", "margin_mode"),
        (["--stdin"], '{"seed": "x"}', "seed"),
        (["--listen", "127.0.0.1:99999"], "{}", "port"),
    ],
)
def test_a_mistake_in_the_options_is_one_line(tmp_path: Path, arguments: list[str], typed: str, text: str) -> None:
    ended = run("--state", str(tmp_path), *arguments, typed=typed + "\n")
    assert ended.returncode == 2
    assert ended.stderr.startswith("simulator: ")
    assert text in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_options_come_from_the_command_line_and_secrets_from_the_standard_input(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import io

    monkeypatch.setattr(sys, "stdin", io.StringIO('{"password": "hunter2", "seed": 7}\n'))
    options, listen, folder = read_options(
        ["--state", str(tmp_path), "--stdin", "--login", "5", "--balance", "250.50", "--currency", "EUR"]
    )
    assert (options.password, options.seed, options.login, str(options.balance)) == ("hunter2", 7, 5, "250.50")
    assert (listen, folder) == ("127.0.0.1:0", tmp_path)


def test_time_passes_while_nobody_asks(simulator: Simulator) -> None:
    broker = simulator(prices="still")
    mt5 = opened(broker)
    expires = mt5.symbol_info_tick("EURUSD").time + 1
    wanted = {**BUY, "action": 5, "type": 2, "price": 1.0, "type_filling": 2, "type_time": 2, "expiration": expires}
    ticket = mt5.order_send(wanted).order
    mt5.shutdown()
    journal = broker.folder / FILE
    placed = journal.stat().st_size
    wait_for(lambda: journal.stat().st_size > placed)
    broker.kill()
    broker.start()
    mt5 = opened(broker)
    (order,) = mt5.history_orders_get(ticket=ticket)
    assert (order.state, order.time_done >= expires) == (OrderState.EXPIRED, True)
    mt5.shutdown()
