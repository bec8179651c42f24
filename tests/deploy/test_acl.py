"""With the users that are shipped each service does its work, and what is none of its business is refused."""

import ast
import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, ResponseError

from archiver.trim import Trimmer
from deploy import acl, aclfile
from deploy.embedded import Valkey
from executor import ledger
from ingest.succession import _REMEMBER
from shared import clock, depth, groups, streams, vitals
from shared.durability import unsafe
from shared.lease import Lease
from shared.pictures import source_picture
from shared.process import cancelled
from shared.streams import Keys, Publisher, Reader
from shared.vitals import SourceVitals
from tests.e2e.encrypted import DebianRedis
from tests.executor.rig import ACCOUNT, CODEC, KEYS, Simulator, Source, account, running
from tests.executor.seals import join
from tests.processes import ROOT

USERS = {user.name: user for user in acl.users(KEYS, ["demo"], [ACCOUNT, "second"])}
INGEST, LANE, ARCHIVER = (
    f"{KEYS.namespace}.ingest",
    f"{KEYS.namespace}.executor.{ACCOUNT}",
    f"{KEYS.namespace}.archiver",
)
STATUS, OPERATOR = f"{KEYS.namespace}.status", f"{KEYS.namespace}.operator"
OTHER = Keys("other")


@pytest.fixture(scope="module")
def guarded_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    folder = tmp_path_factory.mktemp("guarded")
    server = Valkey(folder, users=aclfile.embedded(folder / "users", USERS.values()))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module", params=[Valkey, DebianRedis], ids=["valkey", "redis"])
def any_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """The embedded server, and an old Redis."""
    folder = tmp_path_factory.mktemp("any")
    server: Valkey = request.param(folder, users=aclfile.embedded(folder / "users", USERS.values()))
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def guarded(guarded_server: Valkey) -> AsyncIterator[Valkey]:
    """An empty server with the users; what was refused in a test that forbids nothing is a mistake of ours."""
    admin = streams.connect(guarded_server.url)
    await admin.flushall()
    await admin.acl_log_reset()
    await join(admin)
    yield guarded_server
    await admin.aclose()


def url(server: Valkey, user: str) -> str:
    return server.url_of(user, aclfile.password_file(server.directory / "users", user).read_text().strip())


@asynccontextmanager
async def connected(server: Valkey, user: str) -> AsyncIterator[Redis]:
    client = streams.connect(url(server, user))
    try:
        yield client
    finally:
        await client.aclose()


async def refusals(server: Valkey) -> list[Any]:
    """Everything that the server has refused to anybody."""
    admin = streams.connect(server.url)
    found: Any = await admin.acl_log()
    await admin.aclose()
    return [(entry["username"], entry["object"]) for entry in found]


async def test_a_lane_and_the_publisher_of_its_facts_do_their_work(guarded: Valkey, tmp_path: Path) -> None:
    simulator = Simulator(tmp_path / "terminal")
    await simulator.start()
    simulator.price("EURUSD", "1.08504", "1.08512")
    try:
        async with connected(guarded, INGEST) as ingest, running(url(guarded, LANE), simulator):
            source = Source(ingest)
            await source.open()
            await source.buy("o1")
            await source.close("o1")
            await ingest.xadd(KEYS.orders, {"m": b"{}", "k": b"k1", "s": b"0"})
            await source.buy("o2")
            async with connected(guarded, STATUS) as looking:
                found = await ended_as(looking, 3)
                assert await looking.xlen(KEYS.dead) == 1
    finally:
        simulator.stop()

    assert found == ["filled", "closed", "filled"]
    assert await refusals(guarded) == []


async def test_a_lane_opens_what_the_source_held_when_it_joined(guarded: Valkey, tmp_path: Path) -> None:
    """It asks for that itself, as an operator would."""
    simulator = Simulator(tmp_path / "terminal")
    await simulator.start()
    simulator.price("EURUSD", "1.08504", "1.08512")
    try:
        async with connected(guarded, INGEST) as ingest, connected(guarded, STATUS) as looking:
            source = Source(ingest)
            await source.open()
            async with running(url(guarded, LANE), simulator, account(join="adopt", reconcile_every=0.1)):
                await source.held("p1", "0.2")
                telling = asyncio.create_task(looked_at(ingest))
                assert "filled" in await ended_as(looking, 2)
                await cancelled(telling)
    finally:
        simulator.stop()

    assert await refusals(guarded) == []


