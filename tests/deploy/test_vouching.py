"""A person has what Redis remembers of an account sealed as it is, once it was shown; nobody writes meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from click.testing import CliRunner
from redis.asyncio import Redis

from deploy.cli import cli
from deploy.custody import custody
from deploy.embedded import Valkey
from deploy.vouching import seal
from executor.attachment import attach
from executor.book import Debt, Link, Part, Pending
from executor.mt5.simulator.faults import FaultKind
from executor.recalling import stored
from shared import groups, streams
from shared.process import UserError
from shared.wire import entry_before
from tests.deploy.onlookers import beside
from tests.deploy.test_control import SECOND
from tests.executor.rig import ACCOUNT, CODEC, KEYS, PATIENCE_S, Simulator, Source, account, ended, running
from tests.executor.seals import join

PART = Part(ticket=4711, identifier=1, volume=Decimal("0.3"), side="buy")
ORDER = Pending(ticket=4712, type="limit", side="sell", volume=Decimal("0.2"), price=Decimal("1.1"))
LINK = Link(
    key="demo/1/a", instrument="EURUSD", symbol="EURUSD", parts=(PART,), pendings={"o": ORDER},
    followed=Decimal("0.5"), remainder=Decimal(-2),
)  # fmt: skip
NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
DEBT = Debt(link=LINK.key, fact="f", entry="1-1", target=Decimal(0), since=NOW, captured=NOW)


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator[Redis]:
    client = streams.connect(valkey.url)
    yield client
    await client.aclose()


@pytest.fixture
async def older(redis: Redis) -> Redis:
    """An account as a version without seals has left it."""
    await groups.join_orders(redis, KEYS, ACCOUNT)
    for part, value in (("links", LINK), ("debts", DEBT)):
        await redis.hset(KEYS.account(part, ACCOUNT), LINK.key, msgspec.json.encode(value).decode())
    return redis


async def run(config: Path, *words: str, typed: str = "") -> tuple[int, str]:
    command = ["--config", str(config), "account", "seal", *words]
    done = await asyncio.to_thread(lambda: CliRunner().invoke(cli, command, input=typed))
    return done.exit_code, done.output


async def sound(redis: Redis) -> bool:
    return (await stored(redis, KEYS, ACCOUNT)).flaw(CODEC, ACCOUNT) is None


async def test_what_is_sealed_was_shown(older: Redis, valkey: Valkey, tmp_path: Path) -> None:
    """All of it, whatever it does to a screen."""
    config = beside(tmp_path, valkey)
    await older.hset(KEYS.account("state", ACCOUNT), "joined", '{"adopt":["\x1b[2Jdemo/1/b"]}')

    refused = await run(config, ACCOUNT, typed="n\n")
    assert (refused[0], await sound(older)) == (2, False)
    code, said = await run(config, ACCOUNT, typed="y\n")

    assert (code, await sound(older)) == (0, True)
    assert "main: EURUSD +0.3 lots, EURUSD 1 order" in said
    assert "demo/1/a: buy 0.3 EURUSD, ticket 4711" in said
    assert "demo/1/a: limit sell 0.2 EURUSD at 1.1, ticket 4712" in said
    assert "demo/1/a: followed up to 0.5 of the source's, -2 lots still to come from rounding" in said
    assert 'joined: {"adopt":["?[2Jdemo/1/b"]}' in said
    assert "demo/1/a: to be brought to 0 lots, owed since 2026-11-25 09:30 UTC" in said
    assert (await run(config, "--all"))[1] == "main: it is as it was sealed\n"


async def test_one_account_with_a_key_of_somebody_else_s_keeps_no_other_from_being_sealed(
    older: Redis, valkey: Valkey, tmp_path: Path
) -> None:
    config = beside(tmp_path, valkey)
    config.write_text(config.read_text() + SECOND)
    await older.set(KEYS.account("links", "second"), "x")

    code, said = await run(config, "--all", typed="y\n")

    assert (code, await sound(older)) == (0, True)
    assert "second: not sealed, a key of it holds something else; `tradecopier restore --account second`" in said


async def test_an_account_of_an_older_version_goes_on_once_it_is_sealed(
    redis: Redis, valkey: Valkey, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What it held is closed when the source closes it."""
    simulator = Simulator(tmp_path / "terminal")
    await simulator.start()
    simulator.price("EURUSD", "1.08504", "1.08512")
    await join(redis)
    source = Source(redis)
    await source.open()
    async with running(valkey.url, simulator):
        await source.buy("a")
        await ended(redis, 1)
    await redis.hdel(KEYS.account("place", ACCOUNT), "seal")
    async with running(valkey.url, simulator, wait=False):
        await source.close("a")
        async with asyncio.timeout(30):
            while "has no seal" not in caplog.text:
                await asyncio.sleep(0.05)
        code, _ = await run(beside(tmp_path, valkey), ACCOUNT, "--yes")
        found = await ended(redis, 2)
    assert (code, [end.result for end in found], await simulator.volumes()) == (0, ["filled", "closed"], [])
    simulator.stop()


