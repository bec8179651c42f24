"""Makes a fault of the schedule happen to a running pipeline."""

import asyncio
import os
import signal
from collections.abc import Mapping
from contextlib import closing, suppress
from time import monotonic
from typing import Any

from deploy.chaos.faults import SOURCE_POINTS, Fault
from deploy.chaos.part import Part
from deploy.chaos.pipeline import Pipeline
from deploy.chaos.timing import Timing
from executor.mt5.simulator.faults import Fault as Spoiling
from executor.mt5.simulator.faults import FaultKind
from executor.mt5.simulator.remote import Remote
from executor.mt5.simulator.surface import LinkFailed
from shared import process

SERVICES = ("ingest", "executor", "standby", "archiver")
UNREACHABLE_S = 1.5
DOWN_S = 0.2
ARMED_S = 30.0
"""How long a process that is armed is waited for, and an executor works alone; what its point needs may not come."""
LOOK_S = 0.02

TERMINAL: Mapping[str, Mapping[str, Any]] = {
    "slow": {"kind": FaultKind.LATENCY, "delay": 300, "times": 4},
    "none": {"kind": FaultKind.NONE, "code": -1},
    "none-after-execution": {"kind": FaultKind.NONE, "code": -1, "execute": True},
    "broken": {"kind": FaultKind.DROP},
    "broken-after-execution": {"kind": FaultKind.DROP, "execute": True},
    "hang": {"kind": FaultKind.HANG},
    "hang-after-execution": {"kind": FaultKind.HANG, "execute": True},
    "late": {"kind": FaultKind.LATE, "delay": 300},
    "dies-in-the-call": {"kind": FaultKind.DIE},
    "market-closed": {"kind": FaultKind.RETCODE, "code": 10018, "times": 5},
    "requote": {"kind": FaultKind.RETCODE, "code": 10004, "times": 2},
    "no-positions-answer": {"kind": FaultKind.NONE, "function": "positions_get", "code": -1, "times": 2},
    "no-history-answer": {"kind": FaultKind.NONE, "function": "history_deals_get", "code": -1, "times": 2},
}


class Wreck:
    """The faults of one pipeline. Those that last end by themselves, or with `heal`.

    `armed` while a process that was started to end or stand still at a point has not come to it.
    """

    def __init__(self, pipeline: Pipeline, timing: Timing) -> None:
        self._pipeline = pipeline
        self._timing = timing
        self.armed = False
        self._lasting: set[asyncio.Task[None]] = set()
        self._restarting = {name: asyncio.Lock() for name in ("redis", "postgres")}

    async def happen(self, fault: Fault) -> None:
        """Make it happen; returns at once, however long it lasts."""
        name = fault.kind
        if name in TERMINAL:
            await asyncio.to_thread(self._spoil, fault)
        elif name.startswith(("die-at-", "pause-at-")):
            option, _, point = name.partition("-at-")
            self._arm(f"--{option}-at", point, fault.nth)
        elif name == "pause-executor":
            part = "executor" if fault.nth % 2 else "standby"
            self._pipeline.parts[part].signal(signal.SIGSTOP)
            self._last(self._wake(part, patience=0.5))
        elif name.startswith("cut-"):
            self._cut(name)
        elif name == "redis-unreachable":
            self._last(self._unreachable())
        else:
            await self._kill(name.removeprefix("kill-"), fault.account)

    async def heal(self) -> None:
        """Let what lasts come to its end, and take back what waits in the terminals."""
        while self._lasting:
            await asyncio.gather(*self._lasting)
        for address in self._pipeline.addresses.values():
            while not await asyncio.to_thread(_cleared, address):  # noqa: ASYNC110  another process
                await asyncio.sleep(LOOK_S)

    async def stop(self) -> None:
        """Leave what lasts as it is: a server that was killed may be down."""
        await process.cancelled(*self._lasting)

    # -- kinds

    def _spoil(self, fault: Fault) -> None:
        with suppress(OSError, LinkFailed), closing(Remote.at(self._pipeline.addresses[fault.account])) as remote:
            remote.fault(Spoiling(skip=fault.nth - 1, **TERMINAL[fault.kind]))

    def _arm(self, option: str, point: str, nth: int) -> None:
        """Start a process anew that ends or stands still at a point; without a standby, which would do all the work."""
        part = self._pipeline.parts["ingest" if point in SOURCE_POINTS else "executor"]
        part.armed = (option, f"{point}:{nth}")
        part.signal(signal.SIGKILL)
        if part.name == "executor":
            self._pipeline.held.add("standby")
            self._pipeline.parts["standby"].signal(signal.SIGKILL)
        self._last(self._until_reached(part, part.armed))

    async def _until_reached(self, part: Part, armed: tuple[str, ...]) -> None:
        self.armed = True
        until = monotonic() + ARMED_S
        while monotonic() < until and (part.armed == armed or (part.under == armed and not part.reached)):  # noqa: ASYNC110  another process
            await asyncio.sleep(LOOK_S)
        self._pipeline.held.discard("standby")
        self.armed = False
        if part.under == armed:
            await self._wake(part.name, patience=0.0)

    async def _wake(self, name: str, patience: float) -> None:
        """Let an executor that stands still go on when its lease is long over."""
        part, until = self._pipeline.parts[name], monotonic() + patience
        while not part.standing and monotonic() < until:  # noqa: ASYNC110  another process
            await asyncio.sleep(LOOK_S)
        if part.standing:
            if "--pause-at" in part.under:
                self._pipeline.reached[f"pause-at-{part.under[1].partition(':')[0]}"] += 1
            await asyncio.sleep(2 * self._timing.lease)
            part.signal(signal.SIGCONT)

    def _cut(self, name: str) -> None:
        gates = {"cut-redis-executor": ("executor", "standby"), "cut-postgres": ("postgres",)}
        for gate in gates.get(name, (name.removeprefix("cut-redis-"),)):
            self._pipeline.gates[gate].cut()

    async def _unreachable(self) -> None:
        gates = [gate for name, gate in self._pipeline.gates.items() if name != "postgres"]
        for gate in gates:
            gate.shut = True
            gate.cut()
        await asyncio.sleep(UNREACHABLE_S)
        for gate in gates:
            gate.shut = False

    async def _kill(self, what: str, account: str) -> None:
        match what:
            case "child":
                for pid in self._pipeline.parts["executor"].children():
                    with suppress(OSError):
                        os.kill(pid, signal.SIGKILL)
            case "terminal":
                self._pipeline.parts[account].signal(signal.SIGKILL)
            case "redis" | "postgres":
                self._last(self._restart(what))
            case "all":
                for name in (*SERVICES, *self._pipeline.accounts):
                    self._pipeline.parts[name].signal(signal.SIGKILL)
                self._last(self._restart("redis"))
                self._last(self._restart("postgres"))
            case _:
                self._pipeline.parts[what].signal(signal.SIGKILL)

    async def _restart(self, what: str) -> None:
        """Kill a server and start it again; one that is just being started is left to come up first."""
        server = self._pipeline.server(what)
        async with self._restarting[what]:
            if server.pid is not None:
                os.kill(server.pid, signal.SIGKILL)
            while server.pid is not None:  # noqa: ASYNC110  a child's end is no event that every platform tells
                await asyncio.sleep(LOOK_S)
            await asyncio.sleep(DOWN_S)
            await server.started()

    def _last(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._lasting.add(task)
        task.add_done_callback(self._lasting.discard)


def _cleared(address: str) -> bool:
    try:
        with closing(Remote.at(address)) as remote:
            remote.clear_faults()
    except (OSError, LinkFailed):
        return False
    return True
