"""The stand-in broker as a browser meets it: paths, envelope, errors, two accounts, cross-origin rules."""

import http.client
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from deploy.demo.broker import Broker
from deploy.demo.rules import Rules
from deploy.demo.web import Hangup, Request, Response, Stream
from tests.deploy.demo.conftest import Bench

BUY = {"instrument": "EURUSD", "qty": "0.1", "side": "buy", "type": "market"}
QUERY = {"locale": "en", "requestId": "k3v9x0q2ab"}


class Browser:
    """Asks a broker without a network."""

    def __init__(self, bench: Bench, rules: Rules | None = None) -> None:
        self.bench = bench
        self.broker = Broker(bench.quote, bench.clock, rules)
        self.headers = {"authorization": f"Bearer {self.broker.token}", "origin": "https://www.tradingview.com"}
        self.status = 0
        self.answered: dict[str, str] = {}

    def ask(self, method: str, path: str, form: dict[str, str] | None = None, **query: str) -> Any:
        body = urlencode(form or {}).encode()
        request = Request(method=method, path=path, query=QUERY | query, headers=self.headers, body=body)
        response = self.broker.answer(request)
        assert isinstance(response, Response)
        self.status, self.answered = response.status, dict(response.headers)
        return msgspec.json.decode(response.body) if response.body else None

    def wait(self) -> None:
        self.bench.now += 1


@pytest.fixture
def browser(bench: Bench) -> Browser:
    return Browser(bench)


def test_a_market_order_with_brackets_is_answered_and_polled_as_the_protocol_says(browser: Browser) -> None:
    placed = browser.ask("POST", "/accounts/10001/orders", BUY | {"stopLoss": "1.083", "takeProfit": "1.09"})
    order = placed["d"]["orderId"]
    assert placed["s"] == "ok"
    assert placed["d"]["takeProfitOrderId"].startswith(f"{order}.TP.")
    assert placed["d"]["stopLossOrderId"].startswith(f"{order}.SL.")
    browser.wait()
    (position,) = browser.ask("GET", "/accounts/10001/positions")["d"]
    assert position | {"unrealizedPl": 0} == {
        "id": position["id"], "instrument": "EURUSD", "qty": 0.1, "side": "buy", "avgPrice": 1.08512, "unrealizedPl": 0,
    }  # fmt: skip
    first, target, stop = browser.ask("GET", "/accounts/10001/orders")["d"]
    assert (first["status"], first["filledQty"], first["avgPrice"]) == ("filled", 0.1, 1.08512)
    assert first["customFields"] == [{"id": "PositionId", "value": position["id"]}]
    assert (target["type"], target["limitPrice"], target["parentType"]) == ("limit", 1.09, "position")
    assert (stop["type"], stop["stopPrice"], stop["parentId"]) == ("stop", 1.083, position["id"])
    (execution,) = browser.ask("GET", "/accounts/10001/executions", instrument="EURUSD")["d"]
    assert (execution["orderId"], execution["isClose"], execution["positionId"]) == (order, False, position["id"])


def test_positions_are_moved_part_closed_and_closed(browser: Browser) -> None:
    browser.ask("POST", "/accounts/10001/orders", BUY)
    browser.wait()
    path = f"/accounts/10001/positions/{browser.ask('GET', '/accounts/10001/positions')['d'][0]['id']}"
    assert browser.ask("PUT", path, {"stopLoss": "1.084", "takeProfit": "1.092"}) == {"s": "ok"}
    assert browser.ask("DELETE", path, {"amount": "0.04"}) == {"s": "ok"}
    browser.wait()
    assert browser.ask("GET", path)["d"]["qty"] == 0.06
    assert browser.ask("DELETE", path) == {"s": "ok"}
    browser.wait()
    assert browser.ask("GET", "/accounts/10001/positions") == {"s": "ok", "d": []}


