"""The archiver as a whole, and as a process that is killed: a row for each entry, none missing and none twice."""

import asyncio
import os
import signal
import socket
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, cast

import msgspec
import psycopg
import pytest
from redis.asyncio import Redis

from archiver import service
from archiver.audit import Audit, findings
from archiver.migrate import migrate
from archiver.service import Plan, months_ahead, serve
from archiver.settings import Archiver
from deploy.embedded import Postgres, Valkey
from shared.outcomes import Outcome, Pending
from shared.process import Stop, UserError
from shared.settings import SettingsError
from shared.streams import Keys
from tests.archiver.entries import KEYRING, fact, outcome, select, signed
from tests.conftest import Database
from tests.processes import ROOT
from tests.shared.samples import OUTCOMES

KEYS = Keys("main")
IN_TIME = 30


@asynccontextmanager
async def serving(plan: Plan) -> AsyncIterator[Stop]:
    """A service that is ready, and whose failure fails the test."""
    stop, ready = Stop(), plan.ready_file
    assert ready is not None
    task = asyncio.create_task(serve(stop, plan))
    try:
        await until(lambda: ready.exists() or task.done())
        yield stop
    finally:
        stop.request()
        await asyncio.wait_for(task, IN_TIME)
    assert stop.failure is None


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(IN_TIME):
        while not holds():
            await asyncio.sleep(0.005)


def plan_for(valkey: Valkey, dsn: str, folder: Path) -> Plan:
    return Plan(
        redis_url=valkey.url,
        namespace="main",
        dsn=dsn,
        keyring=KEYRING,
        settings=Archiver(),
        ready_file=folder / "ready",
    )


def count(dsn: str, table: str) -> int:
    return int(select(dsn, f"select count(*) from {table}")[0][0])


async def test_both_streams_are_archived(valkey: Valkey, archive: Database, redis: Redis, tmp_path: Path) -> None:
    async with serving(plan_for(valkey, archive.dsn, tmp_path)):
        await redis.xadd(KEYS.orders, signed(fact(1)))
        for message in OUTCOMES:
            await redis.xadd(KEYS.outcomes, signed(message))
        ends = sum(isinstance(message, Outcome | Pending) for message in OUTCOMES)
        await until(lambda: count(archive.dsn, "facts") == 1 and count(archive.dsn, "outcomes") == ends)
        await until(lambda: count(archive.dsn, "observations") == len(OUTCOMES) - ends)


async def scribble(redis: Redis) -> None:
    """Write what nobody of ours writes, wherever the archiver looks."""
    for stream in (KEYS.orders, KEYS.outcomes):
        await redis.xgroup_create(stream, cast(Any, b"\xff\n"), id="0", mkstream=True)
        await redis.xadd(stream, {b"\xff": b"\xff", b"k": b"\xff", b"m": b"\xff", b"s": b"\xff"})
    for part in ("done", "place", "state"):
        start = KEYS.account(part, "")
        await redis.hset(cast(Any, start.encode() + b"\xff"), cast(Any, b"\xff"), cast(Any, b"\xff"))
        await redis.hset(f"{start}one", mapping=cast(Any, {b"\xff": b"\xff", b"detached": b"\xff", b"entry": b"\xff"}))
        await redis.set(f"{start}two", "something else")


