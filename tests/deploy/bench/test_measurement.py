"""A measurement clears away what it set up, and has no result when it is stopped."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from deploy.bench.measurement import Measurement
from shared.process import Stop
from tests.deploy.bench.told import telling


class Counting(Measurement[int, int]):
    """Gives what is wished; a wish of 0 comes to no end."""

    def _prepare(self) -> None:
        self.cleared = False
        self.set_up = asyncio.Event()

    async def _measured(self, stack: AsyncExitStack) -> int:
        stack.callback(self._clear)
        self.set_up.set()
        self._tell({"machine": "any"})
        while not self._wish:
            await asyncio.sleep(60)
        return self._wish

    def _clear(self) -> None:
        self.cleared = True


async def test_what_was_measured_is_the_result_and_everything_is_cleared_away(tmp_path: Path) -> None:
    bench, said = telling(Counting, tmp_path, 3)

    assert await bench.measure() == 3
    assert bench.cleared
    assert said == ["machine   any"]


async def test_one_that_is_stopped_has_no_result_and_everything_is_cleared_away(tmp_path: Path) -> None:
    stop = Stop()
    bench, _ = telling(Counting, tmp_path, 0, stop)
    measuring = asyncio.ensure_future(bench.measure())
    await bench.set_up.wait()
    stop.request()

    assert await measuring is None
    assert bench.cleared
