"""A stand-in for a broker that TradingView trades with: its Broker REST protocol over HTTPS, on books of its own.

Forms in, JSON in an envelope out, and nearly every failure is `s: "error"` with HTTP status 200, as TradingView wants
it. Several accounts on one host. Prices come from outside; they are looked at before each request and twenty times a
second.
"""

import secrets
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from itertools import count
from typing import Any
from urllib.parse import unquote

from deploy.demo import forms, rows, rowstream
from deploy.demo.book import Book
from deploy.demo.forms import Refusal
from deploy.demo.rules import FINAL, Price, Rules
from deploy.demo.serving import Served
from deploy.demo.web import Answer, Hangup, Request, Response, Stream

FIRST_ID = 764986466
TOKEN_LIFE_S = 1800
HOST = "localhost"
ACCOUNTS = ("10001", "10002")

Quotes = Callable[[str, float], Price]
"""The price of an instrument at a moment in unix seconds."""

CORS = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "authorization, content-type",
    "Access-Control-Max-Age": "600",
}


class NoSuchPlace(Exception):
    """Nothing is at this path, or not for this method."""


class Broker(Served):
    """The broker; `books` are its own record of each account, for whoever wants to compare."""

    def __init__(
        self,
        quotes: Quotes,
        clock: Callable[[], float],
        rules: Rules | None = None,
        accounts: tuple[str, ...] = ACCOUNTS,
    ) -> None:
        """`clock` gives unix seconds."""
        super().__init__()
        self.rules = rules or Rules()
        self.token = secrets.token_urlsafe(24)
        self._quotes = quotes
        self._clock = clock
        self._prices: dict[str, Price] = {}
        ids = count(FIRST_ID)
        self.books: Mapping[str, Book] = {a: Book(a, self.rules, ids, self._prices) for a in accounts}
        self._polls, self._trades = count(1), count(1)
        self.advance()

    def advance(self) -> None:
        """Look at the prices and do everything that is due."""
        now = self._clock()
        for instrument in self.rules.instruments:
            self._prices[instrument.name] = self._quotes(instrument.name, now)
        for book in self.books.values():
            book.advance(now)

    def answer(self, request: Request) -> Answer:
        """The answer to one request."""
        self.advance()
        if request.method == "OPTIONS":
            return Response(status=204, headers={**self._allowed(request), **CORS})
        segments = [unquote(part) for part in request.path.split("/") if part]
        public = segments == ["authorize"]
        if not public and request.headers.get("authorization") != f"Bearer {self.token}":
            return self._reply(request, {"s": "error", "errmsg": "The access token is invalid or expired"}, 401)
        is_poll = request.method == "GET" and segments[2:] in (["orders"], ["positions"])
        if is_poll and _falls(self._polls, self.rules.cuts_poll_every):
            return Hangup()
        try:
            answer = self._route(request, segments)
        except Refusal as refusal:
            return self._reply(request, {"s": "error", "errmsg": str(refusal)})
        except NoSuchPlace:
            return self._reply(request, {"s": "error", "errmsg": "Not found"}, 404)
        is_trade = request.method != "GET" and segments[2:3] in (["orders"], ["positions"])
        if is_trade and _falls(self._trades, self.rules.loses_reply_every):
            return Hangup()
        if isinstance(answer, AsyncIterator):
            return Stream(headers={"Content-Type": rowstream.CONTENT_TYPE, **self._allowed(request)}, pieces=answer)
        return self._reply(request, {"s": "ok"} if answer is None else {"s": "ok", "d": answer})

    def _reply(self, request: Request, body: object, status: int = 200) -> Response:
        headers = {"Content-Type": "application/json", **self._allowed(request)}
        return Response(status=status, headers=headers, body=rows.encode(body))

    def _allowed(self, request: Request) -> dict[str, str]:
        return allowed(request, self.origins)

    def _route(self, request: Request, segments: list[str]) -> Any:
        match (request.method, *segments):
            case ("POST", "authorize"):
                return {"access_token": self.token, "expiration": int(self._clock()) + TOKEN_LIFE_S}
            case ("GET", "config"):
                return config()
            case ("GET", "accounts"):
                return [self._account(name) for name in self.books]
            case ("GET", "quotes"):
                return [self._quote(name) for name in request.query.get("symbols", "").split(",") if name]
            case (_, "accounts", account, *rest) if account in self.books:
                return self._of_account(request, self.books[account], rest)
            case _:
                raise NoSuchPlace

    def _of_account(self, request: Request, book: Book, segments: list[str]) -> Any:
        match (request.method, *segments):
            case ("GET", "instruments"):
                return self.rules.instruments
            case ("GET", "state"):
                return _state(book)
            case ("GET", "executions") if self.rules.executions:
                return [x for x in book.executions if x.instrument == request.query.get("instrument")]
            case ("GET", "ordersHistory"):
                return [order for order in book.orders.values() if order.status in FINAL]
            case ("POST", "previewOrder") if self.rules.preview:
                return _preview(request.form, self.rules, self._clock())
            case ("POST", "trackLatency"):
                return None
            case ("GET", "stream", *rest) if self.rules.streams:
                return _streamed(book, rest)
            case (_, "orders", *rest):
                return self._orders(request, book, rest)
            case (_, "positions", *rest):
                return self._positions(request, book, rest)
            case _:
                raise NoSuchPlace

    def _orders(self, request: Request, book: Book, segments: list[str]) -> Any:
        match (request.method, *segments):
            case ("GET",):
                return list(book.orders.values())
            case ("GET", order_id) if order_id in book.orders:
                return book.orders[order_id]
            case ("POST",):
                return self._place(request, book)
            case ("PUT", order_id):
                return book.modify(order_id, request.form, self._clock())
            case ("DELETE", order_id):
                return book.cancel(order_id, self._clock())
            case _:
                raise NoSuchPlace

    def _positions(self, request: Request, book: Book, segments: list[str]) -> Any:
        match (request.method, *segments):
            case ("GET",):
                return book.shown_positions()
            case ("GET", position_id) if position_id in book.positions:
                return book.positions[position_id]
            case ("PUT", position_id):
                return book.move(position_id, request.form, self._clock())
            case ("DELETE", position_id):
                return book.close(position_id, request.form, self._clock())
            case _:
                raise NoSuchPlace

    def _place(self, request: Request, book: Book) -> dict[str, str]:
        if not request.query.get("requestId"):
            raise Refusal("requestId is missing")
        order = book.place(request.form, self._clock())
        answer = {"orderId": order.id}
        for bracket in book.brackets_of(order) if self.rules.dotted_ids else ():
            answer["takeProfitOrderId" if bracket.type == "limit" else "stopLossOrderId"] = bracket.id
        return answer

    def _account(self, name: str) -> dict[str, Any]:
        return {
            "id": name,
            "name": f"Demo {name}",
            "type": "demo",
            "currency": "USD",
            "currencySign": "$",
            "config": self.rules.flags(),
        }

    def _quote(self, name: str) -> dict[str, Any]:
        price = self._prices.get(name)
        if price is None:
            return {"s": "error", "n": name, "v": {}}
        return {"s": "ok", "n": name, "v": {"lp": price.bid, "bid": price.bid, "ask": price.ask}}


