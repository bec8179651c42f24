"""Before a key is retired nothing that lives bears it any more; what somebody else signed stays what it is."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner
from redis.asyncio import Redis

from deploy import control, membership, resealing
from deploy.cli import cli
from deploy.embedded import Valkey
from executor import sealing
from executor.asked import Desk, Mend, Replay
from executor.orders import DONE, ordered, said, signed
from executor.recalling import stored
from executor.sealing import Contents
from shared import streams
from shared.pictures import source_picture
from shared.streams import Keys, Publisher
from shared.wire import Codec, Keyring
from tests.deploy.onlookers import beside
from tests.e2e.processes import run
from tests.executor.rig import NAMESPACE
from tests.shared.samples import MOMENT, placed

KEYS, OWNER = Keys(NAMESPACE), "owner"
OLD, NEW = {"k1": b"1" * 32}, {"k2": b"2" * 32}
BEFORE = Codec(NAMESPACE, Keyring(current="k1", keys=OLD))
TURNED = Codec(NAMESPACE, Keyring(current="k2", keys=NEW | OLD))
AFTER = Codec(NAMESPACE, Keyring(current="k2", keys=NEW))


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator[Redis]:
    client = streams.connect(valkey.url)
    await client.set(KEYS.source("lease", "demo"), OWNER)
    yield client
    await client.aclose()


async def known(redis: Redis) -> None:
    """A position that is open, and what a successor needs, both signed with the old key."""
    await Publisher(redis, KEYS, BEFORE).publish(placed(), OWNER)
    name = KEYS.source("memory", "demo")
    await redis.hset(name, "10001", BEFORE.seal("memory:demo/10001", b"{}"))


async def test_pictures_and_memories_are_signed_anew(redis: Redis) -> None:
    await known(redis)
    assert (await resealing.counted(redis, KEYS, TURNED, ("demo",)))["k1"] == 4
    assert (await source_picture(redis, KEYS, AFTER, "demo")).facts == ()

    assert await resealing.reseal(redis, KEYS, TURNED, "k1", ("demo",)) == 3

    assert (await source_picture(redis, KEYS, AFTER, "demo")).facts == (placed(),)
    memory: Any = await redis.hget(KEYS.source("memory", "demo"), "10001")
    assert AFTER.opened("memory:demo/10001", memory) == b"{}"
    assert await resealing.counted(redis, KEYS, TURNED, ("demo",)) == {
        "k1": 1,
        "k2": 3,
    }  # the entry in the stream stays


async def test_the_seal_of_what_an_account_remembers_is_signed_anew(redis: Redis) -> None:
    await membership.join(redis, KEYS, BEFORE, "main")
    assert await resealing.counted(redis, KEYS, TURNED, ()) == {"k1": 1}
    assert "sealed with key 'k1'" in ((await stored(redis, KEYS, "main")).flaw(AFTER, "main") or "")

    assert await resealing.reseal(redis, KEYS, TURNED, "k1", ()) == 1

    assert (await stored(redis, KEYS, "main")).flaw(AFTER, "main") is None
    assert await resealing.counted(redis, KEYS, TURNED, ()) == {"k2": 1}


async def test_a_seal_that_is_not_soundly_signed_is_not_signed_by_us(redis: Redis) -> None:
    """Nor that of another account."""
    await membership.join(redis, KEYS, BEFORE, "main")
    for forged in (b"k1 " + b"0" * 64 + b" x", sealing.sealed(BEFORE, "other", Contents())):
        await redis.hset(KEYS.account("place", "main"), "seal", forged.decode())
        assert await resealing.reseal(redis, KEYS, TURNED, "k1", ()) == 0


async def test_what_is_not_soundly_signed_is_not_signed_by_us(redis: Redis) -> None:
    await known(redis)
    name = KEYS.source("picture", "demo")
    forged = b"k1 " + b"0" * 64 + b" {}"
    await redis.hset(name, "10001/position:x", forged)

    await resealing.reseal(redis, KEYS, TURNED, "k1", ("demo",))

    assert await redis.hget(name, "10001/position:x") == forged


STATE, REQUESTS = KEYS.account("state", "main"), KEYS.account("replay", "main")


async def ask(redis: Redis) -> None:
    """Ask of an account that nobody works for all that can be asked, signed with the old key."""
    await control.order(redis, KEYS, lambda: BEFORE, "flatten", {"main": True})
    await control.order(redis, KEYS, lambda: BEFORE, "resume", {"main": True})
    await redis.set(KEYS.account("lease", "main"), "somebody")
    m, k, s = (value.decode() for value in BEFORE.entry("orders", placed()).values())
    again = Replay(fact="f", entry="1-0", attempt=2, asked=MOMENT, m=m, k=k, s=s)
    desk = Desk(redis, KEYS, BEFORE, "main")
    await redis.hset(KEYS.account("done", "main"), "f#1", "denied 1 1-0")
    for request in (again, Mend(names=("a",), asked=MOMENT)):
        assert await desk.ask(request) == "asked"


async def heard(redis: Redis, codec: Codec) -> tuple[list[bool], list[bool]]:
    """Which orders and which requests an executor with these keys believes."""
    kept: Any = await redis.hmget(STATE, [*DONE])
    orders = [ordered(codec, "main", what, each.decode()) > 0 for what, each in zip(DONE, kept, strict=True)]
    requests = (await Desk(redis, KEYS, codec, "main").requests()).values()
    sound = [isinstance(each, Mend) or (each is not None and codec.fact(each.fields) == placed()) for each in requests]  # type: ignore[union-attr]
    return orders, sound


async def test_what_an_operator_has_asked_is_signed_anew_with_the_original_in_it(redis: Redis) -> None:
    await ask(redis)
    assert await heard(redis, AFTER) == ([False, False], [False, False])
    assert await resealing.waiting(redis, KEYS, TURNED, "k1") == ["main"]
    before = (await resealing.counted(redis, KEYS, TURNED, ()))["k1"]

    assert await resealing.reseal(redis, KEYS, TURNED, "k1", ()) == 4

    assert await heard(redis, AFTER) == ([True, True], [True, True])
    assert await resealing.waiting(redis, KEYS, TURNED, "k1") == []
    assert await resealing.counted(redis, KEYS, TURNED, ()) == {"k2": before}


async def test_a_request_that_an_executor_has_signed_since_has_its_original_signed_anew(redis: Redis) -> None:
    await ask(redis)
    desk = Desk(redis, KEYS, TURNED, "main")
    (again,) = [each for each in (await desk.requests()).values() if isinstance(each, Replay)]
    await redis.hset(REQUESTS, mapping=cast(Any, desk.noting(again).noted))
    await resealing.reseal(redis, KEYS, TURNED, "k1", ())
    assert await heard(redis, AFTER) == ([True, True], [True, True])


async def test_what_an_operator_has_not_asked_is_not_signed_by_us(redis: Redis) -> None:
    await ask(redis)
    forged = f"k1 {'0' * 64} 1234567890123456"
    await redis.hset(STATE, mapping={"flatten": forged, "rearm": signed(BEFORE, "other", "rearm", 5)})
    await redis.hset(REQUESTS, mapping={"mend": forged, "fact:f": cast(Any, b"k1 \xff {}")})
    assert await resealing.reseal(redis, KEYS, TURNED, "k1", ()) == 0
    assert await resealing.waiting(redis, KEYS, TURNED, "k1") == []


async def test_what_was_carried_out_waits_for_nobody(redis: Redis) -> None:
    await control.order(redis, KEYS, lambda: BEFORE, "flatten", {"main": True})
    (kept,) = cast(Any, await redis.hmget(STATE, ["flatten"]))
    await redis.hset(STATE, "flattened", str(said(kept.decode())))
    assert await resealing.waiting(redis, KEYS, TURNED, "k1") == []
    assert await resealing.reseal(redis, KEYS, TURNED, "k1", ()) == 1


async def test_what_somebody_has_put_in_place_of_a_key_keeps_no_other_from_being_signed_anew(redis: Redis) -> None:
    await membership.join(redis, KEYS, BEFORE, "main")
    for part in ("place", "state", "replay"):
        await redis.set(KEYS.account(part, "other"), "no hash")
    assert await resealing.reseal(redis, KEYS, TURNED, "k1", ()) == 1
    assert (await resealing.counted(redis, KEYS, TURNED, ()))["k2"] == 1


async def test_what_was_asked_under_a_key_that_was_stolen_is_void(redis: Redis, valkey: Valkey, tmp_path: Path) -> None:
    """Whoever has it may have asked."""
    config = turned_file(tmp_path, valkey)
    await ask(redis)

    def retire() -> Any:
        return CliRunner().invoke(cli, [*config, "key", "retire", "k1", "--now"])

    done = await asyncio.to_thread(retire)
    assert done.exit_code == 0, done.output
    assert "main: what was asked of it under k1 is void" in done.output
    assert await heard(redis, AFTER) == ([False, False], [False, False])


async def test_a_key_under_which_an_operator_still_asks_is_not_retired(
    redis: Redis, valkey: Valkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine on which he typed had not been told."""
    config = turned_file(tmp_path, valkey)
    script = "local done = redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) return done"
    monkeypatch.setattr(resealing, "_REPLACE", script)  # as if it were asked again at once
    await ask(redis)

    def retire() -> Any:
        return CliRunner().invoke(cli, [*config, "key", "retire", "k1"])

    refused = await asyncio.to_thread(retire)
    assert refused.exit_code == 2
    assert "what an operator has just asked of main bears k1" in refused.output
    assert (tmp_path / "signing.key").read_text().split()[1].endswith("31")


