"""What a thief can do with one service's Redis password and without the signing key, as the threat model says it, and
where he comes to an end.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, cast

import msgspec
import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from deploy import acl, aclfile
from deploy.embedded import Valkey
from executor import sealing
from executor.asked import Desk, Replay
from executor.book import Debt, Link, Part
from executor.joining import Joined, written
from executor.mt5.simulator.faults import FaultKind
from executor.recalling import stored
from shared import streams
from shared.facts import Side
from shared.outcomes import Outcome
from shared.wire import Codec, Keyring
from tests.executor.rig import ACCOUNT, CODEC, KEYS, PATIENCE_S, Simulator, Source, account, running
from tests.executor.seals import join
from tests.executor.test_operator import done, say
from tests.executor.test_reconciler import seen_now

USERS = acl.users(KEYS, ["demo"], [ACCOUNT, "second"])
INGEST, LANE, OTHER_LANE, ARCHIVER = (
    f"{KEYS.namespace}.{name}" for name in ("ingest", f"executor.{ACCOUNT}", "executor.second", "archiver")
)
MARKET_CLOSED = 10018
REMEMBERED = ("place", "links", "debts", "state")
Memory = Mapping[str, Mapping[str, str]]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    folder = tmp_path_factory.mktemp("guarded")
    server = Valkey(folder, users=aclfile.embedded(folder / "users", USERS))
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def admin(guarded: Valkey) -> AsyncIterator[Redis]:
    """One who sees everything, on an empty server on which the account has joined."""
    client = streams.connect(guarded.url)
    await client.flushall()
    await join(client)
    yield client
    await client.aclose()


@asynccontextmanager
async def terminal(folder: Path, margin: str) -> AsyncIterator[Simulator]:
    found = Simulator(folder / "terminal", margin)
    await found.start()
    found.price("EURUSD", "1.08504", "1.08512")
    try:
        yield found
    finally:
        found.stop()


def url(server: Valkey, user: str) -> str:
    return server.url_of(user, aclfile.password_file(server.directory / "users", user).read_text().strip())


@asynccontextmanager
async def thief(server: Valkey, user: str) -> AsyncIterator[Redis]:
    """One who has the password of this user, and nothing else."""
    client = streams.connect(url(server, user))
    try:
        yield client
    finally:
        await client.aclose()


def link(name: str, side: Side, lots: str, ticket: int) -> tuple[str, bytes]:
    """A part of the account that nobody has opened."""
    key, volume = f"demo/10001/{name}", Decimal(lots)
    part = Part(ticket=ticket, identifier=ticket, volume=volume, side=side)
    made = Link(key=key, instrument="EURUSD", symbol="EURUSD", revision=1, parts=(part,))
    return key, msgspec.json.encode(made)


async def refused(caplog: pytest.LogCaptureFixture, why: str) -> None:
    """Return when the account's lane has said that it does not believe what it is to remember."""
    async with asyncio.timeout(PATIENCE_S):
        while not any(
            message.startswith(f"{ACCOUNT}: nothing is sent, ") and why in message for message in caplog.messages
        ):
            await asyncio.sleep(0.05)


def owed(link: str) -> bytes:
    """A made-up exit that is to be done: all of a link."""
    now = datetime.now(UTC)
    return msgspec.json.encode(Debt(link=link, fact="made-up", entry="", target=Decimal(0), since=now, captured=now))


async def write(redis: Redis, **parts: Mapping[str, bytes | str]) -> None:
    """Write into the account's memory, and have its lane begin anew, when it reads that."""
    for part, values in parts.items():
        await redis.hset(KEYS.account(part, ACCOUNT), mapping=cast(Any, dict(values)))
    await redis.delete(KEYS.account("lease", ACCOUNT))


async def kept(redis: Redis) -> Memory:
    """All that Redis remembers of the account, as the thief sees it."""
    found = {part: cast(Any, await redis.hgetall(KEYS.account(part, ACCOUNT))) for part in REMEMBERED}
    return {part: {k.decode(): v.decode() for k, v in values.items()} for part, values in found.items()}


def waiting(memory: Memory) -> bool:
    """Whether a fact of it was passed and has no end yet."""
    return any(name.startswith("parked:") for name in memory["place"])


