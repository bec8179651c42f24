"""Every reason that an outcome can carry, as closed enumerations, each with its text in a trader's words.

`Reason` is why we denied something, `Ignored` why a fact needed nothing, `Obstacle` why MT5 refused or is owed
something. The texts take facts by name; a fact that is missing shows as `?` and never breaks an outcome.
"""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct


class Reason(StrEnum):
    """Why an opening (or a whole fact) was denied by us."""

    UNMAPPED_SYMBOL = "unmapped-symbol"
    NO_SPECIFICATION = "no-specification"
    UNIT_UNKNOWN = "unit-unknown"
    NO_STOP_LOSS = "no-stop-loss"
    SIZE_UNKNOWN = "size-unknown"
    SIZE_BELOW_MINIMUM = "size-below-minimum"
    SIZE_ABOVE_MAXIMUM = "size-above-maximum"
    VOLUME_LIMIT = "volume-limit"
    FOREIGN_POSITION = "foreign-position"
    ORDER_TYPE = "order-type"
    TOO_OLD = "too-old"
    NO_PRICE = "no-price"
    PRICE_RAN_AWAY = "price-ran-away"
    SPREAD = "spread"
    LOTS_PER_ORDER = "lots-per-order"
    LOTS_PER_SYMBOL = "lots-per-symbol"
    LOTS = "lots"
    POSITIONS = "positions"
    ORDERS_PER_MINUTE = "orders-per-minute"
    RISK = "risk"
    SYMBOL_DENIED = "symbol-denied"
    SIDE_DENIED = "side-denied"
    OUTSIDE_HOURS = "outside-hours"
    DAILY_LOSS = "daily-loss"
    DRAWDOWN = "drawdown"
    STATE = "state"
    EXIT_OWED = "exit-owed"


class Ignored(StrEnum):
    """Why a fact needed nothing on this account."""

    ALREADY_THERE = "already-there"
    SUPERSEDED = "superseded"
    NOTHING_HERE = "nothing-here"
    WAITS_FOR_FILL = "waits-for-fill"
    ORDER_COVERS = "order-covers"
    ROUNDED = "rounded"
    CLOSED_HERE = "closed-here"
    NOT_SHOWN = "not-shown"
    LEVELS_LEFT_ALONE = "levels-left-alone"
    SHADOW = "shadow"


class Obstacle(StrEnum):
    """Why MT5 did not do what it was asked, or what is known too little."""

    PRICE = "price"
    MARKET_CLOSED = "market-closed"
    FROZEN = "frozen"
    NO_MONEY = "no-money"
    TRADING_OFF = "trading-off"
    SYMBOL_OFF = "symbol-off"
    BROKER_LIMIT = "broker-limit"
    NOT_ALLOWED = "not-allowed"
    INVALID_REQUEST = "invalid-request"
    INVALID_VOLUME = "invalid-volume"
    INVALID_PRICE = "invalid-price"
    INVALID_STOPS = "invalid-stops"
    INVALID_EXPIRATION = "invalid-expiration"
    FILLING = "filling"
    BUSY = "busy"
    CHANGED = "changed"
    GONE = "gone"
    REFUSED = "refused"
    PLACED = "placed"
    PARTLY_DONE = "partly-done"
    NO_ANSWER = "no-answer"
    UNKNOWN_CODE = "unknown-code"
    NOT_SENT = "not-sent"
    SOURCE_UNFILLED = "source-unfilled"
    HALTED = "halted"
    BY_HAND = "by-hand"


class Denied(Struct, frozen=True, tag=True):
    """Our refusal, with the facts that its text names."""

    reason: Reason
    facts: Mapping[str, str] = {}

    @property
    def text(self) -> str:
        """The refusal as a trader would say it."""
        return say(self.reason, self.facts)


