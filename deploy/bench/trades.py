"""Trades as the streams tell them, as many as wanted and always the same: what the archive's benchmarks store. Pure.

Each trade is opened by a market order and closed again within hours; its account follows with two outcomes and two
deals. Some openings are denied. Sizes of the messages are those of real ones.
"""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from msgspec import Struct

from shared import facts, outcomes
from shared.facts import Amount, Exposure

ACCOUNTS = ("main", "second")
SOURCE, SOURCE_ACCOUNT = "bench", "10001"
PRICES = {"EURUSD": Decimal("1.08512"), "GBPUSD": Decimal("1.26904"), "XAUUSD": Decimal("2643.15")}
LOT = Decimal("0.01")
DENIED_SHARE = 0.04
MARK = 2**52


class Trade(Struct, frozen=True, kw_only=True):
    """What one trade put on the orders stream and what its account put on the outcomes stream, in their order."""

    facts: tuple[facts.Fact, ...]
    answers: tuple[outcomes.Message, ...]


class Drawn(Struct, frozen=True, kw_only=True):
    """What chance decided about a trade; `lots` is signed."""

    number: int
    account: str
    instrument: str
    lots: Decimal
    opened: datetime
    closed: datetime
    price: Decimal
    exit: Decimal
    milliseconds: float
    denied: bool


def trades(first: int, count: int, start: datetime, pause: timedelta, producer: str) -> Iterator[Trade]:
    """Trades number `first` … `first + count - 1`, one each `pause` from `start` on."""
    for number in range(first, first + count):
        yield trade(_drawn(number, start + (number - first) * pause), producer, 2 * (number - first) + 1)


def trade(drawn: Drawn, producer: str, seq: int) -> Trade:
    """One trade; its facts have the producer's sequences `seq` and `seq + 1`."""
    opening, closing = _opening(drawn, producer, seq), _closing(drawn, producer, seq + 1)
    if drawn.denied:
        refused = _outcome(drawn, opening, "denied", (), reason="too-old", text="it was 14.2 s old; the limit is 10 s")
        return Trade(facts=(opening, closing), answers=(refused, _outcome(drawn, closing, "ignored", ())))
    answers = (
        _outcome(drawn, opening, "filled", (_step(drawn, opening, "open"),)),
        _deal(drawn, "in"),
        _outcome(drawn, closing, "closed", (_step(drawn, closing, "reduce"),)),
        _deal(drawn, "out"),
    )
    return Trade(facts=(opening, closing), answers=answers)


def _drawn(number: int, opened: datetime) -> Drawn:
    chance = random.Random(number)
    instrument = chance.choice(tuple(PRICES))
    price = PRICES[instrument]
    tick = Decimal(1).scaleb(int(price.as_tuple().exponent))
    return Drawn(
        number=number,
        account=chance.choice(ACCOUNTS),
        instrument=instrument,
        lots=LOT * chance.choice((-3, -2, -1, 1, 2, 3)),
        opened=opened,
        closed=opened + timedelta(seconds=chance.randrange(5, 20_000)),
        price=price + tick * chance.randrange(-200, 200),
        exit=price + tick * chance.randrange(-200, 210),
        milliseconds=chance.lognormvariate(1.5, 0.6),
        denied=chance.random() < DENIED_SHARE,
    )


def _opening(drawn: Drawn, producer: str, seq: int) -> facts.OrderPlaced:
    order = facts.Order(id=str(drawn.number), type="market", side=_side(drawn.lots), quantity=abs(drawn.lots))
    exposure = _exposure(drawn, 1, Amount(), Amount(coming=drawn.lots))
    levels = facts.Levels(stop_loss=drawn.price * Decimal("0.9"), take_profit=drawn.price * Decimal("1.1"))
    name = f"order:{drawn.number}/1"
    return facts.OrderPlaced(
        order=order, exposure=exposure, levels=levels, **_header(drawn, name, producer, seq, drawn.opened, drawn.price)
    )


