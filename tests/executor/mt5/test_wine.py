"""The child in Windows' own Python under Wine, with the vendor's own package: the one test that has both.

Optional: `TRADECOPIER_WINE_PYTHON` is the command that starts that Python, as in `wine C:\\Python\\python.exe`, with
msgspec and MetaTrader5 installed in it (docs/metatrader.md). A terminal is not needed: what is tried is the process,
its socket, its clock and its end, and that the vendor's package takes every kind of request that we make.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal as D
from pathlib import Path

import pytest

from executor.mt5.api import (
    Answered,
    Connected,
    Credentials,
    Expired,
    NoResult,
    OrderTime,
    OrderType,
    Refused,
    TradeAction,
    TradeRequest,
    Unknown,
)
from executor.mt5.terminal import Deadlines, Terminal
from tests.executor.mt5.simulated import SimulatorProcess
from tests.processes import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
PYTHON = os.environ.get("TRADECOPIER_WINE_PYTHON", "").split()
CHILD = "Z:" + str(ROOT / "executor" / "mt5" / "child.py").replace("/", "\\")
NOT_CONNECTED = (-10004, "No IPC connection")
Start = Callable[..., Awaitable[Terminal]]

REQUESTS = {
    "opening": TradeRequest(
        action=TradeAction.DEAL, symbol="EURUSD", volume=D("0.1"), price=D("1.1"), sl=D("1.05"), tp=D("1.2"),
        deviation=20, magic=2**53 - 1, comment="mark",
    ),
    "close": TradeRequest(action=TradeAction.DEAL, symbol="EURUSD", volume=D("0.1"), type=OrderType.SELL, position=7),
    "resting": TradeRequest(
        action=TradeAction.PENDING, symbol="EURUSD", volume=D("0.1"), type=OrderType.BUY_STOP_LIMIT, price=D("1.2"),
        stoplimit=D("1.19"), type_time=OrderTime.SPECIFIED, expiration=2_000_000_000,
    ),
    "levels": TradeRequest(action=TradeAction.SLTP, symbol="EURUSD", position=7, sl=D("1.05")),
    "change": TradeRequest(action=TradeAction.MODIFY, symbol="EURUSD", order=7, price=D("1.3")),
    "cancel": TradeRequest(action=TradeAction.REMOVE, order=7),
}  # fmt: skip


@pytest.fixture
async def under_wine(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Start]:
    if not PYTHON:
        pytest.skip("TRADECOPIER_WINE_PYTHON does not name a Windows Python under Wine (docs/metatrader.md)")
    monkeypatch.setenv("WINEDEBUG", "-all")
    started: list[Terminal] = []

    async def start(module: str = "MetaTrader5", *words: str) -> Terminal:
        patient = Deadlines(start=120, login=150, order=30, read=30)
        started.append(Terminal(module, [*PYTHON, *(words or (CHILD,))], patient))
        await started[-1].start()
        assert started[-1].child_pid is not None, started[-1].lost_reason
        return started[-1]

    yield start
    for each in started:
        await each.stop()


async def test_without_a_terminal_the_vendor_says_so_and_the_child_stays(under_wine: Start) -> None:
    terminal = await under_wine()
    answer = await terminal.connect(Credentials("C:\\nowhere\\terminal64.exe", 1, "hush", "Broker-Demo"))
    assert isinstance(answer, Refused), answer
    assert "terminal64.exe" in answer.line
    positions = await terminal.positions()
    assert isinstance(positions, Unknown)
    assert positions.code == NOT_CONNECTED[0]


@pytest.mark.parametrize("name", REQUESTS)
async def test_the_vendor_finds_nothing_wrong_with_a_request(name: str, under_wine: Start) -> None:
    """Arguments are checked before the connection: -10004 means that they were taken, -2 that they were not."""
    answer = await (await under_wine()).check(REQUESTS[name])
    assert isinstance(answer, Unknown)
    assert answer.code == NOT_CONNECTED[0], answer.text


async def test_what_comes_too_late_is_not_called(under_wine: Start) -> None:
    terminal = await under_wine()
    terminal.connected = True  # nobody is there: only whether the child would call is asked
    assert isinstance(await terminal.send(REQUESTS["opening"], time.time_ns() - 10**9), Expired)
    late = await terminal.send(REQUESTS["opening"], time.time_ns() + 10 * 10**9)
    assert isinstance(late, NoResult)
    assert late.error == NOT_CONNECTED


async def test_it_trades_on_a_simulated_terminal_over_the_same_socket(
    under_wine: Start, simulator: Callable[..., SimulatorProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of the executor's own modules that a child can need are read by Windows' Python from the clone."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.chdir(ROOT)
    broker = simulator(login=77, password="secret", prices="still")
    terminal = await under_wine("executor.mt5.simulator.client", "-m", "executor.mt5.child")
    answer = await terminal.connect(Credentials(broker.address, 77, "secret", "Simulator-Demo"))
    assert isinstance(answer, Connected), answer
    buy = TradeRequest(action=TradeAction.DEAL, symbol="EURUSD", volume=D("0.1"), magic=42, comment="mark")
    reply = await terminal.send(buy, time.time_ns() + 20 * 10**9)
    assert isinstance(reply, Answered), reply
    positions = await terminal.positions()
    assert not isinstance(positions, Unknown)
    assert [position.magic for position in positions] == [42]


async def test_when_it_is_stopped_nothing_of_it_stays(under_wine: Start) -> None:
    terminal = await under_wine()
    await terminal.stop()
    async with asyncio.timeout(20):
        while left := children("child.py"):
            await asyncio.sleep(0.1)
    assert left == []


def children(mark: str) -> list[str]:
    """Processes by their command lines, those with a word of ours in it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found.append((process / "cmdline").read_bytes().decode(errors="replace"))
    return [line for line in found if mark in line]


HANGING = """
import subprocess, sys
from executor.mt5.leash import Leash
hung = [sys.executable, "-c", "import time; time.sleep(600)  # a call that hangs"]
child, leash = subprocess.Popen(hung), Leash()
leash.tie(child.pid)
print("tied", flush=True)
child.wait()
"""


@pytest.mark.skipif(not PYTHON, reason="TRADECOPIER_WINE_PYTHON does not name a Windows Python under Wine")
async def test_a_process_that_hangs_ends_with_its_parent_however_that_ends() -> None:
    told = {**os.environ, "PYTHONPATH": f"Z:{ROOT}", "WINEDEBUG": "-all"}
    parent = await asyncio.create_subprocess_exec(
        *PYTHON, "-c", HANGING, env=told, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert parent.stdout is not None
    async with asyncio.timeout(120):
        while b"tied" not in (line := await parent.stdout.readline()):
            assert line, "it ended before it was tied"
        assert children("a call that hangs")
        parent.kill()
        while children("a call that hangs"):
            await asyncio.sleep(0.1)
