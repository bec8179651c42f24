"""Waiting grows, ends with the service, and says so without flooding a log."""

import asyncio

from archiver.patience import LONGEST_WAIT_S, delay, one_line, wait, worth_saying
from shared.process import Stop


def test_waits_double_up_to_a_bound() -> None:
    waits = [delay(failures) for failures in range(12)]
    assert waits[1] == 2 * waits[0]
    assert waits == sorted(waits)
    assert delay(10**6) == LONGEST_WAIT_S


def test_the_first_failure_is_said_and_then_few() -> None:
    assert worth_saying(0)
    assert sum(worth_saying(failures) for failures in range(120)) == 10


def test_an_error_is_one_line() -> None:
    assert one_line(ValueError("first\n\n  second\n")) == "first; second"
    assert one_line(TimeoutError()) == "TimeoutError"


async def test_a_wait_ends_with_the_service() -> None:
    stop = Stop()
    waiting = asyncio.create_task(wait(stop, 3600))
    stop.request()
    await asyncio.wait_for(waiting, 10)


async def test_a_wait_ends_by_itself() -> None:
    await asyncio.wait_for(wait(Stop(), 0.001), 10)
