"""Leaving, and becoming another login's, is one step in Redis; what was held is told to the archive before."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from deploy import membership
from deploy.custody import custody
from deploy.embedded import Valkey
from deploy.membership import memory, remove, repoint
from executor.recalling import stored
from shared import streams
from shared.outcomes import Kept
from shared.process import UserError
from tests.deploy.test_standing import LINK
from tests.executor.rig import ACCOUNT, CODEC, KEYS, told
from tests.executor.seals import join, seal

STATE: dict[Any, Any] = {"mode": "close-only", "identity": "1@Demo", "peak": "9", "deals-told": "5", "joined": "{}"}
PARTS = ("place", "links", "debts", "done", "replay", "state")


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator[Redis]:
    client = streams.connect(valkey.url)
    await join(client)
    await client.hset(KEYS.account("links", ACCOUNT), "x", msgspec.json.encode(LINK))
    await client.hset(KEYS.account("debts", ACCOUNT), "x", "{}")
    await client.hset(KEYS.account("done", ACCOUNT), "f#1", "filled 1 1-1")
    await client.hset(KEYS.account("replay", ACCOUNT), "fact:f", "asked")
    await client.hset(KEYS.account("place", ACCOUNT), "seq:p", "7")
    await client.hset(KEYS.account("state", ACCOUNT), mapping=STATE)
    await seal(client)
    yield client
    await client.aclose()


async def hashes(redis: Redis) -> dict[str, dict[str, str]]:
    found: dict[str, Any] = {part: await redis.hgetall(KEYS.account(part, ACCOUNT)) for part in PARTS}
    return {part: {k.decode(): v.decode() for k, v in values.items()} for part, values in found.items() if values}


async def test_who_is_removed_leaves_nothing_but_that_it_was_and_what_it_held_is_told(redis: Redis) -> None:
    async with custody(redis, KEYS, [ACCOUNT], "remove") as tokens:
        await remove(redis, KEYS, CODEC, tokens[ACCOUNT], ACCOUNT)
    left = await hashes(redis)
    assert (list(left), list(left["state"])) == (["state"], ["removed"])
    assert await redis.xinfo_groups(KEYS.orders) == []
    (kept,) = await told(redis)
    assert isinstance(kept, Kept)
    assert (kept.whole, kept.removed, kept.memory.passed) == (True, True, {"p": 7})
    assert bytes(kept.memory.links["x"]) == msgspec.json.encode(LINK)


@pytest.mark.parametrize(("abandon", "links"), [(False, 1), (True, 0)])
async def test_another_login_has_none_of_the_old_one_s_figures(redis: Redis, abandon: bool, links: int) -> None:
    before = await hashes(redis)
    async with custody(redis, KEYS, [ACCOUNT], "repoint") as tokens:
        await repoint(redis, KEYS, CODEC, tokens[ACCOUNT], ACCOUNT, "2@Demo", abandon=abandon)
    after = await hashes(redis)
    joined = {} if abandon else {"joined": "{}"}
    for name in ("server", "flattened", "rearmed"):
        del after["state"][name]
    assert after["state"] == {"mode": "close-only", "identity": "2@Demo", **joined}
    assert {**after["place"], "seal": ""} == {**before["place"], "version": "1", "seal": ""}
    assert (await stored(redis, KEYS, ACCOUNT)).flaw(CODEC, ACCOUNT) is None
    assert len(after.get("links", {})) == links
    (kept,) = await told(redis)
    assert isinstance(kept, Kept)
    assert (kept.state, len(kept.memory.links)) == ({"identity": "2@Demo", **joined}, links)
    assert len(after.get("replay", {})) == links
    assert after["done"] == {"f#1": "ignored 1 1-1" if abandon else "filled 1 1-1"}


async def test_nothing_is_done_with_an_account_that_somebody_else_has_taken(redis: Redis) -> None:
    before = await hashes(redis)
    async with custody(redis, KEYS, [ACCOUNT], "remove"):
        with pytest.raises(UserError, match="another command has taken the account"):
            await remove(redis, KEYS, CODEC, "not the token", ACCOUNT)
        with pytest.raises(UserError, match="another command has taken the account"):
            await repoint(redis, KEYS, CODEC, "not the token", ACCOUNT, "", abandon=True)
    assert await hashes(redis) == before
    assert await told(redis) == []


async def test_what_somebody_else_has_written_is_not_told_as_ours(redis: Redis) -> None:
    """It would be signed, and could be restored."""
    await redis.hset(KEYS.account("links", ACCOUNT), "y", msgspec.json.encode(LINK).decode())
    before = await hashes(redis)
    async with custody(redis, KEYS, [ACCOUNT], "remove") as tokens:
        with pytest.raises(UserError, match=f"^{ACCOUNT}: .* is not what was sealed.* restore --account {ACCOUNT}"):
            await remove(redis, KEYS, CODEC, tokens[ACCOUNT], ACCOUNT)
        with pytest.raises(UserError, match="is not what was sealed"):
            await repoint(redis, KEYS, CODEC, tokens[ACCOUNT], ACCOUNT, "2@Demo", abandon=True)
    assert (await hashes(redis), await told(redis)) == (before, [])


@pytest.mark.parametrize("afresh", [False, True])
async def test_what_is_left_of_an_account_that_joins_is_forgotten_only_when_a_person_says_so(
    redis: Redis, afresh: bool
) -> None:
    await redis.xgroup_destroy(KEYS.orders, ACCOUNT)
    assert await membership.join(redis, KEYS, CODEC, ACCOUNT, afresh=afresh)
    found = await stored(redis, KEYS, ACCOUNT)
    assert (found.flaw(CODEC, ACCOUNT) is None, bool(found.links), "joined" in found.state) == (
        (True, False, False) if afresh else (False, True, True)
    )
    assert found.state["mode"] == b"close-only"


async def test_the_memory_is_all_that_redis_has(redis: Redis) -> None:
    kept, _ = await memory(redis, KEYS, CODEC, ACCOUNT)
    assert (list(kept.memory.links), list(kept.memory.debts), kept.memory.passed) == (["x"], ["x"], {"p": 7})
    assert kept.state == {name: value for name, value in STATE.items() if name != "mode"}
