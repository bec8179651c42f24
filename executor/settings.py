"""The `[executor]` section: which accounts there are, and for each how it follows, sizes, protects and trades.

Every number has its unit in its name or its docstring. What is left out has the safe value: real terminals compute and
send nothing until the operator writes `mode = "live"`, and every guard on openings is on.
"""

import re
from collections.abc import Mapping
from datetime import time
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from shared.facts import Model, Side
from shared.settings import Secret, Table, require_name

Count = Annotated[int, Meta(ge=1)]

Mode = Literal["shadow", "live"]
PendingOrders = Literal["auto", "mirror", "on-fill"]
SizingMode = Literal["fixed", "multiplier", "equity-ratio", "balance-ratio", "risk-percent", "notional"]
Action = Literal["notify", "close-only", "flatten"]

REAL_DEADLINE_S = 30.0

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60
_HOURS = re.compile(r"(?:([a-z]{3})(?:-([a-z]{3}))? )?(\d\d):(\d\d)-(\d\d):(\d\d)")


def _require_positive(table: Table) -> None:
    for name in table.__struct_fields__:
        value = getattr(table, name)
        if isinstance(value, Decimal) and not (value.is_finite() and value > 0):
            raise ValueError(f"{name.replace('_', '-')} must be above 0")


class Simulated(Table, frozen=True, kw_only=True, tag_field="kind", tag="simulated"):
    """A simulated terminal. Without `address` (`127.0.0.1:PORT`), `up` starts one."""

    address: str | None = None
    login: int = 0
    password: Secret | None = None
    server: str = ""
    margin_mode: Literal["hedging", "netting"] = "hedging"
    balance: Decimal = Decimal(100_000)
    currency: str = "USD"
    seed: int = 1
    prices: Mapping[str, Decimal] = {}
    child_command: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _require_positive(self)


class MetaTrader5(Table, frozen=True, kw_only=True, tag_field="kind", tag="metatrader5"):
    """A real terminal. `path` is the exact terminal64.exe of a copy that this account has for itself."""

    path: Path
    login: Count
    server: str
    password: Secret
    portable: bool = False
    child_command: tuple[str, ...] = ()


Terminal = Simulated | MetaTrader5


class Symbols(Table, frozen=True, kw_only=True):
    """How the source's instrument names become the broker's symbols: `map` first, then prefix + name + suffix."""

    map: Mapping[str, str] = {}
    prefix: str = ""
    suffix: str = ""


class SymbolSizing(Table, frozen=True, kw_only=True):
    """Sizing of one symbol; what is left out is as for the account."""

    mode: SizingMode | None = None
    lots: Decimal | None = None
    factor: Decimal | None = None
    reference: Decimal | None = None
    percent: Decimal | None = None
    amount: Decimal | None = None
    tiny: Literal["skip", "minimum"] | None = None

    def __post_init__(self) -> None:
        _require_positive(self)


def _require_complete(sizing: "Sizing") -> None:
    if sizing.mode in ("equity-ratio", "balance-ratio") and sizing.reference is None:
        raise ValueError(f"sizing mode {sizing.mode} needs `reference`, the source account's equity in our currency")
    if sizing.mode == "notional" and sizing.amount is None:
        raise ValueError("sizing mode notional needs `amount` in the account's currency")


class Sizing(Table, frozen=True, kw_only=True):
    """From the source's quantity to lots.

    `fixed`: `lots` for each opening. `multiplier`: the source's lots × `factor`. `equity-ratio`, `balance-ratio`: the
    same × our equity (balance) ÷ `reference`, the source account's in our currency. `risk-percent`: `percent` of equity
    lost at the stop. `notional`: a position worth `amount` in the account's currency. An order that fills bit by bit is
    one opening. `tiny` says what happens to a size below the symbol's minimum.
    """

    mode: SizingMode = "multiplier"
    lots: Decimal = Decimal("0.01")
    factor: Decimal = Decimal(1)
    reference: Decimal | None = None
    percent: Decimal = Decimal(1)
    amount: Decimal | None = None
    tiny: Literal["skip", "minimum"] = "skip"
    symbols: Mapping[str, SymbolSizing] = {}

    def __post_init__(self) -> None:
        _require_positive(self)
        _require_complete(self)
        for symbol in self.symbols:
            _require_complete(self.of(symbol))

    def of(self, symbol: str) -> "Sizing":
        """The sizing of one broker symbol, its override laid over the account's."""
        own = self.symbols.get(symbol)
        if own is None:
            return self
        said = {name: value for name in own.__struct_fields__ if (value := getattr(own, name)) is not None}
        base = {name: getattr(self, name) for name in self.__struct_fields__ if name != "symbols"}
        return Sizing(**(base | said))


class Hours(Struct, frozen=True):
    """A window of the week (UTC) in which openings are allowed.

    One that does not end after it starts runs past midnight; an end of 00:00 is the midnight that follows.
    """

    days: frozenset[int]
    start: time
    end: time


