"""The symbols of Paper Trading on offer."""

from deploy.demo.paperrules import SYMBOLS, PaperRules
from executor.mt5.simulator import market


def test_every_symbol_has_an_exchange_and_a_price_in_the_feed() -> None:
    assert all(":" in symbol.name for symbol in SYMBOLS)
    assert {symbol.feed for symbol in SYMBOLS} <= set(market.catalogue())
    assert PaperRules().symbols == SYMBOLS
