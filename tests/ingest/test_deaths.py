"""The real proxy process, killed at each named point of the way of a trading call: told once, whenever it happens."""

import asyncio
import json
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlencode

import pytest
from redis.asyncio import Redis

from deploy.embedded import Valkey
from ingest.outbox import POINTS
from shared import streams
from shared.facts import Fact
from shared.streams import Keys
from tests.ingest.test_service import ORDERS, POSITIONS, Scene, published, start, until_ready
from tests.ingest.wire import PATIENCE, Asked, Authority, Origin, new_authority, whole

SIZES = ("0.1", "0.2")


class Broker:
    """Executes at once what it is asked, and shows everything when asked."""

    def __init__(self) -> None:
        self.sizes: list[float] = []

    async def orders(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.method == "POST":
            form = dict(pair.split("=") for pair in asked.body.decode().split("&"))
            self.sizes.append(float(form["qty"]))
            await self._say({"orderId": str(1000 + len(self.sizes))}, asked, writer)
            return
        rows = [
            self._row(f"{1001 + n}", size) | {"type": "market", "status": "filled", "filledQty": size}
            for n, size in enumerate(self.sizes)
        ]
        await self._say(rows, asked, writer)

    async def positions(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        await self._say([self._row(f"P{n}", size) for n, size in enumerate(self.sizes)], asked, writer)

    def _row(self, name: str, size: float) -> dict[str, object]:
        return {"id": name, "instrument": "EURUSD", "qty": size, "side": "buy", "avgPrice": 1.085}

    async def _say(self, said: object, asked: Asked, writer: asyncio.StreamWriter) -> None:
        await whole(json.dumps({"s": "ok", "d": said}).encode())(asked, writer)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return new_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
async def scene(authority: Authority, valkey: Valkey, tmp_path: Path) -> AsyncIterator[Scene]:
    origin = Origin(authority)
    async with await origin.serve():
        yield Scene(origin, tmp_path, valkey.url)


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator[Redis]:
    found = streams.connect(valkey.url)
    yield found
    await found.aclose()


async def buy(scene: Scene, size: str) -> bool:
    """Whether the browser has got a reply."""
    form = urlencode({"instrument": "EURUSD", "qty": size, "side": "buy", "type": "market"}).encode()
    try:
        return await scene.fetch("POST", ORDERS, form) == 200
    except (OSError, HTTPException):
        return False


@asynccontextmanager
async def running(scene: Scene, *more: str) -> AsyncIterator[subprocess.Popen[bytes]]:
    """A proxy that is ready; it is gone in the end."""
    process = start(scene, *more)
    try:
        await until_ready(scene)
        yield process
    finally:
        process.kill()
        await asyncio.to_thread(process.communicate)


def opened(facts: list[Fact]) -> dict[str, Decimal]:
    """Each position with the most that was told of it; each fact has to follow the one before."""
    totals: dict[str, list[Decimal]] = {}
    for fact in facts:
        known = totals.setdefault(fact.exposure.position, [])
        assert fact.exposure.before.total == (known[-1] if known else 0)
        known.append(fact.exposure.after.total)
    return {position: max(known) for position, known in totals.items()}


@pytest.mark.parametrize("point", POINTS)
async def test_a_call_is_told_once_when_the_proxy_dies_there(scene: Scene, redis: Redis, point: str) -> None:
    broker = Broker()
    scene.origin.replies |= {ORDERS: broker.orders, POSITIONS: broker.positions}
    async with running(scene, "--die-at", point) as process:
        await scene.look()
        got = await buy(scene, SIZES[0])
        await asyncio.to_thread(process.communicate, timeout=PATIENCE)
    assert process.returncode == -signal.SIGKILL, "it has died at that point"
    async with asyncio.timeout(PATIENCE):
        while point != "asked" and not broker.sizes:  # the proxy may be dead before the broker has read it
            await asyncio.sleep(0.01)
    assert len(broker.sizes) == (0 if point == "asked" else 1)
    assert not got or point in ("answered", "published"), "no reply passes before it is on disk"

    async with running(scene) as process:
        if point not in ("asked", "forwarded"):  # what is on disk needs no poll
            (told,) = await published(redis, 1)
            assert (told.evidence, str(told.exposure.after.total)) == ("call", SIZES[0])
        for _ in range(4):
            await scene.look()
        assert await buy(scene, SIZES[1])
        for _ in range(4):
            await scene.look()
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.communicate, timeout=PATIENCE)
    facts = await published(redis, 1)
    assert sorted(map(float, opened(facts).values())) == sorted(broker.sizes)
    assert len({fact.id for fact in facts}) == len(facts)
    assert [fact.seq for fact in facts] == list(range(1, len(facts) + 1))
    assert len({fact.producer for fact in facts}) == 1
    assert await redis.xlen(Keys("main").orders) == len(facts)
