"""What is put back, piece by piece; that trading goes on with it is shown in test_rebuilding.py."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from redis.asyncio import Redis

from archiver.originals import Original
from deploy import restoring
from deploy.custody import custody
from deploy.embedded import Valkey
from deploy.memory import Wanted, entries
from deploy.recollection import Ended, Origin, begun
from deploy.restoring import (
    Present,
    add_missing,
    ended,
    lacking,
    lasts,
    passed,
    restore_account,
    restore_sources,
    settled,
)
from executor.book import Debt
from executor.recalling import stored
from shared.facts import Fact
from shared.outcomes import Kept, Lacking, Memory
from shared.pictures import source_picture
from shared.process import UserError
from shared.wire import BadSignature, UnknownKey
from tests.executor.rig import ACCOUNT, CODEC, KEYS, OWNER, Simulator, Source, running
from tests.executor.rig import ended as ends_of_rig

NOW = datetime(2026, 11, 25, 13, 0, tzinfo=UTC)


@pytest.fixture
async def redis(redis: Redis) -> Redis:
    """A server on which the source owns its name already."""
    await redis.set(KEYS.source("lease", "demo"), OWNER)
    return redis


async def present(redis: Redis) -> list[Present]:
    return [Present(o.entry, CODEC.fact(o.fields)) for o in await entries(redis, KEYS.orders)]


async def told(redis: Redis, count: int = 3) -> list[Original]:
    """So many facts, as they lie in the stream."""
    source = Source(redis)
    await source.open()
    for number in range(count):
        await source.buy(f"p{number}", "0.1")
    return await entries(redis, KEYS.orders)


def fact_of(original: Original) -> Any:
    return CODEC.fact(original.fields)


def origin(originals: list[Original]) -> Origin:
    found = Origin()
    for original in originals:
        found.take(original, fact_of(original))
    return found


def whole(**passed: int) -> Kept:
    memory = Memory(links={"x": msgspec.Raw(b'{"key":"x"}')}, passed=passed)
    return Kept(account=ACCOUNT, seen=NOW, whole=True, memory=memory, state={"identity": "1@Demo"})


async def test_a_fact_that_was_put_back_is_passed_by_who_had_it_and_a_copy_is_a_dead_letter(
    valkey: Valkey, redis: Redis, tmp_path: Path
) -> None:
    simulator = Simulator(tmp_path / "terminal")
    await simulator.start()
    async with running(valkey.url, simulator):
        originals = await told(redis, 1)
        await ends_of_rig(redis, 1)
        wanted = Wanted(originals[0], fact_of(originals[0]), frozenset({"other"}))
        await add_missing(redis, KEYS, CODEC, [wanted], [])
        async with asyncio.timeout(30):
            while (await redis.xinfo_groups(KEYS.orders))[0]["lag"]:
                await asyncio.sleep(0.02)
        assert await redis.xlen(KEYS.dead) == 0
        await redis.xadd(KEYS.orders, cast(Any, originals[0].fields))
        async with asyncio.timeout(30):
            while not await redis.xlen(KEYS.dead):
                await asyncio.sleep(0.02)
    assert len(await simulator.deals()) == 1
    simulator.stop()


async def test_only_what_is_not_there_is_put_back(redis: Redis) -> None:
    originals = await told(redis)
    wanted = [Wanted(o, fact_of(o), frozenset({ACCOUNT})) for o in originals]
    assert await add_missing(redis, KEYS, CODEC, wanted, await present(redis)) == []
    await redis.xtrim(KEYS.orders, maxlen=1, approximate=False)
    added = await add_missing(redis, KEYS, CODEC, wanted, await present(redis))
    assert [p.read for p in added] == [fact_of(o) for o in originals[:2]]
    assert await present(redis) == [Present(originals[2].entry, fact_of(originals[2])), *added]


async def test_a_source_of_which_redis_knows_less_gets_its_picture_and_place_back(redis: Redis) -> None:
    found = origin(await told(redis))
    before = await source_picture(redis, KEYS, CODEC, "demo")
    assert await restore_sources(redis, KEYS, found, await lasts(redis, KEYS)) == []
    await redis.flushall()
    assert await restore_sources(redis, KEYS, found, await lasts(redis, KEYS)) == ["demo"]
    after = await source_picture(redis, KEYS, CODEC, "demo")
    assert (after.writer, after.refused) == (before.writer, ())
    assert {f.id for f in after.facts} == {f.id for f in before.facts}
    await redis.set(KEYS.source("lease", "demo"), OWNER)
    source = Source(redis)
    source.seq = 3
    await source.buy("p9", "0.1")  # the publisher goes on with the next number


async def test_a_source_that_is_written_to_meanwhile_is_left_alone(redis: Redis) -> None:
    found = origin(await told(redis))
    await redis.flushall()
    known = await lasts(redis, KEYS)
    await redis.hset(KEYS.producers, "rig", "1 1-1 s")
    assert await restore_sources(redis, KEYS, found, known) == []
    assert await redis.hget(KEYS.producers, "rig") == b"1 1-1 s"


async def test_an_outbox_that_fills_the_stream_up_is_waited_for(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restoring, "QUIET_S", 0.3)
    found = origin(await told(redis, 5))
    await redis.hset(KEYS.producers, "rig", "1 1-1 s")

    async def fill() -> None:
        for seq in range(2, 6):
            await asyncio.sleep(0.2)
            await redis.hset(KEYS.producers, "rig", f"{seq} 1-{seq} s")

    filling = asyncio.create_task(fill())
    await settled(redis, KEYS, found)
    await filling
    await redis.hset(KEYS.producers, "rig", "1 1-1 s")
    await settled(redis, KEYS, found)  # nobody fills it: that is waited for no longer than it takes to see it


@pytest.mark.parametrize("version", ["3", "x", "9" * 18, "nan", "-inf"])
async def test_an_account_reads_again_from_the_first_entry_it_wants(redis: Redis, version: str) -> None:
    originals = await told(redis)
    found = begun(ACCOUNT, ["demo"], "0-1", whole(rig=1))
    found.ends[fact_of(originals[1]).id, 1] = Ended("denied", NOW, "1-1")
    state: Any = {"mode": "active", "server": "old", "flatten": "1", "flattened": "1"}
    await redis.hset(KEYS.account("state", ACCOUNT), mapping=state)
    await redis.hset(KEYS.account("place", ACCOUNT), "version", version)
    seconds, micros = await redis.time()
    before = seconds * 1_000_000 + micros
    async with custody(redis, KEYS, [ACCOUNT], "restore") as tokens:
        again = await restore_account(redis, KEYS, CODEC, tokens[ACCOUNT], found, await present(redis))
    assert [each.entry for each in again] == [originals[2].entry]
    assert lacking(again) == (Lacking("rig", 3, 3),)
    place: Any = await redis.hgetall(KEYS.account("place", ACCOUNT))
    state = await redis.hgetall(KEYS.account("state", ACCOUNT))
    assert (place[b"entry"], place[b"seq:rig"]) == (originals[2].entry.encode(), b"3")
    assert NOW.timestamp() / 2 < int(place[b"version"]) < 10**15
    assert state.keys() == {b"mode", b"reason", b"identity", b"suspect-before", b"flattened", b"rearmed", b"stopped"}
    assert before < int(state[b"flattened"]) == int(state[b"rearmed"])  # what somebody has kept is done
    assert (state[b"mode"], state[b"reason"]) == (b"close-only", b"restored")
    assert await redis.hgetall(KEYS.account("links", ACCOUNT)) == {b"x": b'{"key":"x"}'}
    assert (await stored(redis, KEYS, ACCOUNT)).flaw(CODEC, ACCOUNT) is None
    reply: Any = await redis.xreadgroup(ACCOUNT, "c", {KEYS.orders: ">"})
    assert [entry.decode() for entry, _ in reply[0][1]] == [originals[2].entry]
    done: Any = await redis.hgetall(KEYS.account("done", ACCOUNT))
    assert {k.decode(): v.decode().split()[0] for k, v in done.items()} == {
        f"{fact_of(originals[0]).id}#1": "ignored",
        f"{fact_of(originals[1]).id}#1": "denied",
    }


async def test_an_account_that_was_halted_stays_halted(redis: Redis) -> None:
    await redis.hset(KEYS.account("state", ACCOUNT), mapping={"mode": "halted", "reason": "operator"})
    async with custody(redis, KEYS, [ACCOUNT], "restore") as tokens:
        await restore_account(redis, KEYS, CODEC, tokens[ACCOUNT], begun(ACCOUNT, ["demo"], "0-1", whole()), [])
    assert await redis.hmget(KEYS.account("state", ACCOUNT), ["mode", "reason"]) == [b"halted", b"operator"]


async def test_what_is_none_of_ours_under_the_names_of_an_account_s_keys_holds_nothing_up(redis: Redis) -> None:
    for part in ("state", "place", "links", "debts", "done"):
        await redis.set(KEYS.account(part, ACCOUNT), "x")
    await redis.hset(KEYS.producers, mapping={cast(Any, b"\xff"): "x", "rig": "many"})
    async with custody(redis, KEYS, [ACCOUNT], "restore") as tokens:
        await settled(redis, KEYS, origin([]))
        await restore_account(redis, KEYS, CODEC, tokens[ACCOUNT], begun(ACCOUNT, ["demo"], "0-1", whole()), [])
    assert (await stored(redis, KEYS, ACCOUNT)).flaw(CODEC, ACCOUNT) is None


async def test_nothing_is_written_for_an_account_that_somebody_else_has_taken(redis: Redis) -> None:
    with pytest.raises(UserError, match="another command has taken the account"):
        await restore_account(redis, KEYS, CODEC, "not the token", begun(ACCOUNT, ["demo"], "0-1", whole()), [])
    assert not await redis.exists(KEYS.account("links", ACCOUNT))


def fact_named(name: str) -> Fact:
    from tests.archiver.entries import fact

    return msgspec.structs.replace(fact(1), id=name)


def test_marks_say_what_has_ended_and_what_needs_no_end_any_more() -> None:
    found = begun(ACCOUNT, ["demo"], "0-1", whole())
    found.ends["f", 2] = Ended("filled", datetime.fromtimestamp(7, UTC), "1-1")
    assert ended(found, [], "9-9") == {"f#2": "filled 7000 9-9"}
    there = [Present("1-0", fact_named("a")), Present("2-0", fact_named("b")), Present("3-0", BadSignature("k1"))]
    assert passed(found, there, {"2-0"}, "9-9") == {"a#1": "ignored 0 9-9"}


def test_what_a_debt_ends_has_no_mark_though_a_server_that_was_lost_had_told_its_end() -> None:
    now = datetime.fromtimestamp(7, UTC)
    found = begun(ACCOUNT, ["demo"], "0-1", whole())
    debt = Debt(link="x", fact="f", entry="1-0", target=Decimal(0), since=now, captured=now, attempt=2)
    found.debts["x"] = msgspec.json.encode(debt)
    found.ends.update({("f", 1): Ended("denied", now, "1-1"), ("f", 2): Ended("closed", now, "1-2")})

    assert ended(found, [], "9-9") == {"f#1": "denied 7000 9-9"}


def test_what_is_followed_again_has_no_mark_though_a_server_that_was_lost_had_told_its_end() -> None:
    now = datetime.fromtimestamp(7, UTC)
    found = begun(ACCOUNT, ["demo"], "0-1", whole())
    found.ends.update({(name, 1): Ended("filled", now, "1-1") for name in ("a", "b", "c")})
    found.states["b", 1] = "1-2"

    assert ended(found, [Present("3-0", fact_named("a"))], "9-9") == {"c#1": "filled 7000 9-9"}


def test_what_waits_for_a_key_is_read_again_and_what_is_forged_is_not() -> None:
    assert restoring._wanted(Present("1-0", UnknownKey("k9")), lambda _fact: False)
    assert not restoring._wanted(Present("1-0", BadSignature("k1")), lambda _fact: True)


def test_what_is_to_be_followed_again_is_told_in_spans() -> None:
    from tests.archiver.entries import fact

    there = [Present(f"{n}-0", fact(n)) for n in (3, 1, 2, 7, 8, 5)]

    assert lacking(there) == tuple(Lacking(fact(1).producer, *span) for span in ((1, 3), (5, 5), (7, 8)))
    assert lacking([Present("9-0", UnknownKey("k9"))]) == ()