def turned_file(folder: Path, valkey: Valkey) -> tuple[str, str]:
    """A machine whose new key signs already."""
    config = beside(folder, valkey)
    key = folder / "signing.key"
    key.write_text(f"k2:{NEW['k2'].hex()}\nk1:{OLD['k1'].hex()}\n")
    return "--config", str(config)


async def test_a_key_is_retired_when_the_streams_are_free_of_it_or_at_once_when_it_was_stolen(
    redis: Redis, valkey: Valkey, tmp_path: Path
) -> None:
    config = turned_file(tmp_path, valkey)
    await known(redis)

    refused = run(*config, "key", "retire", "k1")

    assert refused.returncode == 2
    assert "1 entries in the streams still bear k1" in refused.stderr
    assert (tmp_path / "signing.key").read_text().split()[1].endswith("31")

    assert run(*config, "key", "retire", "k1", "--now").returncode == 0
    assert (tmp_path / "signing.key").read_text().split()[1].endswith(":retired")
    listed = run(*config, "key", "list").stdout.splitlines()
    assert ["on 3 entries" in listed[0], "on 1 entries" in listed[1]] == [True, True]


async def test_a_key_that_nothing_bears_is_retired(redis: Redis, valkey: Valkey, tmp_path: Path) -> None:
    done = run(*turned_file(tmp_path, valkey), "key", "retire", "k1")

    assert done.returncode == 0, done.stderr
    assert "k1 is retired" in done.stdout
