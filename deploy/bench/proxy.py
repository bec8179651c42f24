"""`bench proxy`: the time inside the tap's hooks beside the proxy's own, per call, on kept and on new connections.

What the hooks put off is told too: it is done while the broker, or the trader, is at something else, and where it is
not, whoever waits for it is seen in the calls' own times.

Three ways to one broker: directly, through the proxy without a tap, and through ingest as it is, which publishes to a
Valkey that syncs every write. Every run makes the same calls on all three, in an order that changes from run to run,
each on a source account of its own.
"""

import asyncio
import importlib.metadata
import os
import platform
import re
import ssl
import sys
import time
import urllib.request
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from msgspec import Struct

from deploy.bench.calls import KINDS, Kind, Page
from deploy.bench.measurement import Measurement
from deploy.bench.shares import Report, Run, run_line
from deploy.demo import authority, scenery
from deploy.demo.broker import HOST, Broker
from deploy.demo.rules import Rules
from deploy.demo.trader import Seat
from deploy.directory import free_port, write_whole
from deploy.embedded import Valkey
from deploy.fleet import ROOT
from deploy.worker import Job, Worker

DIRECT, BARE, TAPPED = "10001", "10002", "10003"
"""The source accounts, one for each way."""
WAYS = (DIRECT, BARE, TAPPED)
KEEP_FINAL_S = 1.0
"""A finished order leaves the broker's list after this, so that lists stay as short as a trader's."""
WARM_UP = 10
"""Calls before each measurement that are not counted."""
HOOKS = re.compile(r"^tradecopier_ingest_hook_seconds_sum\{[^}]*\} (\S+)$", re.MULTILINE)
BESIDE = re.compile(r"^tradecopier_ingest_beside_seconds_sum (\S+)$", re.MULTILINE)
LIBRARIES = ("mitmproxy", "msgspec", "h11")


class Wish(Struct, frozen=True, kw_only=True):
    """What is to be measured: `runs` runs, each with `calls` calls on a kept connection and `connections` new ones."""

    runs: int
    calls: int
    connections: int

    def count(self, kind: Kind) -> int:
        """How many calls of that kind a run has on each way."""
        return self.calls if kind.connection == "kept" else self.connections