class Limits(Table, frozen=True, kw_only=True):
    """What an opening must respect; exits and stops are never held back by any of it.

    Ages are seconds, volumes lots, prices percent of the price. `hours` are windows such as `"mon-fri 07:00-21:00"`
    (UTC), none of them means always. 0 in a count or volume is not allowed: leave a limit out or raise it.
    """

    max_age: Decimal = Decimal(10)
    max_drift_percent: Decimal = Decimal("0.5")
    max_spread_percent: Decimal = Decimal("0.5")
    max_lots_per_order: Decimal = Decimal(10)
    max_lots_per_symbol: Decimal = Decimal(50)
    max_lots: Decimal = Decimal(100)
    max_positions: Count = 100
    max_orders_per_minute: Count = 60
    max_risk_percent: Decimal | None = None
    symbols_allowed: frozenset[str] = frozenset()
    symbols_denied: frozenset[str] = frozenset()
    sides: frozenset[Side] = frozenset({"buy", "sell"})
    hours: tuple[str, ...] = ()
    max_daily_loss_percent: Decimal = Decimal(10)
    max_drawdown_percent: Decimal = Decimal(30)
    on_breach: Action = "close-only"

    def __post_init__(self) -> None:
        _require_positive(self)
        self.windows()

    def windows(self) -> tuple[Hours, ...]:
        """`hours` as windows. Raises ValueError for a text that is none."""
        return tuple(parse_hours(text) for text in self.hours)


class Account(Table, frozen=True, kw_only=True):
    """One MetaTrader 5 account and how it follows its sources.

    `mode` absent: a real terminal starts in shadow, a simulated one is live. `act_on` says whether an order counts when
    the source accepts it or only when it has filled. `deviation` is in points. In seconds: `window` is how long after
    the fence a request may still be sent, `deadline` how long the terminal may take for it, and `grace` how long a
    mark is searched before it counts as absent; only past both can nothing be executed any more. `reconcile_every` is
    how often account and sources are compared. `doubles`: what becomes of an opening that was done twice all the same.
    """

    terminal: Terminal
    sources: tuple[str, ...] = ()
    mode: Mode | None = None
    act_on: Literal["accept", "fill"] = "accept"
    pending_orders: PendingOrders = "auto"
    stops: Literal["absolute", "offset"] = "absolute"
    join: Literal["new", "adopt"] = "new"
    doubles: Literal["report", "close"] = "report"
    symbols: Symbols = Symbols()
    sizing: Sizing = Sizing()
    limits: Limits = Limits()
    deviation: Annotated[int, Meta(ge=0)] = 20
    window: Annotated[float, Meta(gt=0)] = 5.0
    deadline: Annotated[float, Meta(gt=0)] = 30.0
    grace: Annotated[float, Meta(gt=0)] = 45.0
    reconcile_every: Annotated[float, Meta(gt=0)] = 5.0

    def __post_init__(self) -> None:
        if isinstance(self.terminal, MetaTrader5) and self.deadline < REAL_DEADLINE_S:
            raise ValueError(f"deadline must be at least {REAL_DEADLINE_S:g} s: brokers take that long at times")
        if self.grace <= self.window + self.deadline:
            raise ValueError("grace must be longer than window + deadline, or a late execution is missed")

    @property
    def live(self) -> bool:
        """Whether requests are sent: said so, or a simulated terminal about which nothing was said."""
        return self.mode == "live" or (self.mode is None and isinstance(self.terminal, Simulated))

    def mirrors(self, source: Model, margin: Model) -> bool:
        """Whether resting orders of such a source are mirrored on such an account.

        By itself a netting source on a hedging account is followed on fill: there a filled mirror would be a second
        position beside the one that it should reduce.
        """
        if self.pending_orders == "auto":
            return not (source == "netting" and margin == "hedging")
        return self.pending_orders == "mirror"


class Settings(Table, frozen=True, kw_only=True):
    """The section itself. `lease` is how long a lane that went silent keeps its account, in seconds."""

    metrics: str | None = None
    lease: Annotated[float, Meta(ge=1)] = 10.0
    accounts: Mapping[str, Account] = {}

    def __post_init__(self) -> None:
        for name, account in self.accounts.items():
            require_name(name)
            for source in account.sources:
                require_name(source)


def parse_hours(text: str) -> Hours:
    """`"mon-fri 07:00-21:00"`, `"sun 22:00-23:30"` or `"07:00-21:00"` (every day). Raises ValueError."""
    match = _HOURS.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is no time window such as 'mon-fri 07:00-21:00'")
    first, last, *clock = match.groups()
    start, end = (int(hours) * 60 + int(minutes) for hours, minutes in (clock[:2], clock[2:]))
    if any(int(minutes) > 59 for minutes in clock[1::2]) or not (start < DAY_MINUTES and end <= DAY_MINUTES):
        raise ValueError(f"{text!r} is no time window: the clock runs from 00:00 to 24:00")
    if start == end:
        raise ValueError(f"{text!r} ends when it starts: the whole day is 00:00-24:00")
    return Hours(_days(first, last), time(*divmod(start, 60)), time(*divmod(end % DAY_MINUTES, 60)))


def _days(first: str | None, last: str | None) -> frozenset[int]:
    if first is None:
        return frozenset(range(7))
    for name in (first, last or first):
        if name not in DAYS:
            raise ValueError(f"{name!r} is no day; the days are {', '.join(DAYS)}")
    begin, end = DAYS.index(first), DAYS.index(last or first)
    return frozenset((begin + step) % 7 for step in range((end - begin) % 7 + 1))
