"""No secret of the trader is kept or passed on: unmistakable ones are planted in the traffic, then every byte is read.

Searched are everything in Redis and its append-only file, the outbox, the logs at their most talkative, and whatever
else ingest has written.
"""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

import pytest
from redis.asyncio import Redis
from wsproto.events import TextMessage

from deploy.demo.paper import COOKIES, FEED
from deploy.demo.paperframes import ALERT
from deploy.demo.rules import Rules
from deploy.embedded import Valkey
from ingest.scope import Host
from shared import streams
from tests.deploy.demo.callers import Feed, connected
from tests.e2e.desk import HOST, PAPER_ACCOUNT, REST_ACCOUNT, Desk, desk
from tests.ingest.wire import fetch, trusting

pytestmark = pytest.mark.timeout(180)

NAMES = (
    *("bearer", "signature", "password", "oauth", "referer", "apikey", "cookie", "paper", "said", "refresh"),
    *COOKIES,
)
SECRETS = {name: f"PLANTED{name.replace('_', '')}9f3a" for name in NAMES}
ALERTS = "crossing 1.08"
"""Part of a frame of another channel, which is nobody's business."""
BUY = {"instrument": "EURUSD", "qty": "0.1", "side": "buy", "type": "market", "stopLoss": "1.08"}
SIGNED = {"digitalSignature": SECRETS["signature"]}


class Trader:
    """Trades through the proxy and spreads secrets."""

    def __init__(self, found: Desk) -> None:
        self.desk = found
        host, _, port = found.proxy.rpartition(":")
        self.proxy: Host = (host, int(port))
        found.broker.token = SECRETS["bearer"]
        found.paper.session = {name: SECRETS[name] for name in COOKIES}
        self.cookies = "; ".join(f"{name}={SECRETS[name]}" for name in COOKIES)
        self.headers = {
            "origin": "https://www.tradingview.com",
            "referer": f"https://www.tradingview.com/chart/?sid={SECRETS['referer']}",
            "x-api-key": SECRETS["apikey"],
        }

    async def rest(self, method: str, path: str, form: Mapping[str, str] | None = None, **query: str) -> Any:
        """A call to the broker; None when it gets no answer."""
        target = f"{path}?{urlencode({'locale': 'en', 'requestId': 'k3v9x0q2ab', **query})}"
        headers = {"authorization": f"Bearer {SECRETS['bearer']}", "cookie": f"session={SECRETS['cookie']}"}
        return await self._call(self.desk.broker.port, method, target, urlencode(form or {}).encode(), headers)

    async def paper(self, action: str, body: object) -> Any:
        path = f"/trading/{action}/{PAPER_ACCOUNT}"
        return await self._call(self.desk.paper.port, "POST", path, json.dumps(body).encode(), {"cookie": self.cookies})

    async def feed(self) -> Feed:
        context = trusting(self.desk.proxy_folder / "mitmproxy-ca-cert.pem")
        streams = await connected((HOST, self.desk.paper.port), context, "http/1.1", proxy=self.proxy)
        return await Feed.open(streams, FEED, {"Cookie": self.cookies, **self.headers})

    async def _call(self, port: int, method: str, target: str, body: bytes, more: Mapping[str, str]) -> Any:
        context = trusting(self.desk.proxy_folder / "mitmproxy-ca-cert.pem")
        headers = {"content-type": "application/x-www-form-urlencoded", **self.headers, **more}
        status, said = await asyncio.to_thread(
            fetch, self.proxy, (HOST, port), context, method, target, body, **headers
        )
        return json.loads(said) if status == 200 else None


