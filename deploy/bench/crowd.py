"""Accounts on simulated terminals with executors of their own, fed by hand: what several benches have in common.

A server of its own with the settings that `up` gives it, real executors as an operator starts them, and in place of
ingest a publisher that holds the source's lease. Every guard is on; those that would stop a load which no trader makes
are only raised.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any, cast

from redis.asyncio import Redis

from deploy.bench.feed import SOURCE
from deploy.chaos.timing import Timing
from deploy.directory import HOST, log_file
from deploy.embedded import Valkey
from deploy.groundwork import join_groups
from shared import process, streams
from shared.facts import Fact
from shared.lease import Lease
from shared.outcomes import Message, Outcome
from shared.process import UserError
from shared.settings import Secret
from shared.streams import Keys, Published, Publisher
from shared.wire import Codec, Keyring

NAMESPACE, SERVER = "bench", "Bench"
KEYRING = Keyring(current="k1", keys={"k1": b"benchmark" * 4})
START_S, PATIENCE_S, LOOK_S = 120.0, 120.0, 0.02
HELD_S = 24 * 3600.0
PAGE, BATCH = 5000, 500
RAISED: Mapping[str, int] = {
    "max-age": 86400,
    "max-lots": 1_000_000,
    "max-lots-per-symbol": 1_000_000,
    "max-positions": 1_000_000,
    "max-orders-per-minute": 1_000_000,
}
"""Limits that a bench's load would meet; the others are as shipped."""