def test_bracket_ids_with_dots_are_addressed_encoded_or_not(browser: Browser) -> None:
    placed = browser.ask("POST", "/accounts/10001/orders", BUY | {"stopLoss": "1.083", "takeProfit": "1.09"})["d"]
    assert browser.ask("DELETE", f"/accounts/10001/orders/{placed['takeProfitOrderId']}") == {"s": "ok"}
    encoded = placed["stopLossOrderId"].replace(".", "%2E")
    assert browser.ask("DELETE", f"/accounts/10001/orders/{encoded}") == {"s": "ok"}


@pytest.mark.parametrize(
    ("method", "path", "form", "status"),
    [
        ("POST", "/accounts/10001/orders", BUY | {"qty": "80"}, 200),
        ("PUT", "/accounts/10001/orders/1", {"qty": "1"}, 200),
        ("DELETE", "/accounts/10001/positions/1", {}, 200),
        ("GET", "/accounts/10001/nothing", {}, 404),
        ("GET", "/accounts/99/orders", {}, 404),
        ("PATCH", "/accounts/10001/orders", {}, 404),
    ],
)
def test_errors_are_in_the_envelope_and_seldom_in_the_status(
    browser: Browser, method: str, path: str, form: dict[str, str], status: int
) -> None:
    answer = browser.ask(method, path, form)
    assert (answer["s"], browser.status) == ("error", status)
    assert answer["errmsg"]


def test_two_accounts_on_one_host_are_apart_and_share_no_ids(browser: Browser) -> None:
    one = browser.ask("POST", "/accounts/10001/orders", BUY)["d"]["orderId"]
    two = browser.ask("POST", "/accounts/10002/orders", BUY)["d"]["orderId"]
    assert one != two
    assert [o["id"] for o in browser.ask("GET", "/accounts/10001/orders")["d"]] == [one]
    assert [a["id"] for a in browser.ask("GET", "/accounts")["d"]] == ["10001", "10002"]


@pytest.mark.parametrize("token", ["", "Bearer", "Bearer stale"])
def test_a_stale_token_is_401_and_the_page_may_read_it(browser: Browser, token: str) -> None:
    browser.headers["authorization"] = token
    assert browser.ask("GET", "/accounts/10001/state")["s"] == "error"
    assert (browser.status, browser.answered["Access-Control-Allow-Origin"]) == (401, "https://www.tradingview.com")
    granted = browser.ask("POST", "/authorize", {"login": "a", "password": "b"})["d"]
    browser.headers["authorization"] = f"Bearer {granted['access_token']}"
    assert browser.ask("GET", "/accounts/10001/state")["d"] == {"balance": 100000, "unrealizedPl": 0, "equity": 100000}


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://www.tradingview.com", True),
        ("https://de.tradingview.com", True),
        ("https://tradingview.com.evil.example", False),
        ("http://www.tradingview.com", False),
    ],
)
def test_preflights_are_answered_for_the_page_and_nobody_else(browser: Browser, origin: str, allowed: bool) -> None:
    browser.headers = {"origin": origin}
    browser.ask("OPTIONS", "/accounts/10001/orders")
    assert browser.status == 204
    assert browser.answered.get("Access-Control-Allow-Origin") == (origin if allowed else None)


def test_a_preview_is_not_an_order(browser: Browser) -> None:
    assert browser.ask("POST", "/accounts/10001/previewOrder", BUY)["d"]["confirmId"]
    assert browser.ask("GET", "/accounts/10001/orders")["d"] == []


def test_what_the_page_loads_at_login_is_there(browser: Browser) -> None:
    assert browser.ask("GET", "/config")["d"]["pullingInterval"]["orders"] == 500
    assert browser.ask("GET", "/accounts")["d"][0]["config"]["supportMultiposition"] is True
    names = {i["name"]: i["lotSize"] for i in browser.ask("GET", "/accounts/10001/instruments")["d"]}
    assert names == {"EURUSD": 100000, "GBPUSD": 100000, "XAUUSD": 100}
    quotes = browser.ask("GET", "/quotes", symbols="EURUSD,NOPE", accountId="10001")["d"]
    assert [(q["s"], q["n"], q["v"].get("bid")) for q in quotes] == [("ok", "EURUSD", 1.08504), ("error", "NOPE", None)]


