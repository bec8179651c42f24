"""One sample of every kind of message, for tests of the contracts and of what carries them."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from msgspec import Raw

from shared import facts, outcomes

MOMENT = datetime(2026, 11, 25, 13, 30, 0, 123456, tzinfo=UTC)


def amount(held: str = "0", coming: str = "0") -> facts.Amount:
    return facts.Amount(held=Decimal(held), coming=Decimal(coming))


def exposure(before: facts.Amount, after: facts.Amount, revision: int = 1, position: str = "o1") -> facts.Exposure:
    return facts.Exposure(position=position, revision=revision, before=before, after=after)


def order(**changes: Any) -> facts.Order:
    fields: dict[str, Any] = {"id": "1", "type": "market", "side": "buy", "quantity": Decimal("0.1")}
    return facts.Order(**{**fields, **changes})


def header(**changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "id": "demo/10001/order:1/1",
        "source": "demo",
        "account": "10001",
        "instrument": "EURUSD",
        "model": "hedging",
        "producer": "outbox-1",
        "seq": 1,
        "captured": MOMENT,
        "quote": facts.Quote(bid=Decimal("1.08504"), ask=Decimal("1.08512")),
        "contract": facts.Contract(unit="lots", lot_size=Decimal(100000)),
    }
    return {**fields, **changes}


def placed(**changes: Any) -> facts.OrderPlaced:
    fields = {"order": order(), "exposure": exposure(amount(), amount(coming="0.1"))}
    return facts.OrderPlaced(**header(**{**fields, **changes}))


_GROWN = exposure(amount(), amount("0.1"))
_LIMIT = order(type="limit", limit_price=Decimal("1.08"))

FACTS: tuple[facts.Fact, ...] = (
    placed(),
    facts.OrderModified(**header(order=_LIMIT, exposure=exposure(amount(), amount()))),
    facts.OrderFilled(**header(order=order(filled=Decimal("0.1")), exposure=_GROWN)),
    facts.OrderEnded(**header(order=_LIMIT, exposure=exposure(amount(), amount()), reason="canceled")),
    facts.PositionOpened(**header(exposure=_GROWN)),
    facts.PositionChanged(**header(exposure=_GROWN, levels=facts.Levels(stop_loss=Decimal("1.07"), take_profit=None))),
    facts.PositionClosed(**header(exposure=exposure(amount("0.1"), amount("0.1", "-0.1")))),
    facts.PositionReversed(**header(exposure=exposure(amount("0.1"), amount("-0.1")))),
)

OUTCOMES: tuple[outcomes.Message, ...] = (
    outcomes.Outcome(fact="f", account="a", result="filled", captured=MOMENT, read=MOMENT, committed=MOMENT),
    outcomes.Pending(fact="f", account="a", state="unresolved", since=MOMENT),
    outcomes.Deal(
        account="a",
        deal=1,
        order=2,
        position=3,
        symbol="EURUSD",
        side="buy",
        entry="in",
        volume=Decimal("0.1"),
        price=Decimal("1.1"),
        time=MOMENT,
        seen=MOMENT,
    ),
    outcomes.Drift(account="a", position="p", symbol="EURUSD", expected=Decimal(1), actual=Decimal(0), seen=MOMENT),
    outcomes.Drift(
        account="a",
        position="p",
        symbol="EURUSD",
        expected=Decimal(1),
        actual=Decimal(0),
        seen=MOMENT,
        text="the source has none",
        finding="left-open",
        identity="left-open:p",
        remedy="close it",
        since=MOMENT,
        ended=MOMENT,
    ),
    outcomes.Notice(account="a", reason="removed", text="facts are missing", seen=MOMENT),
    outcomes.Kept(
        account="a",
        seen=MOMENT,
        memory=outcomes.Memory(links={"p": Raw(b'{"key":"p"}'), "q": Raw(b"null")}, passed={"outbox-1": 7}),
        whole=True,
        state={"identity": "1@Demo"},
    ),
)
