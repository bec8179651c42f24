"""Which call meets which fault."""

from __future__ import annotations

from executor.mt5.simulator.faults import Fault, FaultKind, Faults


def met(faults: Faults, function: str = "order_send", calls: int = 6) -> list[str | None]:
    found = (faults.take(function) for _ in range(calls))
    return [each.kind.value if each else None for each in found]


def test_a_fault_is_met_once_after_the_calls_it_spares() -> None:
    faults = Faults()
    faults.add(Fault(kind=FaultKind.DROP, skip=2))
    assert met(faults, calls=4) == [None, None, "drop", None]


def test_a_fault_may_come_several_times_or_until_it_is_cleared() -> None:
    faults = Faults()
    faults.add(Fault(kind=FaultKind.DROP, times=2))
    faults.add(Fault(kind=FaultKind.NONE, times=0))
    assert met(faults) == ["drop", "drop", "none", "none", "none", "none"]
    faults.clear()
    assert met(faults) == [None] * 6


def test_a_fault_waits_for_its_function() -> None:
    faults = Faults()
    faults.add(Fault(kind=FaultKind.HANG, function="tick"))
    assert met(faults, calls=1) == [None]
    assert met(faults, "tick", 2) == ["hang", None]
