"""Primaries are killed while trades are copied, and acknowledged writes with them: nothing is lost, nothing doubled."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import cast

import pytest

from deploy.chaos import checker
from deploy.chaos.pipeline import HEDGING, Pipeline, Servers
from deploy.chaos.story import Statement, story
from deploy.chaos.timing import SCALE, shipped
from deploy.chaos.trial import Teller, settled
from deploy.embedded import Postgres, Valkey
from deploy.fleet import folder_mode
from deploy.groundwork import migrated
from shared.settings import Secret
from shared.streams import Keys
from tests.e2e.replicated import LOOK_S, Server, Watched, entries

NAMESPACE = "failover"
BEFORE, BEHIND = 4, 3
"""Actions that are told before each killing with the replica at the primary's heels, and after it was left behind."""
PACE_S = 0.03
KEYS = Keys(NAMESPACE)
STREAMS = [KEYS.orders, KEYS.outcomes]


class Replicated(Servers):
    """What a pipeline works with: Redis is whatever Sentinels name."""

    def __init__(self, folder: Path) -> None:
        self.watched = Watched(folder / "redis")
        self.valkey = cast(Valkey, self.watched)
        self.postgres = Postgres(folder / "postgres")


@pytest.fixture
def passable(tmp_path: Path) -> Path:
    """A folder that PostgreSQL can pass, whoever it runs as."""
    tmp_path.chmod(folder_mode())
    return tmp_path


@pytest.fixture
async def servers(passable: Path) -> AsyncIterator[Replicated]:
    found = Replicated(passable)
    try:
        await found.start()
        await migrated(Secret(found.postgres.dsn))
        yield found
    finally:
        found.postgres.stop()
        await found.watched.close()


async def left_behind(primary: Server, replica: Server) -> None:
    """Return when the primary has acknowledged entries of both streams that its replica has not."""
    for stream in STREAMS:
        while not await entries(primary, stream) - await entries(replica, stream):
            await asyncio.sleep(LOOK_S)


async def failing_over(pipeline: Pipeline, watched: Watched, statements: list[Statement], kills: int) -> list[int]:
    """Tell the story through that many failovers; how many acknowledged entries of the two streams went with them."""
    teller, gone, told = Teller(pipeline, statements), [0, 0], 0

    async def tell(actions: int) -> None:
        nonlocal told
        for _ in range(actions):
            told = min(told + 1, len(statements))
            await teller.tell(told)
            await asyncio.sleep(PACE_S)

    for _ in range(kills):
        await watched.whole()
        await tell(BEFORE)
        primary = await watched.primary()
        (replica,) = (server for server in watched.servers if server is not primary)
        primary.door.flowing.clear()
        await tell(BEHIND)
        await left_behind(primary, replica)
        lost = await watched.fail_over(STREAMS)
        assert all(lost), f"nothing was lost with the primary that was killed: {lost}"
        gone = [before + now for before, now in zip(gone, lost, strict=True)]
    await tell(len(statements) - told)
    return gone


async def copied(servers: Replicated, folder: Path, seed: int, kills: int) -> None:
    statements = story(seed, kills * (BEFORE + BEHIND) + Random(seed).randint(2, 6), opposed=True)
    pipeline = Pipeline(folder / "pipeline", servers, NAMESPACE, shipped().over(SCALE), HEDGING)
    try:
        await pipeline.start()
        gone = await failing_over(pipeline, servers.watched, statements, kills)
        found = await settled(pipeline, statements)
    finally:
        await pipeline.stop()
    findings = [*checker.check(statements, found), *pipeline.crashes]
    print(
        f"{kills} kills, seed {seed}: {gone} acknowledged entries gone, {len(statements)} actions, {findings or 'ok'}"
    )
    assert not findings


@pytest.mark.timeout(240)
async def test_what_a_failover_loses_is_neither_lost_nor_done_twice(servers: Replicated, tmp_path: Path) -> None:
    await copied(servers, tmp_path, seed=1, kills=2)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", [11, 12])
async def test_ten_failovers_in_a_row_lose_and_double_nothing(servers: Replicated, tmp_path: Path, seed: int) -> None:
    await copied(servers, tmp_path, seed=seed, kills=10)
