"""A trader at a browser: HTTPS through the proxy, forms like TradingView's page sends them, and its steady polling.

Three kept connections, as a browser has several: one for what the trader does, one for each of the two polls. The
trader trusts one certificate authority only (the proxy's), so nothing works unless the proxy opens the traffic.
"""

import asyncio
import http.client
import logging
import secrets
import ssl
import string
import threading
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Struct

from shared.process import cancelled

log = logging.getLogger(__name__)

ORIGIN = "https://www.tradingview.com"
TIMEOUT_S = 30
Row = Mapping[str, Any]


class Refused(Exception):
    """The broker said no; the text is its own."""


class Quote(Struct, frozen=True):
    """Bid and ask on the trader's screen."""

    bid: Decimal
    ask: Decimal


class Seat(Struct, frozen=True, kw_only=True):
    """Where the trader sits: the broker's address, the proxy in between (None: there is none), whom to trust."""

    host: str
    port: int
    account: str
    token: str
    context: ssl.SSLContext
    proxy: tuple[str, int] | None = None


class Line:
    """One kept connection. A call that finds it broken is not repeated: an order must never be sent twice.

    A call runs in a thread, and nobody can break it off: when the trader leaves meanwhile, it hangs up at its end.
    """

    def __init__(self, seat: Seat) -> None:
        self._seat = seat
        self._connection: http.client.HTTPSConnection | None = None
        self._calling = threading.Lock()
        self._over = False

    def call(self, method: str, path: str, query: Mapping[str, str], form: Mapping[str, str] | None) -> Any:
        """What `d` of the answer holds. Raises Refused, or OSError or HTTPException and hangs up."""
        body = urlencode(sorted(form.items())) if form is not None else None
        target = f"{path}?{urlencode({'locale': 'en', **query})}"
        try:
            with self._calling:
                status, content = self._exchange(method, target, body)
        finally:
            if self._over:
                self.close()
        return _meaning(status, content)

    def _exchange(self, method: str, target: str, body: str | None) -> tuple[int, bytes]:
        try:
            connection = self._connection = self._connection or self._opened()
            connection.request(method, target, body, self._headers())
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self.hang_up()
            raise

    def close(self) -> None:
        """Hang up for good."""
        self._over = True
        if self._calling.acquire(blocking=False):
            self.hang_up()
            self._calling.release()

    def hang_up(self) -> None:
        """Hang up; the next call calls anew."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _opened(self) -> http.client.HTTPSConnection:
        seat = self._seat
        host, port = seat.proxy or (seat.host, seat.port)
        connection = http.client.HTTPSConnection(host, port, context=seat.context, timeout=TIMEOUT_S)
        if seat.proxy is not None:
            connection.set_tunnel(seat.host, seat.port)
        return connection

    def _headers(self) -> dict[str, str]:
        return {
            "Accept": "application/json",
            "Authorization": f"Bearer {self._seat.token}",
            "Content-Type": "application/x-www-form-urlencoded",
            "Origin": ORIGIN,
            "Referer": f"{ORIGIN}/",
        }


class Trader:
    """What a trader can do, and what the page shows of it: the rows of the latest good polls."""

    def __init__(self, seat: Seat, poll_s: float = 0.5) -> None:
        self._seat = seat
        self._poll_s = poll_s
        self._hands = Line(seat)
        self._path = f"/accounts/{quote(seat.account, safe='')}"
        self._changed = asyncio.Condition()
        self._polling: list[asyncio.Task[None]] = []
        self.orders: list[Row] = []
        self.positions: list[Row] = []
        self.polls = {"orders": 0, "positions": 0}

    async def sit_down(self) -> None:
        """Load what the page loads at login, then start to poll."""
        for path in ("/config", "/accounts", f"{self._path}/instruments", f"{self._path}/state"):
            await self._do("GET", path)
        self._polling = [asyncio.create_task(self._poll(name)) for name in ("orders", "positions")]

    async def leave(self) -> None:
        """Close the page; closing it again changes nothing."""
        await cancelled(*self._polling)
        self._polling = []
        self._hands.close()

    async def quote(self, instrument: str) -> Quote:
        """The prices that the order ticket shows."""
        query = {"symbols": instrument, "accountId": self._seat.account}
        (row,) = await self._do("GET", "/quotes", query)
        return Quote(Decimal(str(row["v"]["bid"])), Decimal(str(row["v"]["ask"])))

    async def place(self, instrument: str, side: str, qty: str, kind: str = "market", **more: str) -> str:
        """Send an order; `more` are further fields of the form. Returns the order's id. Raises Refused."""
        form = {"instrument": instrument, "side": side, "qty": qty, "type": kind, **more}
        form |= await self._seen(instrument)
        query = {"requestId": request_id()}
        answer = await self._do("POST", f"{self._path}/orders", query, form)
        return str(answer["orderId"])

    async def modify(self, order: str, instrument: str, **fields: str) -> None:
        """Edit a working order; `fields` state all that can be edited. Raises Refused."""
        form = {"id": order, "instrument": instrument, **fields, **await self._seen(instrument)}
        await self._do("PUT", f"{self._path}/orders/{quote(order, safe='')}", form=form)

    async def cancel(self, order: str) -> None:
        """Cancel a working order, or remove one bracket. Raises Refused."""
        await self._do("DELETE", f"{self._path}/orders/{quote(order, safe='')}")

    async def move(self, position: str, instrument: str, **levels: str) -> None:
        """State a position's levels anew. Raises Refused."""
        form = {**levels, **await self._seen(instrument)}
        await self._do("PUT", f"{self._path}/positions/{quote(position, safe='')}", form=form)

    async def close(self, position: str, amount: str | None = None) -> None:
        """Close a position, or part of it. Raises Refused."""
        form = {"amount": amount} if amount is not None else None
        await self._do("DELETE", f"{self._path}/positions/{quote(position, safe='')}", form=form)

    async def until(self, seen: Callable[["Trader"], bool], patience: float = 10.0) -> None:
        """Wait for the page to show something. Raises TimeoutError."""
        async with asyncio.timeout(patience), self._changed:
            await self._changed.wait_for(lambda: seen(self))

    async def looked_again(self) -> None:
        """Wait until each poll has gone out and come back once more; the first to come may have been on its way."""
        target = {name: count + 2 for name, count in self.polls.items()}
        await self.until(lambda page: all(page.polls[name] >= target[name] for name in target))

    async def _seen(self, instrument: str) -> dict[str, str]:
        price = await self.quote(instrument)
        return {"currentAsk": shortest(price.ask), "currentBid": shortest(price.bid)}

    async def _do(
        self, method: str, path: str, query: Mapping[str, str] | None = None, form: Mapping[str, str] | None = None
    ) -> Any:
        return await asyncio.to_thread(self._hands.call, method, path, query or {}, form)

    async def _poll(self, name: str) -> None:
        line = Line(self._seat)
        try:
            while True:
                try:
                    rows = await asyncio.to_thread(line.call, "GET", f"{self._path}/{name}", {}, None)
                except (OSError, http.client.HTTPException, Refused) as error:
                    # As the page does: what was shown stays, the next poll may succeed.
                    log.debug("a poll of %s failed: %s", name, error)
                else:
                    async with self._changed:
                        setattr(self, name, rows)
                        self.polls[name] += 1
                        self._changed.notify_all()
                await asyncio.sleep(self._poll_s)
        finally:
            line.close()


def request_id() -> str:
    """Ten alphanumerics, as the page makes them."""
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(10))


def shortest(value: Decimal) -> str:
    """A plain decimal without trailing zeros, as the page writes it."""
    return format(value.normalize(), "f")


def _meaning(status: int, content: bytes) -> Any:
    try:
        answer = msgspec.json.decode(content)
    except msgspec.DecodeError as error:
        raise http.client.HTTPException(f"HTTP {status} with a body that is not JSON") from error
    if not isinstance(answer, dict) or answer.get("s") != "ok":
        raise Refused(answer.get("errmsg", f"HTTP {status}") if isinstance(answer, dict) else f"HTTP {status}")
    return answer.get("d")
