"""What can be traded and at which price: symbol specifications, a seeded price feed and the broker's clock. Pure.

The feed is a function of (seed, symbol, time): two terminals with one seed agree on every price without talking to each
other, and a restarted one goes on where it was. A price that was set by request stays until it is set again.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

import msgspec

from executor.mt5.vocabulary import ExpirationFlag, FillingFlag, OrderFlag, SymbolCalcMode, SymbolExecution
from executor.mt5.vocabulary import SymbolTradeMode as TradeMode

Currency = Literal[
    "USD", "EUR", "GBP", "JPY", "AUD", "CAD", "CHF", "CNH", "CZK", "DKK", "HKD", "HUF", "INR", "MXN", "NOK", "NZD",
    "PLN", "SEK", "SGD", "THB", "TRY", "ZAR", "USC", "USDT",
]  # fmt: skip
"""What an account can be kept in. USC is the cent of cent accounts."""

DOLLARS: Mapping[str, Decimal] = {
    name: Decimal(dollars)
    for name, dollars in (
        ("AUD", "0.65"), ("CAD", "0.72"), ("CHF", "1.13"), ("CNH", "0.14"), ("CZK", "0.042"), ("DKK", "0.145"),
        ("HKD", "0.128"), ("HUF", "0.0026"), ("INR", "0.0118"), ("MXN", "0.049"), ("NOK", "0.09"), ("NZD", "0.59"),
        ("PLN", "0.25"), ("SEK", "0.092"), ("SGD", "0.75"), ("THB", "0.029"), ("TRY", "0.029"), ("ZAR", "0.055"),
        ("USC", "0.01"), ("USDT", "1"),
    )
}  # fmt: skip
"""What one unit of a currency that no symbol quotes is worth; it stands still."""

TICK_MS = 250
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_WAVES = ((3 * _HOUR_MS, 1.5e-3), (17 * 60_000, 5e-4), (97_000, 1.5e-4), (13_000, 4e-5))
_JITTER = 6e-6


class Symbol(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument. Volumes in lots, `spread` and levels in points, swap in points per night.

    `liquidity` is the most that one execution can fill (0: everything), `commission` the money per lot and side.
    """

    name: str
    description: str
    digits: int
    price: Decimal
    spread: int
    contract: Decimal
    base: str
    profit: str
    calc_mode: int = SymbolCalcMode.CFDLEVERAGE
    execution: int = SymbolExecution.MARKET
    filling: int = FillingFlag.FOK | FillingFlag.IOC
    expiration: int = ExpirationFlag.GTC | ExpirationFlag.DAY | ExpirationFlag.SPECIFIED | ExpirationFlag.SPECIFIED_DAY
    orders: int = int(~OrderFlag(0))
    trade_mode: int = TradeMode.FULL
    open: bool = True
    selected: bool = True
    stops_level: int = 0
    freeze_level: int = 0
    volume_min: Decimal = Decimal("0.01")
    volume_max: Decimal = Decimal(100)
    volume_step: Decimal = Decimal("0.01")
    volume_limit: Decimal = Decimal(0)
    liquidity: Decimal = Decimal(0)
    commission: Decimal = Decimal(0)
    swap_long: Decimal = Decimal(0)
    swap_short: Decimal = Decimal(0)
    tick: Decimal | None = None
    path: str = "Forex"

    @property
    def point(self) -> Decimal:
        """The smallest step that the digits can show."""
        return Decimal(1).scaleb(-self.digits)

    @property
    def tick_size(self) -> Decimal:
        """The smallest step of a price; the point unless the broker says otherwise."""
        return self.tick or self.point

    def rounded(self, price: Decimal) -> Decimal:
        """The price on the tick grid, in the symbol's digits."""
        ticks = (price / self.tick_size).quantize(Decimal(1), ROUND_HALF_UP)
        return (ticks * self.tick_size).quantize(self.point)


class Quote(msgspec.Struct, frozen=True):
    """Bid and ask at a moment (milliseconds, UTC). A bid of zero means that nobody quotes."""

    bid: Decimal
    ask: Decimal
    time: int

    @property
    def mid(self) -> Decimal:
        return (self.bid + self.ask) / 2


def _forex(name: str, price: str, spread: int, digits: int, swaps: tuple[str, str]) -> Symbol:
    return Symbol(
        name=name,
        description=f"{name[:3]} against {name[3:]}",
        digits=digits,
        price=Decimal(price),
        spread=spread,
        contract=Decimal(100_000),
        base=name[:3],
        profit=name[3:],
        calc_mode=SymbolCalcMode.FOREX,
        commission=Decimal("3.5"),
        swap_long=Decimal(swaps[0]),
        swap_short=Decimal(swaps[1]),
    )