async def test_what_a_stranger_has_written_ends_nothing_and_what_is_old_leaves(
    valkey: Valkey,
    archive: Database,
    redis: Redis,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(service, "TRIM_EVERY_S", 0.1)
    await scribble(redis)
    at_once = msgspec.structs.replace(plan_for(valkey, archive.dsn, tmp_path), settings=Archiver(retention=Decimal(0)))
    async with serving(at_once), asyncio.timeout(IN_TIME):
        await redis.xadd(KEYS.orders, signed(fact(1)))
        while await redis.xlen(KEYS.orders) or await redis.xlen(KEYS.outcomes):
            await asyncio.sleep(0.05)
        while await redis.xlen(KEYS.dead) < 2:
            await asyncio.sleep(0.05)
    assert count(archive.dsn, "facts") == 1
    said = [message for message in caplog.messages if message.startswith("passed by: ")]
    assert len(said) == len(set(said)) == 5


async def test_a_lone_trade_is_there_within_a_tenth_of_a_second(
    valkey: Valkey, archive: Database, redis: Redis, tmp_path: Path
) -> None:
    async with serving(plan_for(valkey, archive.dsn, tmp_path)):
        for seq in range(1, 12):
            await redis.xadd(KEYS.orders, signed(fact(seq)))
            await until(partial(has, archive.dsn, seq))
    ages = [
        age for (age,) in select(archive.dsn, "select extract(epoch from archived - published) from facts order by 1")
    ]
    assert ages[0] < 0.1, ages  # whatever else the machine does, one of them was not held up


async def test_the_months_to_come_have_their_partitions(valkey: Valkey, archive: Database, tmp_path: Path) -> None:
    async with serving(plan_for(valkey, archive.dsn, tmp_path)):
        await until(lambda: count(archive.dsn, "pg_inherits where inhparent = 'facts'::regclass") >= 3)


def test_months_ahead_go_over_the_year() -> None:
    assert months_ahead(datetime(2026, 11, 30, tzinfo=UTC)) == {(2026, 11), (2026, 12), (2027, 1)}


async def test_a_database_that_is_not_ours_is_refused(valkey: Valkey, postgres: Database, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run `tradecopier archiver migrate`"):
        await serve(Stop(), plan_for(valkey, postgres.dsn, tmp_path))


async def test_it_waits_for_a_database_that_is_away_and_stops_when_asked(
    valkey: Valkey, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stop = Stop()
    task = asyncio.create_task(serve(stop, plan_for(valkey, "postgresql://x@127.0.0.1:1/x", tmp_path)))
    await until(lambda: "waits for PostgreSQL" in caplog.text)
    assert not task.done()
    stop.request()
    await asyncio.wait_for(task, IN_TIME)


async def test_metrics_and_health_are_served_where_the_settings_say(
    valkey: Valkey, archive: Database, redis: Redis, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    plan = plan_for(valkey, archive.dsn, tmp_path)
    async with serving(msgspec.structs.replace(plan, settings=Archiver(metrics=address))):
        await redis.xadd(KEYS.orders, signed(fact(1)))
        await until(lambda: count(archive.dsn, "facts") == 1)
        await acknowledged(redis)
        assert await asyncio.to_thread(fetched, f"http://{address}/healthz") == "ok\n"
        told = await asyncio.to_thread(fetched, f"http://{address}/metrics")
    assert 'tradecopier_archive_rows_total{stream="orders"} 1.0' in told
    assert 'tradecopier_archive_up{stream="outcomes"} 1.0' in told


def fetched(url: str) -> str:
    with urllib.request.urlopen(url, timeout=IN_TIME) as reply:  # noqa: S310  the address is our own
        return str(reply.read().decode())


def test_a_redis_that_is_not_set_is_said(tmp_path: Path) -> None:
    (tmp_path / "t.toml").write_text("")
    with pytest.raises(SettingsError, match=r"redis.url is not set"):
        service.plan(tmp_path / "t.toml", {})


@asynccontextmanager
async def process(valkey: Valkey, dsn: str, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """`tradecopier archiver run` as an operator starts it."""
    (folder / "key").write_text("k1:" + KEYRING.keys["k1"].hex())
    (folder / "key").chmod(0o600)
    (folder / "t.toml").write_text("[archiver]\nbatch-size = 50\n")
    told = {
        "TRADECOPIER_REDIS__URL": valkey.url,
        "TRADECOPIER_POSTGRES__DSN": dsn,
        "TRADECOPIER_SECURITY__SIGNING_KEY_FILE": str(folder / "key"),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "deploy", "--config", str(folder / "t.toml"), "archiver", "run"]
    command += ["--ready-file", str(folder / "ready")]
    (folder / "ready").unlink(missing_ok=True)
    running = await asyncio.create_subprocess_exec(*command, env={**os.environ, **told}, cwd=folder)
    try:
        await until(lambda: (folder / "ready").exists() or running.returncode is not None)
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()


async def publish(redis: Redis, first: int, last: int) -> None:
    """Facts and their outcomes, a few at a time, so that there is always something on the way."""
    for start in range(first, last + 1, 20):
        async with redis.pipeline(transaction=True) as pipe:
            for seq in range(start, min(start + 20, last + 1)):
                pipe.xadd(KEYS.orders, signed(fact(seq)))
                pipe.xadd(KEYS.outcomes, signed(outcome(fact(seq))))
            await pipe.execute()


async def test_kills_of_the_archiver_and_of_postgres_lose_and_double_nothing(
    valkey: Valkey, redis: Redis, tmp_path: Path
) -> None:
    server = Postgres(tmp_path / "postgres")
    await server.started()
    supervisor = asyncio.create_task(server.supervise())
    try:
        migrate(server.dsn)
        for turn in range(4):
            async with process(valkey, server.dsn, tmp_path) as archiver:
                publishing = asyncio.create_task(publish(redis, turn * 500 + 1, turn * 500 + 500))
                await until(partial(has, server.dsn, turn * 400 + 1))
                if turn % 2 and server.pid is not None:
                    os.kill(server.pid, signal.SIGKILL)
                archiver.kill()
                await publishing
        async with process(valkey, server.dsn, tmp_path) as archiver:
            await until(partial(has, server.dsn, 2000))
            await acknowledged(redis)
            assert (count(server.dsn, "facts"), count(server.dsn, "outcomes")) == (2000, 2000)
            whole = Audit(dsn=server.dsn, namespace="main", keyring=KEYRING)
            assert list(findings(whole, lambda _: None)) == []
            archiver.terminate()
            assert await asyncio.wait_for(archiver.wait(), IN_TIME) == 0
        assert await redis.xlen(KEYS.dead) == 0
    finally:
        supervisor.cancel()
        await asyncio.gather(supervisor, return_exceptions=True)
        await asyncio.to_thread(server.stop)


def has(dsn: str, facts: int) -> bool:
    """Whether the archive answers and has so many facts or more."""
    try:
        return count(dsn, "facts") >= facts
    except psycopg.OperationalError:
        return False


async def acknowledged(redis: Redis) -> None:
    deadline = monotonic() + IN_TIME
    for stream in (KEYS.orders, KEYS.outcomes):
        while (await redis.xpending(stream, "archiver"))["pending"]:
            assert monotonic() < deadline
            await asyncio.sleep(0.01)
