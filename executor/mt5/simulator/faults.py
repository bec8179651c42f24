"""Faults on request: what goes wrong with which call, and how often. Pure.

A fault waits until a call of its function comes, lets `skip` of them pass, spoils `times` of them (0: all until it is
cleared) and is then gone.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class FaultKind(StrEnum):
    """What goes wrong."""

    LATENCY = "latency"
    NONE = "none"
    EMPTY = "empty"
    DROP = "drop"
    RETCODE = "retcode"
    HANG = "hang"
    DIE = "die"
    LATE = "late"


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that goes wrong.

    latency  the answer comes `delay` milliseconds late, the call being done before (`execute`) or after the wait
    none     the vendor's None, with `last_error` `code` (default -1), done or not
    empty    a list without anything in it, as a terminal gives that has just come back
    drop     the connection breaks without an answer (-10002), done or not
    retcode  the answer is retcode `code` with `comment`, done or not
    hang     no answer ever, done or not
    die      the terminal's process ends without an answer, done or not
    late     no answer; the call is done `delay` milliseconds after its client has gone
    """

    kind: FaultKind
    function: str = "order_send"
    execute: bool = False
    times: int = 1
    skip: int = 0
    delay: int = 0
    code: int = 0
    comment: str = ""


class Faults:
    """The faults that wait for their call, oldest first."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self._waiting.append(fault)

    def clear(self) -> None:
        self._waiting.clear()

    def take(self, function: str) -> Fault | None:
        """The fault that this call meets, or None; counts the call."""
        for index, fault in enumerate(self._waiting):
            if fault.function != function:
                continue
            if fault.skip:
                self._waiting[index] = msgspec.structs.replace(fault, skip=fault.skip - 1)
                continue
            self._used(index, fault)
            return fault
        return None

    def _used(self, index: int, fault: Fault) -> None:
        if fault.times == 1:
            del self._waiting[index]
        elif fault.times:
            self._waiting[index] = msgspec.structs.replace(fault, times=fault.times - 1)
