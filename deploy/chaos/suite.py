"""Many trials side by side, each lane with a pair of servers that its trials share."""

import asyncio
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from deploy.chaos.pipeline import Servers
from deploy.chaos.report import failure_lines, trial_line
from deploy.chaos.timing import Timing
from deploy.chaos.trial import Result, broken, trial
from deploy.fleet import folder_mode
from deploy.groundwork import migrated
from shared.settings import Secret


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
        waiting = list(reversed(seeds))
        lanes = [self._lane(number, waiting) for number in range(min(width, len(seeds)))]
        await asyncio.gather(*lanes)
        return sorted(self._results, key=lambda r: r.seed)

    async def _lane(self, number: int, waiting: list[int]) -> None:
        folder = self._folder / f"servers-{number}"
        folder.mkdir(mode=folder_mode())
        servers = Servers(folder)
        try:
            await servers.start()
            await migrated(Secret(servers.postgres.dsn))
            while waiting:
                await self._one(waiting.pop(), servers)
        finally:
            servers.stop()

    async def _one(self, seed: int, servers: Servers) -> None:
        folder = self._folder / f"seed-{seed}"
        try:
            result = await trial(seed, servers, folder, self._timing, self._actions)
        except (TimeoutError, OSError) as error:
            result = broken(seed, f"the trial did not come to its end: {error!r}")
        self._results.append(result)
        self._say(trial_line(result))
        if result.good:
            shutil.rmtree(folder, ignore_errors=True)
        for line in failure_lines(result) if not result.good else ():
            self._say(line)