class Bench(Measurement[Wish, Report]):
    """Calls on three ways: direct, through a bare proxy, and through the tap."""

    def _prepare(self) -> None:
        self._metrics = f"127.0.0.1:{free_port()}"

    async def _measured(self, stack: AsyncExitStack) -> Report:
        self._progress("starting everything")
        return await self._runs(await self._opened(stack))

    async def _runs(self, pages: Mapping[str, Page]) -> Report:
        found: dict[Kind, list[Run]] = {kind: [] for kind in KINDS}
        for number in range(1, self._wish.runs + 1):
            for kind in KINDS:
                self._progress(f"run {number} of {self._wish.runs}: {kind.title}")
                found[kind].append(await self._run(pages, kind, number))
            self._say(run_line(number, {kind: runs[-1] for kind, runs in found.items()}))
        calls = {"kept connection": self._wish.calls, "new connections": self._wish.connections}
        return Report(runs=found, calls=calls, conditions=conditions())

    async def _run(self, pages: Mapping[str, Page], kind: Kind, number: int) -> Run:
        first = number % len(WAYS)
        times, spent = {}, (0.0, 0.0)
        for way in WAYS[first:] + WAYS[:first]:
            await asyncio.to_thread(pages[way].times, kind, WARM_UP)
            before = await asyncio.to_thread(self._spent) if way == TAPPED else spent
            times[way] = median(await asyncio.to_thread(pages[way].times, kind, self._wish.count(kind)))
            if way == TAPPED:
                spent = _per_call(before, await asyncio.to_thread(self._spent), self._wish.count(kind))
        hooks, beside = spent
        return Run(direct=times[DIRECT], bare=times[BARE], tapped=times[TAPPED], hooks=hooks, beside=beside)

    def _spent(self) -> tuple[float, float]:
        """Seconds that the tap has spent in its hooks, and beside them, since its start. Raises OSError."""
        with urllib.request.urlopen(f"http://{self._metrics}/metrics", timeout=10) as answer:
            told = answer.read().decode()
        return sum(map(float, HOOKS.findall(told))), sum(map(float, BESIDE.findall(told)))

    # Setting up.

    async def _opened(self, stack: AsyncExitStack) -> dict[str, Page]:
        """Start everything; `stack` clears it away. Raises UserError."""
        ca, context = authority.issue(self._folder, HOST, datetime.fromtimestamp(time.time(), UTC))
        broker = Broker(scenery.quoted, time.time, Rules(keep_final=KEEP_FINAL_S), WAYS)
        stack.push_async_callback(broker.stop)
        await broker.start(context)
        valkey = Valkey(self._folder / "valkey")
        stack.push_async_callback(asyncio.to_thread, valkey.stop)
        await valkey.started()
        jobs = {BARE: self._bare(broker, ca), TAPPED: self._tapped(broker, ca, valkey.url)}
        addresses = {way: await self._started(job, stack) for way, job in jobs.items()}
        pages = {}
        for way in WAYS:
            page = pages[way] = Page(self._seat(broker, way, ca, addresses.get(way)))
            stack.callback(page.close)
        return pages

    async def _started(self, job: Job, stack: AsyncExitStack) -> tuple[str, int]:
        worker = Worker(job, self._folder)
        stack.push_async_callback(worker.stop)
        await worker.started()
        host, _, port = job.ready_file.read_text().strip().rpartition(":")
        return host, int(port)

    def _bare(self, broker: Broker, ca: Path) -> Job:
        ready = self._folder / "run" / "bare.ready"
        argv = [sys.executable, "-m", "deploy.bench.bare_proxy", "--opened", HOST, str(broker.port)]
        argv += ["--confdir", str(self._folder / BARE), "--upstream-ca", str(ca), "--ready-file", str(ready)]
        return Job("bare", argv, {"PYTHONPATH": str(ROOT)}, ready)

    def _tapped(self, broker: Broker, ca: Path, redis: str) -> Job:
        key, config, ready = (self._folder / name for name in ("signing.key", "bench.toml", "run/ingest.ready"))
        write_whole(key, f"k1:{os.urandom(32).hex()}")
        config.write_text(
            f"""[security]
signing-key-file = "{key}"
[ingest]
listen = "127.0.0.1:0"
metrics = "{self._metrics}"
upstream-ca-file = "{ca}"
confdir = "{self._folder / TAPPED}"
[ingest.sources.bench]
host = "{HOST}:{broker.port}"
account = "{TAPPED}"
quantity-unit = "lots"
positions = "hedging"
""",
            encoding="utf-8",
        )
        argv = [sys.executable, "-m", "deploy", "--config", str(config), "--log-level", "warning"]
        told = {"PYTHONPATH": str(ROOT), "TRADECOPIER_REDIS__URL": redis}
        return Job("ingest", [*argv, "ingest", "run", "--ready-file", str(ready)], told, ready)

    def _seat(self, broker: Broker, way: str, ca: Path, proxy: tuple[str, int] | None) -> Seat:
        trusted = ca if proxy is None else self._folder / way / "mitmproxy-ca-cert.pem"
        context = ssl.create_default_context(cafile=str(trusted))
        return Seat(host=HOST, port=broker.port, account=way, token=broker.token, context=context, proxy=proxy)


def _per_call(before: tuple[float, float], after: tuple[float, float], calls: int) -> tuple[float, float]:
    """Milliseconds in the hooks and beside them."""
    hooks, beside = (1000 * (late - early) / calls for early, late in zip(before, after, strict=True))
    return hooks, beside


def conditions() -> dict[str, str]:
    """What a reader of the result has to know."""
    libraries = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)
    return {
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.release()} {platform.machine()}",
        "versions": f"Python {platform.python_version()}, {libraries}",
        "traffic": "polls list the orders of the last second; trading calls place resting orders and cancel them, so "
        "that the picture soon holds as much as it ever remembers; other work on the machine falls on all ways",
        "compared": "direct: no proxy; bare: the same proxy, no tap; tapped: ingest, with journal and publishing",
    }
