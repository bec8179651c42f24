"""Redis loses what it knew while trades are copied: it is rebuilt, nothing is sent twice, and trading goes on."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from redis.asyncio import Redis
from redis.exceptions import RedisError

from archiver.originals import Archive
from deploy import forgetting, membership, restoring
from deploy.cli import cli
from deploy.embedded import Valkey
from deploy.memory import entries
from deploy.rebuilding import needing, restored
from executor.mt5.simulator.faults import FaultKind
from executor.recalling import stored
from shared import groups, streams
from shared.facts import Fact
from shared.outcomes import Kept, Notice, Pending
from shared.wire import entry_order
from tests.conftest import Database
from tests.deploy.archived import archive, at_work, configured, ends_of
from tests.executor.rig import (
    ACCOUNT,
    CODEC,
    KEYS,
    NAMESPACE,
    OWNER,
    Simulator,
    Source,
    account,
    ended,
    running,
    told,
)
from tests.executor.seals import join
from tests.executor.test_operator import say

pytestmark = pytest.mark.timeout(180)

ACTIVE_S = 30


class Outbox(Source):
    """A source that has kept everything it said since `first`, and says it again to a server that lost it."""

    def __init__(self, redis: Redis, first: int = 1) -> None:
        super().__init__(redis)
        self.first = first
        self.said: list[Fact] = []
        self.lost = False

    async def publish(self, fact: Fact) -> str:
        self.said.append(fact)
        return "" if self.lost else await super().publish(fact)

    async def again(self) -> None:
        """Publish what the server lost, from its last fact on, if all of it is there."""
        await self.open()
        self.lost = False
        last = await self._publisher.last("rig")
        assert last + 1 >= self.first, "older than the outbox"
        said, self.said = self.said, []
        for fact in said:
            if fact.seq > last:
                await self.publish(fact)
        self.said = said


@pytest.fixture
async def redis(redis: Redis) -> Redis:
    """A server on which the source owns its name already."""
    await redis.set(KEYS.source("lease", "demo"), OWNER)
    return redis


async def story(source: Source, redis: Redis) -> None:
    """Three positions, one of them closed in part, and an order that rests: five facts."""
    await source.buy("a", "0.1")
    await source.buy("b", "0.2")
    await source.buy("c", "-0.3")
    await source.close("b", "0.1")
    await source.limit("d", "0.1", "1.05")
    await ended(redis, 5)


async def rest_of_story(source: Source) -> None:
    """What the trader did meanwhile: closes one, opens another, closes more of the second."""
    await source.close("a")
    await source.buy("e", "0.4")
    await source.close("b")


async def held(simulator: Simulator) -> dict[str, float]:
    """Lots by side."""
    volumes = await simulator.volumes()
    return {
        side: round(sum(v for _, kind, v in volumes if kind == number), 2) for side, number in (("buy", 0), ("sell", 1))
    }


async def test_what_a_stranger_has_written_is_replaced_by_what_the_archive_has(
    valkey: Valkey, archive_of_rig: Database, redis: Redis, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """The account stands still until then, and follows afterwards what came meanwhile."""
    source = Outbox(redis)
    async with running(valkey.url, simulator):
        await story(source, redis)
        await archive(redis, archive_of_rig.dsn)
        await redis.hset(KEYS.account("links", ACCOUNT), "demo/10001/a", "{")
        await redis.delete(KEYS.account("lease", ACCOUNT))
        async with asyncio.timeout(60):
            while "is not what was sealed" not in caplog.text:
                await asyncio.sleep(0.05)
        await source.close("a")
        async with at_work(valkey.url, archive_of_rig.dsn, []) as work:
            assert await needing(work, [ACCOUNT]) == [ACCOUNT]
            await restored(work, [ACCOUNT])
        await say(redis, "resume")
        await ends_of(redis, *source.said)
    assert await held(simulator) == {"buy": 0.1, "sell": 0.3}


@pytest.mark.parametrize("kept", ["everything", "the newest"])
async def test_after_a_flush_under_load_the_story_goes_on_and_nothing_is_sent_twice(
    valkey: Valkey, archive_of_rig: Database, redis: Redis, simulator: Simulator, kept: str
) -> None:
    source = Outbox(redis, first=1 if kept == "everything" else 4)
    async with running(valkey.url, simulator) as lane:
        await story(source, redis)
        await archive(redis, archive_of_rig.dsn)
        deals = len(await simulator.deals())

        await redis.flushall()
        source.lost = True
        await rest_of_story(source)
        if kept == "everything":
            await source.again()
        refused: list[str] = []
        async with at_work(valkey.url, archive_of_rig.dsn, refused) as work:
            await work.remember([ACCOUNT])
            lines = await restored(work, [ACCOUNT])
        if kept != "everything":
            await source.again()
        await say(redis, "resume")

        ends = await ends_of(redis, *source.said)
        assert lane.name == ACCOUNT
    assert refused == []
    assert any("restored from the archive" in line for line in lines)
    assert len(await simulator.deals()) - deals == 3
    assert await held(simulator) == {"buy": 0.4, "sell": 0.3}
    assert len(await simulator.orders()) == 1
    assert sorted(ends.values()) == ["accepted", "closed", "closed", "closed", "filled", "filled", "filled", "filled"]
    notices = [m.reason for m in await told(redis) if isinstance(m, Notice)]
    assert "restored" in notices
    assert await redis.xlen(KEYS.dead) == 0


async def test_what_was_done_and_not_archived_is_found_in_the_terminal_and_not_done_again(
    valkey: Valkey, archive_of_rig: Database, redis: Redis, simulator: Simulator
) -> None:
    source = Outbox(redis)
    async with running(valkey.url, simulator):
        await source.buy("a", "0.1")
        await ended(redis, 1)
        await archive(redis, archive_of_rig.dsn)
        await source.buy("a", "0.2")
        await source.buy("b", "0.3")
        await source.close("a", "0.1")
        await ended(redis, 4)
        await archive(redis, archive_of_rig.dsn, streams=["orders"])

        await redis.flushall()
        await source.again()
        async with at_work(valkey.url, archive_of_rig.dsn, []) as work:
            await work.remember([ACCOUNT])
            lines = await restored(work, [ACCOUNT])
        await say(redis, "resume")
        ends = await ends_of(redis, *source.said)

    assert "3 facts followed again" in lines[-1]
    assert len(await simulator.deals()) == 4
    assert await held(simulator) == {"buy": 0.5, "sell": 0}
    assert sorted(ends.values()) == ["closed", "filled", "filled", "filled"]


async def test_a_fact_that_nobody_has_but_the_archive_is_followed(
    valkey: Valkey, archive_of_rig: Database, redis: Redis, simulator: Simulator
) -> None:
    source = Outbox(redis, first=3)
    async with running(valkey.url, simulator):
        await source.buy("a", "0.1")
        await ended(redis, 1)
    await source.buy("b", "0.2")
    await archive(redis, archive_of_rig.dsn)

    await redis.flushall()
    async with at_work(valkey.url, archive_of_rig.dsn, []) as work:
        await work.remember([ACCOUNT])
        lines = await restored(work, [ACCOUNT])
    await say(redis, "resume")
    async with running(valkey.url, simulator):
        await source.open()
        await source.close("a")
        ends = await ends_of(redis, *source.said)

    assert lines[0] == "source demo: its picture and its place are back"
    assert "1 fact followed again" in lines[1]
    assert sorted(ends.values()) == ["closed", "filled", "filled"]
    assert await held(simulator) == {"buy": 0.2, "sell": 0}


async def lost_since_the_whole(redis: Redis) -> None:
    """What was told since an executor has told all that the account remembers is lost before it was archived."""
    read = [(o.entry, CODEC.outcome(o.fields)) for o in await entries(redis, KEYS.outcomes)]
    whole = [entry for entry, message in read if isinstance(message, Kept) and message.whole]
    for each in await entries(redis, KEYS.outcomes):
        if entry_order(each.entry) > entry_order(whole[-1]):
            await redis.xdel(KEYS.outcomes, each.entry)


class Killed(Exception):
    """The command has ended here."""


async def test_what_a_restore_that_was_killed_left_to_be_followed_is_not_forgotten_by_the_next_one(
    valkey: Valkey, archive_of_rig: Database, redis: Redis, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account's place is beyond it, an executor has told that, and Redis is lost once more."""
    source = Outbox(redis, first=3)
    async with running(valkey.url, simulator):
        await source.buy("a", "0.1")
        await ended(redis, 1)
    await source.buy("b", "0.2")
    await archive(redis, archive_of_rig.dsn)
    await redis.flushall()
    put_back = restoring.restore_account

    async def killed(*given: Any) -> Any:
        await put_back(*given)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(restoring, "restore_account", killed)
        async with at_work(valkey.url, archive_of_rig.dsn, []) as work:
            await work.remember([ACCOUNT])
            with pytest.raises(Killed):
                await restored(work, [ACCOUNT])
    async with running(valkey.url, simulator, account(grace=600.0)):
        pass
    await lost_since_the_whole(redis)
    await archive(redis, archive_of_rig.dsn)
    await redis.flushall()
    async with at_work(valkey.url, archive_of_rig.dsn, []) as work:
        lines = await restored(work, await needing(work, []))
    await say(redis, "resume")
    async with running(valkey.url, simulator):
        ends = await ends_of(redis, *source.said)

    assert "1 fact followed again" in lines[-1]
    assert sorted(ends.values()) == ["filled", "filled"]
    assert await held(simulator) == {"buy": 0.3, "sell": 0}


