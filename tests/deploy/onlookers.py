"""A small machine to look at: a Valkey and a terminal of their own, a lane with its pulse, a source that speaks."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec import Struct
from redis.exceptions import RedisError

from deploy.embedded import Valkey
from executor.lane import Lane
from executor.pulse import Pulse
from shared import groups, streams, vitals
from shared.process import cancelled
from shared.vitals import SourceVitals
from tests.executor.rig import ACCOUNT, KEYS, NAMESPACE, Simulator, Watching, account, running
from tests.executor.seals import join

KEY = "k1:" + (b"1" * 32).hex()
WIDTH, HEIGHT = 160, 50


class Machine(Struct, kw_only=True):
    """What runs; `polled_ago` (s) is what the source says of its last look at TradingView."""

    config: Path
    valkey: Valkey
    simulator: Simulator
    lane: Lane
    polled_ago: float = 0.0


@asynccontextmanager
async def machine(folder: Path) -> AsyncIterator[Machine]:
    """Everything running, in `folder`."""
    valkey = Valkey(folder / "data" / "valkey")
    valkey.start()
    simulator = Simulator(folder / "terminal")
    await simulator.start()
    simulator.price("EURUSD", "1.08504", "1.08512")
    redis = streams.connect(valkey.url)
    await join(redis)
    for stream in (KEYS.orders, KEYS.outcomes):
        await groups.join_archive(redis, stream, "archiver")
    try:
        async with running(valkey.url, simulator, account()) as lane:
            found = Machine(config=settings(folder), valkey=valkey, simulator=simulator, lane=lane)
            beating = asyncio.create_task(_beat(found))
            yield found
            await cancelled(beating)
    finally:
        await redis.aclose()
        simulator.stop()
        valkey.stop()


def settings(folder: Path) -> Path:
    """The settings file of such a machine; its Redis is found in `data`, as that of `up` is."""
    key = folder / "signing.key"
    key.write_text(KEY)
    key.chmod(0o600)
    path = folder / "tradecopier.toml"
    path.write_text(f"""
        [redis]
        namespace = "{NAMESPACE}"
        [security]
        signing-key-file = "{key}"
        [ingest]
        listen = "127.0.0.1:1"
        [ingest.sources.demo]
        protocol = "broker-rest"
        host = "broker.example"
        account = "1"
        quantity-unit = "lots"
        [executor.accounts.{ACCOUNT}]
        sources = ["demo"]
        [executor.accounts.{ACCOUNT}.terminal]
        kind = "simulated"
    """)
    return path


def beside(folder: Path, valkey: Valkey) -> Path:
    """The settings file of a machine whose Redis is `valkey`, found in the data folder as that of `up` is."""
    server = folder / "data" / "valkey"
    server.mkdir(parents=True)
    for name, value in (("port", str(valkey.port)), ("password", valkey.password)):
        (server / name).write_text(value)
        (server / name).chmod(0o600)
    return settings(folder)


async def _beat(found: Machine) -> None:
    """The executor's pulse and what an ingest would say, until cancelled."""
    redis = streams.connect(found.valkey.url)
    meter = found.lane.meter
    pulse = Pulse(meter.registry, meter.watcher, redis, KEYS, [meter], lambda: datetime.now(UTC))
    try:
        while True:
            now, is_now = datetime.now(UTC), condition(found.lane)
            if is_now != meter.watcher.condition(ACCOUNT):
                meter.watcher.lane(ACCOUNT, is_now)
            polled = now - timedelta(seconds=found.polled_ago)
            try:
                await pulse.beat()
                await vitals.tell_source(redis, KEYS, "demo", SourceVitals(at=now, owned=True, polled=polled))
            except (RedisError, OSError):
                pass
            await asyncio.sleep(0.1)
    finally:
        await redis.aclose()


def condition(lane: Lane) -> str:
    """What the rig's watcher was told last of the lane."""
    watcher = lane._watcher
    assert isinstance(watcher, Watching)
    return watcher.conditions[-1]


class Terminal:
    """A terminal window in tmux in which one command runs."""

    def __init__(self, name: str, folder: Path, *command: str) -> None:
        self._socket = folder / "tmux"
        self._name = name
        size = ("-x", str(WIDTH), "-y", str(HEIGHT))
        line = " ".join((sys.executable, "-m", "deploy", *command))
        self._tmux("-f", "/dev/null", "new-session", "-d", "-s", name, *size, f"{line}; sleep 60")

    def screen(self) -> str:
        """What a person sees now."""
        return self._tmux("capture-pane", "-p", "-t", self._name)

    async def shows(self, *words: str, patience: float = 30.0) -> str:
        """The screen, once every word is on it."""
        seen = ""
        try:
            async with asyncio.timeout(patience):
                while not all(word in seen for word in words):
                    await asyncio.sleep(0.1)
                    seen = await asyncio.to_thread(self.screen)
        except TimeoutError:
            raise AssertionError(f"{words} do not show up in:\n{seen}") from None
        return seen

    def close(self) -> None:
        self._tmux("kill-server")

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-S", str(self._socket), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout
