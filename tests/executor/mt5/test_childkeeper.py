"""One child at a time: it must prove itself, and the next one starts only when it is dead."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from executor.mt5.childkeeper import ChildKeeper

OWN = [sys.executable, "-m", "executor.mt5.child"]
Make = Callable[..., "Watched"]


class Watched:
    """A keeper with what it reported."""

    def __init__(self, command: list[str], start_seconds: float = 20.0) -> None:
        self.ups: list[int | None] = []
        self.downs: list[str] = []
        self.events = asyncio.Event()
        self.keeper = ChildKeeper(command, "json", start_seconds, self._up, self._down, lambda *_: None)
        self.task = asyncio.create_task(self.keeper.keep())

    def _up(self, _link: Any) -> None:
        self.ups.append(self.keeper.pid)
        self.events.set()

    def _down(self, reason: str) -> None:
        self.downs.append(reason)
        self.events.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.events.clear()
            await self.events.wait()

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.fixture
async def keeper() -> AsyncIterator[Make]:
    started: list[Watched] = []

    def make(*args: Any, **kwargs: Any) -> Watched:
        started.append(Watched(*args, **kwargs))
        return started[-1]

    yield make
    for each in started:
        await each.stop()


def alive(pid: int | None) -> bool:
    try:
        os.kill(pid or 0, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_killed_child_is_dead_before_the_next_one_starts(keeper: Make) -> None:
    watched = keeper(OWN)
    await watched.until(lambda: len(watched.ups) == 1)
    watched.keeper.kill("for the test")
    await watched.until(lambda: len(watched.downs) == 1)
    assert watched.downs == ["for the test"]
    assert not alive(watched.ups[0])
    await watched.until(lambda: len(watched.ups) == 2)
    assert watched.ups[0] != watched.ups[1]


async def test_stopping_leaves_no_child(keeper: Make) -> None:
    watched = keeper(OWN)
    await watched.until(lambda: bool(watched.ups))
    await watched.stop()
    assert not alive(watched.ups[0])


async def test_a_child_that_never_connects_is_killed_and_said(keeper: Make) -> None:
    watched = keeper([sys.executable, "-c", "import time; time.sleep(60)"], start_seconds=0.2)
    await watched.until(lambda: bool(watched.downs))
    assert watched.downs[0] == "the terminal's process did not start in time"


async def test_a_process_behind_a_launcher_is_killed_with_it(keeper: Make) -> None:
    inner = """/bin/sh -c '"$@" & wait' inner "$@" & wait"""
    watched = keeper(["/bin/sh", "-c", inner, "outer", *OWN])
    await watched.until(lambda: bool(watched.ups))
    watched.keeper.kill("for the test")
    await watched.until(lambda: bool(watched.downs))
    assert not alive(watched.ups[0])


async def test_a_stranger_without_the_token_is_not_taken_for_the_child(keeper: Make) -> None:
    program = """
import os, runpy, sys
os.environ["TRADECOPIER_CHILD_TOKEN"] = "guess"
del sys.argv[0]
runpy.run_module("executor.mt5.child", run_name="__main__", alter_sys=True)
"""
    watched = keeper([sys.executable, "-c", program, "child"])
    await watched.until(lambda: bool(watched.downs))
    assert watched.ups == []
    assert "ended by itself" in watched.downs[0]


async def test_failures_are_retried_with_growing_pauses(keeper: Make) -> None:
    watched = keeper([sys.executable, "-c", "raise SystemExit(9)"])
    await watched.until(lambda: len(watched.downs) == 3)
    assert set(watched.downs) == {"the terminal's process ended by itself (exit code 9)"}
