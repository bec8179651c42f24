"""The bare hop, with both of its processes on a real server."""

import pytest
from redis import Redis

from deploy.bench.hop import Hop, measured, moments, write
from deploy.embedded import Valkey
from shared.process import UserError
from shared.settings import Secret

HOP = Hop(stream="hop", count=20, size=900, pace=0.002, seed=1)


async def test_every_message_is_timed_and_nothing_is_left_behind(valkey: Valkey) -> None:
    took = await measured(Secret(valkey.url), HOP)
    assert len(took) == HOP.count
    assert all(0 < ms < 5000 for ms in took)
    with Redis.from_url(valkey.url) as redis:
        assert redis.keys() == []
        assert {client["cmd"] for client in redis.client_list()} == {"client|list"}


async def test_a_message_is_as_long_as_asked(valkey: Valkey) -> None:
    with Redis.from_url(valkey.url) as redis:
        write(redis, HOP)
        (_, fields), *others = redis.xrange("hop")
    assert sum(len(name) + len(value) for name, value in fields.items()) == HOP.size
    assert set(fields) == {b"m", b"k", b"s"}
    assert len(others) == HOP.count - 1


async def test_a_server_that_cannot_be_used_is_one_line(capfd: pytest.CaptureFixture[str], valkey: Valkey) -> None:
    with pytest.raises(UserError, match="one end of the bare hop ended by itself"):
        await measured(Secret(valkey.url.replace(valkey.password, "wrong")), HOP)
    assert "AuthenticationError" in capfd.readouterr().err


def test_pauses_keep_the_pace_are_never_equal_and_come_again_with_their_seed() -> None:
    pauses = moments(1000, 0.1, 7)
    assert sum(pauses) == pytest.approx(100, rel=0.05)
    assert min(pauses) >= 0.05
    assert max(pauses) <= 0.15
    assert len(set(pauses)) == 1000
    assert pauses == moments(1000, 0.1, 7) != moments(1000, 0.1, 8)
