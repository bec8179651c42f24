"""A real Prometheus beside the running demo: every panel and recording rule shows data while its situation is made.

The demo plays its story; then the terminal hangs, accounts are paused and limited, services are stopped and killed, a
forged entry is written, and so on. Each situation is held until every query that watches it shows it.
"""

import asyncio
import json
import math
import os
import re
import resource
import shutil
import signal
import ssl
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import msgspec
import psycopg
import pytest
from msgspec import Struct
from redis.asyncio import Redis

from deploy.dashboards.boards import BOARDS
from deploy.dashboards.panels import expanded
from deploy.demo.broker import ACCOUNTS, HOST
from deploy.demo.scenery import NAMESPACE
from deploy.demo.trader import Line, Refused, Seat, Trader
from deploy.directory import free_port
from executor.mt5.simulator.faults import Fault, FaultKind
from executor.mt5.simulator.remote import Remote
from shared import process, streams
from shared.streams import Keys
from tests.deploy.rules import recorded
from tests.e2e.processes import belonging_to, run, running, wait_until_gone

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="there are no embedded servers here"),
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed (Debian: prometheus)"),
    pytest.mark.timeout(360),
]

COST = (
    "sum(tradecopier_metering_seconds_total) / "
    'sum(tradecopier_stage_seconds_sum{stage=~"decide|terminal|commit",account!=""})'
)
"""What counting takes on a lane's way, beside the way's own time."""

PATIENCE_S = 60.0
LOOKS = 5
"""So often each service is looked at before an alert's silence means something."""
FIRED = {"Owed", "DeadLetters", "GuardTripped", "OutboxUnwritten", "TapFailures", "TrimHeld"}
"""Alerts that some of the situations have to raise; `for` and what is judged over minutes keeps the others quiet."""


class Server(Struct):
    """A Prometheus that answers at `address`."""

    address: str

    def ask(self, path: str, **query: str) -> Any:
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as reply:
            return json.load(reply)["data"]

    def now(self, expression: str) -> list[float]:
        """What it is worth now, of each series."""
        return [float(series["value"][1]) for series in self.ask("query", query=expression)["result"]]

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


async def test_every_query_shows_data_while_its_situation_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with running("demo", "--keep", "--data", str(folder)) as demo:
        configuration = folder / "data" / "prometheus"
        async with asyncio.timeout(30):
            while not (configuration / "targets" / "tradecopier.json").exists():
                await asyncio.sleep(0.02)
        with prometheus(tmp_path / "tsdb", configuration) as server:
            await asyncio.to_thread(demo.until, "Settings: ")
            async with seated(folder, "".join(demo.printed), server) as stage:
                healthy = await stage.alerts()
                for situation in SITUATIONS:
                    await situation(stage)
                await stage.shows("")
                (cost,) = server.now(COST)
                alarmed = await stage.alerts("firing|pending")
        demo.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(demo.process.wait, 60)
    wait_until_gone(folder)

    assert healthy == {}, "while all is well nobody is called"
    assert alarmed.keys() >= FIRED
    assert 0 < cost <= 0.05


def queries() -> Iterator[tuple[str, str]]:
    """Every query of a panel, and every recording rule, as Prometheus is asked."""
    for board in BOARDS:
        for panel in board.panels:
            for number, query in enumerate(panel.queries if panel.source == "prometheus" else ()):
                text = expanded(query.text).replace("$__rate_interval", "5s")
                yield f"{board.uid}: {panel.title} {number}", re.sub(r"\$(namespace|source|account)", ".*", text)
    for rule in recorded().values():
        yield rule.record, rule.record


def tables() -> Iterator[tuple[str, str]]:
    """Every query of a panel, as PostgreSQL is asked."""
    for board in BOARDS:
        for panel in board.panels:
            for number, query in enumerate(panel.queries if panel.source == "postgres" else ()):
                text = re.sub(r"\$__timeFilter\((\w+)\)", r"\1 > now() - interval '1 day'", query.text)
                yield f"{board.uid}: {panel.title} {number}", text.replace("${account:pipe}", ".*")


