"""Where groups stand is read of every group that can be somebody's, whatever others have made."""

import logging
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from archiver.standing import Standing, standings
from archiver.strangers import Strangers

STREAM = "orders"
LAST = 2**64 - 1


@pytest.mark.parametrize(
    ("delivered", "pending", "needs"),
    [
        ("5-3", None, (5, 4)),
        ("5-3", "4-0", (4, 0)),
        (f"5-{LAST}", None, (6, 0)),
        (f"{LAST}-{LAST}", None, (LAST, 0)),
    ],
)
def test_what_a_group_needs_is_an_id_that_the_server_takes(
    delivered: str, pending: str | None, needs: tuple[int, int]
) -> None:
    assert Standing(group="one", delivered=delivered, pending=pending).needs == needs


async def test_a_stream_that_is_not_there_has_no_groups(redis: Redis) -> None:
    assert await standings(redis, STREAM, Strangers()) == []


async def test_groups_whose_name_is_no_text_are_named_and_passed_by(
    redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    await redis.xadd(STREAM, {"m": "x"}, id="1-0")
    for name in (b"one", b"\xff\n", b"a\0b"):
        await redis.xgroup_create(STREAM, cast(Any, name), id="0")
    strangers = Strangers()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert await standings(redis, STREAM, strangers) == [Standing(group="one", delivered="0-0")]
    assert sorted(message.split(" is ")[0] for message in caplog.messages) == [
        "passed by: \\xff\\x0a",
        "passed by: a\\x00b",
    ]


async def test_a_group_that_goes_while_they_are_listed_is_left_out(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await redis.xadd(STREAM, {"m": "x"}, id="1-0")
    await redis.xgroup_create(STREAM, "one", id="0")
    await redis.xgroup_create(STREAM, "two", id="0")
    pending = redis.xpending

    async def meanwhile(stream: str, group: str) -> Any:
        await redis.xgroup_destroy(stream, "one")
        return await pending(stream, group)

    monkeypatch.setattr(redis, "xpending", meanwhile)
    assert [each.group for each in await standings(redis, STREAM, Strangers())] == ["two"]