async def trade_at_the_broker(trader: Trader) -> None:
    mine = f"/accounts/{REST_ACCOUNT}"
    login = {"login": "somebody", "password": SECRETS["password"], "refresh_token": SECRETS["refresh"]}
    assert (await trader.rest("POST", "/authorize", login))["d"]["access_token"] == SECRETS["bearer"]
    for path in ("/config", "/accounts", f"{mine}/instruments", f"{mine}/state"):
        await trader.rest("GET", path)
    await trader.rest("GET", f"{mine}/orders", code=SECRETS["oauth"], access_token=SECRETS["bearer"])
    await trader.rest("GET", f"{mine}/positions")
    placed = await trader.rest("POST", f"{mine}/orders", BUY | SIGNED, token=SECRETS["bearer"])
    assert placed["s"] == "ok"
    assert (await trader.rest("POST", f"{mine}/orders", BUY | SIGNED | {"qty": "80"}))["s"] == "error"
    limit = {"type": "limit", "limitPrice": "1.05", "stopLoss": "1.04"}
    order = (await trader.rest("POST", f"{mine}/orders", BUY | limit | SIGNED))["d"]["orderId"]
    await trader.rest("PUT", f"{mine}/orders/{order}", BUY | limit | SIGNED | {"qty": "0.2"})
    await trader.rest("POST", f"{mine}/unheard-of", SIGNED)
    for _ in range(4):
        await trader.rest("GET", f"{mine}/orders", access_token=SECRETS["bearer"])
        await trader.rest("GET", f"{mine}/positions")


async def trade_on_paper(trader: Trader) -> None:
    feed = await trader.feed()
    assert str(await feed.next()) == ALERT
    feed.send(TextMessage(data=json.dumps({"say": SECRETS["said"], "token": SECRETS["paper"]})))
    order = {"symbol": "OANDA:EURUSD", "type": "market", "qty": 1000, "side": "buy", "token": SECRETS["paper"]}
    assert (await trader.paper("place", order))["status"] == "filled"
    await trader.paper("account", {"token": SECRETS["paper"]})
    await trader.paper("place", order | {"qty": -1})
    feed.leave()


def written(folder: Path) -> Iterator[tuple[str, bytes]]:
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            yield str(file.relative_to(folder)), file.read_bytes()


async def stored(redis: Redis) -> dict[str, bytes]:
    """Every value in Redis as bytes, by key."""
    reads: dict[bytes, Callable[[bytes], Awaitable[Any]]] = {
        b"string": redis.get,
        b"hash": lambda key: cast(Awaitable[Any], redis.hgetall(cast(str, key))),
        b"stream": redis.xrange,
    }
    found = {}
    for key in cast(list[bytes], await redis.keys()):
        found[key.decode()] = repr(await reads[cast(bytes, await redis.type(key))](key)).encode()
    return found


def hidden(secret: str) -> list[bytes]:
    """The ways in which a secret could stand somewhere."""
    plain = secret.encode()
    return [plain, plain.hex().encode(), *(base64.b64encode(b"." * n + plain)[4:-4] for n in range(3))]


async def test_nothing_that_is_kept_or_published_holds_a_secret(valkey: Valkey, tmp_path: Path) -> None:
    folder = tmp_path / "desk"
    folder.mkdir()
    async with desk(folder, valkey.url, Rules(fill_delay=0, cuts_poll_every=5)) as found:
        trader = Trader(found)
        await trade_at_the_broker(trader)
        await trade_on_paper(trader)
        await found.facts("rest", lambda facts: len(facts) >= 4)
        await found.facts("paper", lambda facts: len(facts) >= 2)
    redis = streams.connect(valkey.url)
    places = dict(written(folder)) | await stored(redis) | dict(written(valkey.directory / "data"))
    await redis.aclose()
    where = {part: [name for name in places if part in name] for part in ("outbox/", "ingest.log", ":orders", ".aof")}
    assert all(where.values()), (where, list(places))
    for names in where.values():  # a search that finds nothing anywhere would be worth nothing
        assert any(b"EURUSD" in places[name] or b"the proxy listens" in places[name] for name in names)
    leaks = [
        (name, secret)
        for name, content in places.items()
        for secret in (*SECRETS.values(), ALERTS)
        if any(way in content for way in hidden(secret))
    ]
    assert leaks == []
