"""What the browser's forms ask the stand-in broker for, checked as a broker would check it.

Every value arrives as text. What cannot be done is a Refusal; its text is what the trader reads.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import cast

from msgspec import Struct

from deploy.demo.rows import Duration, Order
from deploy.demo.rules import Instrument, OrderType, Price, Rules, Side

Form = Mapping[str, str]


class Refusal(Exception):
    """The broker does not do what was asked; the text goes into `errmsg`."""


class Brackets(Struct, frozen=True, kw_only=True):
    """Stop loss and take profit as prices, a trailing stop as a distance in pips; None is not asked for."""

    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    trailing_pips: Decimal | None = None


def number(form: Form, name: str) -> Decimal | None:
    """A number of the form above 0, None when it is absent. Raises Refusal."""
    text = form.get(name, "")
    if not text:
        return None
    try:
        value = Decimal(text)
    except ArithmeticError:
        value = Decimal("NaN")
    if not value.is_finite() or value <= 0:
        raise Refusal(f"{name} must be a number above 0")
    return value


def wanted(form: Form, name: str) -> Decimal:
    """A number that the form must have. Raises Refusal."""
    value = number(form, name)
    if value is None:
        raise Refusal(f"{name} is missing")
    return value


def brackets(form: Form) -> Brackets:
    """The levels that a form asks for."""
    return Brackets(
        stop_loss=number(form, "stopLoss"),
        take_profit=number(form, "takeProfit"),
        trailing_pips=number(form, "trailingStopPips"),
    )


def side_of(form: Form) -> Side:
    """The side a form names. Raises Refusal."""
    if form.get("side") not in ("buy", "sell"):
        raise Refusal("side must be buy or sell")
    return cast(Side, form["side"])


def duration_of(form: Form) -> Duration | None:
    """How long the order is good for; `durationDateTime` in unix seconds."""
    if "durationType" not in form:
        return None
    until = number(form, "durationDateTime")
    return Duration(form["durationType"], None if until is None else int(until))


def instrument_of(form: Form, rules: Rules) -> Instrument:
    """The instrument a form names. Raises Refusal."""
    for instrument in rules.instruments:
        if instrument.name == form.get("instrument"):
            return instrument
    raise Refusal(f"there is no instrument {form.get('instrument', '')!r}")


def order(form: Form, rules: Rules, order_id: str, now: float) -> Order:
    """The order that a place form asks for, working from now on. Raises Refusal."""
    kind = form.get("type")
    if kind not in ("market", "limit", "stop", "stoplimit"):
        raise Refusal("type must be market, limit, stop or stoplimit")
    return Order(
        id=order_id,
        instrument=instrument_of(form, rules).name,
        qty=quantity(wanted(form, "qty"), instrument_of(form, rules), rules),
        side=side_of(form),
        type=cast(OrderType, kind),
        status="working",
        last_modified=int(now),
        limit_price=wanted(form, "limitPrice") if "limit" in kind else None,
        stop_price=wanted(form, "stopPrice") if "stop" in kind else None,
        duration=duration_of(form),
    )


def quantity(value: Decimal, instrument: Instrument, rules: Rules) -> Decimal:
    """The quantity, if the instrument can be traded in it. Raises Refusal."""
    if rules.refuse_above is not None and value > rules.refuse_above:
        raise Refusal(f"Not enough money: {value} lots of {instrument.name} need more margin than the account has")
    if not instrument.min_qty <= value <= instrument.max_qty or value % instrument.qty_step:
        raise Refusal(
            f"qty must be a multiple of {instrument.qty_step} from {instrument.min_qty} to {instrument.max_qty}"
        )
    return value


def check_levels(asked: Brackets, side: Side, reference: Decimal) -> None:
    """Refuse levels on the wrong side of the price that a position on `side` is or would be opened at."""
    low, high = (asked.stop_loss, asked.take_profit) if side == "buy" else (asked.take_profit, asked.stop_loss)
    if (low is not None and low >= reference) or (high is not None and high <= reference):
        raise Refusal("Invalid stop loss or take profit: it is on the wrong side of the price")


def entry_price(order: Order, price: Price) -> Decimal:
    """The price at which an order would open its position: its own, or the market's."""
    market = price.ask if order.side == "buy" else price.bid
    return order.limit_price or order.stop_price or market
