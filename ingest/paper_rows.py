"""The objects of Paper Trading as values: orders and positions in frames and answers.

Ids come as numbers or as text, a short position's quantity may be negative, and a level that is absent is not removed.
"""

from decimal import Decimal

from msgspec import UNSET

from ingest.calls import LevelName, OrderRow, OrdersShown, PositionRow, PositionsShown, Standing
from ingest.exchange import JSON, Frame, number, read_json
from ingest.rest_rows import Unusable, held, moment, order_type, positive, priced, side, text
from shared.facts import Level, Levels, OrderType, Unit

_STANDINGS: tuple[tuple[str, Standing], ...] = (
    ("pend", "live"), ("work", "live"), ("plac", "live"), ("inact", "live"), ("fill", "filled"),
    ("cancel", "canceled"), ("reject", "rejected"), ("expir", "expired"),
)  # fmt: skip
_LABELS: dict[str, LevelName] = {"sl": "stop_loss", "tp": "take_profit"}
_UNITS: dict[str, Unit] = {
    "futures": "contracts", "forex": "units", "crypto": "units", "stock": "units", "fund": "units", "dr": "units",
}  # fmt: skip


def unit_of(symbol_type: str) -> Unit | None:
    """What a quantity of 1 is: base units of a currency pair, coins, shares, contracts. `None`: not known (metals)."""
    return _UNITS.get(symbol_type.lower())


def standing(value: object) -> Standing | None:
    """What an order's status word means; matched by its beginning. Empty: a pending order's first frame."""
    word = text(value).lower()
    if not word:
        return "live"
    return next((state for start, state in _STANDINGS if word.startswith(start)), None)


def level(value: object) -> Level:
    """A level that is said. ValueError: it is no price. 0 is left to the frames that follow, like `null`."""
    found = number(value)
    if found is None or found < 0:
        raise ValueError("no price")
    return found or UNSET


def _levels(said: dict[str, JSON]) -> Levels:
    """The levels that are said; what cannot be read says nothing."""
    return Levels(stop_loss=positive(said.get("sl")) or UNSET, take_profit=positive(said.get("tp")) or UNSET)


def frame_content(content: bytes) -> dict[str, JSON] | None:
    """What the trading channel says in a frame; `None` for every other channel, which is none of our business."""
    said = read_json(content)
    inner = _opened(said.get("text")) if isinstance(said, dict) else None
    if not isinstance(inner, dict) or inner.get("channel") != "trading":
        return None
    found = _opened(inner.get("content"))
    return found if isinstance(found, dict) else None


def _opened(value: JSON) -> JSON:
    return read_json(value.encode("utf-8", "replace")) if isinstance(value, str) else value


def order_update(said: dict[str, JSON], account: str, frame: Frame) -> OrdersShown | None:
    """The order of a frame."""
    row = _order(said)
    if row is None:
        return None
    return OrdersShown(
        account=account, flow=frame.flow, asked=frame.at, answered=frame.at, rows=(row,), complete=False, firm=True
    )


def _order(said: dict[str, JSON]) -> OrderRow | None:
    kind, found_side, state = order_type(said.get("type")), side(said.get("side")), standing(said.get("status"))
    quantity, name, symbol = number(said.get("qty")), text(said.get("id")), text(said.get("symbol"))
    if kind is None or found_side is None or state is None or not quantity or not name or not symbol:
        return None
    limit, stop = _prices(kind, said)
    if state == "live" and not priced(kind, limit, stop):
        return None
    filled = abs(quantity) if state == "filled" else Decimal(0)
    return OrderRow(
        id=name, instrument=symbol, side=found_side, type=kind, quantity=abs(quantity), standing=state, filled=filled,
        limit_price=limit, stop_price=stop, average_price=_average(said) if filled else None,
        level=_LABELS.get(text(said.get("label")).lower()), parent=text(said.get("parent")), parent_type="order",
        expires=moment(said.get("expiration")), levels=_levels(said),
    )  # fmt: skip


def _prices(kind: OrderType, said: dict[str, JSON]) -> tuple[Decimal | None, Decimal | None]:
    price = positive(said.get("price"))
    limit = positive(said.get("limit_price")) or (price if kind in ("limit", "stoplimit") else None)
    stop = positive(said.get("stop_price")) or (price if kind == "stop" else None)
    return limit, stop


def _average(said: dict[str, JSON]) -> Decimal | None:
    return positive(said.get("avg_price")) or positive(said.get("price"))


def position_update(said: dict[str, JSON], account: str, frame: Frame) -> PositionsShown | None:
    """The position of a frame."""
    row = _position(said)
    if row is None:
        return None
    return PositionsShown(
        account=account, flow=frame.flow, asked=frame.at, answered=frame.at, rows=(row,), complete=False, firm=True
    )


def _position(said: JSON) -> PositionRow | None:
    """A position by its symbol. Flat is `empty` or a quantity of 0; the side decides the sign where it is said."""
    symbol = text(said.get("symbol")) if isinstance(said, dict) else ""
    if not symbol:
        return None
    quantity = _signed(text(said.get("side")).lower(), held(said.get("qty")))
    if quantity is None:
        return None
    average = positive(said.get("avg_price"))
    return PositionRow(id=symbol, instrument=symbol, quantity=quantity, average_price=average, levels=_levels(said))


def _signed(word: str, quantity: Decimal | None) -> Decimal | None:
    if word == "empty" or quantity == 0:
        return Decimal(0)
    if quantity is None or word not in ("buy", "sell", "long", "short", ""):
        return None
    if not word:
        return quantity
    return abs(quantity) if word in ("buy", "long") else -abs(quantity)


def read_positions(value: JSON) -> tuple[tuple[PositionRow, ...], frozenset[str]]:
    """The positions of an account's answer and the symbols of those that cannot be read. Raises Unusable."""
    if not isinstance(value, list) or not all(isinstance(v, dict) and text(v.get("symbol")) for v in value):
        raise Unusable("no list of positions")
    found = {text(v["symbol"]): _position(v) for v in value}
    return tuple(r for r in found.values() if r), frozenset(name for name, row in found.items() if row is None)
