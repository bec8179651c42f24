"""What kind of Paper Trading the stand-in is: its symbols, and which of the protocol's oddities it shows."""

from decimal import Decimal

from msgspec import Struct

D = Decimal


class PaperSymbol(Struct, frozen=True, kw_only=True):
    """One symbol as `EXCHANGE:TICKER`; `feed` is its name in the price feed. Quantities are base units or contracts.

    `point_value` is what one unit gains, in the account's currency, when the price rises by 1.
    """

    name: str
    type: str
    feed: str
    point_value: Decimal = D(1)


SYMBOLS = (
    PaperSymbol(name="OANDA:EURUSD", type="forex", feed="EURUSD"),
    PaperSymbol(name="OANDA:GBPUSD", type="forex", feed="GBPUSD"),
    PaperSymbol(name="BINANCE:BTCUSDT", type="crypto", feed="BTCUSD"),
    PaperSymbol(name="COMEX_MINI:MGC1!", type="futures", feed="XAUUSD", point_value=D(10)),
)


class PaperRules(Struct, frozen=True, kw_only=True):
    """How Paper Trading behaves, where sources differ or nothing is known for certain.

    A market order is filled in the reply (`fills_at_once`) or a moment later. `first_word` is the status in the first
    frame of a resting order; it can be `pending`, `working` or empty. `negative_shorts` pushes a short position's
    quantity below 0. `new_children` gives a level that is moved a new order, instead of moving the one it had.
    `shows_closing_orders` pushes the order that closes a position. `error_status` is the HTTP status of a refusal.
    With `odd_frames`, frames of other channels come between, and ids come as numbers and as text in turn.
    """

    symbols: tuple[PaperSymbol, ...] = SYMBOLS
    fills_at_once: bool = True
    first_word: str = "pending"
    negative_shorts: bool = True
    new_children: bool = False
    shows_closing_orders: bool = False
    odd_frames: bool = True
    error_status: int = 200
    refuse_above: Decimal = D(1_000_000)
    balance: Decimal = D(100_000)