class Crowd:
    """So many accounts in a folder. `timing` are the executors' lease, window, deadline and grace."""

    def __init__(self, folder: Path, accounts: int, timing: Timing) -> None:
        self.names = [f"a{number}" for number in range(1, accounts + 1)]
        self.keys = Keys(NAMESPACE)
        self.codec = Codec(NAMESPACE, KEYRING)
        self.addresses: dict[str, str] = {}
        self.terminals: dict[str, subprocess.Popen[bytes]] = {}
        self.valkey = Valkey(folder / "valkey")
        self.redis: Redis
        self._folder = folder
        self._timing = timing
        self._executors: list[subprocess.Popen[bytes]] = []
        self._publisher: Publisher
        self._lease: Lease

    async def start(self) -> None:
        """The server, the terminals and the settings; no executor yet. Raises UserError."""
        (self._folder / "log").mkdir(parents=True, exist_ok=True)
        await self.valkey.started()
        self.redis = streams.connect(self.valkey.url)
        await join_groups(Secret(self.valkey.url), self.codec, self.names)
        self._publisher = Publisher(self.redis, self.keys, self.codec)
        self._lease = Lease(self.redis, self.keys.source("lease", SOURCE), duration=HELD_S, owner="bench")
        await self._lease.acquire()
        for login, name in enumerate(self.names, start=1):
            self._start_terminal(name, login)
        deadline = monotonic() + START_S
        for name in self.names:
            self.addresses[name] = await self._address(name, deadline)
        self._write_settings()

    async def opened(self, stack: AsyncExitStack) -> None:
        """Start; `stack` ends everything, however far it came. Raises UserError."""
        stack.push_async_callback(self.stop)
        await self.start()

    async def stop(self) -> None:
        """End everything."""
        for each in (*self._executors, *self.terminals.values()):
            if each.poll() is None:
                each.send_signal(signal.SIGCONT)
                each.kill()
            await asyncio.to_thread(each.wait)
        if hasattr(self, "redis"):
            await self.redis.aclose()
        await asyncio.to_thread(self.valkey.stop)

    async def restart_server(self) -> None:
        """End the server and start it again; what was captured until then may have been sent, as executors see it."""
        await asyncio.to_thread(self.valkey.stop)
        await self.valkey.started()
        await self.redis.connection_pool.disconnect()

    # -- executors

    async def executor(self, *, ready: bool = True) -> subprocess.Popen[bytes]:
        """Start an executor for all accounts; `ready`: return when each of its lanes works or stands by."""
        number = len(self._executors) + 1
        ready_file = self._folder / f"executor-{number}.ready"
        argv = [sys.executable, "-m", "deploy", "--log-level", "warning", "--config", str(self._config)]
        argv += ["executor", "run", "--ready-file", str(ready_file)]
        with log_file(self._folder / "log" / f"executor-{number}") as output:
            started = process.spawn(argv, env=self._environment(), stdout=output.fileno(), stderr=output.fileno())
        self._executors.append(started)
        deadline = monotonic() + START_S
        while ready and not ready_file.exists():
            if started.poll() is not None or monotonic() > deadline:
                raise UserError(f"an executor does not start; its log is {self._folder / 'log'}/executor-{number}")
            await asyncio.sleep(LOOK_S)
        return started

    async def end(self, executor: subprocess.Popen[bytes]) -> None:
        """Let an executor end in its own time."""
        await asyncio.to_thread(process.end, executor, [signal.SIGTERM], 30.0)

    # -- the stream

    async def publish(self, fact: Fact) -> str:
        """Publish as ingest does; the entry's id. Raises UserError when it is refused."""
        answer = await self._publisher.publish(fact, self._lease.token)
        if not isinstance(answer, Published):
            raise UserError(f"the stream does not take a fact: {answer}")
        return answer.entry

    async def fill(self, facts: Sequence[Fact]) -> None:
        """Put many facts of one producer into the stream at once, and leave the stream as publishing would."""
        last, signature = "", b""
        for start in range(0, len(facts), BATCH):
            entries = [self.codec.entry("orders", fact) for fact in facts[start : start + BATCH]]
            async with self.redis.pipeline(transaction=True) as pipe:
                for entry in entries:
                    pipe.xadd(self.keys.orders, cast(Any, entry))
                last, signature = (await pipe.execute())[-1].decode(), entries[-1][b"s"]
        kept = f"{facts[-1].seq} {last} {signature.decode()}"
        await cast(Any, self.redis.hset(self.keys.producers, facts[-1].producer, kept))

    async def end_of(self, stream: str) -> str:
        """The id of the newest entry of a stream."""
        newest = cast(list[Any], await self.redis.xrevrange(stream, count=1))
        return newest[0][0].decode() if newest else "0-0"

    async def told(self, since: str) -> list[tuple[str, Message]]:
        """What the outcomes stream says after an entry, with the entries' ids."""
        found: list[tuple[str, Message]] = []
        while page := cast(list[Any], await self.redis.xrange(self.keys.outcomes, f"({since}", "+", count=PAGE)):
            since = page[-1][0].decode()
            read = ((entry.decode(), self.codec.outcome(fields)) for entry, fields in page)
            found += [(entry, message) for entry, message in read if isinstance(message, Message)]
        return found

    async def ended(self, since: str) -> list[tuple[str, Outcome]]:
        """The outcomes among them."""
        return [(entry, message) for entry, message in await self.told(since) if isinstance(message, Outcome)]

    async def drained(self, names: Sequence[str] = (), patience: float = PATIENCE_S) -> None:
        """Return when these accounts (default: all) have read everything and brought it to its end."""
        deadline = monotonic() + patience
        wanted = {name.encode() for name in names or self.names}
        while True:
            groups = cast(list[Mapping[str, Any]], await self.redis.xinfo_groups(self.keys.orders))
            waiting = {g["name"].decode(): (g["lag"], g["pending"]) for g in groups if g["name"] in wanted}
            if not any(lag or pending for lag, pending in waiting.values()):
                return
            if monotonic() > deadline:
                raise UserError(f"these accounts do not come to an end (not read, pending): {waiting}")
            await asyncio.sleep(LOOK_S)

    # -- starting

    @property
    def _config(self) -> Path:
        return self._folder / "bench.toml"

    def _environment(self) -> dict[str, str]:
        path = os.pathsep.join(p for p in sys.path if p)
        return {**os.environ, "TRADECOPIER_REDIS__URL": self.valkey.url, "PYTHONPATH": path}

    def _start_terminal(self, name: str, login: int) -> None:
        argv = [sys.executable, "-m", "executor.mt5.simulator.server", "--listen", f"{HOST}:0", "--prices", "still"]
        argv += ["--state", str(self._folder / name), "--login", str(login), "--server", SERVER]
        argv += ["--balance", "100000000"]
        with log_file(self._folder / "log" / name) as output:
            self.terminals[name] = process.spawn(
                argv, env=self._environment(), stdout=output.fileno(), stderr=output.fileno()
            )

    async def _address(self, name: str, deadline: float) -> str:
        file = self._folder / name / "address"
        while not file.exists():
            if self.terminals[name].poll() is not None or monotonic() > deadline:
                raise UserError(f"the terminal of {name} does not start; its log is {self._folder / 'log' / name}")
            await asyncio.sleep(LOOK_S)
        return file.read_text()

    def _write_settings(self) -> None:
        key = self._folder / "signing.key"
        key.touch(mode=0o600)
        key.write_text(f"{KEYRING.current}:{KEYRING.keys[KEYRING.current].hex()}\n", encoding="ascii")
        lines = ["[redis]", f'namespace = "{NAMESPACE}"', "[security]", f'signing-key-file = "{key}"']
        lines += ["[executor]", f"lease = {self._timing.lease}"]
        for login, name in enumerate(self.names, start=1):
            lines += self._account(name, login)
        self._config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _account(self, name: str, login: int) -> list[str]:
        own = {"window": self._timing.window, "deadline": self._timing.deadline, "grace": self._timing.grace}
        return [
            f"[executor.accounts.{name}]",
            f'sources = ["{SOURCE}"]',
            *(f"{key} = {value}" for key, value in own.items()),
            f"[executor.accounts.{name}.terminal]",
            f'kind = "simulated"\naddress = "{self.addresses[name]}"\nlogin = {login}\nserver = "{SERVER}"',
            f"[executor.accounts.{name}.limits]",
            *(f"{key} = {value}" for key, value in RAISED.items()),
        ]


def now() -> datetime:
    """The time at which something is captured."""
    return datetime.fromtimestamp(time.time(), UTC)
