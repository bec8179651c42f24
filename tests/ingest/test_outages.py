"""The promise of ingest as a whole: a real proxy process, a real server, both killed again and again amid trading."""

import asyncio
import http.client
import json
import os
import random
import signal
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest

from deploy.embedded import Valkey
from ingest.desk import GRACE
from ingest.recollection import recollect
from shared import streams
from shared.facts import Fact, OrderPlaced
from tests.ingest.test_service import ORDERS, POSITIONS, Scene, published, start, until_ready
from tests.ingest.wire import Asked, Authority, Origin, browser, new_authority, trusting, whole

ACTIONS = 500
PAGE = {"origin": "https://www.tradingview.com"}


class Broker:
    """Executes at once what it is asked, opens a position for each order, and shows everything when asked."""

    def __init__(self) -> None:
        self.orders: dict[str, Decimal] = {}
        self.held: dict[str, Decimal] = {}
        self.deeds: list[str] = []
        self.before_reply: asyncio.Event | None = None

    async def talk(self, asked: Asked, writer: Any) -> None:
        said = {"s": "ok"} | self._said(asked)
        if asked.method != "GET" and self.before_reply is not None:
            self.before_reply.set()
            writer.close()
            return
        await whole(json.dumps(said).encode())(asked, writer)

    def _said(self, asked: Asked) -> dict[str, Any]:
        path = asked.path.partition("?")[0]
        if asked.method == "POST":
            name = str(1001 + len(self.orders))
            size = Decimal(dict(parse_qsl(asked.body.decode()))["qty"])
            self.orders[name] = self.held[name] = size
            self.deeds.append(f"o{name}")
            return {"d": {"orderId": name}}
        if asked.method == "DELETE":
            name = path.rpartition("/P")[2]
            self.held.pop(name, None)
            self.deeds.append(f"c{name}")
            return {}
        return {"d": self._orders() if path == ORDERS else self._positions()}

    def _orders(self) -> list[dict[str, Any]]:
        return [
            {"id": name, "instrument": "EURUSD", "qty": float(size), "side": "buy", "type": "market"}
            | {"status": "filled", "filledQty": float(size), "avgPrice": 1.085}
            for name, size in self.orders.items()
        ]

    def _positions(self) -> list[dict[str, Any]]:
        return [
            {"id": f"P{name}", "instrument": "EURUSD", "qty": float(size), "side": "buy", "avgPrice": 1.085}
            for name, size in self.held.items()
        ]


class Replies(dict[str, Any]):
    """One handler for every path."""

    def __init__(self, broker: Broker) -> None:
        super().__init__()
        self._broker = broker

    def __missing__(self, path: str) -> Any:
        return self._broker.talk


class Trader:
    """A browser with one connection through the proxy, and the proxy's process."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.process: subprocess.Popen[bytes] | None = None
        self.connection: http.client.HTTPSConnection | None = None
        self.context: ssl.SSLContext | None = None

    async def begin(self) -> None:
        self.process = start(self.scene)
        await until_ready(self.scene)
        self.context = trusting(self.scene.directory / "data/proxy/mitmproxy-ca-cert.pem")
        self._connect()

    def _connect(self) -> None:
        assert self.context is not None
        if self.connection is not None:
            self.connection.close()
        host, _, port = self.scene.ready.read_text().strip().rpartition(":")
        self.connection = browser((host, int(port)), ("localhost", self.scene.origin.port), self.context)

    async def ask(self, method: str, path: str, **form: str) -> bytes:
        """The reply; raises OSError or HTTPException when there is none."""
        return await asyncio.to_thread(self._ask, method, path, urlencode(form).encode())

    def _ask(self, method: str, path: str, body: bytes) -> bytes:
        assert self.connection is not None
        try:
            self.connection.request(method, path, body or None, PAGE)
            return self.connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            self._connect()
            raise

    async def look(self, rounds: int = 1) -> list[str]:
        """Poll; the names of the positions that the panel shows."""
        rows: list[dict[str, Any]] = []
        for _ in range(rounds):
            await self.ask("GET", ORDERS)
            rows = json.loads(await self.ask("GET", POSITIONS))["d"]
        return [row["id"] for row in rows]

    async def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(self.process.communicate)

    async def end(self) -> None:
        """Let the proxy end by itself: what waits gets a moment to go out."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(self.process.communicate)

    async def leave(self) -> None:
        """Leave nothing behind."""
        if self.connection is not None:
            self.connection.close()
        if self.process is not None and self.process.poll() is None:
            await self.kill()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return new_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
