"""What could be tried again is gathered from the streams, and from the archive where it has left them."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from archiver.migrate import migrate
from deploy.candidates import gathered, under_way
from deploy.embedded import Valkey
from deploy.surroundings import Surroundings, found
from executor.asked import Desk
from executor.replay import Wish
from shared.process import UserError
from tests.conftest import Database
from tests.deploy.archived import archive, configured
from tests.executor.rig import ACCOUNT, CODEC, KEYS, Simulator, Source, ended, running
from tests.executor.test_replaying import denied, request
from tests.executor.test_resolving import owed


@pytest.fixture
def around(tmp_path: Path, valkey: Valkey, postgres: Database) -> Surroundings:
    """A machine whose archive is empty."""
    migrate(postgres.dsn)
    return found(configured(tmp_path, valkey.url, postgres.dsn), {})


async def meant(around: Surroundings, redis: Redis, **wish: Any) -> list[tuple[str, int, bool]]:
    found_ones = await gathered(around, redis, ACCOUNT, Wish(**wish))
    return [(c.fact.id, c.attempt, c.archived) for c in found_ones]


async def test_what_has_left_the_streams_is_in_the_archive_with_how_it_ended(
    around: Surroundings, valkey: Valkey, postgres: Database, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        fact = await denied(redis, source)
        filled = await source.buy("o2")
        await ended(redis, 2)
    assert await meant(around, redis, id=fact.id) == [(fact.id, 2, False)]
    assert await meant(around, redis, id="nobody") == []
    await archive(redis, postgres.dsn)
    for key in (KEYS.orders, KEYS.outcomes):
        await redis.xtrim(key, maxlen=0)
    await redis.delete(KEYS.account("done", ACCOUNT))

    assert await meant(around, redis, denied="any") == []
    assert await meant(around, redis, id=fact.id) == [(fact.id, 2, True)]
    assert await meant(around, redis, id=filled.id) == []
    before = fact.captured - timedelta(seconds=1)
    assert await meant(around, redis, since=before) == [(fact.id, 2, True)]
    assert await meant(around, redis, since=before, until=fact.captured) == []


async def test_an_archive_that_is_needed_and_away_is_one_line(tmp_path: Path, valkey: Valkey, redis: Redis) -> None:
    away = found(configured(tmp_path, valkey.url, "postgresql://nobody@127.0.0.1:1/none?connect_timeout=1"), {})
    assert await gathered(away, redis, ACCOUNT, Wish(denied="any")) == ()
    with pytest.raises(UserError, match="the archive does not answer"):
        await gathered(away, redis, ACCOUNT, Wish(id="x"))


async def test_dead_letters_of_this_account_that_can_be_read_are_given_up_facts(
    around: Surroundings, redis: Redis, source: Source
) -> None:
    fact = await source.buy("o1")
    ((entry, fields),) = [row async for row in _rows(redis)]
    await redis.xtrim(KEYS.orders, maxlen=0)
    await redis.hset(KEYS.account("place", ACCOUNT), "entry", entry)
    for reader, letter in ((ACCOUNT, fields), ("other", fields), (ACCOUNT, {**fields, b"s": b"0"})):
        about = {b"reader": reader.encode(), b"entry": entry.encode(), b"reason": b"malformed"}
        added: Any = {**letter, **about}
        await redis.xadd(KEYS.dead, added)
    assert await meant(around, redis, dead=True) == [(fact.id, 1, False)]


async def _rows(redis: Redis) -> AsyncIterator[tuple[str, dict[Any, Any]]]:
    raw: Any = await redis.xrange(KEYS.orders)
    for entry, fields in raw:
        yield entry.decode(), fields


async def test_what_is_owed_pending_or_asked_for_is_under_way(
    around: Surroundings, valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        await owed(redis, source, simulator)
        refused = await denied(redis, source, "o2")
        assert await meant(around, redis, unfinished=True) == []
        asked = await request(redis, refused)
        await redis.hset(KEYS.account("replay", ACCOUNT), asked.field, Desk(redis, KEYS, CODEC, "x")._sealed(asked))
        assert await meant(around, redis, denied="any") in ([], [(refused.id, 2, False)])  # until the lane refuses it
    held: Any = await redis.xadd(KEYS.orders, {"m": b"{}", "k": b"k9", "s": b"0"})
    await redis.xreadgroup(ACCOUNT, "executor", {KEYS.orders: ">"})
    assert [entry async for entry, _ in under_way(redis, KEYS, ACCOUNT)] == [held.decode()]
