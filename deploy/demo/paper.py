"""A stand-in for TradingView's Paper Trading: its calls over HTTPS and the private feed, a websocket, on one host.

Every call is a POST with JSON under a form's content type, which keeps browsers from asking for permission first; who
calls is known by login cookies. There is no envelope: an answer with `error` is a refusal.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from deploy.demo import rows, websocket
from deploy.demo.broker import Quotes, allowed
from deploy.demo.forms import Refusal
from deploy.demo.paperbook import PaperBook
from deploy.demo.paperforms import Body
from deploy.demo.paperframes import ALERT, Frames
from deploy.demo.paperrows import Row
from deploy.demo.paperrules import PaperRules
from deploy.demo.rules import Price
from deploy.demo.serving import Served
from deploy.demo.web import Answer, Request, Response, Socket, Upgrade

FIRST_ID = 2169406222
ACCOUNTS = (1234567, 7654321)
FEED = "/message-pipe-ws/private_feed"
COOKIES = ("sessionid", "sessionid_sign", "device_t")


class Paper(Served):
    """Paper Trading of one login; `session` are the cookies that a page needs, `books` its accounts."""

    def __init__(
        self,
        quotes: Quotes,
        clock: Callable[[], float],
        rules: PaperRules | None = None,
        accounts: tuple[int, ...] = ACCOUNTS,
    ) -> None:
        """`clock` gives unix seconds."""
        super().__init__()
        self.rules = rules or PaperRules()
        self.session: Mapping[str, str] = {name: secrets.token_hex(16) for name in COOKIES}
        self._quotes = quotes
        self._clock = clock
        self._prices: dict[str, Price] = {}
        self._frames = Frames(odd=self.rules.odd_frames)
        self._listeners: set[asyncio.Queue[str]] = set()
        ids = count(FIRST_ID)
        self.books = {a: PaperBook(a, self.rules, ids, self._prices, self._pushing(a)) for a in accounts}
        self.advance()

    @property
    def listeners(self) -> int:
        """How many feeds are open."""
        return len(self._listeners)

    def advance(self) -> None:
        """Look at the prices and do everything that is due."""
        now = self._clock()
        for symbol in self.rules.symbols:
            self._prices[symbol.name] = self._quotes(symbol.feed, now)
        for book in self.books.values():
            book.advance(now)

    def answer(self, request: Request) -> Answer:
        """The answer to one request."""
        self.advance()
        known = all(request.cookies.get(name) == value for name, value in self.session.items())
        if request.path == FEED and websocket.is_wanted(request):
            return Upgrade(serve=self._feed) if known else Response(status=403)
        if request.method != "POST":
            # A page that asks for permission first (another content type would make it) does not get it.
            return self._reply(request, {"error": "method not allowed"}, 501)
        if not known:
            return self._reply(request, {"error": "not authorized"}, 401)
        try:
            return self._reply(request, self._route(request))
        except Refusal as refusal:
            return self._reply(request, {"error": str(refusal)}, self.rules.error_status)

    def _route(self, request: Request) -> Any:
        match request.path.strip("/").split("/"):
            case ["trading", "accounts"]:
                return [self._account(book) for book in self.books.values()]
            case ["trading", "get_currency_rate", "rate"]:
                return {"rate": 1}
            case ["trading", action, account] if account.isdigit() and int(account) in self.books:
                return self._trade(self.books[int(account)], action, _body(request))
            case _:
                raise Refusal("unknown method")

    def _trade(self, book: PaperBook, action: str, body: Body) -> Any:
        calls = {
            "place": book.place, "modify": book.modify, "cancel": book.cancel, "close_position": book.close,
            "modify_position": book.modify_position,
        }  # fmt: skip
        if action in calls:
            return calls[action](body, self._clock())
        match action:
            case "account":
                return book.shown()
            case "get_trades":
                return book.trades[-int(body.get("limit", 1000)) :]
            case _:
                raise Refusal("unknown method")

    def _account(self, book: PaperBook) -> Row:
        return {
            "accountId": book.account, "name": f"Paper {book.account}", "balance": book.balance,
            "initialBalance": self.rules.balance, "currency": "USD", "default": book.account == min(self.books),
            "hidden": False, "segment": "",
        }  # fmt: skip

    def _pushing(self, account: int) -> Callable[[str, Row], None]:
        def push(name: str, said: Row) -> None:
            for text in self._frames.of(account, name, said):
                for listener in self._listeners:
                    listener.put_nowait(text)

        return push

    async def _feed(self, socket: Socket) -> None:
        """Send everything that happens from now on; nothing is told twice, so who is late has missed it."""
        waiting: asyncio.Queue[str] = asyncio.Queue()
        self._listeners.add(waiting)
        try:
            await socket.send(ALERT)
            while True:
                await socket.send(await waiting.get())
        finally:
            self._listeners.discard(waiting)

    def _reply(self, request: Request, body: object, status: int = 200) -> Response:
        cors = allowed(request, self.origins)
        if cors:
            cors["Access-Control-Allow-Credentials"] = "true"
        return Response(status=status, headers={"Content-Type": "application/json", **cors}, body=rows.encode(body))


def _body(request: Request) -> Body:
    try:
        body = request.json if request.body else {}
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Refusal("the body must be JSON")
    return body
