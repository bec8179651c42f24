"""A real Prometheus beside the running demo: every panel and recording rule shows data while its situation is made.

The demo plays its story; then the terminal hangs, accounts are paused and limited, services are stopped and killed, and
a forged entry is written. What no situation here can make is listed by name, with the reason.
"""

import asyncio
import json
import math
import re
import shutil
import signal
import ssl
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct
from redis.asyncio import Redis

from deploy.dashboards.boards import BOARDS
from deploy.dashboards.panels import expanded
from deploy.demo.broker import ACCOUNTS, HOST
from deploy.demo.scenery import NAMESPACE
from deploy.demo.trader import Seat, Trader
from deploy.directory import free_port
from executor.mt5.simulator.faults import Fault, FaultKind
from executor.mt5.simulator.remote import Remote
from shared import process, streams
from shared.streams import Keys
from tests.deploy.rules import recorded
from tests.e2e.processes import belonging_to, run, running, wait_until_gone

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="there are no embedded servers here"),
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed (Debian: prometheus)"),
    pytest.mark.timeout(360),
]

COST = (
    "sum(tradecopier_metering_seconds_total) / "
    'sum(tradecopier_stage_seconds_sum{stage=~"decide|terminal|commit",account!=""})'
)
"""What counting takes on a lane's way, beside the way's own time."""

NOT_MADE = {
    "ingest_rewinds": "Redis has to lose writes",
    "ingest_new_producers": "the outbox has to lose its tail",
    "ingest_overtaken": "a second ingest has to take over",
    "ingest_hook_failures": "capturing has to fail",
    "ingest_unwritten": "a disk has to be full",
    "archive_trim_held": "a group has to lag behind the retention of days",
    "archive_held_entries": "the archive has to miss a signing key",
    "trailing_updates": "the demo's broker has no trailing stops",
    "ingest_unknown_traffic": "the demo's trader asks for nothing that is unknown",
    "slow_facts": "a ratio of slow facts is 0 while none is slow",
}
"""Parts of expressions that show 0 or nothing here, and what would have to happen."""


class Server(Struct):
    """A Prometheus that answers at `address`."""

    address: str

    def ask(self, path: str, **query: str) -> Any:
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as reply:
            return json.load(reply)["data"]

    def values(self, expression: str, since: float) -> list[float]:
        """Every sample of the expression since then, one a second."""
        query = {"query": expression, "start": f"{since}", "end": f"{time.time()}", "step": "1"}
        found = self.ask("query_range", **query)["result"]
        return [float(value) for series in found for _, value in series["values"]]


@contextmanager
def prometheus(folder: Path, data: Path) -> Iterator[Server]:
    """A Prometheus with the configuration that `up` has left, looking every second."""
    text = re.sub(r"(scrape|evaluation)_interval: 5s", r"\1_interval: 1s", (data / "prometheus.yml").read_text())
    (data / "quick.yml").write_text(text.replace("refresh_interval: 30s", "refresh_interval: 1s"))
    rules = (data / "recording.yml").read_text()
    (data / "recording.yml").write_text(re.sub(r"interval: (5|15)s", "interval: 1s", rules))
    address = f"127.0.0.1:{free_port()}"
    command = ["prometheus", f"--config.file={data / 'quick.yml'}", f"--storage.tsdb.path={folder}"]
    child = process.spawn([*command, f"--web.listen-address={address}", "--log.level=error"])
    try:
        yield Server(address)
    finally:
        process.end(child, [signal.SIGTERM])


def seat(printed: str, data: Path) -> Seat:
    """Where to trade by hand, from what the demo has printed."""
    port, token = re.search(rf"https://{HOST}:(\d+)/accounts", printed), re.search(r"Bearer (\S+?)'", printed)
    proxy = re.search(r"--proxy http://127\.0\.0\.1:(\d+)", printed)
    assert port is not None, printed
    assert token is not None, printed
    assert proxy is not None, printed
    context = ssl.create_default_context(cafile=str(data / "proxy" / "mitmproxy-ca-cert.pem"))
    through = ("127.0.0.1", int(proxy[1]))
    return Seat(host=HOST, port=int(port[1]), account=ACCOUNTS[0], token=token[1], context=context, proxy=through)


def pids(folder: Path, words: str) -> list[int]:
    return [pid for pid, command in belonging_to(folder).items() if words in command and "tether" not in command]