async def looked_at(ingest: Redis) -> None:
    """Say what an ingest says all the time: that it has just seen its source."""
    while True:
        now = datetime.now(UTC)
        await vitals.tell_source(ingest, KEYS, "demo", SourceVitals(at=now, owned=True, polled=now))
        await asyncio.sleep(0.2)


async def ended_as(redis: Redis, count: int) -> list[str]:
    """The results of outcomes so far, once there are `count`, by one who may only look."""
    async with asyncio.timeout(30):
        while True:
            raw: Any = await redis.xrevrange(KEYS.outcomes)
            read = [CODEC.outcome(fields) for _, fields in reversed(raw)]
            results = [str(getattr(message, "result", "")) for message in read]
            if len([r for r in results if r]) >= count:
                return [r for r in results if r]
            await asyncio.sleep(0.02)


async def test_ingest_owns_publishes_and_remembers(guarded: Valkey) -> None:
    async with connected(guarded, INGEST) as redis:
        assert await unsafe(redis) == []
        await clock.measure(redis)
        lease = Lease(redis, KEYS.source("lease", "demo"), duration=5, owner="here")
        assert await lease.acquire() is None
        assert await lease.renew()
        publisher = Publisher(redis, KEYS, CODEC)
        assert await publisher.last("rig") == 0
        await source_picture(redis, KEYS, CODEC, "demo")
        memory = [KEYS.source("lease", "demo"), KEYS.source("memory", "demo")]
        assert await redis.register_script(_REMEMBER)(keys=memory, args=[lease.token, "1", "x"]) == 1
        await redis.hgetall(KEYS.source("memory", "demo"))
        await redis.xrange(KEYS.orders, "-", "+", count=1)
        await vitals.tell_source(redis, KEYS, "demo", SourceVitals(at=datetime.now(UTC), owned=True))
        await lease.release()
    assert await refusals(guarded) == []


async def test_the_archiver_reads_acknowledges_buries_and_trims(guarded: Valkey) -> None:
    async with connected(guarded, ARCHIVER) as redis, connected(guarded, INGEST) as ingest:
        for stream in (KEYS.orders, KEYS.outcomes):
            await groups.join_archive(redis, stream, "archiver")
        source = Source(ingest)
        await source.open()
        await source.buy("o1")
        reader = Reader(redis, KEYS.orders, "archiver", "one")
        (entry,) = await reader.read()
        await redis.xautoclaim(KEYS.orders, "archiver", "one", min_idle_time=0)
        await streams.bury(redis, KEYS, entry, reader="archiver", reason="malformed", text="x")
        await reader.ack(entry.id)
        trimmer = Trimmer(redis, KEYS, "archiver", 0)
        await trimmer.trim()
        await trimmer.usage()
    assert await refusals(guarded) == []


async def test_who_looks_on_sees_the_streams_the_accounts_and_the_sources(guarded: Valkey) -> None:
    async with connected(guarded, STATUS) as redis:
        assert await redis.ping()
        await unsafe(redis)
        await depth.measure(redis, KEYS)
        await clock.measure(redis)
        await vitals.account(redis, KEYS, ACCOUNT)
        await vitals.source(redis, KEYS, "demo")
        await source_picture(redis, KEYS, CODEC, "demo")
        await redis.hmget(KEYS.account("state", ACCOUNT), ["mode", "reason"])
        await redis.xrevrange(KEYS.outcomes, count=5)
    assert await refusals(guarded) == []


async def test_a_person_s_commands_do_what_they_want_with_this_namespace(guarded: Valkey) -> None:
    async with connected(guarded, OPERATOR) as redis:
        await groups.join_orders(redis, KEYS, "second")
        await redis.xgroup_destroy(KEYS.orders, "second")
        await redis.register_script("return redis.call('HSET', KEYS[1], 'mode', 'halted')")(
            keys=[KEYS.account("state", ACCOUNT)]
        )
        await redis.delete(KEYS.account("done", ACCOUNT))
        async with redis.pipeline(transaction=True) as pipe:
            pipe.hgetall(KEYS.account("links", ACCOUNT))
            await pipe.execute()
        async for _ in redis.scan_iter(match=KEYS.account("state", "*")):
            pass
    assert await refusals(guarded) == []


