"""An archive that has exactly what a test wants, and what a restore works with, around the executors' rig."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from archiver.originals import Archive
from archiver.rows import Held, Unreadable, record
from archiver.store import Store
from archiver.tables import Row
from deploy.memory import Lookup, entries
from deploy.rebuilding import Work, needing, restored
from shared import streams
from shared.facts import Fact
from shared.streams import Keys
from tests.deploy.onlookers import KEY
from tests.executor.rig import ACCOUNT, CODEC, KEYS, NAMESPACE

PATIENCE_S = 60
SOURCES = {"main": ("demo",)}


async def archive(redis: Redis, dsn: str, keys: Keys = KEYS, streams: Collection[str] = ("orders", "outcomes")) -> int:
    """Archive what is in these streams now, and acknowledge it; answers how many rows there were."""
    rows: list[Row] = []
    for name in streams:
        key = keys.orders if name == "orders" else keys.outcomes
        for original in await entries(redis, key):
            read: Any = CODEC.fact(original.fields) if name == "orders" else CODEC.outcome(original.fields)
            row = record(NAMESPACE, original.entry, original.fields, read)
            assert not isinstance(row, Unreadable | Held), row
            rows.append(row)
    async with Store(dsn) as store:
        assert await store.save(rows) == []
    return len(rows)


@asynccontextmanager
async def at_work(url: str, dsn: str, refused: list[str]) -> AsyncIterator[Work]:
    """What a restore works with; what it refuses is put down in `refused`."""
    redis = streams.connect(url)
    lookup = Lookup(
        archive=Archive(dsn=dsn, namespace=NAMESPACE),
        codec=CODEC,
        reader=CODEC,
        refused=refused.append,
        seen=lambda _count: None,
    )
    since = datetime.now(UTC) - timedelta(days=7)
    try:
        yield Work(redis=redis, keys=KEYS, lookup=lookup, sources=SOURCES, since=since)
    finally:
        await redis.aclose()


async def brought_back(url: str, dsn: str, *accounts: str) -> list[str]:
    """What a restore says; without a name, of those that need it."""
    async with at_work(url, dsn, []) as work:
        names = await needing(work, accounts)
        return await restored(work, names) if names else []


async def ends_of(redis: Redis, *facts: Fact) -> dict[str, str]:
    """How the first attempts at these facts have ended, once all have."""
    wanted = {fact.id for fact in facts}
    async with asyncio.timeout(PATIENCE_S):
        while True:
            done: Any = await redis.hgetall(KEYS.account("done", ACCOUNT))
            ends = {k.decode().removesuffix("#1"): v.decode().split()[0] for k, v in done.items()}
            if wanted <= set(ends):
                return {fact: ends[fact] for fact in wanted}
            await asyncio.sleep(0.05)


def configured(folder: Path, url: str, dsn: str) -> Path:
    """Settings of the rig's account, with servers that are there."""
    key, file = folder / "signing.key", folder / "tradecopier.toml"
    key.write_text(f"{KEY}\n")
    key.chmod(0o600)
    file.write_text(
        f"""
[redis]
url = "{url}"
namespace = "{NAMESPACE}"
[postgres]
dsn = "{dsn}"
[security]
signing-key-file = "{key}"
[ingest.sources.demo]
host = "localhost:1"
account = "10001"
[executor.accounts.main]
sources = ["demo"]
[executor.accounts.main.terminal]
kind = "simulated"
"""
    )
    file.chmod(0o600)
    return file