class Stage:
    """The demo, Prometheus beside it and a trader's hand; `shows` waits until queries show what is being made."""

    def __init__(self, folder: Path, server: Server, trader: Trader, redis: Redis) -> None:
        self.folder = folder
        self.trader = trader
        self.redis = redis
        self.keys = Keys(NAMESPACE)
        self._server = server
        self._since = time.time()
        self._unseen = {**dict(queries()), **dict(tables())}
        self._tables = dict(tables())

    async def shows(self, *parts: str) -> None:
        """Return when every query with one of the parts in it has shown something since the beginning."""
        wanted = {n for n, text in self._unseen.items() if any(part in text for part in parts)}
        assert wanted or parts == ("",), f"no query is about {parts}, or it was seen before"
        deadline = time.monotonic() + PATIENCE_S
        while wanted := {name for name in wanted if not await asyncio.to_thread(self._shows, name)}:
            assert time.monotonic() < deadline, {name: self._unseen[name] for name in wanted}
            await asyncio.sleep(0.2)

    def _shows(self, name: str) -> bool:
        if name in self._tables:
            with psycopg.connect(dsn_of(self.folder / "data"), autocommit=True) as connection:
                seen = connection.execute(self._tables[name].encode()).fetchone() is not None
        else:
            values = self._server.values(self._unseen[name], self._since)
            seen = any(value and not math.isnan(value) for value in values)
        if seen:
            del self._unseen[name]
        return seen

    async def alerts(self, state: str = "firing") -> dict[str, Any]:
        """Every alert that was once in this state, by then judged on data of every service."""
        async with asyncio.timeout(PATIENCE_S):
            while min(self._server.now('count_over_time(up{job="tradecopier"}[1m])'), default=0) < LOOKS:
                await asyncio.sleep(0.2)
        found = self._server.ask(
            "series",
            **{"match[]": f'ALERTS{{alertstate=~"{state}"}}', "start": f"{self._since}", "end": f"{time.time()}"},
        )
        return {series["alertname"]: series for series in found}

    async def tell(self, *arguments: str) -> None:
        """A command of an operator."""
        done = await asyncio.to_thread(run, "--config", str(self.folder / "demo.toml"), *arguments)
        assert done.returncode == 0, done.stdout + done.stderr

    def pids(self, words: str) -> list[int]:
        """The processes of ours with these words in their command."""
        mine = belonging_to(self.folder).items()
        found = [pid for pid, command in mine if words in command and "tether" not in command]
        assert found, words
        return found

    async def killed(self, words: str) -> None:
        """Return when a service was killed and its supervisor has started it again."""
        before = self.pids(words)
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE_S):
            while not {p for p, c in belonging_to(self.folder).items() if words in c and "tether" not in c} - {*before}:
                await asyncio.sleep(0.1)

    @contextmanager
    def terminal(self, name: str) -> Iterator[Remote]:
        """An operator's hand on the simulated terminal of an account."""
        address = (self.folder / "data" / "terminals" / name / "address").read_text()
        with closing(Remote.at(address)) as remote:
            yield remote

    @contextmanager
    def standing(self, words: str) -> Iterator[None]:
        """Processes of ours stand still."""
        pids = self.pids(words)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    async def until(self, expression: str) -> None:
        """Return when Prometheus has something for it."""
        async with asyncio.timeout(PATIENCE_S):
            while not self._server.now(expression):
                await asyncio.sleep(0.2)

    async def producers(self, change: int, key: str) -> None:
        """Move the number of the source's last fact in a hash like that of the producers."""
        ((producer, last),) = cast(dict[bytes, bytes], await self.redis.hgetall(key)).items()
        seq, rest = last.split(b" ", 1)
        await self.redis.hset(key, producer, b"%d %s" % (int(seq) + change, rest))

    async def copied(self) -> None:
        """Return when every account has finished everything that was published."""
        deadline = time.monotonic() + PATIENCE_S
        while any(group["lag"] or group["pending"] for group in await self.redis.xinfo_groups(self.keys.orders)):
            assert time.monotonic() < deadline, await self.standing_now()
            await asyncio.sleep(0.05)

    async def standing_now(self) -> str:
        """Where every group is and what the executor said last, for a message."""
        log = (self.folder / "data" / "log" / "executor.log").read_text(encoding="utf-8").splitlines()
        return "\n".join([*map(str, await self.redis.xinfo_groups(self.keys.orders)), *log[-20:]])


