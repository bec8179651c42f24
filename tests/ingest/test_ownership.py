import asyncio
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from deploy.embedded import Valkey
from ingest.outbox import Outbox
from ingest.ownership import Ownership, Settle
from shared import streams
from shared.lease import Lease
from shared.process import cancelled
from shared.streams import Keys

KEYS = Keys("test")


def owner(
    redis: Redis,
    outbox: Outbox,
    told: list[str] | None = None,
    duration: float = 30,
    settle: Settle | None = None,
) -> Ownership:
    lease = Lease(redis, KEYS.source("lease", "demo"), duration=duration, owner="here")
    heard = told if told is not None else []
    return Ownership("demo", lease, outbox, lambda: heard.append("changed"), settle or nothing_there)


async def nothing_there(_source: str) -> None:
    """Nobody has written."""


def outbox(path: Path) -> Outbox:
    return Outbox(path, ["demo"], fresh=lambda name: f"{name}-1")


async def test_the_first_to_claim_owns_the_source_and_the_second_lets_it_pass_and_says_so(
    valkey: Valkey, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    redis, told = streams.connect(valkey.url), list[str]()
    first, second = outbox(tmp_path / "first"), outbox(tmp_path / "second")
    ours, theirs = owner(redis, first, told), owner(redis, second)
    assert await ours.claim()
    assert not await theirs.claim()
    assert await ours.claim()
    assert told == ["changed"]
    assert not await theirs.claim()
    assert caplog.text.count("source demo belongs to here: its traffic passes unopened here") == 1
    await ours.release()
    assert await theirs.claim()
    assert not await ours.claim()
    assert told == ["changed", "changed"]
    first.close()
    second.close()
    await redis.aclose()


async def test_a_restarted_owner_is_the_owner_at_once(valkey: Valkey, tmp_path: Path) -> None:
    redis = streams.connect(valkey.url)
    before = outbox(tmp_path)
    assert await owner(redis, before).claim()
    before.close()
    after = outbox(tmp_path)
    ours = owner(redis, after)
    assert ours.owned
    assert await ours.claim()
    after.close()
    await redis.aclose()


async def test_the_last_owner_goes_on_while_the_server_is_away(tmp_path: Path) -> None:
    server = Valkey(tmp_path / "valkey")
    server.start()
    redis, box = streams.connect(server.url), outbox(tmp_path / "outbox")
    ours = owner(redis, box)
    await ours.claim()
    server.stop()
    with pytest.raises(RedisError):
        await ours.claim()
    assert ours.owned
    await ours.release()
    box.close()
    await redis.aclose()


async def test_the_lease_is_kept_while_we_live(valkey: Valkey, tmp_path: Path) -> None:
    redis, box = streams.connect(valkey.url), outbox(tmp_path)
    ours = owner(redis, box, duration=0.3)
    keeping = asyncio.create_task(ours.keep())
    stranger = Lease(redis, KEYS.source("lease", "demo"), duration=1, owner="elsewhere")
    async with asyncio.timeout(10):
        while not ours.owned:
            await asyncio.sleep(0.01)
        # Longer than the lease: without renewal the stranger would have it.
        for _ in range(12):
            assert await stranger.acquire() is not None
            await asyncio.sleep(0.05)
    await cancelled(keeping)
    box.close()
    await redis.aclose()


async def test_the_source_is_ours_only_when_what_was_there_is_taken_over(valkey: Valkey, tmp_path: Path) -> None:
    redis, box, seen = streams.connect(valkey.url), outbox(tmp_path), list[bool]()

    async def settle(source: str) -> None:
        assert source == "demo"
        seen.append(ours.owned)
        if len(seen) == 1:
            raise ConnectionError

    ours = owner(redis, box, settle=settle)
    with pytest.raises(ConnectionError):
        await ours.claim()
    assert not ours.owned
    assert await ours.claim()
    assert await ours.claim()
    assert seen == [False, False], "once more after a failure, and not again while the lease is kept"
    box.close()
    await redis.aclose()


async def test_two_who_claim_at_once_take_over_once(valkey: Valkey, tmp_path: Path) -> None:
    redis, box, seen = streams.connect(valkey.url), outbox(tmp_path), list[str]()

    async def settle(source: str) -> None:
        await redis.ping()
        seen.append(source)

    ours = owner(redis, box, settle=settle)
    both = await asyncio.gather(ours.claim(), ours.claim())
    assert all(both)
    assert seen == ["demo"]
    box.close()
    await redis.aclose()
