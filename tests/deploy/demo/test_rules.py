"""Which kind of broker it is, as the page learns it."""

import pytest

from deploy.demo.rules import Rules, opposite
from executor.mt5.simulator import market


@pytest.mark.parametrize(
    ("rules", "flag"),
    [
        (Rules(multiposition=False), "supportMultiposition"),
        (Rules(position_brackets=False), "supportPositionBrackets"),
        (Rules(close_position=False), "supportClosePosition"),
        (Rules(partial_close=False), "supportPartialClosePosition"),
        (Rules(native_reverse=False), "supportNativeReversePosition"),
        (Rules(preview=False), "supportPlaceOrderPreview"),
        (Rules(executions=False), "supportExecutions"),
    ],
)
def test_each_rule_is_told_by_its_flag(rules: Rules, flag: str) -> None:
    assert Rules().flags()[flag] is True
    assert {name for name, on in rules.flags().items() if on != Rules().flags()[name]} == {flag}


def test_the_simulated_terminals_have_every_instrument_with_the_same_contract() -> None:
    symbols = market.catalogue()
    for instrument in Rules().instruments:
        symbol = symbols[instrument.name]
        assert symbol.contract == instrument.lot_size
        assert symbol.tick_size == instrument.min_tick
        assert (symbol.volume_min, symbol.volume_step) == (instrument.min_qty, instrument.qty_step)


def test_opposite_twice_is_the_same() -> None:
    assert opposite("buy") == "sell"
    assert opposite(opposite("buy")) == "buy"
