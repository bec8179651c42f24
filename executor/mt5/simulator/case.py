"""A request about one symbol at one moment: what the rules of `checks` look at. Pure."""

from __future__ import annotations

from decimal import Decimal

from executor.mt5.simulator.ask import Ask
from executor.mt5.simulator.floor import Floor
from executor.mt5.simulator.market import Quote, Symbol
from executor.mt5.simulator.store import ZERO, Position
from executor.mt5.vocabulary import OrderType, PositionType


class Case:
    """A request about a symbol that exists, at a moment at which it is quoted or not."""

    def __init__(self, floor: Floor, ask: Ask, symbol: Symbol) -> None:
        self.floor, self.ask, self.symbol = floor, ask, symbol
        self.buys = OrderType(ask.type).is_buy

    @property
    def quote(self) -> Quote:
        """The present price; only for rules that come after `quoted`."""
        quote = self.floor.quote(self.symbol.name)
        assert quote is not None
        return quote

    @property
    def position(self) -> Position | None:
        """The position that a market request would change."""
        if self.ask.position or self.floor.account.hedging:
            return self.floor.store.positions.get(self.ask.position)
        return self.floor.held(self.symbol.name)

    @property
    def opens(self) -> Decimal:
        """The part of the volume that opens or grows a position."""
        position = self.position
        if position is None or (position.type == PositionType.BUY) == self.buys:
            return self.ask.volume
        return max(ZERO, self.ask.volume - position.volume)