FORGED = ("m", "{}", "k", "k1", "s", "0")
EVERYBODY: list[tuple[str, ...]] = [
    ("FLUSHALL",), ("FLUSHDB",), ("KEYS", "*"), ("CONFIG", "GET", "*"), ("CONFIG", "SET", "appendonly", "no"),
    ("ACL", "LIST"), ("ACL", "SETUSER", "x", "on"), ("SHUTDOWN", "NOSAVE"), ("MONITOR",),
    ("REPLICAOF", "NO", "ONE"), ("CLIENT", "KILL", "TYPE", "normal"), ("MODULE", "LIST"), ("SAVE",),
    ("SCRIPT", "FLUSH"), ("FUNCTION", "LIST"), ("PUBLISH", "c", "m"), ("SUBSCRIBE", "c"),
    ("GET", "anything"), ("SET", "anything", "1"), ("HGETALL", OTHER.account("links", "main")),
    ("XADD", OTHER.orders, "*", *FORGED), ("XRANGE", OTHER.orders, "-", "+"), ("DEL", OTHER.orders),
]  # fmt: skip
"""Nobody but an administrator; one namespace is no business of another's."""

SERVICES: list[tuple[str, ...]] = [
    ("DEL", KEYS.orders), ("XTRIM", KEYS.orders, "MAXLEN", "0"), ("XDEL", KEYS.orders, "1-1"),
    ("XGROUP", "DESTROY", KEYS.orders, ACCOUNT), ("XGROUP", "SETID", KEYS.orders, ACCOUNT, "$"),
    ("XSETID", KEYS.orders, "9-9"), ("RENAME", KEYS.orders, KEYS.dead), ("DEL", KEYS.producers),
    ("EXPIRE", KEYS.outcomes, "1"), ("DEL", KEYS.dead), ("EVAL", "return 1", "0"), ("SCAN", "0"),
]  # fmt: skip
"""No service, with what an archiver has to do left out below."""

OWN: dict[str, list[tuple[str, ...]]] = {
    INGEST: [
        ("XREADGROUP", "GROUP", ACCOUNT, "x", "STREAMS", KEYS.orders, ">"), ("XACK", KEYS.orders, ACCOUNT, "1-1"),
        ("XADD", KEYS.outcomes, "*", *FORGED), ("XRANGE", KEYS.outcomes, "-", "+"),
        ("HSET", KEYS.account("state", ACCOUNT), "mode", "active"), ("HGETALL", KEYS.account("links", ACCOUNT)),
        ("SET", KEYS.account("lease", ACCOUNT), "mine"), ("HGETALL", KEYS.source("picture", "another")),
        ("SET", KEYS.source("lease", "another"), "mine"), ("XGROUP", "CREATE", KEYS.orders, "more", "$"),
    ],
    LANE: [
        ("XADD", KEYS.orders, "*", *FORGED), ("XREADGROUP", "GROUP", "archiver", "x", "STREAMS", KEYS.outcomes, ">"),
        ("XRANGE", KEYS.outcomes, "-", "+"), ("HSET", KEYS.account("state", "second"), "mode", "active"),
        ("HGETALL", KEYS.account("links", "second")), ("DEL", KEYS.account("links", "second")),
        ("SET", KEYS.account("lease", "second"), "mine"), ("HSET", KEYS.source("picture", "demo"), "f", "x"),
        ("SET", KEYS.source("lease", "demo"), "mine"), ("HSET", KEYS.producers, "p", "9 1-1 s"),
    ],
    ARCHIVER: [
        ("XADD", KEYS.orders, "*", *FORGED), ("XADD", KEYS.outcomes, "*", *FORGED),
        ("HSET", KEYS.account("state", ACCOUNT), "mode", "active"), ("HGETALL", KEYS.account("links", ACCOUNT)),
        ("HSET", KEYS.account("done", ACCOUNT), "f#1", "filled"), ("SET", KEYS.account("lease", ACCOUNT), "mine"),
        ("HSET", KEYS.producers, "p", "9 1-1 s"), ("HGETALL", KEYS.source("picture", "demo")),
    ],
    STATUS: [
        ("XADD", KEYS.orders, "*", *FORGED), ("XADD", KEYS.dead, "*", *FORGED),
        ("XREADGROUP", "GROUP", ACCOUNT, "x", "STREAMS", KEYS.orders, ">"), ("XACK", KEYS.orders, ACCOUNT, "1-1"),
        ("HSET", KEYS.account("state", ACCOUNT), "mode", "halted"), ("SET", KEYS.account("vitals", ACCOUNT), "{}"),
        ("HGETALL", KEYS.account("links", ACCOUNT)), ("GET", KEYS.account("lease", ACCOUNT)),
        ("EVALSHA", "0" * 40, "1", KEYS.orders), ("SCRIPT", "LOAD", "return 1"),
        ("XGROUP", "CREATE", KEYS.orders, "g", "$"),
    ],
    OPERATOR: [],
}  # fmt: skip
"""What each service may not do, although another may."""

