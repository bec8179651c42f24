"""An operator's hand on a terminal; what each command does is shown by the conformance suite."""

from __future__ import annotations

import pytest

from executor.mt5.simulator.surface import LinkFailed
from tests.executor.mt5.engines import D
from tests.executor.mt5.simulated import SimulatorProcess, StartBench


def test_a_mistake_is_an_error_with_the_simulators_words(bench: StartBench) -> None:
    remote = bench().remote
    with pytest.raises(ValueError, match="symbol: KeyError: 'colour'"):
        remote.symbol("EURUSD", colour="red")


def test_exact_numbers_stay_exact(bench: StartBench) -> None:
    started = bench()
    started.remote.symbol("EURUSD", volume_step=D("0.001"), volume_min="0.001")
    assert started.mt5.symbol_info("EURUSD").volume_step == 0.001
    started.remote.price("EURUSD", D("1.23456"), "1.23460")
    started.remote.release_price("EURUSD")
    assert started.mt5.symbol_info_tick("EURUSD").bid == 1.0845


def test_a_deposit_is_on_the_account(bench: StartBench) -> None:
    started = bench()
    ticket = started.remote.deposit("500", "more")
    assert started.mt5.account_info().balance == 10_500.0
    (deal,) = (each for each in started.mt5.history_deals_get(0, 2**31 - 1) if each.ticket == ticket)
    assert (deal.comment, deal.profit) == ("more", 500.0)
    started.remote.withdraw("200")
    assert started.mt5.account_info().balance == 10_300.0


def test_a_terminal_that_is_gone_is_an_error(bench: StartBench, simulator: type[SimulatorProcess]) -> None:
    from executor.mt5.simulator.remote import Remote

    broker = simulator()  # type: ignore[call-arg]
    remote = Remote.at(broker.address)
    broker.kill()
    with pytest.raises(LinkFailed):
        remote.clear_faults()
    remote.close()