async def test_what_a_restore_left_to_be_followed_is_followed_though_a_stranger_has_acknowledged_it(
    valkey: Valkey, archive_of_rig: Database, redis: Redis, simulator: Simulator
) -> None:
    """It lies below the account's place, so that no gap would tell."""
    source = Outbox(redis)
    async with running(valkey.url, simulator):
        await source.buy("a", "0.1")
        await ended(redis, 1)
    await source.close("a")
    await archive(redis, archive_of_rig.dsn)
    await redis.flushall()
    async with at_work(valkey.url, archive_of_rig.dsn, []) as work:
        await work.remember([ACCOUNT])
        assert "1 fact followed again" in (await restored(work, [ACCOUNT]))[-1]
    taken: Any = await redis.xreadgroup(ACCOUNT, "stranger", {KEYS.orders: ">"})
    await redis.xack(KEYS.orders, ACCOUNT, *(entry for entry, _ in taken[0][1]))
    async with running(valkey.url, simulator):
        ends = await ends_of(redis, *source.said)

    assert sorted(ends.values()) == ["closed", "filled"]
    assert await held(simulator) == {"buy": 0, "sell": 0}


@pytest.mark.parametrize("begun", [True, False])
async def test_what_a_person_has_forgotten_by_joining_afresh_no_later_restore_brings_back(
    valkey: Valkey, archive_of_rig: Database, redis: Redis, simulator: Simulator, begun: bool
) -> None:
    """Neither what the account held, nor what waited; what it has followed since, if it has begun, does come back."""
    source = Source(redis)
    async with running(valkey.url, simulator):
        await source.buy("a", "0.1")
        await ended(redis, 1)
        simulator.goes_wrong(FaultKind.NONE, times=0)
        await source.buy("b", "0.2")
        async with asyncio.timeout(60):
            while not any(isinstance(message, Pending) for message in await told(redis)):
                await asyncio.sleep(0.05)
    await source.buy("c", "0.3")
    await archive(redis, archive_of_rig.dsn)
    simulator.heal()

    await redis.flushall()
    kept = Archive(dsn=archive_of_rig.dsn, namespace=NAMESPACE)
    await forgetting.forget(redis, KEYS, CODEC, kept, ACCOUNT, datetime.now(UTC))
    await membership.join(redis, KEYS, CODEC, ACCOUNT, afresh=True)
    if begun:
        newer = Source(redis, producer="newer").succeeding(source)
        await newer.open()
        async with running(valkey.url, simulator):
            await ends_of(redis, await newer.buy("d", "0.4"))
    await archive(redis, archive_of_rig.dsn)
    await redis.flushall()
    async with at_work(valkey.url, archive_of_rig.dsn, []) as work:
        assert await needing(work, []) == ([ACCOUNT] if begun else [])
        lines = await restored(work, await needing(work, [ACCOUNT]))
        found = work.found[ACCOUNT]

    assert list(found.links) == (["demo/10001/d"] if begun else [])
    assert "0 facts followed again" in lines[-1]