@asynccontextmanager
async def seated(folder: Path, printed: str, server: Server) -> AsyncIterator[Stage]:
    redis = streams.connect(address_of_redis(folder / "data"))
    trader = Trader(seat(printed, folder / "data"), 0.5)
    await trader.sit_down()
    await trader.looked_again()
    try:
        yield Stage(folder, server, trader, redis)
    finally:
        await trader.leave()
        await redis.aclose()


def kept(folder: Path) -> tuple[str, str]:
    """The port and the password of an embedded server."""
    port, password = ((folder / name).read_text().strip() for name in ("port", "password"))
    return port, password


def address_of_redis(data: Path) -> str:
    port, password = kept(data / "valkey")
    return f"redis://:{password}@127.0.0.1:{port}/0"


def dsn_of(data: Path) -> str:
    port, password = kept(data / "postgres")
    return f"postgresql://tradecopier:{password}@127.0.0.1:{port}/tradecopier"


# -- the situations, each held until it is seen


async def refused(stage: Stage) -> None:
    """A denial by state: the source has it and the accounts do not, which is a drift after a while."""
    await stage.trader.place("EURUSD", "buy", "0.1")
    await stage.copied()
    await stage.tell("close-only", "--all")
    await stage.trader.place("EURUSD", "buy", "0.1")
    await stage.shows("denials", "drift")
    await stage.tell("resume", "--all")


async def owed(stage: Stage) -> None:
    """A close while the account is halted."""
    await stage.tell("pause", "hedging", "--yes", "pause")
    await stage.trader.until(lambda seen: bool(seen.positions))
    await stage.trader.close(str(stage.trader.positions[0]["id"]))
    await stage.shows("unfinished")
    await stage.tell("resume", "hedging")
    await stage.copied()


async def forged(stage: Stage) -> None:
    """An entry that nobody of ours has signed: every reader buries it."""
    await stage.redis.xadd(stage.keys.orders, {"m": "{}", "k": "k1", "s": "00"})
    await stage.shows("dead")


async def trailed(stage: Stage) -> None:
    """A trailing stop that follows a price which runs away upwards on one of the accounts."""
    await stage.trader.place("EURUSD", "buy", "0.1", trailingStopPips="10")
    await stage.copied()
    price = await stage.trader.quote("EURUSD")
    with stage.terminal("hedging") as remote:
        remote.price("EURUSD", price.bid + UP, price.ask + UP)
        await stage.shows("trailing_updates")
        remote.release_price("EURUSD")


async def unpriced(stage: Stage) -> None:
    """An order of a page that tells no price with it."""
    page = Silent(stage.trader._seat)
    await page.place("EURUSD", "buy", "0.1")
    page._hands.close()
    await stage.shows("unpriced")


class Silent(Trader):
    """A page whose orders do not say what the market was."""

    async def _seen(self, instrument: str) -> dict[str, str]:
        return {}


async def unknown(stage: Stage) -> None:
    """An opening that is done and gets no answer, and the executor killed before its end is known."""
    with stage.terminal("hedging") as remote:
        remote.fault(Fault(kind=FaultKind.HANG, execute=True))
        before = held_by(remote)
        await stage.trader.place("GBPUSD", "buy", "0.2")
        async with asyncio.timeout(PATIENCE_S):
            while held_by(remote) == before:
                await asyncio.sleep(0.02)
    await stage.killed("executor run")
    await stage.shows("redeliveries", "lane_begun")


def held_by(remote: Remote) -> int:
    """How many positions a terminal has."""
    return int(remote._link.call("positions_total", {}).value)


async def waiting(stage: Stage) -> None:
    """Redis stands still, so facts wait on disk and are late; then the archiver does, so it lags behind."""
    with stage.standing("valkey-server"):
        await stage.trader.place("EURUSD", "sell", "0.1")
        await stage.shows("waiting_facts")
    await stage.shows("slow_facts")
    with stage.standing("archiver run"):
        for _ in range(3):
            await stage.trader.place("EURUSD", "buy", "0.1")
        await stage.shows("group_lag")


async def full(stage: Stage) -> None:
    """The disk of the outbox takes nothing more."""
    (pid,) = stage.pids("ingest run")
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        await stage.trader.place("EURUSD", "buy", "0.1")
        await stage.shows("unwritten")
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