def _closing(drawn: Drawn, producer: str, seq: int) -> facts.PositionClosed:
    exposure = _exposure(drawn, 2, Amount(held=drawn.lots), Amount(held=drawn.lots, coming=-drawn.lots))
    name = f"position:p{drawn.number}/2"
    return facts.PositionClosed(exposure=exposure, **_header(drawn, name, producer, seq, drawn.closed, drawn.exit))


def _exposure(drawn: Drawn, revision: int, before: Amount, after: Amount) -> Exposure:
    return Exposure(position=f"p{drawn.number}", revision=revision, before=before, after=after)


def _header(drawn: Drawn, name: str, producer: str, seq: int, at: datetime, price: Decimal) -> dict[str, Any]:
    return {
        "id": f"{SOURCE}/{SOURCE_ACCOUNT}/{name}",
        "source": SOURCE,
        "account": SOURCE_ACCOUNT,
        "instrument": drawn.instrument,
        "model": "hedging",
        "producer": producer,
        "seq": seq,
        "captured": at,
        "asked": at - timedelta(milliseconds=60),
        "uncertainty": 0.0004,
        "price": price,
        "quote": facts.Quote(bid=price, ask=price),
        "contract": facts.Contract(unit="lots", lot_size=Decimal(100_000), currency="EUR"),
    }


def _outcome(
    drawn: Drawn,
    fact: facts.Fact,
    result: outcomes.Result,
    steps: tuple[outcomes.StepReport, ...],
    reason: str = "",
    text: str = "",
) -> outcomes.Outcome:
    return outcomes.Outcome(
        fact=fact.id,
        account=drawn.account,
        result=result,
        captured=fact.captured,
        read=fact.captured + _ms(drawn, 0.6),
        committed=fact.captured + _ms(drawn, 3),
        instrument=drawn.instrument,
        entry=f"{int(fact.captured.timestamp() * 1000)}-0",
        reason=reason,
        text=text,
        steps=steps,
    )


def _step(drawn: Drawn, fact: facts.Fact, kind: outcomes.StepKind) -> outcomes.StepReport:
    opening = kind == "open"
    return outcomes.StepReport(
        name="open" if opening else "close",
        kind=kind,
        action="open" if opening else "close",
        symbol=drawn.instrument,
        result="done",
        side=_side(drawn.lots if opening else -drawn.lots),
        volume=abs(drawn.lots),
        price=drawn.price if opening else drawn.exit,
        ticket=drawn.number,
        deal=2 * drawn.number + (not opening),
        mark=MARK + 2 * drawn.number + (not opening),
        retcode=10009,
        sent=fact.captured + _ms(drawn, 1),
        answered=fact.captured + _ms(drawn, 2.5),
    )


def _deal(drawn: Drawn, entry: str) -> outcomes.Deal:
    opening = entry == "in"
    at = drawn.opened if opening else drawn.closed
    profit = Decimal(0) if opening else (drawn.exit - drawn.price) * drawn.lots * 1000
    return outcomes.Deal(
        account=drawn.account,
        deal=2 * drawn.number + (not opening),
        order=2 * drawn.number + (not opening),
        position=drawn.number,
        symbol=drawn.instrument,
        side=_side(drawn.lots if opening else -drawn.lots),
        entry="in" if opening else "out",
        volume=abs(drawn.lots),
        price=drawn.price if opening else drawn.exit,
        time=at + _ms(drawn, 2.4),
        seen=at + _ms(drawn, 2.5),
        mark=MARK + 2 * drawn.number + (not opening),
        profit=profit,
        commission=Decimal("-0.07"),
    )


def _ms(drawn: Drawn, share: float) -> timedelta:
    return timedelta(microseconds=int(drawn.milliseconds * share * 1000))


def _side(lots: Decimal) -> facts.Side:
    return "buy" if lots > 0 else "sell"
