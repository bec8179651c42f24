"""The child's own rules, over a socket pair and a vendor made of plain functions."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.mt5 import child
from executor.mt5.simulator import tuples
from tests.executor.mt5.simulated import ROOT


class Vendor:
    """Remembers how it was called."""

    def __init__(self) -> None:
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        self.answer: Any = None

    def last_error(self) -> tuple[int, str]:
        return (1, "Success")

    def order_send(self, *args: Any, **kwargs: Any) -> Any:
        self.calls.append((args, kwargs))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    positions_get = order_send
    open = order_send


class Clock:
    """A wall clock and a steady clock that a test moves."""

    def __init__(self) -> None:
        self.wall = self.steady = 10**18

    def pass_by(self, steady: int, wall: int) -> None:
        self.steady += steady
        self.wall += wall

    def made(self) -> child.WallClock:
        return child.WallClock(lambda: self.wall, lambda: self.steady)


SECOND = 10**9


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


@pytest.fixture
def caller(vendor: Vendor) -> child.Caller:
    return child.Caller(vendor, child.WallClock())


def test_only_what_is_on_the_list_can_be_called(caller: child.Caller, vendor: Vendor) -> None:
    answer = caller.answer(child.Request(1, "open", ["/etc/passwd"]))
    assert (answer.kind, vendor.calls) == ("forbidden", [])


def test_an_order_gets_exactly_one_positional_dict(caller: child.Caller, vendor: Vendor) -> None:
    caller.answer(child.Request(1, "order_send", [{"action": 1}]))
    assert vendor.calls == [(({"action": 1},), {})]


def test_records_become_dicts_all_the_way_down(caller: child.Caller, vendor: Vendor) -> None:
    echo = tuples.TradeRequest([0] * 17)
    vendor.answer = (tuples.OrderSendResult([10009, *([0] * 9), echo]),)
    answer = caller.answer(child.Request(1, "order_send", [{}]))
    (result,) = msgspec.msgpack.decode(msgspec.msgpack.encode(answer.value))
    assert result["retcode"] == 10009
    assert result["request"]["position_by"] == 0


def test_an_exception_of_the_vendor_is_an_answer(caller: child.Caller, vendor: Vendor) -> None:
    vendor.answer = SystemError("returned a result with an exception set")
    answer = caller.answer(child.Request(1, "order_send", [{}]))
    assert (answer.kind, answer.value) == ("raised", "SystemError: returned a result with an exception set")


@pytest.mark.parametrize(
    ("late_by", "kind", "calls"), [(-SECOND, "value", 1), (SECOND // 1000, "expired", 0), (10 * SECOND, "expired", 0)]
)
def test_a_request_past_its_time_is_not_passed_on(
    caller: child.Caller, vendor: Vendor, late_by: int, kind: str, calls: int
) -> None:
    now = time.time_ns()
    answer = caller.answer(child.Request(1, "order_send", [{}], {}, now, now - late_by))
    assert (answer.kind, len(vendor.calls)) == (kind, calls)


def test_a_request_from_the_future_means_that_the_clock_was_set_back(caller: child.Caller, vendor: Vendor) -> None:
    ahead = time.time_ns() + 60 * SECOND
    answer = caller.answer(child.Request(1, "order_send", [{}], {}, ahead, ahead + SECOND))
    assert (answer.kind, vendor.calls) == ("jumped", [])


def test_a_clock_that_jumped_expires_the_next_order_only(vendor: Vendor) -> None:
    clock = Clock()
    caller = child.Caller(vendor, clock.made())
    order = child.Request(1, "order_send", [{}], {}, 1, time.time_ns() + 60 * SECOND)
    clock.pass_by(steady=SECOND, wall=-5 * SECOND)
    assert [caller.answer(order).kind for _ in range(2)] == ["jumped", "value"]


@given(steady=st.integers(0, 10**15), drift=st.floats(-1, 1))
def test_ordinary_corrections_of_the_clock_are_no_jump(steady: int, drift: float) -> None:
    clock = Clock()
    watched = clock.made()
    clock.pass_by(steady, steady + int(drift * (steady // 1000 + SECOND - 1)))
    assert not watched.jumped()


@given(steady=st.integers(0, 10**12), jump=st.integers(2_100_000_000, 10**15), back=st.booleans())
def test_a_jump_is_seen_once(steady: int, jump: int, back: bool) -> None:
    clock = Clock()
    watched = clock.made()
    clock.pass_by(steady, steady + (-jump if back else jump))
    assert watched.jumped()
    assert not watched.jumped()


@given(st.lists(st.binary(max_size=50), max_size=5), st.integers(1, 20))
def test_frames_survive_any_cut(payloads: list[bytes], size: int) -> None:
    stream = b"".join(child.HEADER.pack(len(each)) + each for each in payloads)
    buffer, seen = bytearray(), []
    for start in range(0, len(stream), size):
        buffer += stream[start : start + size]
        while (frame := child.take_frame(buffer)) is not None:
            seen.append(frame)
    assert seen == payloads
    assert not buffer


@pytest.fixture
def parent(vendor: Vendor) -> Iterator[child.Socket]:
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=lambda: child.serve(theirs, vendor, "token"))

    class Plain(child.Socket):
        def __init__(self, connection: socket.socket) -> None:  # a socket pair has no TCP_NODELAY
            self._connection, self._buffer = connection, bytearray()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(child, "Socket", Plain)
        thread.start()
        yield Plain(ours)
        ours.close()
        thread.join(10)
    theirs.close()
    assert not thread.is_alive()


def test_the_child_greets_answers_in_turn_and_ends_with_the_socket(parent: child.Socket, vendor: Vendor) -> None:
    greeting = parent.receive()
    assert greeting is not None
    assert msgspec.msgpack.decode(greeting, type=child.Hello).token == "token"
    vendor.answer = ()
    for number in (1, 2):
        parent.send(child.Request(number, "positions_get", [], {"symbol": "EURUSD"}))
    for number in (1, 2):
        frame = parent.receive()
        assert frame is not None
        answer = msgspec.msgpack.decode(frame, type=child.Response)
        assert (answer.id, answer.value, answer.code) == (number, [], 1)
    assert vendor.calls == [((), {"symbol": "EURUSD"})] * 2


def test_the_child_needs_no_file_of_ours_but_its_own(tmp_path: Any) -> None:
    copied = tmp_path / "child.py"
    copied.write_bytes((ROOT / "executor" / "mt5" / "child.py").read_bytes())
    command = [sys.executable, "-P", str(copied), "--connect", "127.0.0.1:1", "--module", "json"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")