async def test_what_is_published_while_facts_are_put_back_is_followed_as_well(
    valkey: Valkey, archive_of_rig: Database, redis: Redis, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands before them in the stream, and after what was read of that."""
    source = Outbox(redis, first=3)
    async with running(valkey.url, simulator):
        await source.buy("a", "0.1")
        await ended(redis, 1)
    await source.buy("b", "0.2")
    await archive(redis, archive_of_rig.dsn)
    await redis.flushall()
    source.lost = True
    await source.close("a")
    put_back = restoring.add_missing

    async def beside(*given: Any) -> Any:
        await source.again()
        return await put_back(*given)

    monkeypatch.setattr(restoring, "add_missing", beside)
    async with at_work(valkey.url, archive_of_rig.dsn, []) as work:
        await work.remember([ACCOUNT])
        await restored(work, [ACCOUNT])
    await say(redis, "resume")
    async with running(valkey.url, simulator):
        ends = await ends_of(redis, *source.said)

    assert sorted(ends.values()) == ["closed", "filled", "filled"]
    assert await held(simulator) == {"buy": 0.2, "sell": 0}


async def test_what_is_published_after_the_last_look_at_the_stream_is_followed_as_well(
    valkey: Valkey, archive_of_rig: Database, redis: Redis, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account's place is put where the stream ends, and that is beyond it."""
    source, first = Outbox(redis), groups.end
    async with running(valkey.url, simulator):
        await source.buy("a", "0.1")
        await ended(redis, 1)
    await archive(redis, archive_of_rig.dsn)
    await redis.flushall()

    async def later(*given: Any) -> Any:
        if source.seq == 1:
            await source.again()
            await source.buy("b", "0.2")
            await source.close("a")
        return await first(*given)

    monkeypatch.setattr(groups, "end", later)
    async with at_work(valkey.url, archive_of_rig.dsn, []) as work:
        await work.remember([ACCOUNT])
        await restored(work, [ACCOUNT])
    assert (await stored(redis, KEYS, ACCOUNT)).flaw(CODEC, ACCOUNT) is None
    await say(redis, "resume")
    async with running(valkey.url, simulator):
        ends = await ends_of(redis, *source.said)

    assert sorted(ends.values()) == ["closed", "filled", "filled"]
    assert await held(simulator) == {"buy": 0.2, "sell": 0}


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[Valkey]:
    """A server whose data can be replaced."""
    server = Valkey(tmp_path / "own")
    server.start()
    client = streams.connect(server.url)
    await join(client)
    await client.set(KEYS.source("lease", "demo"), OWNER)
    await client.aclose()
    yield server
    await asyncio.to_thread(server.stop)


def saved(server: Valkey, folder: Path) -> None:
    """Make a backup of the server's data while it stands still."""
    server.stop()
    shutil.copytree(server.directory / "data", folder)
    server.start()


async def reconnected(redis: Redis) -> None:
    """Notice that the server is another process now."""
    with suppress(RedisError):
        await redis.ping()


def put_back(server: Valkey, folder: Path) -> None:
    """Let the server be what it was."""
    server.stop()
    shutil.rmtree(server.directory / "data")
    shutil.copytree(folder, server.directory / "data")
    server.start()


async def test_yesterday_s_backup_is_brought_up_to_date(
    tmp_path: Path, own: Valkey, archive_of_rig: Database, simulator: Simulator
) -> None:
    redis = streams.connect(own.url)
    source = Outbox(redis, first=8)
    async with running(own.url, simulator):
        await story(source, redis)
    saved(own, tmp_path / "yesterday")
    await reconnected(redis)
    async with running(own.url, simulator):
        await source.open()
        await rest_of_story(source)
        await ended(redis, 8)
    await archive(redis, archive_of_rig.dsn)
    deals = len(await simulator.deals())

    put_back(own, tmp_path / "yesterday")
    await reconnected(redis)
    async with at_work(own.url, archive_of_rig.dsn, []) as work:
        names = await needing(work, [])
        lines = await restored(work, names)
    await say(redis, "resume")
    async with running(own.url, simulator):
        await source.open()
        await source.close("c")
        ends = await ends_of(redis, *source.said)
    await redis.aclose()

    assert (names, "0 facts followed again" in lines[-1]) == ([ACCOUNT], True)
    assert sorted(ends.values()) == ["accepted", *["closed"] * 4, *["filled"] * 4]
    assert len(await simulator.deals()) - deals == 1
    assert await held(simulator) == {"buy": 0.4, "sell": 0}


async def test_what_a_server_forgot_that_the_archive_has_is_found_in_the_terminal(
    tmp_path: Path, own: Valkey, archive_of_rig: Database, simulator: Simulator
) -> None:
    """An executor began with an old memory, then that was lost too: the archive has ends, not what they gave."""
    redis = streams.connect(own.url)
    source = Outbox(redis)
    async with running(own.url, simulator):
        await source.buy("a", "0.1")
        await ended(redis, 1)
    saved(own, tmp_path / "yesterday")
    await reconnected(redis)
    async with running(own.url, simulator):
        await source.open()
        await source.buy("b", "0.2")
        await ended(redis, 2)
    await archive(redis, archive_of_rig.dsn)

    put_back(own, tmp_path / "yesterday")
    await reconnected(redis)
    before = len(await told(redis))
    async with running(own.url, simulator), asyncio.timeout(60):
        while not any(isinstance(m, Kept) and m.whole for m in (await told(redis))[before:]):
            await asyncio.sleep(0.05)
    await archive(redis, archive_of_rig.dsn)
    await redis.flushall()
    async with at_work(own.url, archive_of_rig.dsn, []) as work:
        lines = await restored(work, await needing(work, []))
    await say(redis, "resume")
    async with running(own.url, simulator):
        await source.open()
        await source.close("b")
        ends = await ends_of(redis, *source.said)
    await redis.aclose()

    assert "1 fact followed again" in lines[-1]
    assert sorted(ends.values()) == ["closed", "filled", "filled"]
    assert len(await simulator.deals()) == 3
    assert await held(simulator) == {"buy": 0.1, "sell": 0}


async def test_what_waited_and_whose_end_a_failover_forgot_is_followed_again_and_found(
    tmp_path: Path, own: Valkey, archive_of_rig: Database, simulator: Simulator
) -> None:
    """The archive has its end, and the server's memory has passed it: only that it waits there says that this is none.

    Redis is lost before the executor that has begun there tells anything else.
    """
    redis = streams.connect(own.url)
    source = Outbox(redis)
    async with running(own.url, simulator):
        simulator.goes_wrong(FaultKind.NONE, times=0)
        await source.buy("a", "0.1")
        async with asyncio.timeout(60):
            while not any(isinstance(message, Pending) for message in await told(redis)):
                await asyncio.sleep(0.05)
    simulator.heal()
    saved(own, tmp_path / "yesterday")
    await reconnected(redis)
    async with running(own.url, simulator):
        assert [end.result for end in await ended(redis, 1)] == ["filled"]
    await archive(redis, archive_of_rig.dsn)

    put_back(own, tmp_path / "yesterday")
    await reconnected(redis)
    async with running(own.url, simulator):
        pass
    await lost_since_the_whole(redis)
    await archive(redis, archive_of_rig.dsn)
    await redis.flushall()
    async with at_work(own.url, archive_of_rig.dsn, []) as work:
        lines = await restored(work, await needing(work, []))
    await say(redis, "resume")
    async with running(own.url, simulator):
        await source.open()
        await source.close("a")
        ends = await ends_of(redis, *source.said)
    await redis.aclose()

    assert "1 fact followed again" in lines[-1]
    assert sorted(ends.values()) == ["closed", "filled"]
    assert len(await simulator.deals()) == 2


async def test_what_nobody_of_ours_has_signed_restores_nothing_and_is_named(
    valkey: Valkey, archive_of_rig: Database, redis: Redis, simulator: Simulator
) -> None:
    source = Outbox(redis)
    async with running(valkey.url, simulator):
        await source.buy("a", "0.1")
        await source.buy("b", "0.2")
        await ended(redis, 2)
    await archive(redis, archive_of_rig.dsn)
    with psycopg.connect(archive_of_rig.dsn, autocommit=True) as forger:
        for table in ("facts", "outcomes", "observations"):
            forger.execute(f"alter table {table} disable trigger append_only")
        larger = "set m = replace(convert_from(m, 'utf8'), '0.2', '9.2')::bytea where"
        forger.execute(f"update outcomes {larger} fact like '%b/1'")
        forger.execute(f"update facts {larger} position = 'b'")

    await redis.flushall()
    refused: list[str] = []
    async with at_work(valkey.url, archive_of_rig.dsn, refused) as work:
        await work.remember([ACCOUNT])
        found = work.found[ACCOUNT]
        facts = work.facts([found], ())

    assert list(found.links) == ["demo/10001/a"]
    assert set(facts.origin.pictures["demo"]) == {"10001/position:a", "10001/order:a-0"}
    assert any("demo/10001/position:b/1" in text and "nobody of ours has signed" in text for text in refused)


def test_the_command_says_what_it_would_do_asks_and_does_it(
    valkey: Valkey, archive_of_rig: Database, tmp_path: Path
) -> None:
    config = configured(tmp_path, valkey.url, archive_of_rig.dsn)

    def run(*words: str, typed: str = "") -> tuple[int, str]:
        done = CliRunner().invoke(cli, ["--config", str(config), "restore", *words], input=typed)
        return done.exit_code, done.output

    async def lived() -> None:
        redis = streams.connect(valkey.url)
        await join(redis)
        simulator = Simulator(tmp_path / "terminal")
        await simulator.start()
        source = Outbox(redis)
        await source.open()
        async with running(valkey.url, simulator):
            await source.buy("a", "0.1")
            await ended(redis, 1)
        simulator.stop()
        await archive(redis, archive_of_rig.dsn)
        await redis.aclose()

    async def flushed() -> None:
        redis = streams.connect(valkey.url)
        await redis.flushall()
        await redis.aclose()

    assert "main: the archive knows nothing of it" in run()[1]
    assert run()[0] == 2
    asyncio.run(lived())
    assert run() == (0, "nothing to restore: every account has its group, and Redis knows no less than the archive\n")
    asyncio.run(flushed())
    code, said = run("--dry-run")
    assert code == 0
    assert "main: its group is gone: restore it; the archive has EURUSD +0.1 lots, 1 fact passed" in said
    assert "main: 0 facts would be followed again" in said
    assert run(typed="n\n")[0] == 2
    code, said = run("--yes")
    assert code == 0
    assert "main: restored from the archive" in said
    assert run()[1].startswith("nothing to restore")
    assert run("--account", "nobody") == (2, "tradecopier: there is no account nobody; there are: main\n")
