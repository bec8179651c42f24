"""Primaries are killed while trades are copied, and acknowledged writes with them: nothing is lost, nothing doubled."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Protocol, cast

import pytest
from msgspec.structs import replace

from deploy.acl import ACCOUNT_PARTS, SOURCE_PARTS
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
from tests.e2e.clustered import Clustered
from tests.e2e.replicated import LOOK_S, Server, Watched, asked, entries

NAMESPACE = "failover"
BEFORE, BEHIND = 4, 3
"""Actions that are told before each killing with the replica at the primary's heels, and after it was left behind."""
PACE_S = 0.03
KEYS = Keys(NAMESPACE)
STREAMS = [KEYS.orders, KEYS.outcomes]


class Several(Protocol):
    """Servers that stand for one."""

    async def pair(self) -> tuple[Server, Server]:
        """The primary and its replica, when the one follows the other and whoever promotes knows it."""
        ...

    async def fail_over(self, streams: Sequence[str]) -> list[int]:
        """Kill the primary; how many acknowledged entries of each stream went with it."""
        ...

    async def close(self) -> None: ...


class Replicated(Servers):
    """What a pipeline works with: Redis is several servers."""

    def __init__(self, folder: Path, several: Several) -> None:
        self.several = several
        self.valkey = cast(Valkey, several)
        self.postgres = Postgres(folder / "postgres")


@pytest.fixture
def passable(tmp_path: Path) -> Path:
    """A folder that PostgreSQL can pass, whoever it runs as."""
    tmp_path.chmod(folder_mode())
    return tmp_path


@asynccontextmanager
async def serving(folder: Path, several: Several) -> AsyncIterator[Replicated]:
    found = Replicated(folder, several)
    try:
        await found.start()
        await migrated(Secret(found.postgres.dsn))
        yield found
    finally:
        found.postgres.stop()
        await several.close()


async def left_behind(primary: Server, replica: Server) -> None:
    """Return when the primary has acknowledged entries of both streams that its replica has not."""
    for stream in STREAMS:
        while not await entries(primary, stream) - await entries(replica, stream):
            await asyncio.sleep(LOOK_S)


async def failing_over(pipeline: Pipeline, several: Several, statements: list[Statement], kills: int) -> list[int]:
    """Tell the story through that many failovers; how many acknowledged entries of the two streams went with them."""
    teller, gone, told = Teller(pipeline, statements), [0, 0], 0

    async def tell(actions: int) -> None:
        nonlocal told
        for _ in range(actions):
            told = min(told + 1, len(statements))
            await teller.tell(told)
            await asyncio.sleep(PACE_S)

    for _ in range(kills):
        primary, replica = await several.pair()
        await tell(BEFORE)
        primary.door.flowing.clear()
        await tell(BEHIND)
        await left_behind(primary, replica)
        lost = await several.fail_over(STREAMS)
        assert all(lost), f"nothing was lost with the primary that was killed: {lost}"
        gone = [before + now for before, now in zip(gone, lost, strict=True)]
    await tell(len(statements) - told)
    return gone


async def copied(servers: Replicated, folder: Path, seed: int, kills: int) -> None:
    statements = story(seed, kills * (BEFORE + BEHIND) + Random(seed).randint(2, 6), opposed=True)
    pipeline = Pipeline(folder / "pipeline", servers, NAMESPACE, shipped().over(SCALE), HEDGING)
    try:
        await pipeline.start()
        gone = await failing_over(pipeline, servers.several, statements, kills)
        found = await settled(pipeline, statements)
    finally:
        await pipeline.stop()
    # The archive keeps an end that it had read before the primary forgot it, beside the one told in its place; whoever
    # reads it is shown the later one.
    ends = set(found.archived_ends)
    again = len(found.archived_ends) - len(ends)
    wrong = [*checker.check(statements, replace(found, archived_ends=tuple(ends))), *pipeline.crashes]
    print(
        f"{kills} kills, seed {seed}, {len(statements)} actions: {gone} entries gone, {again} ends told again, {wrong}"
    )
    assert not wrong
    assert again <= gone[1]


@pytest.mark.timeout(240)
async def test_what_a_failover_loses_is_neither_lost_nor_done_twice(passable: Path) -> None:
    async with serving(passable, Watched(passable / "redis")) as servers:
        await copied(servers, passable, seed=1, kills=2)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", [11, 12, 13])
async def test_ten_failovers_in_a_row_lose_and_double_nothing(passable: Path, seed: int) -> None:
    async with serving(passable, Watched(passable / "redis")) as servers:
        await copied(servers, passable, seed=seed, kills=10)


@pytest.mark.timeout(240)
async def test_a_cluster_s_failover_loses_and_doubles_nothing_and_all_keys_are_in_one_slot(passable: Path) -> None:
    several = Clustered(passable / "redis", NAMESPACE)
    async with serving(passable, several) as servers:
        await copied(servers, passable, seed=2, kills=1)
        there = {member: await names(member) for member in several.members}
        following = await several.replica(await several.owner())
        expected = {await several.owner(), following}

        assert {member for member, keys in there.items() if keys} == expected
        assert {f"{KEYS.orders}", f"{KEYS.producers}", KEYS.account("done", "first")} <= there[following]
        slots = {await asked(following, "CLUSTER", "KEYSLOT", name) for name in there[following] | every_name()}
        assert slots == {several.slot}


def every_name() -> set[str]:
    """All names of keys that there are."""
    streams = {KEYS.orders, KEYS.outcomes, KEYS.dead, KEYS.producers}
    accounts = {KEYS.account(part, name) for part in ACCOUNT_PARTS for name in ("first", "a-2")}
    return streams | accounts | {KEYS.source(part, name) for part in SOURCE_PARTS for name in ("demo", "b")}


async def names(server: Server) -> set[str]:
    client = server.client()
    try:
        return {name.decode() for name in cast(list[bytes], await client.keys())}
    finally:
        await client.aclose()
