"""What kind of broker the stand-in is: instruments, the flags of an account, what it rejects and how fast it fills."""

from decimal import Decimal
from typing import Literal

from msgspec import Struct

D = Decimal


class Instrument(Struct, frozen=True, kw_only=True, rename="camel"):
    """One tradable thing as `/instruments` shows it. Quantities are lots of `lot_size` base units."""

    name: str
    description: str
    type: str = "forex"
    min_qty: Decimal = D("0.01")
    max_qty: Decimal = D("100")
    qty_step: Decimal = D("0.01")
    lot_size: Decimal = D("100000")
    pip_size: Decimal
    pip_value: Decimal
    min_tick: Decimal


class Price(Struct, frozen=True):
    """What an instrument can be sold and bought at."""

    bid: Decimal
    ask: Decimal


EURUSD = Instrument(
    name="EURUSD", description="Euro vs US Dollar", pip_size=D("0.0001"), pip_value=D("10"), min_tick=D("0.00001")
)
GBPUSD = Instrument(
    name="GBPUSD", description="Pound vs US Dollar", pip_size=D("0.0001"), pip_value=D("10"), min_tick=D("0.00001")
)
XAUUSD = Instrument(
    name="XAUUSD",
    description="Gold vs US Dollar",
    type="commodity",
    lot_size=D("100"),
    pip_size=D("0.1"),
    pip_value=D("10"),
    min_tick=D("0.01"),
)

INSTRUMENTS = (EURUSD, GBPUSD, XAUUSD)


class Rules(Struct, frozen=True, kw_only=True):
    """How one broker behaves. The default is a hedging broker that trades in lots and has position brackets.

    `fill_delay` is in seconds. An order above `refuse_above` is refused in the reply, one above `reject_above` is
    accepted and rejected later. `dotted_ids` gives brackets ids like `7.TP.1731600000000`, `names_positions` puts a
    position's id on its order. `shows_closing_orders` lists the orders that close a position, `keeps_closed` its row
    with quantity 0. `keep_final` is how many seconds a finished order stays in the list; TradingView asks for 60.
    `streams` offers rows in answers that never end. Every so many polls (0: none) one gets no answer, its connection
    is cut; every so many trading calls one is carried out and gets no answer.
    """

    multiposition: bool = True
    position_brackets: bool = True
    close_position: bool = True
    partial_close: bool = True
    native_reverse: bool = True
    preview: bool = True
    executions: bool = True
    dotted_ids: bool = True
    names_positions: bool = True
    shows_closing_orders: bool = False
    keeps_closed: bool = False
    fill_delay: float = 0.15
    refuse_above: Decimal | None = D("50")
    reject_above: Decimal | None = None
    keep_final: float = 90.0
    streams: bool = True
    cuts_poll_every: int = 0
    loses_reply_every: int = 0
    instruments: tuple[Instrument, ...] = INSTRUMENTS

    def flags(self) -> dict[str, bool]:
        """The account flags by TradingView's names."""
        return {
            "supportOrderBrackets": True,
            "supportMarketBrackets": True,
            "supportPositionBrackets": self.position_brackets,
            "supportMultiposition": self.multiposition,
            "supportClosePosition": self.close_position,
            "supportPartialClosePosition": self.partial_close,
            "supportReversePosition": True,
            "supportNativeReversePosition": self.native_reverse,
            "supportPlaceOrderPreview": self.preview,
            "supportModifyOrderPreview": False,
            "supportExecutions": self.executions,
            "supportTrailingStop": True,
            "supportPLUpdate": True,
            "supportStopLimitOrders": True,
        }


OrderType = Literal["market", "limit", "stop", "stoplimit"]
Side = Literal["buy", "sell"]
Status = Literal["placing", "inactive", "working", "rejected", "filled", "cancelled"]
FINAL: frozenset[Status] = frozenset({"rejected", "filled", "cancelled"})


def opposite(side: Side) -> Side:
    """The other side."""
    return "sell" if side == "buy" else "buy"