FORBIDDEN = [
    (user, command)
    for user, own in OWN.items()
    for command in (*EVERYBODY, *(SERVICES if user != OPERATOR else ()), *own)
    if not (user == OPERATOR and command[0] in ("SCAN", "EVAL"))
    and not (user == ARCHIVER and (command[0] in ("XTRIM", "SCAN") or command[:2] == ("XGROUP", "DESTROY")))
]


@pytest.mark.parametrize(("user", "command"), FORBIDDEN, ids=lambda v: v if isinstance(v, str) else " ".join(v)[:60])
async def test_is_refused(any_server: Valkey, user: str, command: tuple[str, ...]) -> None:
    async with connected(any_server, user) as redis:
        with pytest.raises(NoPermissionError):
            await redis.execute_command(*command)  # type: ignore[no-untyped-call]


STOLEN_STEPS: dict[str, tuple[str, ...]] = {
    "to forge an entry": (LANE, "return redis.call('XADD', KEYS[1], '*', 'm', '{}')", KEYS.orders),
    "to empty the stream": (LANE, "return redis.call('DEL', KEYS[1])", KEYS.orders),
    "to change what it may only publish": (INGEST, "return redis.call('XTRIM', KEYS[1], 'MAXLEN', 0)", KEYS.orders),
    "to forget what was published": (INGEST, "return redis.call('DEL', KEYS[1])", KEYS.producers),
}


@pytest.mark.parametrize(("user", "script", "key"), STOLEN_STEPS.values(), ids=STOLEN_STEPS)
async def test_a_script_of_one_s_own_does_not_help(guarded_server: Valkey, user: str, script: str, key: str) -> None:
    async with connected(guarded_server, user) as redis:
        sha = await redis.script_load(script)
        with pytest.raises(ResponseError, match=r"(?i)permission"):
            await redis.evalsha(sha, 1, key)


async def test_a_script_on_somebody_else_s_key_is_refused(guarded_server: Valkey) -> None:
    async with connected(guarded_server, LANE) as redis:
        sha = await redis.script_load("return redis.call('HSET', KEYS[1], 'mode', 'active')")
        with pytest.raises(NoPermissionError):
            await redis.evalsha(sha, 1, KEYS.account("state", "second"))


def literals(kind: str) -> set[str]:
    """The parts of keys that the code names: what stands first in `.account(…)` or `.source(…)` of Keys."""
    found = set()
    for package in ("shared", "ingest", "executor", "archiver", "deploy"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == kind:
                    first = node.args[0] if len(node.args) == 2 else None
                    if isinstance(first, ast.Constant) and isinstance(first.value, str):
                        found.add(first.value)
    return found


def test_every_key_that_the_code_names_is_somebody_s() -> None:
    assert literals("account") | set(ledger.PARTS) <= set(acl.ACCOUNT_PARTS)
    assert literals("source") <= set(acl.SOURCE_PARTS)


def test_a_line_holds_no_password_and_begins_anew() -> None:
    line = USERS[INGEST].line("hush")

    assert "hush" not in line
    assert line.startswith(f"user {INGEST} reset on #")


BEFORE = """# by hand
user default on nopass ~* +@all
user monitor on >x +ping
user rig.executor.gone on #0
user rig-2.x on
"""


def test_users_of_others_stay_and_ours_that_are_gone_go() -> None:
    after = acl.merged(BEFORE, {"rig.ingest": "user rig.ingest on #1", "admin": "user admin on #2"}, "rig")

    assert after.splitlines() == [
        "user default on nopass ~* +@all", "user monitor on >x +ping", "user rig-2.x on", "user rig.ingest on #1",
        "user admin on #2",
    ]  # fmt: skip


def test_who_has_no_password_is_nobody_unless_the_file_said_otherwise() -> None:
    assert acl.merged("", {}, "rig") == "user default reset off ~* &* +@all\n"
    assert acl.merged("user default reset off\n", {}, "rig") == acl.merged("", {}, "rig"), "as it was written before"
