"""Simulated terminals as fixtures; whatever they start ends with the test."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from executor.mt5.simulator.bars import FullSurface
from executor.mt5.simulator.client import connect
from executor.mt5.simulator.machine import Machine, Options
from executor.mt5.simulator.remote import Remote
from executor.mt5.terminal import Deadlines, Terminal
from tests.executor.mt5.simulated import NOON, Bench, DirectLink, SimulatorProcess, StartBench


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Callable[..., SimulatorProcess]]:
    """Starts simulated terminals as processes: `simulator(login=…, …)`, each with a folder of its own."""
    started: list[SimulatorProcess] = []

    def start(**options: Any) -> SimulatorProcess:
        started.append(SimulatorProcess(tmp_path / f"terminal{len(started)}", **options))
        return started[-1]

    yield start
    for each in started:
        if not each.ended:
            each.stop()


@pytest.fixture
async def terminal() -> AsyncIterator[Callable[..., Awaitable[Terminal]]]:
    """Starts terminals over the simulator's client: `await terminal()`, with short deadlines unless told otherwise."""
    started: list[Terminal] = []

    async def start(**deadlines: float) -> Terminal:
        short = {"start": 20.0, "login": 10.0, "order": 10.0, "read": 10.0, "history": 10.0} | deadlines
        started.append(Terminal("executor.mt5.simulator.client", deadlines=Deadlines(**short)))
        await started[-1].start()
        return started[-1]

    yield start
    for each in started:
        await each.stop()


@pytest.fixture(params=["inside a process", "through the socket"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StartBench]:
    """Starts a connected account whose prices stand still: `bench(margin_mode="netting", …)`."""
    processes: list[SimulatorProcess] = []
    benches: list[Bench] = []

    def inside(options: dict[str, Any]) -> Bench:
        machine = Machine(msgspec.convert(options, Options), "here")
        machine.fund(NOON)
        link = DirectLink(machine)

        def tick() -> None:
            link.now += 50

        return Bench(FullSurface(lambda _: link), Remote(link), "here", tick)

    def outside(options: dict[str, Any]) -> Bench:
        processes.append(SimulatorProcess(tmp_path / f"account{len(processes)}", **options))
        path = processes[-1].address
        return Bench(FullSurface(connect), Remote.at(path), path, lambda: time.sleep(0.005))

    def start(**options: Any) -> Bench:
        chosen = {"prices": "still", "login": 77, "password": "secret", **options}
        made = inside(chosen) if request.param == "inside a process" else outside(chosen)
        benches.append(made)
        assert made.mt5.initialize(made.path, login=77, password="secret", server="Simulator-Demo")
        return made

    yield start
    for made in benches:
        made.close()
    for process in processes:
        process.stop()
