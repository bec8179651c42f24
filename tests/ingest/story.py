"""A trader and a broker on paper: builds the exchanges of a story and plays them to the picture."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import msgspec

from ingest.calls import Note
from ingest.exchange import Exchange, Frame, capture
from ingest.picture import Stamp, accounts, interpret, new_picture
from ingest.source import Source
from ingest.state import Picture
from shared.facts import Fact

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
BROKER = Source(name="fusion", host="broker.example", account="10001", quantity_unit="lots", positions="hedging")
NETTING = Source(
    name="tradovate", host="broker.example", account="10001", quantity_unit="contracts", positions="netting"
)
PAPER = Source(name="paper", host="papertrading.tradingview.com", protocol="paper", account="1234567")


class Story:
    """What happens, one second per exchange unless told otherwise, and what became of it."""

    def __init__(self, source: Source = BROKER, account: str = "10001") -> None:
        self.source = source
        self.account = account
        self.picture = new_picture(source, account)
        self.facts: list[Fact] = []
        self.notes: list[Note] = []
        self.now = START
        self.flows = 0

    # --- what passes the proxy -------------------------------------------------------------------------------------

    def exchange(
        self,
        method: str,
        path: str,
        form: Mapping[str, object] | bytes = b"",
        answer: object = None,
        *,
        status: int | None = 200,
        error: str = "",
        left: float = 0.1,
        flow: str = "",
    ) -> Exchange:
        """An exchange that ends now and whose request had left `left` seconds before."""
        self.flows += 1
        body = form if isinstance(form, bytes) else urlencode(sorted(form.items())).encode()
        given = answer if isinstance(answer, bytes) or answer is None else json.dumps(answer).encode()
        return capture(
            flow=flow or f"f{self.flows}",
            method=method,
            url=f"https://{self.source.host}{path}",
            body=body,
            headers={"origin": "https://www.tradingview.com"},
            asked=self.now - timedelta(seconds=left),
            status=None if error else status,
            answer=given,
            answered=None if status is None else self.now,
            error=error,
        )

    def hear(self, heard: Exchange | Frame) -> list[Fact]:
        """Let the picture have it; returns the facts that it gave. The picture survives a restart every time."""
        if self.account not in accounts(heard, self.source):
            return []
        stamp = Stamp(producer="p1", seq=len(self.facts) + 1, captured=self.now, uncertainty=0.001)
        found = interpret(self.picture, heard, self.source, stamp)
        self.picture = msgspec.json.decode(msgspec.json.encode(found.picture), type=Picture)
        self.facts += found.facts
        self.notes += found.notes
        return list(found.facts)

    def wait(self, seconds: float) -> None:
        """Time goes by."""
        self.now += timedelta(seconds=seconds)

    # --- Broker REST -----------------------------------------------------------------------------------------------

    def call(self, method: str, path: str, answer: object = None, **form: object) -> list[Fact]:
        """A trading call with its reply, a second after what was before."""
        self.wait(1)
        return self.hear(
            self.exchange(method, f"/accounts/{self.account}{path}?locale=en", form, answer or {"s": "ok"})
        )

    def place(self, order_id: str, **form: object) -> list[Fact]:
        """An accepted order; by default a market buy of 0.1 EURUSD."""
        terms = {"instrument": "EURUSD", "qty": "0.1", "side": "buy", "type": "market"} | form
        return self.call("POST", "/orders", {"s": "ok", "d": {"orderId": order_id}}, **terms)

    def poll(self, kind: str, rows: object, *, left: float = 0.1, after: float = 1) -> list[Fact]:
        """A good poll, by default a second after what was before."""
        self.wait(after)
        path = f"/accounts/{self.account}/{kind}?locale=en"
        return self.hear(self.exchange("GET", path, answer={"s": "ok", "d": rows}, left=left))

    def orders(self, *rows: object, left: float = 0.1, after: float = 1) -> list[Fact]:
        """A good poll of /orders."""
        return self.poll("orders", list(rows), left=left, after=after)

    def positions(self, *rows: object, left: float = 0.1, after: float = 1) -> list[Fact]:
        """A good poll of /positions."""
        return self.poll("positions", list(rows), left=left, after=after)

    # --- what is known ---------------------------------------------------------------------------------------------

    def kinds(self) -> list[str]:
        """The kinds of all facts so far."""
        return [type(f).__struct_config__.tag for f in self.facts]  # type: ignore[misc]

    def noted(self) -> set[str]:
        """The kinds of all notes so far."""
        return {n.kind for n in self.notes}


def order(order_id: str, status: str = "working", **fields: object) -> dict[str, object]:
    """A row of /orders; by default a market buy of 0.1 EURUSD."""
    return {
        "id": order_id,
        "instrument": "EURUSD",
        "qty": 0.1,
        "side": "buy",
        "type": "market",
        "status": status,
    } | fields


def position(position_id: str, qty: float = 0.1, side: str = "buy", **fields: object) -> dict[str, object]:
    """A row of /positions; by default long 0.1 EURUSD."""
    return {"id": position_id, "instrument": "EURUSD", "qty": qty, "side": side, "avgPrice": 1.08513} | fields


def bracket(
    name: str, price: float, level: str, parent: str, status: str = "working", **fields: object
) -> dict[str, object]:
    """A row of /orders that is the stop loss (`SL`) or take profit (`TP`) of `parent`."""
    kind, key = ("stop", "stopPrice") if level == "SL" else ("limit", "limitPrice")
    return order(name, status, side="sell", type=kind, parentId=parent, parentType="position") | {key: price} | fields
