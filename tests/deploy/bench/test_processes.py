"""What processes cost is read from what Linux tells of them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from threading import Event, Thread

import pytest

from deploy.bench.processes import Cost, children, cost, together

BIG = 32 * 2**20
HOLDS = f"import sys; held = bytearray(b'x' * {BIG}); print(flush=True); sys.stdin.read()"


@pytest.fixture
def holding() -> Iterator[int]:
    """A child that holds a known amount of memory."""
    with subprocess.Popen([sys.executable, "-c", HOLDS], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield child.pid
        child.kill()


def test_memory_that_only_one_process_has_is_counted_whole_in_both_ways(holding: int) -> None:
    found = cost(holding)

    assert found.pss >= BIG
    assert found.rss >= found.pss


def test_processor_time_only_grows_with_work() -> None:
    before = cost(os.getpid()).cpu
    while cost(os.getpid()).cpu < before + 0.05:
        sum(range(10_000))

    assert cost(os.getpid()).cpu < before + 5


def test_a_child_is_found_and_what_several_cost_is_added_up(holding: int) -> None:
    assert holding in children(os.getpid())
    assert together([holding, holding]).pss >= 2 * BIG
    assert together([]) == Cost()


def test_a_process_that_is_gone_is_said(holding: int) -> None:
    os.kill(holding, 9)
    os.waitpid(holding, 0)

    with pytest.raises(OSError, match=str(holding)):
        cost(holding)


def test_threads_that_end_while_they_are_looked_at_hide_no_child() -> None:
    """Neither do they end the look; a process that is gone has none."""
    stop = Event()

    def come_and_go() -> None:
        while not stop.is_set():
            Thread(target=int).start()

    restless = Thread(target=come_and_go)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    restless.start()
    try:
        assert all(child.pid in children(os.getpid()) for _ in range(300))
    finally:
        stop.set()
        restless.join()
        child.communicate()
    assert children(child.pid) == []
