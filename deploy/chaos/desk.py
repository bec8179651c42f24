"""One machine as a user runs it, as the fault suite needs it: the stand-in broker, and `tradecopier up` as a process.

Everything that `up` starts is found as a child of it, so that one service can be killed or asked to end, and the
supervisor itself: what is its to start again, it starts again, and the supervisor is started again by us. The proxy
can be armed: its next start ends itself at a named point.
"""

import asyncio
import os
import signal
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from time import monotonic

from deploy.bench.processes import children
from deploy.chaos import armed
from deploy.chaos.gate import Gate
from deploy.chaos.story import PRICES
from deploy.chaos.timing import Timing
from deploy.demo import authority
from deploy.demo.broker import ACCOUNTS, HOST, Broker
from deploy.demo.rules import Price, Rules
from deploy.demo.trader import Seat
from deploy.demo.web import Answer, Hangup, Request
from deploy.directory import free_port, log_file
from deploy.fleet import ROOT, folder_mode
from deploy.surroundings import Surroundings, found
from shared import process
from shared.process import UserError

SERVER = "Chaos"
POLL_S = 0.2
START_S = 90.0
LOOK_S = 0.02
ARMED_S = 60.0
"""How long an armed proxy is waited for; what its point needs may not come."""
SERVICES: Mapping[str, bytes] = {
    "ingest": b"\0ingest\0run",
    "executor": b"\0executor\0run",
    "archiver": b"\0archiver\0run",
    "redis": b"valkey-server",
    "postgres": b"bin/postgres\0-D",
    "terminal": b"executor.mt5.simulator.server",
}
"""What the command of each process has in it."""
ENDS_WITH: Mapping[str, signal.Signals] = {"postgres": signal.SIGINT}
"""What asks a process to end at once; SIGTERM where nothing is said. PostgreSQL would wait for its clients."""


class CutBroker(Broker):
    """A broker that carries out the next `cuts` trading calls and gives no answer to them."""

    cuts = 0

    def answer(self, request: Request) -> Answer:
        answer = super().answer(request)
        if self.cuts and request.method in ("POST", "PUT", "DELETE"):
            self.cuts -= 1
            return Hangup()
        return answer


