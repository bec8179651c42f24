"""Order book and bars over a terminal that has neither; argument forms are in test_surface."""

from __future__ import annotations

from tests.executor.mt5.simulated import StartBench


def test_a_book_is_subscribed_and_empty(bench: StartBench) -> None:
    mt5 = bench().mt5
    assert mt5.market_book_add("EURUSD") is True
    assert mt5.market_book_get("EURUSD") == ()
    assert mt5.market_book_release("EURUSD") is True
    assert mt5.market_book_add("NOPE") is False
    assert mt5.market_book_get("NOPE") is None


def test_bars_and_ticks_are_unsupported_and_say_so(bench: StartBench) -> None:
    mt5 = bench().mt5
    assert mt5.copy_rates_from_pos("EURUSD", 1, 0, 10) is None
    assert mt5.last_error() == (-7, "Terminal: Unsupported function")
