"""What the page's JSON asks Paper Trading for, checked as it would be there. What cannot be done is a Refusal."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

from deploy.demo.forms import Refusal
from deploy.demo.paperrows import LABELS, Label, PaperOrder, PaperType
from deploy.demo.paperrules import PaperRules, PaperSymbol
from deploy.demo.rules import Side

Body = Mapping[str, Any]


def number(body: Body, name: str) -> Decimal | None:
    """A JSON number above 0, None when it is absent or null. Raises Refusal."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise Refusal(f"{name} must be a number above 0")
    return Decimal(str(value))


def levels(body: Body) -> dict[Label, Decimal | None]:
    """The levels that are said; null means that there shall be none. Raises Refusal."""
    return {label: number(body, label) for label in LABELS if label in body}


def symbol_of(body: Body, rules: PaperRules) -> PaperSymbol:
    """The symbol that is named. Raises Refusal."""
    for symbol in rules.symbols:
        if symbol.name == body.get("symbol"):
            return symbol
    raise Refusal(f"there is no symbol {body.get('symbol', '')!r}")


def order_id(body: Body) -> int:
    """The order that is named; its id must be a number. Raises Refusal."""
    found = body.get("id")
    if isinstance(found, bool) or not isinstance(found, int):
        raise Refusal("id must be a number")
    return found


def order(body: Body, rules: PaperRules, new_id: int) -> PaperOrder:
    """The order that is asked for. Raises Refusal."""
    symbol, kind, quantity = symbol_of(body, rules), body.get("type"), number(body, "qty")
    if kind not in ("market", "limit", "stop"):
        raise Refusal("type must be market, limit or stop")
    if body.get("side") not in ("buy", "sell"):
        raise Refusal("side must be buy or sell")
    price = number(body, "price")
    if quantity is None or (price is None and kind != "market"):
        raise Refusal("qty is missing" if quantity is None else "price is missing")
    if quantity > rules.refuse_above:
        raise Refusal("Not enough buying power")
    expires, asked = number(body, "expiration"), levels(body)
    return PaperOrder(
        id=new_id, symbol=symbol.name, symbol_type=symbol.type, side=cast(Side, body["side"]), qty=quantity,
        type=cast(PaperType, kind), status="placing" if kind == "market" else "working",
        price=None if kind == "market" else price, stop_loss=asked.get("sl"), take_profit=asked.get("tp"),
        expires=None if expires is None else int(expires),
    )  # fmt: skip
