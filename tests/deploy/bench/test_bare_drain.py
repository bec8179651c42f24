"""The bare loop reads every entry once, answers each, and leaves nothing behind."""

import pytest
from redis import Redis

from deploy.bench.bare_drain import GROUP, drain, measured
from deploy.embedded import Valkey
from shared.process import UserError
from shared.settings import Secret

COUNT, SIZE = 30, 500


def filled(valkey: Valkey) -> Redis:
    redis = Redis.from_url(valkey.url)
    for number in range(COUNT):
        redis.xadd("entries", {"m": str(number)})
    return redis


def test_each_entry_is_read_answered_and_acknowledged(valkey: Valkey) -> None:
    with filled(valkey) as redis:
        redis.xgroup_create("entries", GROUP, id="0")

        assert drain(redis, "entries", "answers", SIZE) > 1

        answers = redis.xrange("answers")
        assert len(answers) == COUNT
        assert {sum(len(value) for value in fields.values()) for _, fields in answers} == {SIZE - 3}
        assert redis.xpending("entries", GROUP)["pending"] == 0


async def test_a_process_of_its_own_does_it_and_only_the_entries_are_left(valkey: Valkey) -> None:
    with filled(valkey) as redis:
        assert await measured(Secret(valkey.url), "entries", "0", "answers", SIZE) > 1

        assert redis.keys() == [b"entries"]
        assert redis.xinfo_groups("entries") == []


async def test_a_server_that_cannot_be_used_is_one_line(valkey: Valkey, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="the bare loop ended by itself"):
        await measured(Secret(valkey.url.replace(valkey.password, "wrong")), "entries", "0", "answers", SIZE)
    assert "AuthenticationError" in capfd.readouterr().err