class Desk:
    """The broker and the copier of one trial, in a folder of its own. `accounts` by name, with their margin mode."""

    def __init__(self, folder: Path, timing: Timing, accounts: Mapping[str, str]) -> None:
        self.accounts = accounts
        self.broker = CutBroker(_quoted, time.time, Rules(keep_final=3600.0))
        self.gate = Gate()
        self.log = folder / "up.log"
        self._folder = folder
        self._timing = timing
        self._port, self._metrics = free_port(), free_port()
        self._up: subprocess.Popen[bytes] | None = None
        self._arming: asyncio.Task[None] | None = None
        self.reached: Counter[str] = Counter()

    async def start(self) -> None:
        """Return when everything serves. Raises UserError."""
        self._folder.mkdir(mode=folder_mode(), parents=True)
        ca, context = authority.issue(self._folder, HOST, datetime.fromtimestamp(time.time(), UTC))
        await self.broker.start(context)
        self._write_settings(await self.gate.open(self.broker.port), ca)
        await self.supervise()

    async def supervise(self) -> None:
        """Start `up`, and return when all of its services serve. Raises UserError."""
        ready = [self._data / "run" / f"{name}.ready" for name in ("ingest", "executor", "archiver")]
        for file in ready:
            file.unlink(missing_ok=True)
        argv = [sys.executable, "-m", "deploy.chaos.armed", str(self._wish), "--config", str(self._config)]
        argv += ["up", "--data", str(self._data)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with log_file(self.log) as output:
            self._up = process.spawn(argv, env=environment, stdout=output.fileno(), stderr=output.fileno())
        deadline = monotonic() + START_S
        while not all(file.exists() for file in ready):
            if self._up.poll() is not None or monotonic() > deadline:
                raise UserError(f"everything does not start; its log is {self.log}")
            await asyncio.sleep(LOOK_S)

    async def stop(self) -> None:
        """End everything."""
        if self._arming is not None:
            await process.cancelled(self._arming)
        if self._up is not None:
            await asyncio.to_thread(process.end, self._up, [signal.SIGTERM], 60.0)
        await self.gate.close()
        await self.broker.stop()

    def seat(self) -> Seat:
        """Where the trader sits: in front of the proxy."""
        return Seat(
            host=HOST,
            port=self.gate.port,
            account=ACCOUNTS[0],
            token=self.broker.token,
            context=ssl.create_default_context(cafile=str(self._data / "proxy" / "mitmproxy-ca-cert.pem")),
            proxy=("127.0.0.1", self._port),
        )

    @property
    def surroundings(self) -> Surroundings:
        """Where the servers are that `up` brought."""
        return found(self._config, {}, self._data)

    def address(self, account: str) -> str:
        """Where an account's terminal listens."""
        return (self._data / "terminals" / account / "address").read_text()

    def logs(self) -> list[Path]:
        """Everything that was logged."""
        return [self.log, *sorted((self._data / "log").iterdir())]

    # -- what goes wrong

    def pids(self, name: str) -> list[int]:
        """The processes of a service that run now; a terminal's for each account."""
        if self._up is None or self._up.poll() is not None:
            return []
        return [pid for pid in children(self._up.pid) if SERVICES[name] in _command(pid)]

    def kill(self, name: str) -> None:
        """Kill a service; of several terminals the first."""
        self._signal(name, signal.SIGKILL)

    @property
    def armed(self) -> bool:
        """Whether the proxy is on its way to the point at which it ends itself."""
        return self._arming is not None and not self._arming.done()

    def arm(self, point: str, nth: int) -> None:
        """Let the proxy start anew, and end itself when it comes to a point for the `nth` time; counted in `reached`.

        Nothing else may end it while it is `armed`.
        """
        self._wish.write_text(f"{point}:{nth}", encoding="utf-8")
        self.kill("ingest")
        self._arming = asyncio.create_task(self._until_reached(point))

    async def _until_reached(self, point: str) -> None:
        deadline, option = monotonic() + ARMED_S, f"\0{armed.OPTION}\0{point}:".encode()

        def on_its_way() -> bool:
            return any(option in _command(pid) for pid in self.pids("ingest"))

        if await _within(deadline, on_its_way) and await _within(deadline, lambda: not on_its_way()):
            self.reached[f"proxy-dies-at-{point}"] += 1
        self._wish.unlink(missing_ok=True)

    async def kill_supervisor(self) -> None:
        """Kill `up` itself, with which everything ends, and start it again."""
        assert self._up is not None
        self._up.kill()
        await asyncio.to_thread(self._up.wait)
        await self.supervise()

    async def restart(self, name: str) -> None:
        """Ask a service to end in its own time, and return when another process of it is there."""
        before = self.pids(name)
        self._signal(name, ENDS_WITH.get(name, signal.SIGTERM))
        deadline = monotonic() + START_S
        while not set(self.pids(name)) - set(before):
            if monotonic() > deadline:
                raise UserError(f"{name} was asked to end and does not come back; its log is in {self._data / 'log'}")
            await asyncio.sleep(LOOK_S)

    def _signal(self, name: str, number: signal.Signals) -> None:
        for pid in self.pids(name)[:1]:
            os.kill(pid, number)

    # -- settings

    @property
    def _config(self) -> Path:
        return self._folder / "tradecopier.toml"

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    @property
    def _wish(self) -> Path:
        """The file that arms the next proxy."""
        return self._folder / "armed"

    def _write_settings(self, broker_port: int, ca: Path) -> None:
        t = self._timing
        lines = ["[redis]", 'namespace = "chaos"', "[ingest]", f'listen = "127.0.0.1:{self._port}"']
        lines += [f'metrics = "127.0.0.1:{self._metrics}"']  # the usual port is another day's, or the user's own
        lines += [f'upstream-ca-file = "{ca}"', "[ingest.sources.chaos]", 'protocol = "broker-rest"']
        lines += [f'host = "{HOST}:{broker_port}"', f'account = "{ACCOUNTS[0]}"', 'quantity-unit = "lots"']
        lines += ["[executor]", f"lease = {t.lease}"]
        for login, (account, margin) in enumerate(self.accounts.items(), start=1):
            lines += [f"[executor.accounts.{account}]", 'sources = ["chaos"]', 'mode = "live"']
            lines += [f"window = {t.window}", f"deadline = {t.deadline}", f"grace = {t.grace}"]
            lines += [f"[executor.accounts.{account}.terminal]", 'kind = "simulated"', f"login = {login}"]
            lines += [f'server = "{SERVER}"', f'margin-mode = "{margin}"', "balance = 1000000"]
            lines += ["prices = { " + ", ".join(f"{name} = {bid}" for name, (bid, _) in PRICES.items()) + " }"]
            lines += [f"[executor.accounts.{account}.limits]", "max-age = 60", "max-drift-percent = 100"]
            lines += ["max-spread-percent = 100", "max-orders-per-minute = 100000"]
            lines += ["max-daily-loss-percent = 100", "max-drawdown-percent = 100"]
        self._config.write_text("\n".join(lines) + "\n", encoding="utf-8")


async def _within(deadline: float, is_so: Callable[[], bool]) -> bool:
    """Whether it becomes so in time."""
    while not is_so() and monotonic() < deadline:  # noqa: ASYNC110  another process
        await asyncio.sleep(LOOK_S)
    return is_so()


def _quoted(instrument: str, _now: float) -> Price:
    bid, ask = PRICES.get(instrument, (Decimal(2000), Decimal(2001)))
    return Price(bid, ask)


def _command(pid: int) -> bytes:
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_bytes()
    except OSError:
        return b""
