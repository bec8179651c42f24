"""What is asked to be mended is taken up or refused in words; an opening is asked for only when it can be had."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from executor.asked import Desk, Mend, Replay
from executor.bookkeeping import Bookkeeper
from executor.follower import Follower
from executor.mender import ASKED, Mender, name_of, named
from executor.mending import ToOpen
from executor.sight import Sight
from executor.sights import Sights
from shared import vitals
from shared.facts import Amount, Fact, PositionOpened
from shared.vitals import SourceVitals
from tests.executor.mends import NOW
from tests.executor.rig import ACCOUNT, CODEC, KEYS, Simulator, Source, account

O1 = "demo/10001/o1"
LEASE, DONE = KEYS.account("lease", ACCOUNT), KEYS.account("done", ACCOUNT)
HERE = datetime.now(UTC)


@pytest.fixture
async def desk(redis: Redis) -> Desk:
    """The desk of a lane that holds its lease."""
    await redis.set(LEASE, "executor-main:1")
    return Desk(redis, KEYS, CODEC, ACCOUNT)


@pytest.fixture
async def mender(redis: Redis, desk: Desk, simulator: Simulator) -> AsyncIterator[Mender]:
    sights = Sights(redis, KEYS, CODEC, ["demo"])
    async with simulator.keeper() as (_, keeper):
        await keeper.ensure("EURUSD")
        yield menders(desk, sights, keeper)


def menders(desk: Desk, sights: Sights, keeper: Bookkeeper | None, **changes: Any) -> Mender:
    follower, book = cast(Follower, None), cast(Bookkeeper, keeper)
    return Mender(ACCOUNT, account(**changes), desk, sights, book, follower, lambda: HERE)


async def shown(redis: Redis, fact: Fact, ago: float = 0) -> Sight:
    """A source that holds one position, looked at so long ago."""
    told = SourceVitals(at=HERE, owned=True, polled=HERE - timedelta(seconds=ago))
    await vitals.tell_source(redis, KEYS, "demo", told)
    demo = frozenset({"demo"})
    return Sight(positions={O1: fact}, followed=demo, judged=demo, readable=demo)


async def only(desk: Desk) -> Replay:
    (request,) = (await desk.requests()).values()
    assert isinstance(request, Replay)
    return request


async def test_in_shadow_nothing_is_mended(redis: Redis, desk: Desk) -> None:
    mender = menders(desk, Sights(redis, KEYS, CODEC, ["demo"]), None, mode="shadow")

    assert "shadow" in str(await mender.take(Mend(names=("stray:1",), asked=NOW)))
    assert mender.asked is None


async def test_an_opening_is_asked_for_as_the_source_shows_it(
    redis: Redis, desk: Desk, source: Source, mender: Mender
) -> None:
    await source.buy("o1", "0.3")
    fact = await source.close("o1", "0.1")

    assert await mender.open(ToOpen(O1), await shown(redis, fact)) == ASKED

    request = await only(desk)
    opening = CODEC.fact(request.fields)
    assert isinstance(opening, PositionOpened)
    assert (request.fact, request.attempt, request.adopt) == (fact.id, 1, True)
    assert (opening.exposure.before, opening.exposure.after) == (Amount(), fact.exposure.after)
    assert opening.captured == fact.captured


async def test_a_fact_that_ended_without_effect_gets_its_next_attempt(
    redis: Redis, desk: Desk, source: Source, mender: Mender
) -> None:
    fact = await source.buy("o1")
    await redis.hset(DONE, mapping={f"{fact.id}#1": "denied 1 1-1", f"{fact.id}#2": "ignored 1 1-1"})

    assert await mender.open(ToOpen(O1), await shown(redis, fact)) == ASKED
    assert (await only(desk)).attempt == 3


async def test_what_had_an_effect_is_not_done_again(redis: Redis, desk: Desk, source: Source, mender: Mender) -> None:
    fact = await source.buy("o1")
    await redis.hset(DONE, f"{fact.id}#1", "filled 1 1-1")

    answer = await mender.open(ToOpen(O1), await shown(redis, fact))
    assert ("had an effect" in answer.why, answer.later) == (True, False)


async def test_it_is_asked_for_once(redis: Redis, source: Source, mender: Mender) -> None:
    seen = await shown(redis, await source.buy("o1"))
    await mender.open(ToOpen(O1), seen)

    assert "already" in (await mender.open(ToOpen(O1), seen)).why


async def test_nothing_is_opened_by_what_a_source_showed_a_while_ago(
    redis: Redis, desk: Desk, source: Source, mender: Mender
) -> None:
    answer = await mender.open(ToOpen(O1), await shown(redis, await source.buy("o1"), ago=60))

    assert answer.why.startswith("nobody has looked at demo")
    assert answer.later
    assert await desk.requests() == {}


async def test_what_the_source_does_not_show_is_not_opened(redis: Redis, source: Source, mender: Mender) -> None:
    seen = await shown(redis, await source.buy("o1"))

    for what in (ToOpen("demo/10001/o2"), ToOpen(O1, "L")):
        answer = await mender.open(what, seen)
        assert ("does not show" in answer.why, answer.later) == (True, False)


def test_an_opening_keeps_its_name() -> None:
    for what in (ToOpen(O1), ToOpen(O1, "L#2")):
        assert named(name_of(what)) == what