def test_an_order_needs_a_request_id(browser: Browser) -> None:
    assert browser.ask("POST", "/accounts/10001/orders", BUY, requestId="")["s"] == "error"


async def test_it_fills_without_being_asked(counter: Any) -> None:
    import asyncio
    import time

    book = counter.broker.books["10001"]
    order = book.place(BUY, time.time())
    async with asyncio.timeout(5):
        while order.status != "filled":
            await asyncio.sleep(0.01)


async def test_over_https_answers_are_compressed_for_those_who_can_read_it(counter: Any) -> None:
    import asyncio
    import gzip

    def fetch(encoding: str) -> tuple[str | None, bytes]:
        seat = counter.seat()
        connection = http.client.HTTPSConnection(seat.host, seat.port, context=seat.context, timeout=5)
        headers = {"Authorization": f"Bearer {seat.token}", "Accept-Encoding": encoding}
        connection.request("GET", "/accounts/10001/instruments?locale=en", headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.headers["Content-Encoding"], body

    plain = await asyncio.to_thread(fetch, "identity")
    packed = await asyncio.to_thread(fetch, "gzip")
    assert (plain[0], packed[0]) == (None, "gzip")
    assert gzip.decompress(packed[1]) == plain[1]


def test_every_so_many_polls_one_is_cut_and_nothing_else(bench: Bench) -> None:
    broker = Broker(bench.quote, bench.clock, Rules(cuts_poll_every=3))
    headers = {"authorization": f"Bearer {broker.token}"}

    def cut(path: str, method: str = "GET") -> bool:
        request = Request(method=method, path=f"/accounts/10001/{path}", query={}, headers=headers, body=b"")
        return isinstance(broker.answer(request), Hangup)

    assert [cut(path) for path in ("orders", "positions", "orders", "positions")] == [False, False, True, False]
    assert not any(cut("state") or cut("orders", "POST") for _ in range(3))


@pytest.mark.parametrize("name", ["orders", "positions"])
async def test_rows_can_be_streamed_where_the_broker_does_so(bench: Bench, name: str) -> None:
    browser = Browser(bench)
    request = Request(method="GET", path=f"/accounts/10001/stream/{name}", query={}, headers=browser.headers, body=b"")
    answer = browser.broker.answer(request)
    assert isinstance(answer, Stream)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://www.tradingview.com"
    assert msgspec.json.decode(await anext(answer.pieces)) == {"type": "snapshot", "d": []}
    assert browser.ask("GET", "/accounts/10001/stream/nothing")["s"] == "error"
    assert Browser(bench, Rules(streams=False)).ask("GET", f"/accounts/10001/stream/{name}")["s"] == "error"


def test_a_page_of_our_own_may_call_once_it_is_named(browser: Browser) -> None:
    browser.headers = {"origin": "https://localhost:4711"}
    browser.ask("OPTIONS", "/accounts/10001/orders")
    assert "Access-Control-Allow-Origin" not in browser.answered
    browser.broker.origins.add("https://localhost:4711")
    browser.ask("OPTIONS", "/accounts/10001/orders")
    assert browser.answered["Access-Control-Allow-Origin"] == "https://localhost:4711"


def test_every_so_many_trading_calls_one_is_carried_out_and_nobody_hears_of_it(bench: Bench) -> None:
    browser = Browser(bench, Rules(loses_reply_every=2))
    assert browser.ask("POST", "/accounts/10001/orders", BUY)["s"] == "ok"
    body = urlencode(BUY).encode()
    request = Request(method="POST", path="/accounts/10001/orders", query=QUERY, headers=browser.headers, body=body)
    assert isinstance(browser.broker.answer(request), Hangup)
    assert len(browser.ask("GET", "/accounts/10001/orders")["d"]) == 2
