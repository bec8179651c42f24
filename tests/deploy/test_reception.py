"""Accounts come, go and become another login's; whoever else trades goes on as if nothing had happened."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from redis.asyncio import Redis

from archiver.migrate import migrate
from deploy.cli import cli
from deploy.embedded import Valkey
from deploy.reception import Desk, flattened, identity_of, joined, left_of, lines, refuse_repoint
from deploy.standing import Standing, standing
from deploy.surroundings import found
from executor.book import Link, Part
from executor.mt5.simulator.faults import FaultKind
from executor.settings import MetaTrader5
from shared import streams
from shared.outcomes import Kept, Memory
from shared.process import UserError
from shared.settings import Secret
from tests.conftest import Database
from tests.deploy.archived import archive, configured
from tests.deploy.onlookers import machine
from tests.executor.accounts import settings as account_settings
from tests.executor.rig import ACCOUNT, KEYS, OWNER, Simulator, Source, ended, running, told
from tests.executor.seals import seal

pytestmark = pytest.mark.timeout(180)

PART = Part(ticket=1, identifier=1, volume=Decimal("0.1"), side="buy")
NEW = "not there yet: `tradecopier account add one`, or restore it if it was"
STRANGE = "not in the settings: `tradecopier account remove one`"
LATE = "detached, and Redis did not keep what came since: restore it"
HELD = Standing(
    account="one", group="attached", lag=0, identity="1@Demo", mode="active",
    links=(Link(key="demo/1/a", instrument="EURUSD", symbol="EURUSD", parts=(PART,)),),
)  # fmt: skip


@pytest.fixture
async def redis(redis: Redis) -> Redis:
    """A server on which the source owns its name already."""
    await redis.set(KEYS.source("lease", "demo"), OWNER)
    return redis


@pytest.fixture
def config(valkey: Valkey, postgres: Database, tmp_path: Path) -> Path:
    """Two accounts: `main`, for which a lane may work, and `other`, for which nobody does."""
    migrate(postgres.dsn)
    file = configured(tmp_path, valkey.url, postgres.dsn)
    file.write_text(file.read_text() + file.read_text()[file.read_text().index("[executor") :].replace("main", "other"))
    return file


def run(config: Path, *words: str, typed: str = "") -> tuple[int, str]:
    """What a command says, in a thread of its own if need be."""
    done = CliRunner().invoke(cli, ["--config", str(config), "account", *words], input=typed)
    return done.exit_code, done.output


async def place_of(redis: Redis, name: str) -> Any:
    """A group's position and what is pending in it."""
    groups: Any = await redis.xinfo_groups(KEYS.orders)
    return next(((g["last-delivered-id"], g["pending"]) for g in groups if g["name"] == name.encode()), None)


async def test_another_account_comes_and_goes_while_trading_goes_on(
    valkey: Valkey, redis: Redis, simulator: Simulator, config: Path
) -> None:
    source = Source(redis)
    async with running(valkey.url, simulator):
        await source.buy("a", "0.1")
        await ended(redis, 1)
        before = await place_of(redis, ACCOUNT)
        added = await asyncio.to_thread(run, config, "add", "other")
        assert await place_of(redis, ACCOUNT) == before
        await source.buy("b", "0.2")
        await ended(redis, 2)
        listed = await asyncio.to_thread(run, config, "list")
        removed = await asyncio.to_thread(run, config, "remove", "other", "--yes", "other")
        await source.close("a")
        ends = await ended(redis, 3)

    assert added == (0, "other: joined; what is traded from now on is copied, as soon as its executor runs\n")
    assert "other: no login yet, never begun; 1 unread, 0 in work" in listed[1]
    assert "main: 1@Demo, active; 0 unread" in listed[1]
    assert "EURUSD +0.1 lots" in listed[1]
    assert "other: removed; it left nothing open" in removed[1]
    assert [end.result for end in ends] == ["filled", "filled", "closed"]
    assert await place_of(redis, "other") is None
    assert (await standing(redis, KEYS, "other")).group == "removed"


