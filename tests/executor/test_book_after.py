"""The book after a step counts it once, however it became known: what was read must not be added on top."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor.mt5.simulator.faults import FaultKind
from tests.executor.rig import Simulator, Source, ended, running


@pytest.fixture
async def netting(tmp_path: Path) -> AsyncIterator[Simulator]:
    """A terminal with a netting account, its price standing still."""
    terminal = Simulator(tmp_path / "netting", "netting")
    await terminal.start()
    terminal.price("EURUSD", "1.08504", "1.08512")
    yield terminal
    terminal.stop()


async def test_a_netting_position_is_not_counted_twice_right_after_its_opening(
    valkey: Valkey, redis: Redis, source: Source, netting: Simulator
) -> None:
    """Counted twice, it would look like volume of somebody else, against which nothing may be opened."""
    async with running(valkey.url, netting):
        await source.buy("o1")
        await source.close("o1")
        await source.buy("o2", "-0.1")
        found = await ended(redis, 3)

    assert [o.result for o in found] == ["filled", "closed", "filled"]
    assert await netting.volumes() == [("EURUSD", 1, 0.1)]


async def test_nor_after_it_was_found_by_its_mark(
    valkey: Valkey, redis: Redis, source: Source, netting: Simulator
) -> None:
    async with running(valkey.url, netting):
        netting.goes_wrong(FaultKind.NONE, code=-1, execute=True)
        await source.buy("o1")
        await source.close("o1")
        await source.buy("o2", "-0.1")
        found = await ended(redis, 3)

    assert [o.result for o in found] == ["filled", "closed", "filled"]
