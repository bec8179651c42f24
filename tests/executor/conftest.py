"""What tests of a lane share: a client, a source and a simulated terminal, each fresh for one test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from deploy.embedded import Valkey
from shared import streams
from tests.executor.rig import Simulator, Source
from tests.executor.seals import join


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator[Redis]:
    """A client of an empty server on which the account's group has been made."""
    client = streams.connect(valkey.url)
    await join(client)
    yield client
    await client.aclose()


@pytest.fixture
async def source(redis: Redis) -> Source:
    """A hedging source that owns its name."""
    source = Source(redis)
    await source.open()
    return source


@pytest.fixture
async def simulator(tmp_path: Path) -> AsyncIterator[Simulator]:
    """A hedging account whose EURUSD stands still."""
    simulator = Simulator(tmp_path / "terminal")
    await simulator.start()
    simulator.price("EURUSD", "1.08504", "1.08512")
    yield simulator
    simulator.stop()


@pytest.fixture
async def netting(tmp_path: Path) -> AsyncIterator[Simulator]:
    """A netting account whose EURUSD stands still."""
    simulator = Simulator(tmp_path / "netting", "netting")
    await simulator.start()
    simulator.price("EURUSD", "1.08504", "1.08512")
    yield simulator
    simulator.stop()