async def test_an_account_that_is_removed_stands_still_and_goes_on_when_it_is_added_again(
    valkey: Valkey, redis: Redis, simulator: Simulator, config: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = Source(redis)
    async with running(valkey.url, simulator) as lane:
        await source.buy("a", "0.1")
        await ended(redis, 1)
        code, said = await asyncio.to_thread(run, config, "remove", ACCOUNT, typed="main\n")
        await source.buy("b", "0.2")
        async with asyncio.timeout(30):
            while "the account was removed" not in caplog.text:
                await asyncio.sleep(0.05)
        again = await asyncio.to_thread(run, config, "add", ACCOUNT)
        await source.buy("c", "0.3")
        found = await ended(redis, 2)

    assert lane.name == ACCOUNT
    assert (code, again[0]) == (0, 0)
    assert "main holds EURUSD +0.1 lots: that STAYS OPEN at its broker" in said
    assert [end.fact.split(":")[-1] for end in found] == ["a/1", "c/1"]
    assert sorted(lots for _, _, lots in await simulator.volumes()) == [0.1, 0.3]
    assert await redis.hkeys(KEYS.account("links", ACCOUNT)) == [b"demo/10001/c"]


async def test_nothing_is_removed_when_the_name_is_not_typed(redis: Redis, config: Path) -> None:
    assert (await asyncio.to_thread(run, config, "remove", ACCOUNT, typed="no\n"))[0] == 2
    assert (await standing(redis, KEYS, ACCOUNT)).group == "attached"
    code, said = await asyncio.to_thread(run, config, "remove", "nobody", "--yes", "nobody")
    assert (code, said) == (2, "tradecopier: there is no account nobody to remove\n")


async def test_removing_can_close_everything_first(tmp_path: Path) -> None:
    async with machine(tmp_path) as place:
        redis = streams.connect(place.valkey.url)
        source = Source(redis)
        await source.open()
        await source.buy("a", "0.1")
        await source.limit("b", "0.1", "1.0")
        await ended(redis, 2)
        code, said = await asyncio.to_thread(run, place.config, "remove", ACCOUNT, "--flatten", "--yes", ACCOUNT)
        assert (code, await place.simulator.volumes(), await place.simulator.orders()) == (0, [], [])
        assert "main: removed; it left nothing open" in said
        await redis.aclose()


async def test_what_is_not_known_to_be_open_yet_is_waited_for_and_closed_too(tmp_path: Path) -> None:
    async with machine(tmp_path) as place:
        redis = streams.connect(place.valkey.url)
        source = Source(redis)
        await source.open()
        place.simulator.goes_wrong(FaultKind.LATE, delay=300)
        await source.buy("a", "0.1")
        async with asyncio.timeout(30):
            while not (await standing(redis, KEYS, ACCOUNT)).pending:
                await asyncio.sleep(0.01)
        refused = await asyncio.to_thread(run, place.config, "repoint", ACCOUNT, "--yes")
        code, said = await asyncio.to_thread(run, place.config, "remove", ACCOUNT, "--flatten", "--yes", ACCOUNT)
        assert (code, await place.simulator.volumes(), len(await place.simulator.deals())) == (0, [], 2)
        assert "main: removed; it left nothing open. " in said
        await redis.aclose()
    assert refused[0] == 2
    assert "main holds nothing open, and 1 order whose end is not known as 1@Demo: let its executor" in refused[1]


async def test_nothing_is_flattened_where_nobody_works(redis: Redis, config: Path) -> None:
    from msgspec import json

    await redis.hset(KEYS.account("links", ACCOUNT), "demo/1/a", json.encode(HELD.links[0]))
    with pytest.raises(UserError, match="nobody works for main"):
        await flattened(Desk(found(config, {}), redis), ACCOUNT)
    with pytest.raises(UserError, match="not in the settings"):
        await flattened(Desk(found(config, {}), redis), "gone")


async def test_an_account_that_the_archive_remembers_is_restored_and_does_not_join_anew(
    valkey: Valkey, redis: Redis, simulator: Simulator, config: Path, postgres: Database
) -> None:
    async with running(valkey.url, simulator):
        await Source(redis).buy("a", "0.1")
        await ended(redis, 1)
    await archive(redis, postgres.dsn)
    await redis.flushall()
    desk = Desk(found(config, {}), redis)

    with pytest.raises(UserError, match=r"the archive remembers main: `tradecopier restore --account main`"):
        await joined(desk, ACCOUNT, afresh=False)
    assert "joined" in await joined(desk, ACCOUNT, afresh=True)
    (left,) = [message for message in await told(redis) if isinstance(message, Kept)]
    assert (left.removed, left.memory) == (True, Memory(passed={"rig": 1}))
    assert "already" in await joined(desk, ACCOUNT, afresh=False)
    assert "joined" in await joined(desk, "other", afresh=False)


async def test_another_login_follows_on_where_the_name_has_read_to(
    valkey: Valkey, redis: Redis, simulator: Simulator, config: Path, tmp_path: Path
) -> None:
    source = Source(redis)
    await redis.hset(KEYS.account("state", ACCOUNT), "identity", "9@Elsewhere")
    await source.buy("a", "0.1")
    await redis.hset(KEYS.account("links", ACCOUNT), "x", '{"key":"x","instrument":"EURUSD","symbol":"EURUSD"}')
    await seal(redis)
    async with running(valkey.url, simulator, wait=False):
        code, said = await asyncio.to_thread(run, config, "repoint", ACCOUNT, typed="y\n")
        found = await ended(redis, 1)
    assert (code, found[0].result) == (0, "filled")
    assert "main: is whoever logs in next from now on" in said
    assert await redis.hget(KEYS.account("state", ACCOUNT), "identity") == b"1@Demo"


def test_it_does_not_become_another_login_s_while_it_holds_something() -> None:
    with pytest.raises(UserError, match=r"one holds EURUSD \+0.1 lots as 1@Demo: .*--abandon"):
        refuse_repoint(HELD, "2@Demo", abandon=False)
    refuse_repoint(HELD, "2@Demo", abandon=True)
    with pytest.raises(UserError, match="is 1@Demo already"):
        refuse_repoint(HELD, "1@Demo", abandon=True)
    with pytest.raises(UserError, match="its group is gone"):
        refuse_repoint(Standing(account="one", group="lost"), "", abandon=True)


def test_the_login_of_a_real_terminal_is_known_before_it_logs_in() -> None:
    terminal = MetaTrader5(path=Path("t.exe"), login=7, server="Live", password=Secret("x"))
    assert identity_of(account_settings(terminal=terminal)) == "7@Live"
    assert identity_of(account_settings()) == ""


@pytest.mark.parametrize(
    ("now", "in_settings", "line"),
    [
        (HELD, True, "1@Demo, active; 0 unread, 0 in work"),
        (HELD, False, f"1@Demo, active; 0 unread, 0 in work; {STRANGE}"),
        (Standing(account="one", group="lost"), True, NEW),
        (Standing(account="one", group="removed"), False, "no login yet, never begun; removed"),
        (Standing(account="one", group="trimmed", mode="active"), True, f"no login yet, active; {LATE}"),
    ],
    ids=["at work", "left over", "new", "removed", "came too late"],
)  # fmt: skip
def test_what_is_said_of_an_account(now: Standing, in_settings: bool, line: str) -> None:
    assert lines(now, in_settings=in_settings)[0] == f"one: {line}"


def test_an_account_of_which_not_everything_can_be_read_says_what_to_do() -> None:
    now = msgspec.structs.replace(HELD, strange=("links",))
    assert "into its links what nobody can read" in lines(now, in_settings=True)[-1]
    assert "`tradecopier account remove one --abandon`" in lines(now, in_settings=True)[-1]
    assert left_of(now) == "EURUSD +0.1 lots, and what nobody can read"
    with pytest.raises(UserError, match="what nobody can read"):
        refuse_repoint(now, "2@Demo", abandon=True)


async def test_the_list_says_whose_memory_is_not_believed(redis: Redis, config: Path) -> None:
    listed = (await asyncio.to_thread(run, config, "list"))[1]
    assert "nothing is sent" not in listed
    await redis.hset(KEYS.account("links", ACCOUNT), "x", "{")
    listed = (await asyncio.to_thread(run, config, "list"))[1]
    assert "    nothing is sent, what Redis remembers of it is not what was sealed" in listed
    assert "`tradecopier account remove main --abandon`" in listed
    signing_key(config).unlink()
    assert "into its links what nobody can read" in (await asyncio.to_thread(run, config, "list"))[1]


def signing_key(config: Path) -> Path:
    return config.parent / "signing.key"