def _falls(numbers: Iterator[int], every: int) -> bool:
    """Whether the next of the numbers is one of those that come every so many; 0 is never."""
    return next(numbers) % every == 0 if every else False


def config() -> dict[str, Any]:
    """What `/config` says: how often to poll, in milliseconds, and the durations on offer."""
    return {
        "accountManager": [],
        "durations": [
            {"id": "GTC", "title": "Good till cancelled"},
            {"id": "GTD", "title": "Good till date", "hasDatePicker": True, "hasTimePicker": True},
        ],
        "pullingInterval": {"quotes": 500, "orders": 500, "positions": 500, "accountManager": 1000, "balances": 1000},
    }


def _streamed(book: Book, segments: list[str]) -> AsyncIterator[bytes]:
    match segments:
        case ["orders"]:
            return rowstream.lines(lambda: list(book.orders.values()))
        case ["positions"]:
            return rowstream.lines(book.shown_positions)
        case _:
            raise NoSuchPlace


def _state(book: Book) -> dict[str, Any]:
    unrealized = sum(position.unrealized_pl for position in book.shown_positions())
    return {"balance": book.balance, "unrealizedPl": unrealized, "equity": book.balance + unrealized}


def _preview(form: forms.Form, rules: Rules, now: float) -> dict[str, Any]:
    order = forms.order(form, rules, "preview", now)
    sections = [{"header": "Order", "rows": [{"title": "Quantity", "value": str(order.qty)}]}]
    return {"sections": sections, "confirmId": secrets.token_hex(8)}


def allowed(request: Request, origins: Collection[str]) -> dict[str, str]:
    """The page's origin by its exact name, on every status code: TradingView's pages and `origins`, nobody else's."""
    origin = request.headers.get("origin", "")
    is_ours = origin in origins or (origin.startswith("https://") and origin.endswith(".tradingview.com"))
    return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"} if is_ours else {}
