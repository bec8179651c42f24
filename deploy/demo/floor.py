"""Where orders meet prices at the stand-in broker: what the market gives, what an order fills at, what it is worth."""

from collections.abc import Mapping
from decimal import Decimal

from deploy.demo.rows import Order, Position
from deploy.demo.rules import Instrument, Price, Rules, Side, opposite


class Floor:
    """The instruments of a broker at its present `prices`, which change from outside."""

    def __init__(self, rules: Rules, prices: Mapping[str, Price]) -> None:
        self.prices = prices
        self.instruments: Mapping[str, Instrument] = {x.name: x for x in rules.instruments}

    def market(self, instrument: str, side: Side) -> Decimal:
        """What a side trades at: buyers at the ask, sellers at the bid."""
        price = self.prices[instrument]
        return price.ask if side == "buy" else price.bid

    def price_of(self, order: Order) -> Decimal:
        """What an order fills at: a limit's own or better, else the market's."""
        market = self.market(order.instrument, order.side)
        better = min if order.side == "buy" else max
        return market if order.limit_price is None else better(order.limit_price, market)

    def reached(self, order: Order) -> bool:
        """Whether the price has reached a resting order: a limit from its far side, a stop from its near one."""
        market, buys = self.market(order.instrument, order.side), order.side == "buy"
        stop, limit = order.stop_price, order.limit_price
        triggered = stop is None or (market >= stop if buys else market <= stop)
        return triggered and (limit is None or (market <= limit if buys else market >= limit))

    def unrealized(self, position: Position) -> Decimal:
        """What closing a position now would gain."""
        gain = self.market(position.instrument, opposite(position.side)) - position.avg_price
        return self.money(gain * position.signed, position)

    def money(self, gain: Decimal, position: Position) -> Decimal:
        """A gain in price times lots, in the instrument's quote currency."""
        return round(gain * self.instruments[position.instrument].lot_size, 2)