async def strange(stage: Stage) -> None:
    """Calls that no version of the protocol has, one of them in an encoding over which the proxy's library trips."""
    zebras, hand = f"{stage.trader._path}/zebras", Garbled(stage.trader._seat)
    with pytest.raises(Refused):
        await stage.trader._do("GET", zebras)
    with pytest.raises(Refused):
        await asyncio.to_thread(hand.call, "POST", zebras, {}, {"stripes": "many"})
    hand.close()
    await stage.shows("unknown_traffic", "hook_failures")


class Garbled(Line):
    """A connection whose bodies say that they are in a code for letters, which bytes are not."""

    def _headers(self) -> dict[str, str]:
        return {**super()._headers(), "Content-Encoding": "rot13"}


async def unseen(stage: Stage) -> None:
    """A trade that comes and goes, not through the proxy, while ingest stands still."""
    settings = (stage.folder / "demo.toml").read_text()
    (ca,) = re.findall(r'^upstream-ca-file = "(.+)"$', settings, re.MULTILINE)
    context = ssl.create_default_context(cafile=ca)
    elsewhere = Trader(msgspec.structs.replace(stage.trader._seat, context=context, proxy=None), 0.1)
    await elsewhere.sit_down()
    try:
        with stage.standing("ingest run"):
            await elsewhere.place("XAUUSD", "buy", "0.1")
            await elsewhere.until(lambda page: bool(in_gold(page)))
            await elsewhere.close(*in_gold(elsewhere))
            await elsewhere.until(lambda page: not in_gold(page))
    finally:
        await elsewhere.leave()
    await stage.shows("untold")


def in_gold(page: Trader) -> list[str]:
    """The positions that a page shows in gold."""
    return [str(row["id"]) for row in page.positions if row["instrument"] == "XAUUSD"]


async def out_of_step(stage: Stage) -> None:
    """Redis has less than the outbox, as after a failover."""
    await stage.copied()
    await stage.producers(-1, stage.keys.producers)
    await stage.shows("rewinds")


async def torn(stage: Stage) -> None:
    """Redis has more than the outbox, as after a torn disk, and a fact waits meanwhile for room in Redis."""
    await stage.copied()
    await stage.trader.until(lambda seen: bool(seen.positions))
    position = stage.trader.positions[-1]
    redis, other = stage.redis, f"{stage.keys.producers}-to-come"
    await redis.copy(stage.keys.producers, other)
    await stage.producers(1, other)
    room = cast(dict[str, str], await redis.config_get("maxmemory"))["maxmemory"]
    await redis.config_set("maxmemory", 1)
    price = await stage.trader.quote(position["instrument"])
    await stage.trader.move(str(position["id"]), position["instrument"], stopLoss=f"{price.bid * Decimal('0.9'):.4f}")
    await stage.until("sum(tradecopier_ingest_waiting_facts) > 0")
    await redis.rename(other, stage.keys.producers)
    await redis.config_set("maxmemory", room)
    await stage.shows("new_producers", "overtaken")


async def lost(stage: Stage) -> None:
    """Half of the money is gone: the limits on losses are passed."""
    with stage.terminal("netting") as remote:
        remote.deposit("-50000", kind="charge")
    await stage.shows("guard_breaches", "notices")


async def held(stage: Stage) -> None:
    """The archive misses a key, and groups that nobody reads keep what is too old, or kept it and were detached."""
    await stage.redis.xadd(stage.keys.outcomes, {"m": "{}", "k": "not-yet", "s": "00"})
    await stage.shows("held_entries")
    await stage.redis.xgroup_create(stage.keys.orders, "gone", "0")
    await stage.redis.hset(stage.keys.account("place", "forgotten"), "detached", "2026-01-05T12:00+00:00")
    with (stage.folder / "demo.toml").open("a") as file:
        file.write("retention = 0\n")
    await stage.killed("archiver run")
    await stage.shows("trim_held", "bytes_per_fact", "headroom", "detached")
    await stage.until('count(ALERTS{alertname="TrimHeld"}) > 0')


SITUATIONS = (
    *(refused, owed, forged, trailed, unpriced, unknown, waiting, full, strange, unseen, out_of_step, torn, lost, held),
)
UP = Decimal("0.005")
"""Fifty pips."""
