"""`tradecopier reconcile` as an operator types it, beside a lane that works."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import click
import pytest
from redis.asyncio import Redis

from deploy.embedded import Valkey
from deploy.reconcile import lines
from executor import reconciler, steady
from executor.drift import Found
from tests.deploy.onlookers import beside
from tests.deploy.test_replay import typed
from tests.executor.mends import NOW
from tests.executor.rig import ACCOUNT, KEYS, PATIENCE_S, Simulator, Source, account, ended, running
from tests.executor.test_reconciler import MARKED

PICTURE, DRIFT = KEYS.source("picture", "demo"), KEYS.account("drift", ACCOUNT)
FOUND = Found(
    identity="stray:7", what="stray", position="demo/1/o1", symbol="EURUSD", expected=Decimal(0), actual=Decimal(1),
    text="position 7 bears our mark and is not known to us", remedy="close it", since=NOW,
)  # fmt: skip


@pytest.fixture(autouse=True)
def soon() -> Iterator[None]:
    """What lasts for a while lasts for less than a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steady, "STEADY", timedelta(seconds=0.3))
        patch.setattr(reconciler, "AGAIN_S", 0.1)
        yield


@pytest.fixture
def config(tmp_path: Path, valkey: Valkey) -> Path:
    return beside(tmp_path, valkey)


def test_the_list_says_what_since_when_and_what_would_end_it() -> None:
    first, line = lines("main", {"stray:7": FOUND}, NOW + timedelta(minutes=3))

    assert first == "main: 1 disagreement"
    assert line.startswith("  EURUSD: +0 lots expected, +1 there (position 7 bears our mark and is not known to us)")
    assert line.endswith(" [demo/1/o1], for 3 min; to end it: close it")
    assert list(lines("main", {}, NOW)) == ["main: nothing disagrees"]


async def test_it_lists_asks_and_has_it_mended(
    config: Path, valkey: Valkey, redis: Redis, simulator: Simulator
) -> None:
    source = Source(redis)
    await source.open()
    async with running(valkey.url, simulator, account(reconcile_every=0.2)):
        await source.buy("o1")
        await ended(redis, 1)
        agreed = await typed(config, "reconcile", "--account", ACCOUNT)
        await redis.hdel(PICTURE, "10001/position:o1")
        async with asyncio.timeout(PATIENCE_S):
            while not await redis.hlen(DRIFT):
                await asyncio.sleep(0.02)
        listed = await typed(config, "reconcile", "--account", ACCOUNT)
        refused = await typed(config, "reconcile", "--account", ACCOUNT, "--apply", answer="no\n")
        assert len(await simulator.volumes()) == 1
        mended = await typed(config, "reconcile", "--account", ACCOUNT, "--apply", answer=f"{ACCOUNT}\n")
        after = await typed(config, "reconcile", "--account", ACCOUNT, "--apply", "--yes")

    assert agreed[0] == after[0] == 0
    assert "nothing disagrees" in agreed[1]
    assert listed[0] == 1
    assert "EURUSD: +0 lots expected, +0.1 there (the source has none)" in listed[1]
    assert (refused[0], "nothing was changed" in refused[1]) == (2, True)
    assert mended[0] == 0, mended
    assert "close it" in mended[1]
    assert "nothing of it disagrees any more" in mended[1]
    assert await simulator.volumes() == []


async def test_in_shadow_it_says_at_once_that_nothing_is_mended(
    config: Path, valkey: Valkey, redis: Redis, simulator: Simulator
) -> None:
    simulator.trade(action=1, symbol="EURUSD", volume=0.3, type=0, magic=MARKED)
    async with running(valkey.url, simulator, account(reconcile_every=0.2, mode="shadow")):
        async with asyncio.timeout(PATIENCE_S):
            while not await redis.hlen(DRIFT):
                await asyncio.sleep(0.02)
        code, text = await typed(config, "reconcile", "--account", ACCOUNT, "--apply", "--yes")

    assert code == 2
    assert "mend: the account is in shadow: nothing would be sent" in text
    assert "still there" not in text


async def test_with_nobody_at_work_it_lists_what_was_known_and_changes_nothing(config: Path, redis: Redis) -> None:
    import msgspec

    await redis.hset(DRIFT, FOUND.identity, msgspec.json.encode(FOUND))
    code, text = await typed(config, "reconcile", "--account", ACCOUNT)
    refused, line = await typed(config, "reconcile", "--account", ACCOUNT, "--apply", "--yes")

    assert (code, refused) == (1, 2)
    assert "no executor works for it now" in text
    assert "position 7 bears our mark" in text
    assert "nobody works for the account" in line


async def test_an_account_that_is_not_there_is_one_line(config: Path, redis: Redis) -> None:
    code, text = await typed(config, "reconcile", "--account", "nobody")

    assert code == 2
    assert click.unstyle(text).strip() == "tradecopier: there is no account nobody; there are: main"
