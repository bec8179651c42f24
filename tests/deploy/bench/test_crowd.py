"""A crowd is fed by hand: facts are in the stream as publishing leaves them, and each account follows them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.bench.crowd import Crowd, now
from deploy.bench.feed import Feed
from deploy.chaos.timing import SCALE, shipped
from shared.process import UserError


@pytest.fixture
async def crowd(tmp_path: Path) -> AsyncIterator[Crowd]:
    found = Crowd(tmp_path, 2, shipped().over(SCALE))
    try:
        await found.start()
        yield found
    finally:
        await found.stop()


async def test_what_is_filled_in_at_once_can_be_followed_by_publishing(crowd: Crowd) -> None:
    feed = Feed("one")
    await crowd.fill(list(feed.many(3, now())))

    await crowd.publish(feed.next(now()))

    with pytest.raises(UserError, match="does not take a fact: Conflict"):
        await crowd.publish(next(Feed("one").many(1, now())))


async def test_every_account_follows_and_is_drained_when_all_is_over(crowd: Crowd) -> None:
    feed = Feed("one")
    await crowd.fill(list(feed.many(5, now())))
    with pytest.raises(UserError, match="do not come to an end"):
        await crowd.drained(patience=0.0)

    executor = await crowd.executor()
    await crowd.drained()

    ended = await crowd.ended("0-0")
    assert {(o.account, o.result) for _, o in ended} == {(n, r) for n in crowd.names for r in ("filled", "closed")}
    assert len(ended) == 10
    await crowd.end(executor)
    assert executor.returncode == 0
