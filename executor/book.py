"""One account as a decision needs it: what MT5 holds, and what we hold of it for which source position.

A `Link` ties one position of a source to our part of the account. Volumes are lots as Decimal and unsigned unless said;
prices are the account's. All of it is plain values, so a decision can be replayed from them.
"""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from shared.facts import Levels, OrderType, Side
from shared.outcomes import Result

Margin = Literal["hedging", "netting"]
Execution = Literal["request", "instant", "market", "exchange"]


class Specification(Struct, frozen=True, kw_only=True):
    """A symbol's rules. `stops_level` and `freeze_level` are in points; `tick_value` is money per tick and lot.

    `filling_mode`, `order_mode` and `expiration_mode` are the vendor's bit masks, `trade_mode` its enumeration.
    `volume_limit` is 0 where there is none.
    """

    symbol: str
    digits: int
    point: Decimal
    tick_size: Decimal
    tick_value: Decimal
    contract_size: Decimal
    volume_min: Decimal
    volume_max: Decimal
    volume_step: Decimal
    volume_limit: Decimal = Decimal(0)
    stops_level: int = 0
    freeze_level: int = 0
    filling_mode: int = 3
    execution: Execution = "market"
    trade_mode: int = 4
    order_mode: int = 127
    expiration_mode: int = 15
    currency_base: str = ""
    currency_profit: str = ""
    currency_margin: str = ""


class Price(Struct, frozen=True, kw_only=True):
    """The newest tick of a symbol; `seen` is when we got it (UTC)."""

    bid: Decimal
    ask: Decimal
    seen: datetime


class Figures(Struct, frozen=True, kw_only=True):
    """The account's money, in its currency.

    `day_start` is equity when `day` began (by the broker's clock where that is known), `peak` the highest so far; money
    that was paid in or out has moved both. `explained` is the balance and credit that the deals of the history account
    for, and `since` (UTC) when what they do not explain began to be as it is. `readable`: the terminal's newest numbers
    were numbers; else these are older ones, by which nothing can be decided.
    """

    currency: str
    balance: Decimal
    equity: Decimal
    margin_free: Decimal
    leverage: int = 100
    day: date | None = None
    day_start: Decimal | None = None
    peak: Decimal | None = None
    credit: Decimal = Decimal(0)
    explained: Decimal | None = None
    since: datetime | None = None
    readable: bool = True

    @property
    def money(self) -> Decimal:
        """What only deals change: balance and credit."""
        return self.balance + self.credit

    @property
    def unexplained(self) -> Decimal:
        """What the account's money has changed by without a deal that says why."""
        return Decimal(0) if self.explained is None else self.money - self.explained

    @property
    def counted(self) -> Decimal:
        """Equity as limits on losses see it: without what is not explained yet."""
        return self.equity if self.since is None else self.equity - self.unexplained


class Holding(Struct, frozen=True, kw_only=True):
    """A position in the terminal, ours or not. `identifier` never changes, `ticket` is what requests name."""

    ticket: int
    identifier: int
    symbol: str
    side: Side
    volume: Decimal
    price: Decimal
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    magic: int = 0


class Resting(Struct, frozen=True, kw_only=True):
    """A pending order in the terminal, ours or not."""

    ticket: int
    symbol: str
    type: OrderType
    side: Side
    volume: Decimal
    price: Decimal
    stop_limit: Decimal | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    magic: int = 0


class Part(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one opening of ours gave: on a hedging account a position of its own, on a netting one a share of it."""

    ticket: int
    identifier: int
    volume: Decimal
    side: Side
    mark: int = 0


class Pending(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A resting order of ours that mirrors one of the source. `filled` is what it gave so far, in lots.

    `volume` stands for the `quantity` (source's unit) that the source's order had still to fill when this was placed,
    `base` being filled before; `matched` of it was filled when it was last followed. `carried` are lots that an order
    before it, of another size, had given ahead of the source. Quantity 0: the source's order is over.
    """

    ticket: int
    type: OrderType
    side: Side
    volume: Decimal
    price: Decimal
    mark: int = 0
    filled: Decimal = Decimal(0)
    quantity: Decimal = Decimal(0)
    base: Decimal = Decimal(0)
    matched: Decimal = Decimal(0)
    carried: Decimal = Decimal(0)


class Link(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One source position and our part of the account for it.

    `followed` is the signed source total (source's unit) that was last followed, `revision` the position's revision
    then. `remainder` is volume (signed lots) lost to rounding, carried to the next change. `levels` are the source's
    newest, in source prices, and `shift` is what was added to them for our prices. `pendings` are our resting orders by
    the source's order id. A `tombstone` says that
    the position was closed on MT5 by hand or by a level: it stays closed.
    """

    key: str
    instrument: str
    symbol: str
    revision: int = 0
    followed: Decimal = Decimal(0)
    parts: tuple[Part, ...] = ()
    remainder: Decimal = Decimal(0)
    levels: Levels = Levels()
    shift: Decimal = Decimal(0)
    pendings: Mapping[str, Pending] = {}
    tombstone: bool = False

    @property
    def own(self) -> Decimal:
        """Our signed volume of it, in lots."""
        return sum((p.volume if p.side == "buy" else -p.volume for p in self.parts), Decimal(0))

    @property
    def over(self) -> bool:
        """Whether nothing of it is left, here or at the source."""
        return not self.parts and not self.pendings and self.followed == 0


class Owing(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A fact whose outcome waits for a debt. `did` is what of it was done before, and is then its result."""

    fact: str
    entry: str
    captured: datetime
    attempt: int = 1
    did: Result | None = None


class Debt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An exit still to be done: bring `link` down to `target` (signed lots; 0 closes it).

    `fact` made the debt (empty: an operator or a limit did); `also` are later facts of the link that moved the target,
    all end with it. `meaning` is what the marks of its steps are made from, whatever moves the target, and `sought`
    names the steps that may have been sent before it was made. `since` is when it was owed first; `attempts` counts
    the tries whose end is known, `did` is what the fact has done already, when that is more than the debt.
    """

    link: str
    fact: str
    entry: str
    target: Decimal
    since: datetime
    captured: datetime
    attempt: int = 1
    attempts: int = 0
    meaning: str = ""
    sought: tuple[str, ...] = ()
    reason: str = ""
    did: Result | None = None
    also: tuple[Owing, ...] = ()

    @property
    def owing(self) -> tuple[Owing, ...]:
        """Every fact whose outcome waits for this debt."""
        if not self.fact:
            return self.also
        first = Owing(fact=self.fact, entry=self.entry, captured=self.captured, attempt=self.attempt, did=self.did)
        return (first, *self.also)


class Book(Struct, frozen=True, kw_only=True):
    """The account: who it is, its rules, its prices and money, what it holds, and our links by key.

    `earlier` are the prices of the last minute, the newest last.
    """

    account: str
    identity: str
    margin: Margin
    figures: Figures
    specifications: Mapping[str, Specification]
    prices: Mapping[str, Price]
    holdings: Mapping[int, Holding]
    restings: Mapping[int, Resting]
    links: Mapping[str, Link]
    earlier: Mapping[str, tuple[Price, ...]] = {}
    symbols: frozenset[str] = frozenset()
    fifo_close: bool = False


def link_key(source: str, account: str, position: str) -> str:
    """The key of the link to one position of one source account."""
    return f"{source}/{account}/{position}"