async def test_every_query_shows_data_while_its_situation_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with running("demo", "--keep", "--data", str(folder)) as demo:
        configuration = folder / "data" / "prometheus"
        async with asyncio.timeout(30):
            while not (configuration / "targets" / "tradecopier.json").exists():
                await asyncio.sleep(0.02)
        since = time.time()
        with prometheus(tmp_path / "tsdb", configuration) as server:
            await asyncio.to_thread(demo.until, "Settings: ")
            redis = streams.connect(address_of_redis(folder / "data"))
            trader = Trader(seat("".join(demo.printed), folder / "data"), 0.5)
            await trader.sit_down()
            try:
                await situations(folder, trader, redis)
            finally:
                await trader.leave()
                await redis.aclose()
            await asyncio.sleep(max(0.0, since + 75 - time.time()))  # the archive measures itself once a minute
            cost = server.values(COST, since)[-1]
            silent = {name: text for name, text in queries() if not shows(server, text, since)}
        demo.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(demo.process.wait, 60)
    wait_until_gone(folder)

    missing = {n: t for n, t in silent.items() if not any(part in t for part in NOT_MADE)}
    assert missing == {}
    assert 0 < cost <= 0.05


def shows(server: Server, expression: str, since: float) -> bool:
    return any(value and not math.isnan(value) for value in server.values(expression, since))


def queries() -> Iterator[tuple[str, str]]:
    """Every query of a panel, and every recording rule, as Prometheus is asked."""
    for board in BOARDS:
        for panel in board.panels:
            for number, query in enumerate(panel.queries if panel.source == "prometheus" else ()):
                text = expanded(query.text).replace("$__rate_interval", "5s")
                yield f"{board.uid}: {panel.title} {number}", re.sub(r"\$(namespace|source|account)", ".*", text)
    for rule in recorded().values():
        yield rule.record, rule.record


def address_of_redis(data: Path) -> str:
    port, password = ((data / "valkey" / name).read_text().strip() for name in ("port", "password"))
    return f"redis://:{password}@127.0.0.1:{port}/0"


async def situations(folder: Path, trader: Trader, redis: Redis) -> None:
    await refused(folder, trader)
    await owed(folder, trader)
    await forged(redis)
    await unknown(folder, trader)
    await waiting(folder, trader)
    await lost(folder)


async def tell(folder: Path, *arguments: str) -> None:
    done = await asyncio.to_thread(run, "--config", str(folder / "demo.toml"), *arguments)
    assert done.returncode == 0, done.stdout + done.stderr


async def refused(folder: Path, trader: Trader) -> None:
    """A denial by state, then a trade that is copied."""
    await trader.place("EURUSD", "buy", "0.1")
    await tell(folder, "close-only", "--all")
    await trader.place("EURUSD", "buy", "0.1")
    await asyncio.sleep(6)  # the source has it and the accounts do not, which is a drift after a while
    await tell(folder, "resume", "--all")


async def owed(folder: Path, trader: Trader) -> None:
    """A close while the account is halted."""
    await tell(folder, "pause", "hedging", "--yes", "pause")
    await trader.until(lambda seen: bool(seen.positions))
    await trader.close(str(trader.positions[0]["id"]))
    await asyncio.sleep(3)
    await tell(folder, "resume", "hedging")
    await asyncio.sleep(2)


async def forged(redis: Redis) -> None:
    """An entry that nobody of ours has signed: every reader buries it."""
    await redis.xadd(Keys(NAMESPACE).orders, {"m": "{}", "k": "k1", "s": "00"})
    await asyncio.sleep(2)


async def unknown(folder: Path, trader: Trader) -> None:
    """An opening without an answer, and the executor killed before its end is known."""
    address = (folder / "data" / "terminals" / "hedging" / "address").read_text()
    with closing(Remote.at(address)) as remote:
        remote.fault(Fault(kind=FaultKind.NONE, code=-10005, times=1))
        await trader.place("GBPUSD", "buy", "0.2")
        await asyncio.sleep(4)
    for pid in pids(folder, "executor run"):
        process_kill(pid, signal.SIGKILL)
    await asyncio.sleep(8)


async def waiting(folder: Path, trader: Trader) -> None:
    """Redis stands still, so facts wait on disk; then the archiver does, so it lags behind."""
    with stopped(pids(folder, "valkey-server")):
        await trader.place("EURUSD", "sell", "0.1")
        await asyncio.sleep(2.5)
    await asyncio.sleep(2)
    with stopped(pids(folder, "archiver run")):
        for _ in range(3):
            await trader.place("EURUSD", "buy", "0.1")
        await asyncio.sleep(3)
    await asyncio.sleep(2)


async def lost(folder: Path) -> None:
    """Half of the money is gone: the limits on losses are passed."""
    address = (folder / "data" / "terminals" / "netting" / "address").read_text()
    with closing(Remote.at(address)) as remote:
        remote.deposit("-50000")
    await asyncio.sleep(4)


@contextmanager
def stopped(those: list[int]) -> Iterator[None]:
    assert those
    for pid in those:
        process_kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in those:
            process_kill(pid, signal.SIGCONT)


def process_kill(pid: int, what: signal.Signals) -> None:
    subprocess.run(["kill", f"-{what.value}", str(pid)], check=True)
