"""One moment on the trading floor: the tables, the market and the clock, as every rule needs them. Pure."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from executor.mt5.simulator.market import DOLLARS, Feed, Quote, Symbol, server_offset
from executor.mt5.simulator.store import ZERO, Account, Position, Store
from executor.mt5.vocabulary import PositionType, SymbolCalcMode


class Floor:
    """The state at `now` (milliseconds UTC). Money is in the account's currency, rounded to its digits."""

    def __init__(self, store: Store, feed: Feed, now: int) -> None:
        self.store, self.feed, self.now = store, feed, now
        self._quotes: dict[str, Quote | None] = {}
        self._rates: dict[tuple[str, str], Decimal] = {}
        self._cent = Decimal(1).scaleb(-store.account.digits)

    @property
    def account(self) -> Account:
        return self.store.account

    @property
    def clock(self) -> int:
        """Milliseconds on the broker's clock."""
        return self.now + server_offset(self.now)

    def quote(self, name: str) -> Quote | None:
        """The price of a symbol now; None when nobody quotes it."""
        if name not in self._quotes:
            quote = self.store.quotes.get(name) or self.feed.quote(self.store.symbols[name], self.now)
            self._quotes[name] = quote if quote.bid > 0 else None
        return self._quotes[name]

    def market_price(self, name: str, buys: bool) -> Decimal | None:
        """What a market order pays: the ask when it buys, the bid when it sells."""
        quote = self.quote(name)
        if quote is None:
            return None
        return quote.ask if buys else quote.bid

    def closing_price(self, position: Position) -> Decimal | None:
        """What the position is worth now: a buy at the bid, a sell at the ask."""
        return self.market_price(position.symbol, position.type == PositionType.SELL)

    def rate(self, source: str, target: str) -> Decimal:
        """How much of `target` one unit of `source` is, at middle prices, through the dollar when there is no pair.

        Raises LookupError for a currency that no symbol quotes.
        """
        if source == target:
            return Decimal(1)
        if (source, target) not in self._rates:
            self._rates[source, target] = self._pair(source, target) or self._cross(source, target)
        return self._rates[source, target]

    def _cross(self, source: str, target: str) -> Decimal:
        if target == "USD" and source in DOLLARS:
            return DOLLARS[source]
        if source == "USD" and target in DOLLARS:
            return 1 / DOLLARS[target]
        if "USD" in (source, target):
            raise LookupError(f"no symbol converts {source} to {target}")
        return self.rate(source, "USD") * self.rate("USD", target)

    def _pair(self, source: str, target: str) -> Decimal | None:
        for symbol in self.store.symbols.values():
            if {symbol.base, symbol.profit} != {source, target}:
                continue
            quote = self.quote(symbol.name)
            price = quote.mid if quote else symbol.price
            return price if symbol.base == source else 1 / price
        return None

    def money(self, amount: Decimal) -> Decimal:
        return amount.quantize(self._cent, ROUND_HALF_UP)

    def profit(self, position: Position, volume: Decimal, price: Decimal) -> Decimal:
        """What closing `volume` of the position at `price` brings, without swap and commission."""
        symbol = self.store.symbols[position.symbol]
        return self.result(symbol, position.type == PositionType.BUY, volume, position.price, price)

    def result(self, symbol: Symbol, long: bool, volume: Decimal, opened: Decimal, closed: Decimal) -> Decimal:
        moved = closed - opened if long else opened - closed
        return self.money(moved * volume * symbol.contract * self.rate(symbol.profit, self.account.currency))

    def margin(self, symbol: Symbol, volume: Decimal, price: Decimal) -> Decimal:
        """Margin for a volume: forex by the base currency, everything else by its value; both over the leverage."""
        amount = volume * symbol.contract
        if symbol.calc_mode == SymbolCalcMode.FOREX:
            value = amount * self.rate(symbol.base, self.account.currency)
        else:
            value = amount * price * self.rate(symbol.profit, self.account.currency)
        return self.money(value / self.account.leverage)

    def floating(self) -> Decimal:
        """Profit of all open positions at present prices, without swap."""
        return sum((self.position_profit(position) for position in self.store.positions.values()), ZERO)

    def position_profit(self, position: Position) -> Decimal:
        price = self.closing_price(position)
        return ZERO if price is None else self.profit(position, position.volume, price)

    def equity(self) -> Decimal:
        swap = sum((position.swap for position in self.store.positions.values()), ZERO)
        return self.account.balance + self.account.credit + self.floating() + swap

    def used_margin(self) -> Decimal:
        """Margin of all positions; of two opposite sides of one symbol only the larger counts."""
        sides: dict[tuple[str, int], Decimal] = {}
        for position in self.store.positions.values():
            need = self.margin(self.store.symbols[position.symbol], position.volume, position.price)
            sides[position.symbol, position.type] = sides.get((position.symbol, position.type), ZERO) + need
        names = {name for name, _ in sides}
        return sum((max(sides.get((name, 0), ZERO), sides.get((name, 1), ZERO)) for name in names), ZERO)

    def free_margin(self) -> Decimal:
        return self.equity() - self.used_margin()

    def held(self, symbol: str) -> Position | None:
        """The position of a netting account in a symbol."""
        return next((each for each in self.store.positions.values() if each.symbol == symbol), None)