def _index(name: str, description: str, price: str, spread: int, currency: str = "USD") -> Symbol:
    return Symbol(
        name=name,
        description=description,
        digits=1,
        price=Decimal(price),
        spread=spread,
        contract=Decimal(1),
        base=currency,
        profit=currency,
        execution=SymbolExecution.INSTANT,
        filling=FillingFlag.FOK,
        volume_min=Decimal("0.1"),
        volume_max=Decimal(250),
        volume_step=Decimal("0.1"),
        stops_level=20,
        path="Indices",
    )


def catalogue(suffix: str = "") -> dict[str, Symbol]:
    """The simulator's instruments by name, each name with the broker's suffix."""
    metal = Symbol(
        name="XAUUSD",
        description="Gold against US dollar",
        digits=2,
        price=Decimal("2650.40"),
        spread=18,
        contract=Decimal(100),
        base="XAU",
        profit="USD",
        filling=FillingFlag.IOC,
        stops_level=10,
        commission=Decimal("3.5"),
        swap_long=Decimal("-32.5"),
        swap_short=Decimal("14.2"),
        path="Metals",
    )
    coin = Symbol(
        name="BTCUSD",
        description="Bitcoin against US dollar",
        digits=2,
        price=Decimal("68250.00"),
        spread=1500,
        contract=Decimal(1),
        base="BTC",
        profit="USD",
        volume_max=Decimal(20),
        path="Crypto",
    )
    symbols = (
        _forex("EURUSD", "1.08450", 8, 5, ("-7.2", "2.9")),
        _forex("GBPUSD", "1.27120", 11, 5, ("-4.1", "-1.3")),
        _forex("USDJPY", "151.320", 10, 3, ("11.4", "-23.8")),
        metal,
        coin,
        _index("US30", "Wall Street 30", "44120.0", 24),
        _index("NAS100", "US technology 100", "20890.0", 14),
        _index("GER40", "Germany 40", "19420.0", 12, "EUR"),
    )
    return {name: msgspec.structs.replace(each, name=name) for each in symbols for name in (each.name + suffix,)}


def walk(symbol: Symbol, seed: int, now: int) -> Quote:
    """The seeded feed's quote at a time in milliseconds: slow waves and a little jitter around the base price."""
    tick = now // TICK_MS
    swing = sum(
        size * math.sin(2 * math.pi * (tick * TICK_MS / period + _unit(seed, symbol.name, period)))
        for period, size in _WAVES
    )
    jitter = _JITTER * (2 * _unit(seed, symbol.name, tick) - 1)
    bid = symbol.rounded(symbol.price * Decimal(repr(1 + swing + jitter)))
    return Quote(bid, bid + symbol.spread * symbol.point, tick * TICK_MS)


def still(symbol: Symbol, now: int) -> Quote:
    """The base price, for a market that moves only when it is told to."""
    bid = symbol.rounded(symbol.price)
    return Quote(bid, bid + symbol.spread * symbol.point, now)


def _unit(seed: int, name: str, n: int) -> float:
    digest = hashlib.blake2b(f"{seed}:{name}:{n}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


class Feed(msgspec.Struct, frozen=True):
    """Where prices come from: the seeded walk, or base prices that stand still."""

    seed: int = 1
    prices: Literal["walk", "still"] = "walk"

    def quote(self, symbol: Symbol, now: int) -> Quote:
        return walk(symbol, self.seed, now) if self.prices == "walk" else still(symbol, now)


def server_offset(now: int) -> int:
    """Milliseconds that the broker's clock is ahead of UTC: New York plus seven hours, with New York's summer time."""
    return (3 if _new_york_summer(now) else 2) * _HOUR_MS


def _new_york_summer(now: int) -> bool:
    days = now // _DAY_MS
    year = 1970 + int(days / 365.2425)
    while _days_before(year + 1) <= days:
        year += 1
    while _days_before(year) > days:
        year -= 1
    march, november = (_days_before(year) + 59 + _leap(year), _days_before(year) + 304 + _leap(year))
    starts = _first_sunday(march) * _DAY_MS + 7 * _DAY_MS + 7 * _HOUR_MS
    ends = _first_sunday(november) * _DAY_MS + 6 * _HOUR_MS
    return starts <= now < ends


def _days_before(year: int) -> int:
    past = year - 1
    return past * 365 + past // 4 - past // 100 + past // 400 - 719_162


def _leap(year: int) -> int:
    return int(_days_before(year + 1) - _days_before(year) == 366)


def _first_sunday(day: int) -> int:
    """The first Sunday on or after a day; day 0 of the epoch was a Thursday."""
    return day + (3 - day) % 7