@pytest.mark.parametrize("left", ["pending", "to be delivered again", "detached"])
async def test_a_fact_that_an_older_version_has_left_without_an_end_is_followed_to_its_end(
    left: str, redis: Redis, valkey: Valkey, tmp_path: Path
) -> None:
    """That version said of no entry that it waits: what it had passed and not ended is pending, or is so again."""
    simulator = Simulator(tmp_path / "terminal")
    await simulator.start()
    simulator.price("EURUSD", "1.08504", "1.08512")
    await join(redis)
    source, place = Source(redis), KEYS.account("place", ACCOUNT)
    await source.open()
    async with running(valkey.url, simulator, account(grace=30)):
        simulator.goes_wrong(FaultKind.NONE)
        await source.buy("a")
        async with asyncio.timeout(PATIENCE_S):
            while not (
                waits := [name for name in cast(Any, await redis.hgetall(place)) if name.startswith(b"parked:")]
            ):
                await asyncio.sleep(0.02)
    await redis.hdel(place, "seal", *waits)
    if left != "pending":
        await redis.xgroup_destroy(KEYS.orders, ACCOUNT)
        unread = waits[0].decode().removeprefix("parked:")
        detached = {"detached": "2026-11-20", "unread": unread, "before": entry_before(unread)}
        await redis.hset(place, mapping=cast(Any, detached))
    if left == "to be delivered again":
        await attach(redis, KEYS, ACCOUNT)
    code, _ = await run(beside(tmp_path, valkey), ACCOUNT, "--yes")
    async with running(valkey.url, simulator):
        (found,) = await ended(redis, 1)
    assert (code, found.result, len(await simulator.volumes())) == (0, "filled", 1)
    simulator.stop()


async def test_what_changes_after_it_was_shown_is_not_sealed(older: Redis) -> None:
    shown = await stored(older, KEYS, ACCOUNT)
    await older.hset(KEYS.account("links", ACCOUNT), "x", "{}")
    async with custody(older, KEYS, [ACCOUNT], "seal") as tokens:
        with pytest.raises(UserError, match="it has changed since it was shown"):
            await seal(older, KEYS, CODEC, tokens[ACCOUNT], ACCOUNT, shown)
        with pytest.raises(UserError, match="another command has taken the account"):
            await seal(older, KEYS, CODEC, "not the token", ACCOUNT, await stored(older, KEYS, ACCOUNT))
    assert not await sound(older)


@pytest.mark.parametrize(
    ("words", "why"),
    [((), "name accounts, or give --all"), (("--all", "main"), "name accounts"), (("x",), "there is no account x")],
)
async def test_it_has_to_be_said_which(valkey: Valkey, tmp_path: Path, words: tuple[str, ...], why: str) -> None:
    code, said = await run(beside(tmp_path, valkey), *words)
    assert code == 2
    assert why in said


async def test_what_cannot_be_read_is_not_sealed(older: Redis, valkey: Valkey, tmp_path: Path) -> None:
    broken: Any = b"\xff"
    await older.hset(KEYS.account("links", ACCOUNT), "x", broken)
    code, said = await run(beside(tmp_path, valkey), ACCOUNT, "--yes")
    assert (code, await sound(older)) == (2, False)
    assert "main: what Redis remembers of it cannot be read" in said
    assert "`tradecopier restore --account main`" in said
