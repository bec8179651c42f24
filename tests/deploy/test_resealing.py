"""Before a key is retired nothing that lives bears it any more; what somebody else signed stays what it is."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from deploy import membership, resealing
from deploy.embedded import Valkey
from executor import sealing
from executor.recalling import stored
from executor.sealing import Contents
from shared import streams
from shared.pictures import source_picture
from shared.streams import Keys, Publisher
from shared.wire import Codec, Keyring
from tests.deploy.onlookers import beside
from tests.e2e.processes import run
from tests.executor.rig import NAMESPACE
from tests.shared.samples import placed

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
    assert (await resealing.counted(redis, KEYS, ("demo",)))["k1"] == 4
    assert (await source_picture(redis, KEYS, AFTER, "demo")).facts == ()

    assert await resealing.reseal(redis, KEYS, TURNED, "k1", ("demo",)) == 3

    assert (await source_picture(redis, KEYS, AFTER, "demo")).facts == (placed(),)
    memory: Any = await redis.hget(KEYS.source("memory", "demo"), "10001")
    assert AFTER.opened("memory:demo/10001", memory) == b"{}"
    assert await resealing.counted(redis, KEYS, ("demo",)) == {"k1": 1, "k2": 3}  # the entry in the stream stays


async def test_the_seal_of_what_an_account_remembers_is_signed_anew(redis: Redis) -> None:
    await membership.join(redis, KEYS, BEFORE, "main")
    assert await resealing.counted(redis, KEYS, ()) == {"k1": 1}
    assert "sealed with key 'k1'" in ((await stored(redis, KEYS, "main")).flaw(AFTER, "main") or "")

    assert await resealing.reseal(redis, KEYS, TURNED, "k1", ()) == 1

    assert (await stored(redis, KEYS, "main")).flaw(AFTER, "main") is None
    assert await resealing.counted(redis, KEYS, ()) == {"k2": 1}


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
