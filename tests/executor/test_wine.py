"""The executor itself in Windows' Python: a lane on a loop of Windows, with children started and ended as there.

Optional, like tests/executor/mt5/test_wine.py: `TRADECOPIER_WINE_PYTHON` names the Python, which has the packages of
requirements-executor.lock. The terminal is a simulated one outside, Redis a real server.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from deploy.embedded import Valkey
from shared import process
from shared.outcomes import Outcome
from tests.executor.rig import KEYS, Simulator, Source, told
from tests.executor.test_service import gone, settings_file
from tests.processes import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
PYTHON = os.environ.get("TRADECOPIER_WINE_PYTHON", "").split()


def windows(path: Path) -> str:
    """A path of Linux as Windows' programs see it."""
    return f"Z:{path}"


@contextmanager
def executor(config: Path, valkey: Valkey) -> Iterator["subprocess.Popen[bytes]"]:
    """`executor run`, ended with everything that it started."""
    if not PYTHON:
        pytest.skip("TRADECOPIER_WINE_PYTHON does not name a Windows Python under Wine (docs/metatrader.md)")
    given = {"PYTHONPATH": windows(ROOT), "TRADECOPIER_REDIS__URL": valkey.url, "WINEDEBUG": "-all"}
    ready = config.with_name("ready")
    command = [*PYTHON, "-m", "deploy", "--config", windows(config), "executor", "run", "--ready-file", windows(ready)]
    child = process.spawn(command, env={**os.environ, **given}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield child
    finally:
        process.end(child, [signal.SIGTERM])


async def outcomes(redis: Redis, count: int) -> list[Outcome]:
    """As `ended`, with patience for Wine on a busy machine."""
    async with asyncio.timeout(150):
        while len(found := [message for message in await told(redis) if isinstance(message, Outcome)]) < count:
            await redis.xread({KEYS.outcomes: "$"}, block=50)
    return found


async def test_a_lane_in_windows_python_that_is_killed_goes_on_and_does_nothing_twice(
    valkey: Valkey, redis: Redis, simulator: Simulator, tmp_path: Path
) -> None:
    config = settings_file(tmp_path, simulator.address)
    config.write_text(config.read_text().replace(f'"{tmp_path}', f'"{windows(tmp_path)}'))
    source = Source(redis)
    await source.open()
    with executor(config, valkey) as first:
        async with asyncio.timeout(150):
            while not config.with_name("ready").exists():  # or the opening would be old before anybody is there
                await asyncio.sleep(0.1)
        await source.buy("o1")
        await outcomes(redis, 1)
        first.kill()
        await gone(first)
    with executor(config, valkey):
        await source.close("o1", "0.04")
        found = await outcomes(redis, 2)
    assert [outcome.result for outcome in found] == ["filled", "closed"]
    assert await simulator.volumes() == [("EURUSD", 0, 0.06)]
    assert len(await simulator.deals()) == 2
