"""Many trials side by side, each lane with a pair of servers that its trials share."""

import asyncio
import shutil
from collections.abc import Callable, Coroutine, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from redis.exceptions import RedisError

from deploy.chaos.day import DAYS_EVERY, day, rolling
from deploy.chaos.pipeline import Servers
from deploy.chaos.report import failure_lines, trial_line
from deploy.chaos.timing import Timing
from deploy.chaos.trial import Result, broken, trial
from deploy.chaos.twice import TWICE_EVERY, twice
from deploy.fleet import folder_mode
from deploy.groundwork import migrated
from shared import process
from shared.process import UserError
from shared.settings import Secret

CLEARED_S = 60.0
"""Seconds that a lane has to end its processes when it is stopped."""


class Suite:
    """Runs trials in a folder and tells each result."""

    def __init__(self, folder: Path, timing: Timing, actions: int, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._timing = timing
        self._actions = actions
        self._say = say
        self._results: list[Result] = []

    async def run(self, seeds: Sequence[int], width: int) -> list[Result]:
        """Run them all, `width` side by side; the results in the order of the seeds."""
        waiting = in_turn(seeds)[::-1]
        lanes = [asyncio.create_task(self._lane(number, waiting)) for number in range(min(width, len(seeds)))]
        try:
            await asyncio.wait(lanes, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            waiting.clear()  # a lane that did not hear it begins nothing new
            await process.cancelled(*(lane for lane in lanes if not lane.done()), patience=CLEARED_S)
        for lane in lanes:
            if not lane.cancelled():
                lane.result()
        return sorted(self._results, key=lambda r: r.seed)

    @property
    def results(self) -> Sequence[Result]:
        """What was found so far."""
        return self._results

    async def _lane(self, number: int, waiting: list[int]) -> None:
        folder = self._folder / f"servers-{number}"
        folder.mkdir(mode=folder_mode())
        servers = Servers(folder)
        try:
            await servers.start()
            await migrated(Secret(servers.postgres.dsn))
            while waiting:
                await servers.start()  # a trial that found no end may have left one of them down
                await self._one(waiting.pop(), servers)
        finally:
            servers.stop()

    async def rolling(self, seed: int) -> list[Result]:
        """A day on which every service is restarted in turn."""
        folder = self._folder / f"rolling-{seed}"
        faults = rolling(self._actions)
        self._tell(await _judged(seed, day(seed, folder, self._timing, self._actions, faults)), folder)
        return self._results

    async def _one(self, seed: int, servers: Servers) -> None:
        folder = self._folder / f"seed-{seed}"
        if is_day(seed):
            running = day(seed, folder, self._timing, self._actions)
        elif is_twice(seed):
            running = twice(seed, servers, folder, self._timing)
        else:
            running = trial(seed, servers, folder, self._timing, self._actions)
        self._tell(await _judged(seed, running), folder)

    def _tell(self, result: Result, folder: Path) -> None:
        self._results.append(result)
        self._say(trial_line(result))
        if result.good:
            shutil.rmtree(folder, ignore_errors=True)
        for line in failure_lines(result) if not result.good else ():
            self._say(line)


def is_day(seed: int) -> bool:
    """Whether a seed is a day through the real proxy."""
    return seed % DAYS_EVERY == DAYS_EVERY - 2


def is_twice(seed: int) -> bool:
    """Whether a seed is a trial of pauses inside the vendor's call."""
    return seed % TWICE_EVERY == TWICE_EVERY - 1


def in_turn(seeds: Sequence[int]) -> list[int]:
    """What takes long among the first, by turns with the rest, so that no lane is alone with it at the end."""
    long = sorted((seed for seed in seeds if is_day(seed) or is_twice(seed)), key=is_twice, reverse=True)
    rest = (seed for seed in seeds if not (is_day(seed) or is_twice(seed)))
    return [seed for pair in zip_longest(long, rest) for seed in pair if seed is not None]


async def _judged(seed: int, running: Coroutine[Any, Any, Result]) -> Result:
    """The result; one that did not come to its end counts as failed."""
    try:
        return await running
    except (TimeoutError, OSError, RedisError, UserError) as error:
        return broken(seed, f"the trial did not come to its end: {type(error).__name__}: {error}")
