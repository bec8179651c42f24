"""An account of which Redis cannot say what it holds is taken out on a person's word, and never without need."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner
from redis.asyncio import Redis

from archiver.migrate import migrate
from deploy.cli import cli
from deploy.embedded import Valkey
from deploy.membership import PARTS
from deploy.rebuilding import needing
from deploy.standing import standing
from executor import sealing
from executor.sealing import Contents
from shared.outcomes import Kept
from shared.wire import Codec, Keyring
from tests.conftest import Database
from tests.deploy.archived import archive, at_work, configured
from tests.executor.rig import ACCOUNT, KEYS, NAMESPACE, OWNER, Simulator, Source, ended, running, told

pytestmark = pytest.mark.timeout(180)

LOST_KEY = Codec(NAMESPACE, Keyring(current="k9", keys={"k9": b"9" * 32}))
Break = Callable[[Redis], Awaitable[Any]]


def key(part: str) -> str:
    return KEYS.account(part, ACCOUNT)


async def of_another_kind(redis: Redis) -> None:
    for part in PARTS:
        await redis.set(key(part), "something else")


BROKEN: dict[str, Break] = {
    "a link that is none": lambda redis: redis.hset(key("links"), "x", "{"),
    "a link without end": lambda redis: redis.hset(key("links"), "x", "[" * 3000),
    "no text": lambda redis: redis.hset(key("links"), cast(Any, b"\xff"), cast(Any, b"\xff")),
    "no seal": lambda redis: redis.hdel(key("place"), "seal"),
    "a seal of nobody": lambda redis: redis.hset(key("place"), "seal", "k1 x y"),
    "a key that is lost": lambda redis: redis.hset(
        key("place"), "seal", sealing.sealed(LOST_KEY, ACCOUNT, Contents()).decode()
    ),
    "keys of another kind": of_another_kind,
}


@pytest.fixture
def config(valkey: Valkey, postgres: Database, tmp_path: Path) -> Path:
    migrate(postgres.dsn)
    return configured(tmp_path, valkey.url, postgres.dsn)


@pytest.fixture
async def redis(redis: Redis) -> Redis:
    """A server on which the source owns its name already."""
    await redis.set(KEYS.source("lease", "demo"), OWNER)
    return redis


async def remove(config: Path, *words: str, typed: str = "") -> tuple[int, str]:
    arguments = ["--config", str(config), "account", "remove", ACCOUNT, *words]
    done = await asyncio.to_thread(lambda: CliRunner().invoke(cli, arguments, input=typed))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


@pytest.mark.parametrize("broken", BROKEN)
async def test_it_is_removed_by_its_typed_word_and_may_join_again(
    valkey: Valkey, redis: Redis, simulator: Simulator, config: Path, broken: str
) -> None:
    """What it had open stays open, and is not its own any more."""
    source = Source(redis)
    async with running(valkey.url, simulator):
        await source.buy("a", "0.1")
        await ended(redis, 1)
    await BROKEN[broken](redis)

    assert (await remove(config, "--yes", ACCOUNT))[0] == 2
    assert (await remove(config, "--abandon", typed="main\n"))[0] == 2
    assert (await standing(redis, KEYS, ACCOUNT)).group == "attached"
    code, said = await remove(config, "--abandon", typed=f"abandon {ACCOUNT}\n")

    assert code == 0, said
    assert "STAYS OPEN at its broker, and nobody closes it" in said
    assert "The archive knows nothing of the account either." in said
    assert not await redis.exists(*map(key, PARTS))
    assert (await standing(redis, KEYS, ACCOUNT)).group == "removed"
    kept = [each for each in await told(redis) if isinstance(each, Kept)][-1]
    assert (kept.removed, kept.whole, kept.memory.links) == (True, False, {})

    add = ["--config", str(config), "account", "add", ACCOUNT]
    assert (await asyncio.to_thread(lambda: CliRunner().invoke(cli, add))).exit_code == 0
    async with running(valkey.url, simulator):
        await source.buy("b", "0.2")
        ends = await ended(redis, 2)
    assert [end.result for end in ends] == ["filled", "filled"]
    assert sorted(lots for _, _, lots in await simulator.volumes()) == [0.1, 0.2]


async def test_what_is_as_it_was_sealed_is_not_abandoned(redis: Redis, config: Path) -> None:
    code, said = await remove(config, "--abandon", "--yes", ACCOUNT)
    assert code == 2
    assert "remove it without --abandon" in said
    assert (await standing(redis, KEYS, ACCOUNT)).group == "attached"


async def test_nobody_is_abandoned_twice(redis: Redis, config: Path) -> None:
    await redis.hset(key("links"), "x", "{")
    assert (await remove(config, "--abandon", "--yes", ACCOUNT))[0] == 0
    code, said = await remove(config, "--abandon", "--yes", ACCOUNT)
    assert (code, said) == (2, f"tradecopier: there is no account {ACCOUNT} to remove\n")


async def test_closing_first_what_nobody_believes_is_refused(config: Path) -> None:
    assert (await remove(config, "--abandon", "--flatten"))[0] == 2


async def test_what_the_archive_has_is_named_and_kept_there(
    valkey: Valkey, redis: Redis, simulator: Simulator, config: Path, postgres: Database
) -> None:
    """A restore by name brings it back afterwards, too; by itself none does."""
    async with running(valkey.url, simulator):
        await Source(redis).buy("a", "0.1")
        await ended(redis, 1)
    await archive(redis, postgres.dsn)
    await redis.hset(key("links"), "x", "{")

    code, said = await remove(config, "--abandon", "--yes", ACCOUNT)

    assert code == 0, said
    assert f"THE ARCHIVE REMEMBERS IT: `tradecopier restore --account {ACCOUNT}`" in said
    await archive(redis, postgres.dsn)
    await redis.flushall()
    async with at_work(valkey.url, postgres.dsn, []) as work:
        assert await needing(work, []) == []
        assert await needing(work, [ACCOUNT]) == [ACCOUNT]
        assert [link.symbol for link in work.found[ACCOUNT].open_links()] == ["EURUSD"]


def without_archive(config: Path) -> None:
    config.write_text(re.sub('dsn = ".*"', 'dsn = "postgresql://nobody@127.0.0.1:1/none"', config.read_text()))


async def test_without_an_archive_that_is_said(redis: Redis, config: Path) -> None:
    without_archive(config)
    await redis.hset(key("links"), "x", "{")
    code, said = await remove(config, "--abandon", "--yes", ACCOUNT)
    assert code == 0, said
    assert "The archive does not answer" in said
