"""Simulated terminals for tests: one inside this process with a clock of its own, one as a real process."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from executor.mt5.codes import LastError
from executor.mt5.simulator.bars import FullSurface
from executor.mt5.simulator.desk import Reply
from executor.mt5.simulator.machine import Fate, Machine
from executor.mt5.simulator.remote import Remote
from executor.mt5.simulator.surface import LinkFailed

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 20.0
NOON = 1_790_000_000_000
"""Where the clock of a terminal inside the process starts: milliseconds UTC, a Monday in September 2026."""


def wait_for(condition: Callable[[], Any], pause: Callable[[], None] = lambda: time.sleep(0.002)) -> Any:
    """Ask until the answer is true; fails after a while."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        pause()
    return answer


class DirectLink:
    """A link into a machine in this process; its clock stands still unless somebody waits."""

    def __init__(self, machine: Machine) -> None:
        self.machine, self.now = machine, NOON
        self.gone = False
        self.left: list[tuple[str, dict[str, Any]]] = []

    def call(self, function: str, arguments: dict[str, Any]) -> Reply:
        if self.gone:
            raise LinkFailed(LastError.E_INTERNAL_FAIL_SEND)
        # Through the wire format and back, as the socket would.
        wire = msgspec.msgpack.decode(msgspec.msgpack.encode(arguments))
        handled = self.machine.handle(function, wire, self.now)
        if handled.fate == Fate.WAIT:
            self.now += handled.delay
            return self.machine.perform(function, wire, self.now)
        if handled.fate != Fate.ANSWER or handled.reply is None:
            self.gone = handled.fate == Fate.DIE
            raise LinkFailed(LastError.E_INTERNAL_FAIL_RECEIVE)
        return msgspec.msgpack.decode(msgspec.msgpack.encode(handled.reply), type=Reply)

    def close(self) -> None:
        pass


class SimulatorProcess:
    """A simulated terminal as a process of its own, on the folder given; `kill` is the hard way."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder, self.options = folder, options
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def address(self) -> str:
        return (self.folder / "address").read_text()

    def start(self, *more: str) -> None:
        (self.folder / "address").unlink(missing_ok=True)
        command = [sys.executable, "-m", "executor.mt5.simulator.server", "--state", str(self.folder), "--stdin", *more]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT)
        assert self.process.stdin is not None
        self.process.stdin.write(msgspec.json.encode(self.options) + b"\n")
        self.process.stdin.close()
        wait_for(lambda: (self.folder / "address").exists() or self.ended)
        assert not self.ended

    @property
    def ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait()


class Bench:
    """One account under test: `mt5` is the vendor's surface, `remote` the operator's hand."""

    def __init__(self, mt5: FullSurface, remote: Remote, path: str, tick: Callable[[], None]) -> None:
        self.mt5, self.remote, self.path, self._tick = mt5, remote, path, tick

    def close(self) -> None:
        self.mt5.shutdown()
        self.remote.close()

    def until(self, condition: Callable[[], Any]) -> Any:
        """Let time pass until the condition is true."""
        return wait_for(condition, self._tick)


StartBench = Callable[..., Bench]