async def origin(authority: Authority) -> AsyncIterator[Origin]:
    found = Origin(authority)
    async with await found.serve():
        yield found


async def act(trader: Trader, size: str, close: str | None) -> None:
    with suppress(OSError, http.client.HTTPException):
        if close is None:
            await trader.ask("POST", ORDERS, instrument="EURUSD", qty=size, side="buy", type="market")
        else:
            await trader.ask("DELETE", f"{POSITIONS}/{close}")


async def kill_between_request_and_reply(trader: Trader, broker: Broker, size: str, close: str | None) -> None:
    broker.before_reply = asyncio.Event()
    acting = asyncio.create_task(act(trader, size, close))
    await broker.before_reply.wait()
    await trader.kill()
    await acting
    broker.before_reply = None


async def kill_at_some_moment(trader: Trader, chance: random.Random, size: str, close: str | None) -> None:
    acting = asyncio.create_task(act(trader, size, close))
    await asyncio.sleep(chance.uniform(0, 0.02))
    await trader.kill()
    await acting


def check(facts: list[Fact], broker: Broker) -> None:
    """Each order once, each with the truth at its end, in order, numbered without a gap."""
    assert len({fact.id for fact in facts}) == len(facts)
    assert [fact.seq for fact in facts] == list(range(1, len(facts) + 1))
    assert len({fact.producer for fact in facts}) == 1
    placed = [fact.order.id for fact in facts if isinstance(fact, OrderPlaced)]
    called = [f.order.id for f in facts if isinstance(f, OrderPlaced) and f.evidence == "call"]
    assert called == sorted(called, key=int)
    assert len(placed) == len(set(placed))
    assert len(placed) > len(broker.orders) * 0.9, "all but those whose reply was lost are told by their call"
    totals: dict[str, Decimal] = {}
    held: dict[str, Decimal] = {}
    for fact in facts:
        exposure = fact.exposure
        assert exposure.before.total == totals.get(exposure.position, 0), "each fact follows the one before"
        totals[exposure.position], held[exposure.position] = exposure.after.total, exposure.after.held
    # A position is known by its order, or by its own id where the order's reply was lost; sizes are all different.
    assert sorted(total for total in totals.values() if total) == sorted(broker.held.values())
    assert sorted(total for total in held.values() if total) == sorted(broker.held.values())
    opened = [max(f.exposure.after.total for f in facts if f.exposure.position == key) for key in totals]
    assert sorted(opened) == sorted(broker.orders.values())


def stated(scene: Scene) -> int:
    """How many facts the journal holds in all."""
    return recollect(sorted(scene.plan().places.outbox.glob("*.journal"))).lines["demo"].seq


async def trade(trader: Trader, broker: Broker, server: Valkey) -> None:
    """500 actions, with the proxy killed amid five of them and the server dead for some."""
    chance = random.Random(20260302)
    kills = {45: "reply", 120: "moment", 230: "reply", 300: "moment", 410: "reply"}
    shown = await trader.look()
    for number in range(1, ACTIONS + 1):
        size = f"{number / 1000:.3f}"
        close = shown.pop(chance.randrange(len(shown))) if shown and number % 5 == 0 else None
        match kills.get(number):
            case "reply":
                await kill_between_request_and_reply(trader, broker, size, close)
            case "moment":
                await kill_at_some_moment(trader, chance, size, close)
            case _:
                await act(trader, size, close)
        if number in kills:
            await trader.begin()
            shown = await trader.look(4)
        elif number % 20 == 0:
            shown = await trader.look()
        if number == 180:
            os.kill(server.pid or 0, signal.SIGKILL)
            await asyncio.to_thread(server.stop)
        if number == 250:
            await server.started()
    # What no call explains is believed when every poll has to show what the last call did.
    await asyncio.sleep(GRACE.total_seconds())
    await trader.look(4)


@pytest.mark.timeout(600)
async def test_500_actions_while_server_and_proxy_are_killed_are_each_in_the_stream_once_and_in_order(
    origin: Origin, tmp_path: Path
) -> None:
    broker, server = Broker(), Valkey(tmp_path / "valkey")
    origin.replies = Replies(broker)
    server.start()
    scene = Scene(origin, tmp_path, server.url)
    trader = Trader(scene)
    try:
        await trader.begin()
        await trade(trader, broker, server)
        await trader.end()  # everything is in the journal then
        await trader.begin()  # and goes out, if it has not
        redis = streams.connect(server.url)
        facts = await published(redis, stated(scene))
        await redis.aclose()
        await trader.end()
    finally:
        await trader.leave()
        server.stop()
    check(facts, broker)
