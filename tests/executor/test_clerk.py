"""What was asked is taken up in its order: what another lane left half done comes before any entry."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor.asked import Desk, Mend, Resolve
from shared.outcomes import Notice
from tests.executor.rig import ACCOUNT, CODEC, KEYS, PATIENCE_S, Simulator, Source, ended, running, told
from tests.executor.test_replaying import Cut, denied, gone, request

ASKED = KEYS.account("replay", ACCOUNT)


async def test_what_a_lane_left_half_done_is_found_before_the_close_that_came_since_is_followed(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    """Followed first, the close would find nothing here, and the position would stay open for ever."""
    armed, cut = asyncio.Event(), asyncio.Event()

    def reach(now: str) -> None:
        if armed.is_set() and now == "called":
            cut.set()
            raise Cut(now)

    async with running(valkey.url, simulator, reach=reach):
        fact = await denied(redis, source)
        armed.set()
        await Desk(redis, KEYS, CODEC, ACCOUNT).ask(await request(redis, fact))
        async with asyncio.timeout(PATIENCE_S):
            await cut.wait()
    await source.close("o1")
    await redis.xreadgroup(ACCOUNT, "executor", {KEYS.orders: ">"})  # it was delivered, and the lane died before it
    async with running(valkey.url, simulator):
        found = await ended(redis, 3)

    assert [(o.result, o.attempt) for o in found] == [("denied", 1), ("filled", 2), ("closed", 1)]
    assert await simulator.volumes() == []
    assert len(await simulator.deals()) == 2


async def test_what_is_no_request_is_refused_and_taken_away(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    await redis.hset(ASKED, "fact:x", b"garbage")
    async with running(valkey.url, simulator):
        await gone(redis)
        await source.buy("o1")
        await ended(redis, 1)

    (notice,) = [m for m in await told(redis) if isinstance(m, Notice)]
    assert notice.text == "asked by the operator and not done: fact:x: it bears no sound signature of ours"


async def test_what_was_asked_long_ago_is_not_done(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    before = datetime(2026, 1, 1, tzinfo=UTC)
    desk = Desk(redis, KEYS, CODEC, ACCOUNT)
    async with running(valkey.url, simulator):
        await source.buy("o1")
        await ended(redis, 1)
        for each in (Resolve(target="link", name="l", result="closed", asked=before), Mend(names=("l",), asked=before)):
            await desk.ask(each)
        await gone(redis)

    texts: Any = [m.text for m in await told(redis) if isinstance(m, Notice)]
    assert [text.rpartition(": ")[2] for text in texts] == ["it was asked too long ago"] * 2
