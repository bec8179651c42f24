"""A whole terminal without a process: what each fault asks its runner to do."""

from __future__ import annotations

import msgspec
import pytest

from executor.mt5.simulator.faults import Fault, FaultKind
from executor.mt5.simulator.machine import Fate, Machine, Options
from tests.executor.mt5.simulated import NOON

ORDER = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0, "type_filling": 0}


def machine() -> Machine:
    made = Machine(Options(prices="still"), "here")
    made.fund(NOON)
    return made


@pytest.mark.parametrize(
    ("kind", "execute", "fate", "traded"),
    [
        (FaultKind.LATENCY, False, Fate.WAIT, 0),
        (FaultKind.LATENCY, True, Fate.ANSWER, 1),
        (FaultKind.NONE, False, Fate.ANSWER, 0),
        (FaultKind.NONE, True, Fate.ANSWER, 1),
        (FaultKind.DROP, True, Fate.DROP, 1),
        (FaultKind.DROP, False, Fate.DROP, 0),
        (FaultKind.HANG, True, Fate.SILENCE, 1),
        (FaultKind.DIE, True, Fate.DIE, 1),
        (FaultKind.DIE, False, Fate.DIE, 0),
        (FaultKind.LATE, False, Fate.LATE, 0),
    ],
)
def test_a_fault_decides_the_fate_of_the_call_and_whether_it_was_done(
    kind: FaultKind, execute: bool, fate: Fate, traded: int
) -> None:
    terminal = machine()
    fault = Fault(kind=kind, execute=execute, delay=9)
    terminal.handle("admin.fault", msgspec.to_builtins(fault), NOON)
    handled = terminal.handle("order_send", ORDER, NOON)
    assert handled.fate == fate
    assert len(terminal.store.positions) == traded


def test_the_first_balance_is_paid_in_once() -> None:
    terminal = machine()
    terminal.fund(NOON)
    assert terminal.store.account.balance == 10_000
    assert len(terminal.store.deals) == 1