TEXTS: Mapping[Reason | Ignored | Obstacle, str] = {
    Reason.UNMAPPED_SYMBOL: "{instrument} has no symbol on this account: add it to the account's symbols.map",
    Reason.NO_SPECIFICATION: "the terminal does not tell the rules of {symbol}",
    Reason.UNIT_UNKNOWN: "the source does not say in which unit its quantities are: set quantity-unit",
    Reason.NO_STOP_LOSS: "sizing by risk needs a stop loss and the source has set none",
    Reason.SIZE_UNKNOWN: "the size cannot be computed: {missing} of {symbol} is not known",
    Reason.SIZE_BELOW_MINIMUM: "{lots} lots are below the least that {symbol} allows ({minimum})",
    Reason.SIZE_ABOVE_MAXIMUM: "{lots} lots are above the most that one order of {symbol} may have ({maximum})",
    Reason.VOLUME_LIMIT: "{lots} lots would go past the broker's limit of {limit} lots for {symbol}",
    Reason.FOREIGN_POSITION: "the account holds {symbol} the other way, and that volume is not ours to close",
    Reason.ORDER_TYPE: "{symbol} does not take {type} orders",
    Reason.TOO_OLD: "the order is {age} s old and openings are followed for {limit} s",
    Reason.NO_PRICE: "there is no price of {symbol} to compare with",
    Reason.PRICE_RAN_AWAY: "the price moved {drift} % from the source's {reference} to {price}; {limit} % are allowed",
    Reason.SPREAD: "the spread of {symbol} is {spread} % of the price; {limit} % are allowed",
    Reason.LOTS_PER_ORDER: "{lots} lots in one order; {limit} are allowed",
    Reason.LOTS_PER_SYMBOL: "{lots} lots of {symbol} would be open; {limit} are allowed",
    Reason.LOTS: "{lots} lots would be open in all; {limit} are allowed",
    Reason.POSITIONS: "{count} positions and orders are open; {limit} are allowed",
    Reason.ORDERS_PER_MINUTE: "{count} openings in the last minute; {limit} are allowed",
    Reason.RISK: "{money} {currency} ({percent} %) would be lost at the stop; {limit} % are allowed",
    Reason.SYMBOL_DENIED: "{symbol} is not to be traded on this account",
    Reason.SIDE_DENIED: "{side} orders are not to be copied to this account",
    Reason.OUTSIDE_HOURS: "openings are not allowed at this hour",
    Reason.DAILY_LOSS: "the day's loss is {percent} %; at {limit} % openings stop",
    Reason.DRAWDOWN: "equity is {percent} % below its peak; at {limit} % openings stop",
    Reason.STATE: "the account is {state}",
    Reason.EXIT_OWED: "the close before it is not done yet",
    Ignored.ALREADY_THERE: "the account is already there",
    Ignored.SUPERSEDED: "a newer state of the position has come since",
    Ignored.NOTHING_HERE: "nothing of it is on this account",
    Ignored.WAITS_FOR_FILL: "the order is followed when it fills",
    Ignored.ORDER_COVERS: "the resting order on this account covers it",
    Ignored.ROUNDED: "less than one step of volume; it is carried to the next change",
    Ignored.CLOSED_HERE: "already closed on this account",
    Ignored.NOT_SHOWN: "the source does not show it any more",
    Ignored.LEVELS_LEFT_ALONE: (
        "stop loss and take profit are left alone: the position also holds volume that is not this one's"
    ),
    Ignored.SHADOW: "the account is in shadow: nothing is sent",
    Obstacle.PRICE: "the broker's price moved and did not come back within the deviation",
    Obstacle.MARKET_CLOSED: "the market is closed",
    Obstacle.FROZEN: "the price is too close to the level, so the broker has frozen it",
    Obstacle.NO_MONEY: "there is not enough free margin",
    Obstacle.TRADING_OFF: "trading by program is switched off in the terminal or at the broker: press Algo Trading",
    Obstacle.SYMBOL_OFF: "the broker has switched trading of the symbol off",
    Obstacle.BROKER_LIMIT: "a limit of the broker on orders, volume or positions is reached",
    Obstacle.NOT_ALLOWED: "the broker does not allow this kind of trade",
    Obstacle.INVALID_REQUEST: "the broker calls the request invalid",
    Obstacle.INVALID_VOLUME: "the broker calls the volume invalid",
    Obstacle.INVALID_PRICE: "the broker calls the price invalid",
    Obstacle.INVALID_STOPS: "the broker calls stop loss or take profit invalid",
    Obstacle.INVALID_EXPIRATION: "the broker calls the expiration invalid",
    Obstacle.FILLING: "the broker takes none of the filling modes of the symbol",
    Obstacle.BUSY: "the broker is busy with the account or wants fewer requests",
    Obstacle.CHANGED: "the order or position changed meanwhile",
    Obstacle.GONE: "the position is closed already",
    Obstacle.REFUSED: "the broker refused without saying why",
    Obstacle.PLACED: "the broker has accepted the order and not filled it yet",
    Obstacle.PARTLY_DONE: "only a part was done",
    Obstacle.NO_ANSWER: "nobody knows whether it was done: no answer came",
    Obstacle.UNKNOWN_CODE: "the broker answered with a code that is in no list",
    Obstacle.NOT_SENT: "the terminal was not reached, nothing was sent",
    Obstacle.HALTED: "the account is halted: nothing is sent until it is resumed",
    Obstacle.BY_HAND: "ended by hand",
    Obstacle.SOURCE_UNFILLED: "the source's order ended unfilled, so what ours had filled was closed",
}
"""A text for every reason; a test holds this table and the enumerations together."""


def say(reason: Reason | Ignored | Obstacle, facts: Mapping[str, str] | None = None) -> str:
    """The text of a reason with its facts filled in."""
    return TEXTS[reason].format_map(_Facts(facts or {}))


class _Facts(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "?"
