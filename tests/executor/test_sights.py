"""What is read of the sources: what they hold, and how far the account has followed them."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from executor.sights import LOOKED, Sights
from shared import vitals
from shared.vitals import SourceVitals
from tests.executor.rig import CODEC, KEYS, Source

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
O1, PICTURE = "demo/10001/o1", KEYS.source("picture", "demo")
DEMO = frozenset({"demo"})
PASSED = {"rig": 2}
"""The account has followed both facts of `told`."""


@pytest.fixture
def sights(redis: Redis) -> Sights:
    return Sights(redis, KEYS, CODEC, ["demo"])


@pytest.fixture
async def told(source: Source) -> Source:
    """A position and a resting order."""
    await source.buy("o1")
    await source.limit("o2", "0.1", "1.05")
    return source


async def test_it_shows_what_the_source_holds_and_what_rests(sights: Sights, told: Source) -> None:
    shown = await sights.look(PASSED)

    assert list(shown.positions) == [O1]
    assert list(shown.orders) == [("demo/10001/o2", "o2")]
    assert shown.followed == shown.judged == shown.whole == DEMO
    assert shown.blank == frozenset()


@pytest.mark.parametrize("content", [b"\xff", b"", b"x 1-1 s", b"9" * 5000, b"-2"])
async def test_a_sequence_that_is_none_is_not_known(redis: Redis, sights: Sights, told: Source, content: bytes) -> None:
    await redis.hset(KEYS.producers, "rig", cast(Any, content))
    assert (await sights.look(PASSED)).judged == frozenset()
    await redis.hset(PICTURE, "writer", cast(Any, b"\xff"))
    assert (await sights.look(PASSED)).judged == frozenset()
    assert await sights.is_behind(PASSED) in (True, False)


@pytest.mark.parametrize("passed", [{"rig": 1}, {}, {"rig": 3}, {"other": 2}])
async def test_with_facts_on_their_way_or_lost_by_the_server_nothing_is_judged(
    passed: dict[str, int], sights: Sights, told: Source
) -> None:
    shown = await sights.look(passed)

    assert shown.judged == frozenset()
    assert shown.whole == frozenset()
    assert shown.readable == {"demo"}
    assert await sights.is_behind(passed)
    assert not await sights.is_behind(PASSED)


async def test_a_source_that_never_said_anything_is_blank(sights: Sights) -> None:
    shown = await sights.look({})

    assert shown.blank == DEMO
    assert shown.judged == shown.readable == frozenset()
    assert not await sights.is_behind({})


async def test_what_cannot_be_read_leaves_a_hole_in_the_picture(redis: Redis, sights: Sights, told: Source) -> None:
    await redis.hset(PICTURE, "10001/position:o7", "k1 forged {}")
    shown = await sights.look(PASSED)

    assert shown.judged == {"demo"}
    assert shown.whole == frozenset()


async def test_a_server_that_forgot_what_was_published_is_not_judged(
    redis: Redis, sights: Sights, told: Source
) -> None:
    await redis.delete(KEYS.producers)

    assert (await sights.look({})).judged == frozenset()


@pytest.mark.parametrize(("ago", "fresh"), [(LOOKED, True), (LOOKED + timedelta(seconds=1), False), (None, False)])
async def test_a_source_is_fresh_while_somebody_looks_at_it(
    ago: timedelta | None, fresh: bool, redis: Redis, sights: Sights
) -> None:
    polled = NOW - ago if ago is not None else None
    assert not await sights.is_fresh("demo", NOW), "nobody has told"
    await vitals.tell_source(redis, KEYS, "demo", SourceVitals(at=NOW, owned=True, polled=polled))

    assert await sights.is_fresh("demo", NOW) == fresh
