"""Paper Trading as a page meets it: paths, cookies, refusals, and the private feed."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deploy.demo import authority
from deploy.demo.paper import FEED, Paper
from deploy.demo.paperrules import PaperRules
from deploy.demo.rules import Price
from deploy.demo.web import Request, Response
from tests.deploy.demo.callers import Feed, connected
from tests.deploy.demo.conftest import Bench

BUY = {"symbol": "OANDA:EURUSD", "type": "market", "qty": 1000, "side": "buy"}


@pytest.fixture
def bench() -> Bench:
    found = Bench()
    found.prices["BTCUSD"] = Price(found.prices["XAUUSD"].bid, found.prices["XAUUSD"].ask)
    return found


class Page:
    """Asks without a network."""

    def __init__(self, bench: Bench, rules: PaperRules | None = None) -> None:
        self.paper = Paper(bench.quote, bench.clock, rules)
        self.headers = {"cookie": cookies(self.paper), "origin": "https://de.tradingview.com"}
        self.answered = Response()

    def ask(self, path: str, body: object = None, method: str = "POST") -> Any:
        content = b"" if body is None else json.dumps(body).encode()
        request = Request(method=method, path=path, query={}, headers=self.headers, body=content)
        answer = self.paper.answer(request)
        assert isinstance(answer, Response)
        self.answered = answer
        return json.loads(answer.body)


def cookies(paper: Paper) -> str:
    return "; ".join(f"{name}={value}" for name, value in paper.session.items())


@pytest.fixture
def page(bench: Bench) -> Page:
    return Page(bench)


def test_trading_and_reading(page: Page) -> None:
    placed = page.ask("/trading/place/1234567", BUY | {"sl": 1.07})
    assert isinstance(placed["id"], int)
    assert page.ask("/trading/modify_position/1234567", {"symbol": BUY["symbol"], "sl": 1.08})["sl"] == placed["id"] + 1
    account = page.ask("/trading/account/1234567", {})
    assert [(p["symbol"], p["qty"], p["sl"]) for p in account["positions"]] == [("OANDA:EURUSD", 1000, 1.08)]
    assert page.ask("/trading/account/7654321", {})["positions"] == []
    assert page.ask("/trading/close_position/1234567", {"symbol": BUY["symbol"]}) == {}
    trades = page.ask("/trading/get_trades/1234567", {"limit": 1000})
    assert [(t["side"], t["qty"]) for t in trades] == [("buy", 1000), ("sell", 1000)]
    assert [a["accountId"] for a in page.ask("/trading/accounts")] == [1234567, 7654321]
    assert page.ask("/trading/get_currency_rate/rate") == {"rate": 1}


def test_a_page_may_read_the_answers_with_its_cookies_and_others_may_not(page: Page) -> None:
    page.ask("/trading/accounts")
    assert page.answered.headers["Access-Control-Allow-Origin"] == "https://de.tradingview.com"
    assert page.answered.headers["Access-Control-Allow-Credentials"] == "true"
    page.headers["origin"] = "https://elsewhere.example"
    page.ask("/trading/accounts")
    assert not any(name.startswith("Access-Control") for name in page.answered.headers)


@pytest.mark.parametrize("cookie", ["", "sessionid=wrong"])
def test_who_is_not_logged_in_is_told_so(page: Page, cookie: str) -> None:
    page.headers["cookie"] = cookie
    assert page.ask("/trading/place/1234567", BUY) == {"error": "not authorized"}
    assert page.answered.status == 401


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "PUT"])
def test_everything_is_a_post(page: Page, method: str) -> None:
    page.ask("/trading/accounts", method=method)
    assert page.answered.status == 501


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/trading/place/1234567", BUY | {"qty": 0}),
        ("/trading/place/1234567", [1]),
        ("/trading/place/99", BUY),
        ("/trading/place/rate", BUY),
        ("/trading/nothing/1234567", {}),
        ("/nothing", {}),
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_a_refusal_is_an_error_without_an_envelope(bench: Bench, path: str, body: object, status: int) -> None:
    page = Page(bench, PaperRules(error_status=status))
    assert list(page.ask(path, body)) == ["error"]
    assert page.answered.status == status
    page.paper.answer(Request(method="POST", path=path, query={}, headers=page.headers, body=b"{nonsense"))


@pytest.fixture
async def feed(bench: Bench, tmp_path: Path) -> AsyncIterator[tuple[Paper, Feed]]:
    paper, context = await listening(bench, tmp_path)
    streams = await connected(("localhost", paper.port), context, "http/1.1")
    feed = await Feed.open(streams, FEED, {"Cookie": cookies(paper)})
    yield paper, feed
    feed.leave()
    await paper.stop()


async def listening(bench: Bench, folder: Path) -> tuple[Paper, ssl.SSLContext]:
    ca, context = authority.issue(folder, "localhost", datetime.now(UTC))
    paper = Paper(bench.quote, time.time)
    await paper.start(context)
    return paper, ssl.create_default_context(cafile=str(ca))


async def test_the_feed_tells_what_happens_on_all_accounts_of_the_login(feed: tuple[Paper, Feed]) -> None:
    paper, socket = feed
    assert json.loads(str(await socket.next()))["text"]["channel"] == "alerts"
    paper.books[1234567].place(BUY, 0)
    paper.books[7654321].place(BUY, 0)
    accounts, updates = set(), 0
    while updates < 2:
        told = json.loads(str(await socket.next()))["text"]
        if told["channel"] == "trading":
            accounts.add(int(told["content"]["accountId"]))
            updates += told["content"]["m"] == "position_update"
    assert accounts == {1234567, 7654321}


async def test_whoever_leaves_the_feed_is_forgotten(feed: tuple[Paper, Feed]) -> None:
    paper, socket = feed
    await socket.next()
    assert paper.listeners == 1
    socket.leave()
    async with asyncio.timeout(5):
        while paper.listeners:
            await asyncio.sleep(0.01)


async def test_the_feed_is_for_those_who_are_logged_in(bench: Bench, tmp_path: Path) -> None:
    paper, context = await listening(bench, tmp_path)
    with pytest.raises(ConnectionRefusedError, match="403"):
        await Feed.open(await connected(("localhost", paper.port), context, "http/1.1"), FEED, {"Cookie": "a=b"})
    await paper.stop()