async def put_back(redis: Redis, earlier: Memory) -> None:
    """Bring all of it to what it was."""
    for part in REMEMBERED:
        await redis.delete(KEYS.account(part, ACCOUNT))
    await write(redis, **{part: values for part, values in earlier.items() if values})


async def test_who_writes_an_account_s_memory_closes_nothing_and_other_accounts_go_on(
    guarded: Valkey, admin: Redis, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither what was opened by hand nor what is ours, live or in shadow."""
    await join(admin, "second")
    source = Source(admin)
    await source.open()
    async with terminal(tmp_path, "hedging") as simulator, terminal(tmp_path / "2", "hedging") as other:
        simulator.trade(action=1, symbol="EURUSD", volume=0.3, type=0)
        async with simulator.eyes() as eyes:
            (position,) = cast(Any, await eyes.positions())
        async with (
            running(url(guarded, LANE), simulator, account(mode="shadow")),
            running(url(guarded, OTHER_LANE), other, name="second"),
            thief(guarded, LANE) as redis,
        ):
            key, content = link("a", "buy", "0.3", position.ticket)
            await write(redis, links={key: content}, debts={key: owed(key)}, state={"mode": "active"})
            await refused(caplog, "is not what was sealed")
            await source.buy("b")
            await source.close("b")
            await told(admin, 2)
        assert await simulator.volumes() == [("EURUSD", 0, 0.3)]
        assert len(await other.deals()) == 2


async def test_on_a_netting_account_he_opens_nothing_by_an_exit_past_its_zero(
    guarded: Valkey, admin: Redis, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        terminal(tmp_path, "netting") as simulator,
        thief(guarded, LANE) as redis,
        running(url(guarded, LANE), simulator),
    ):
        one, two = link("a", "buy", "7", 1), link("b", "sell", "7", 1)
        await write(redis, links=dict([one, two]), debts={one[0]: owed(one[0])})
        await refused(caplog, "is not what was sealed")
        assert await simulator.deals() == []


@pytest.mark.parametrize("parts", [("debts",), ("debts", "place"), ("links",), ("links", "debts"), ("place",)])
async def test_an_exit_that_was_owed_once_is_not_owed_again_because_he_has_kept_it(
    guarded: Valkey, admin: Redis, tmp_path: Path, caplog: pytest.LogCaptureFixture, parts: tuple[str, ...]
) -> None:
    """It was ours when it was written; beside what the account holds now it is not."""
    source = Source(admin)
    await source.open()
    async with terminal(tmp_path, "hedging") as simulator, thief(guarded, LANE) as redis:
        async with running(url(guarded, LANE), simulator):
            await source.buy("a", "0.2")
            await told(admin, 1)
            simulator.goes_wrong(FaultKind.RETCODE, code=MARKET_CLOSED, times=0)
            await source.close("a", "0.1")
            old = await owing(redis)
            simulator.heal()
            await told(admin, 2)
            await source.buy("a", "0.1")
            await told(admin, 3)
            await put_back(redis, {**await kept(redis), **{part: old[part] for part in parts}})
            await refused(caplog, "is not what was sealed")
        assert sum(lots for _, _, lots in await simulator.volumes()) == pytest.approx(0.2)


@pytest.mark.parametrize("wiped", [["place", "links", "debts", "state"], ["place"], ["links"]])
async def test_who_has_an_account_forget_what_it_holds_does_not_have_it_join_anew(
    guarded: Valkey, admin: Redis, tmp_path: Path, caplog: pytest.LogCaptureFixture, wiped: list[str]
) -> None:
    """It would open again what the source holds."""
    source = Source(admin)
    await source.open()
    async with terminal(tmp_path, "hedging") as simulator, thief(guarded, LANE) as redis:
        async with running(url(guarded, LANE), simulator, account(join="adopt")):
            await source.buy("a")
            await told(admin, 1)
            for part in wiped:
                await redis.delete(KEYS.account(part, ACCOUNT))
            await redis.delete(KEYS.account("lease", ACCOUNT))
            await refused(caplog, "has no seal" if "place" in wiped else "is not what was sealed")
        assert len(await simulator.deals()) == 1


@pytest.mark.parametrize("field", ["joined", "day-start", "peak", "flattened", "rearmed", "stopped"])
async def test_nothing_of_the_state_that_makes_a_trade_can_be_changed(
    guarded: Valkey, admin: Redis, tmp_path: Path, caplog: pytest.LogCaptureFixture, field: str
) -> None:
    adopting = Joined(seen=frozenset({"demo"}), adopt=frozenset({"demo/10001/a"}))
    async with terminal(tmp_path, "hedging") as simulator, thief(guarded, LANE) as redis:
        async with running(url(guarded, LANE), simulator):
            await write(redis, state={field: written(adopting) if field == "joined" else "1"})
            await refused(caplog, "is not what was sealed")
        assert await simulator.deals() == []


async def test_the_seal_of_another_account_is_none(
    guarded: Valkey, admin: Redis, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where both remember the same."""
    seal = sealing.sealed(CODEC, "second", (await stored(admin, KEYS, ACCOUNT)).contents)
    async with terminal(tmp_path, "hedging") as simulator, thief(guarded, LANE) as redis:
        await write(redis, place={"seal": seal})
        async with running(url(guarded, LANE), simulator, wait=False):
            await refused(caplog, "is not what was sealed")


@pytest.mark.parametrize(
    ("part", "field"),
    [("state", "flatten"), ("replay", "\xff"), ("done", "")],
)
async def test_what_is_no_text_ends_no_process_and_holds_up_nothing(
    guarded: Valkey, admin: Redis, tmp_path: Path, part: str, field: str
) -> None:
    """Several accounts may have one process. What he has delivered again is looked up in what he wrote."""
    source = Source(admin)
    await source.open()
    async with terminal(tmp_path, "hedging") as simulator, thief(guarded, LANE) as redis:
        async with running(url(guarded, LANE), simulator):
            fact = await source.buy("a")
            await told(admin, 1)
            name: Any = field.encode("latin-1") or f"{fact.id}#1"
            await redis.hset(KEYS.account(part, ACCOUNT), name, cast(Any, b"\xff"))
            ids = [entry for entry, _ in cast(Any, await redis.xrange(KEYS.orders))]
            await redis.xclaim(KEYS.orders, ACCOUNT, "executor", 0, ids, force=True)
            await redis.delete(KEYS.account("lease", ACCOUNT))
            await source.close("a")
            await told(admin, 2)
            await say(admin, "resume")
            async with asyncio.timeout(PATIENCE_S):
                while not await done(admin):
                    await asyncio.sleep(0.05)
        assert await simulator.volumes() == []


async def test_who_lacks_the_key_makes_way_for_who_has_it(
    guarded: Valkey, admin: Redis, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """On one machine the new key is used, and on the other one the file has not arrived."""
    newer = Codec(KEYS.namespace, Keyring(current="k2", keys={"k2": b"2" * 32, "k1": b"1" * 32}))
    source, lane = Source(admin), url(guarded, LANE)
    await source.open()
    async with terminal(tmp_path, "hedging") as simulator:
        async with running(lane, simulator, codec=newer):
            await source.buy("a")
            await until_open(simulator, 1)
        async with running(lane, simulator, wait=False):
            await refused(caplog, "sealed with key 'k2'")
            async with running(lane, simulator, codec=newer):
                await source.close("a")
                await until_open(simulator, 0)


async def until_open(simulator: Simulator, count: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while len(await simulator.volumes()) != count:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("margin", ["hedging", "netting"])
async def test_facts_that_he_has_delivered_again_trade_nothing_again(
    guarded: Valkey, admin: Redis, tmp_path: Path, margin: Literal["hedging", "netting"]
) -> None:
    """He may claim any entry for the account, and take its end away. Of one position newer facts were followed since,
    and an exit is owed that is not to be counted as done.
    """
    source = Source(admin, margin)
    await source.open()
    async with terminal(tmp_path, margin) as simulator, thief(guarded, LANE) as redis:
        async with running(url(guarded, LANE), simulator):
            await source.buy("a", "-0.1")
            await source.buy("a", "0.4")
            await source.buy("b", "0.1")
            await source.close("b")
            await told(admin, 4)
            simulator.goes_wrong(FaultKind.RETCODE, code=MARKET_CLOSED, times=0)
            await source.close("a", "0.1")
            await owing(redis)
            ids = [entry for entry, _ in cast(Any, await redis.xrange(KEYS.orders))]
            await redis.xclaim(KEYS.orders, ACCOUNT, "executor", 0, ids, force=True)
            await redis.delete(KEYS.account("done", ACCOUNT))
            await write(redis, state={"suspect-before": "0"})
            await read_all(admin)
            simulator.heal()
            await told(admin, 5)
        assert sum(lots for _, side, lots in await simulator.volumes() if side == 0) == pytest.approx(0.2)


async def owing(redis: Redis) -> Memory:
    """What is remembered, once something is owed."""
    async with asyncio.timeout(PATIENCE_S):
        while not (found := await kept(redis))["debts"]:
            await asyncio.sleep(0.02)
    return found


async def test_he_has_nothing_flattened(
    guarded: Valkey, admin: Redis, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = Source(admin)
    await source.open()
    async with terminal(tmp_path, "hedging") as simulator, thief(guarded, LANE) as redis:
        async with running(url(guarded, LANE), simulator):
            await source.buy("a")
            await told(admin, 1)
            await redis.hset(KEYS.account("state", ACCOUNT), mapping={"flatten": "now", "mode": "close-only"})
            async with asyncio.timeout(PATIENCE_S):
                while "not done: flatten" not in caplog.text:
                    await asyncio.sleep(0.05)
        assert len(await simulator.deals()) == 1


async def test_a_request_of_an_operator_that_he_has_kept_trades_nothing_again(
    guarded: Valkey, admin: Redis, tmp_path: Path
) -> None:
    """Also where he takes away that it was answered."""
    source, desk = Source(admin), Desk(admin, KEYS, CODEC, ACCOUNT)
    asked, done, state = (KEYS.account(part, ACCOUNT) for part in ("replay", "done", "state"))
    await source.open()
    async with terminal(tmp_path, "hedging") as simulator, thief(guarded, LANE) as redis:
        async with running(url(guarded, LANE), simulator):
            await admin.hset(state, "mode", "close-only")
            fact = await source.buy("a")
            await told(admin, 1)
            await admin.hset(state, "mode", "active")
            ((entry, fields),) = cast(Any, await admin.xrange(KEYS.orders))
            m, k, s = (fields[name].decode() for name in (b"m", b"k", b"s"))
            now = datetime.now(UTC)
            request = Replay(fact=fact.id, entry=entry.decode(), attempt=2, asked=now, m=m, k=k, s=s)
            kept = CODEC.seal(f"replay:{ACCOUNT}", msgspec.json.encode(request)).decode()
            assert await desk.ask(request) == "asked"
            await told(admin, 2)
            await redis.hdel(done, request.work.key)
            await redis.hset(asked, request.field, kept)
            async with asyncio.timeout(PATIENCE_S):
                while await redis.hget(asked, request.field):
                    await asyncio.sleep(0.05)
        assert len(await simulator.deals()) == 1


async def test_he_ends_a_pause_and_the_account_follows_its_source_again(
    guarded: Valkey, admin: Redis, tmp_path: Path
) -> None:
    source = Source(admin)
    await source.open()
    async with terminal(tmp_path, "hedging") as simulator, thief(guarded, LANE) as redis:
        async with running(url(guarded, LANE), simulator):
            await admin.hset(KEYS.account("state", ACCOUNT), mapping={"mode": "halted", "reason": "operator"})
            await redis.hset(KEYS.account("state", ACCOUNT), "mode", "active")
            await source.buy("a")
            await told(admin, 1)
        assert len(await simulator.deals()) == 1


async def test_an_earlier_memory_is_believed_as_a_whole_and_what_was_opened_since_is_found(
    guarded: Valkey, admin: Redis, tmp_path: Path
) -> None:
    """As after a failover that lost what came since."""
    source = Source(admin)
    await source.open()
    await admin.xgroup_destroy(KEYS.orders, ACCOUNT)
    await source.buy("a")
    await join(admin)
    async with terminal(tmp_path, "hedging") as simulator, thief(guarded, LANE) as redis:
        earlier = await kept(redis)
        async with running(url(guarded, LANE), simulator, account(join="adopt", reconcile_every=0.2)):
            await seen_now(admin)
            await told(admin, 1)
            await redis.delete(KEYS.account("done", ACCOUNT))
            await put_back(redis, earlier)
            await seen_now(admin)
            await told(admin, 2)
        assert await simulator.volumes() == [("EURUSD", 0, 0.1)]
        assert len(await simulator.deals()) == 1


async def test_an_earlier_memory_beside_today_s_place_is_not_believed(
    guarded: Valkey, admin: Redis, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = Source(admin)
    await source.open()
    async with (
        terminal(tmp_path, "hedging") as simulator,
        thief(guarded, LANE) as redis,
        running(url(guarded, LANE), simulator),
    ):
        await source.buy("a", "0.1")
        await told(admin, 1)
        earlier = await kept(redis)
        await source.buy("a", "0.3")
        await told(admin, 2)
        place = {**(await kept(redis))["place"], "seal": earlier["place"]["seal"]}
        await put_back(redis, {**earlier, "place": place})
        await refused(caplog, "is not what was sealed")
        assert sum(lots for _, _, lots in await simulator.volumes()) == pytest.approx(0.4)


@pytest.mark.parametrize("ends", ["left", "taken away"])
async def test_what_came_after_an_earlier_memory_is_found_and_not_opened_once_more(
    guarded: Valkey, admin: Redis, tmp_path: Path, ends: str
) -> None:
    """Also where the next fact comes from another producer, so that no number is lacking."""
    source, successor = Source(admin), Source(admin, producer="another")
    await source.open()
    async with (
        terminal(tmp_path, "hedging") as simulator,
        thief(guarded, LANE) as redis,
        running(url(guarded, LANE), simulator),
    ):
        await source.buy("a", "0.1")
        await told(admin, 1)
        earlier = await kept(redis)
        await source.buy("a", "0.3")
        await told(admin, 2)
        if ends == "taken away":
            await redis.delete(KEYS.account("done", ACCOUNT))
        await put_back(redis, earlier)
        await told(admin, 3)
        await successor.succeeding(source).buy("a", "0.2")
        await told(admin, 4)
        assert sum(lots for _, _, lots in await simulator.volumes()) == pytest.approx(0.6)
        assert len(await simulator.deals()) == 3


async def test_a_waiting_fact_of_an_earlier_memory_is_found_and_not_opened_once_more(
    guarded: Valkey, admin: Redis, tmp_path: Path
) -> None:
    """Its entry was passed when the memory was kept, so nothing above the account's place is lacking."""
    source = Source(admin)
    await source.open()
    async with (
        terminal(tmp_path, "hedging") as simulator,
        thief(guarded, LANE) as redis,
        running(url(guarded, LANE), simulator),
    ):
        simulator.goes_wrong(FaultKind.NONE)
        await source.buy("a", "0.1")
        async with asyncio.timeout(PATIENCE_S):
            while not waiting(earlier := await kept(redis)):
                await asyncio.sleep(0.02)
        await told(admin, 1)
        assert not waiting(await kept(redis))
        await put_back(redis, earlier)
        await told(admin, 2)
        await source.buy("a", "0.1")
        await told(admin, 3)
        assert sum(lots for _, _, lots in await simulator.volumes()) == pytest.approx(0.2)
        assert len(await simulator.deals()) == 2


@pytest.mark.parametrize("is_forced", [False, True])
async def test_an_exit_whose_end_he_has_made_up_is_followed(
    guarded: Valkey, admin: Redis, tmp_path: Path, *, is_forced: bool
) -> None:
    """Also where he has its entry claimed before it is delivered."""
    source = Source(admin)
    await source.open()
    async with terminal(tmp_path, "hedging") as simulator, thief(guarded, LANE) as redis:
        async with running(url(guarded, LANE), simulator):
            await source.buy("a", "0.1")
            await told(admin, 1)
        fact = await source.close("a")
        await redis.hset(KEYS.account("done", ACCOUNT), f"{fact.id}#1", "closed 1 1-1")
        if is_forced:
            ((entry, _),) = cast(Any, await admin.xrevrange(KEYS.orders, count=1))
            await redis.xclaim(KEYS.orders, ACCOUNT, "executor", 0, [entry], force=True)
        async with running(url(guarded, LANE), simulator):
            await told(admin, 2)
        assert await simulator.volumes() == []


@pytest.mark.parametrize("producer", ["rig", "another"])
async def test_what_came_after_an_earlier_memory_and_is_there_no_more_stops_openings_whatever_he_does(
    guarded: Valkey, admin: Redis, tmp_path: Path, producer: str
) -> None:
    """Also where the next fact comes from another producer, so that no number is lacking."""
    source, state = Source(admin), KEYS.account("state", ACCOUNT)
    await source.open()
    async with (
        terminal(tmp_path, "hedging") as simulator,
        thief(guarded, LANE) as redis,
        running(url(guarded, LANE), simulator),
    ):
        await source.buy("a", "0.1")
        await told(admin, 1)
        earlier = await kept(redis)
        await source.buy("a", "0.3")
        await told(admin, 2)
        await admin.xtrim(KEYS.orders, maxlen=0)
        await put_back(redis, earlier)
        source = source if producer == "rig" else Source(admin, producer=producer).succeeding(source)
        await source.buy("a", "0.1")
        await told(admin, 3)
        await redis.hset(state, mapping={"mode": "active", "reason": ""})
        await source.buy("b", "0.1")
        await told(admin, 4)
        assert sum(lots for _, _, lots in await simulator.volumes()) == pytest.approx(0.4)
        await say(admin, "resume")
        async with asyncio.timeout(PATIENCE_S):
            while await admin.hget(state, "stopped"):
                await asyncio.sleep(0.05)
        await source.buy("c", "0.1")
        await told(admin, 5)
        assert sum(lots for _, _, lots in await simulator.volumes()) == pytest.approx(0.5)


async def test_entries_that_are_delivered_again_by_the_archiver_s_user_trade_nothing_again(
    guarded: Valkey, admin: Redis, tmp_path: Path
) -> None:
    async with (
        terminal(tmp_path, "hedging") as simulator,
        thief(guarded, ARCHIVER) as redis,
        running(url(guarded, LANE), simulator),
    ):
        source = Source(admin)
        await source.open()
        await source.buy("o1")
        await source.close("o1")
        await told(admin, 2)
        await redis.xgroup_destroy(KEYS.orders, ACCOUNT)
        done = KEYS.account("done", ACCOUNT)
        for field in [field async for field, _ in redis.hscan_iter(done)]:
            await redis.hdel(done, field)
        await redis.xgroup_create(KEYS.orders, ACCOUNT, "0")
        await read_all(admin)
        assert len(await simulator.deals()) == 2


async def read_all(admin: Redis) -> None:
    """Return when the account has read all that is there and has an end for it."""
    ((last, _),) = cast(Any, await admin.xrevrange(KEYS.orders, count=1))
    async with asyncio.timeout(PATIENCE_S):
        while True:
            (group,) = [g for g in cast(Any, await admin.xinfo_groups(KEYS.orders)) if g["name"] == ACCOUNT.encode()]
            if group["last-delivered-id"] == last and not group["pending"]:
                return
            await asyncio.sleep(0.05)


async def told(admin: Redis, count: int) -> None:
    """Return when so many outcomes have been told."""
    async with asyncio.timeout(PATIENCE_S):
        while sum(isinstance(CODEC.outcome(fields), Outcome) for _, fields in await entries(admin)) < count:
            await asyncio.sleep(0.05)


async def entries(admin: Redis) -> list[Any]:
    return cast(list[Any], await admin.xrange(KEYS.outcomes))


@pytest.mark.parametrize(("user", "stream"), [(INGEST, KEYS.orders), (OTHER_LANE, KEYS.outcomes)])
async def test_who_may_add_may_also_take_away_and_end_the_stream(
    guarded: Valkey, admin: Redis, user: str, stream: str
) -> None:
    await admin.xadd(stream, {"m": "something"})
    async with thief(guarded, user) as redis:
        await redis.execute_command("XADD", stream, "MAXLEN", "0", "*", "m", "x")  # type: ignore[no-untyped-call]
        assert await admin.xlen(stream) == 0
        await redis.execute_command("XADD", stream, f"{2**64 - 1}-{2**64 - 1}", "m", "x")  # type: ignore[no-untyped-call]
    with pytest.raises(ResponseError, match="exhausted"):
        await admin.xadd(stream, {"m": "something"})
