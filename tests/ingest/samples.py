"""Facts and exchanges for tests of what happens to them; what they say does not matter there."""

import base64
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlencode

from ingest.exchange import Exchange, capture
from ingest.source import Source
from shared.facts import Amount, Exposure, Order, OrderPlaced

START = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)

BROKER = Source(
    name="demo", host="broker.example", account="10001", quantity_unit="lots", positions="hedging"
)  # fmt: skip


def journal(outbox: Path) -> Path:
    """The oldest segment of an outbox, for a test to look at or to damage."""
    return min(outbox.glob("*.journal"))


def laid_open(content: bytes) -> bytes:
    """The content with all base64 in it decoded behind it: bodies are kept so, and would hide what they hold."""
    found = [content]
    for match in re.findall(rb'"([A-Za-z0-9+/]{8,}={0,2})"', content):
        with suppress(ValueError):
            found.append(base64.b64decode(match, validate=True))
    return b"\n".join(found)


def fact(seq: int, producer: str = "demo-1", source: str = "demo") -> OrderPlaced:
    """A market buy."""
    order = Order(id=str(1000 + seq), type="market", side="buy", quantity=Decimal("0.1"))
    after = Amount(coming=Decimal("0.1"))
    exposure = Exposure(position=f"o{order.id}", revision=1, before=Amount(), after=after)
    return OrderPlaced(
        id=f"{source}/10001/order:{order.id}@1", source=source, account="10001", instrument="EURUSD", model="hedging",
        producer=producer, seq=seq, captured=START + timedelta(seconds=seq), order=order, exposure=exposure,
    )  # fmt: skip


def request(
    method: str, path: str, form: dict[str, str] | None = None, *, flow: str = "f1", seconds: float = 0, port: int = 443
) -> Exchange:
    """A request of TradingView's page that has no reply yet."""
    return capture(
        flow=flow, method=method, url=f"https://broker.example:{port}{path}?locale=en",
        headers={"origin": "https://www.tradingview.com"}, body=urlencode(form or {}).encode(),
        asked=START + timedelta(seconds=seconds),
    )  # fmt: skip


def market_buy(flow: str = "f1", seconds: float = 0) -> Exchange:
    """A market order of 0.1 EURUSD that has no reply yet."""
    form = {
        "currentAsk": "1.08512",
        "currentBid": "1.08504",
        "instrument": "EURUSD",
        "qty": "0.1",
        "side": "buy",
        "type": "market",
    }
    return request("POST", "/accounts/10001/orders", form, flow=flow, seconds=seconds)
