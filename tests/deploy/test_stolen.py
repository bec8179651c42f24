"""What a thief can do with one service's Redis password and without the signing key, as the threat model says it, and
where he comes to an end.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from deploy import acl, aclfile
from deploy.embedded import Valkey
from executor.book import Debt, Link, Part
from executor.settings import Limits
from shared import streams
from shared.facts import Side
from shared.outcomes import Outcome
from tests.executor.rig import ACCOUNT, CODEC, KEYS, PATIENCE_S, Simulator, Source, account, running

USERS = acl.users(KEYS, ["demo"], [ACCOUNT, "second"])
INGEST, LANE, OTHER_LANE, ARCHIVER = (
    f"{KEYS.namespace}.{name}" for name in ("ingest", f"executor.{ACCOUNT}", "executor.second", "archiver")
)
SMALL = Limits(max_age=Decimal(60), max_lots_per_order=Decimal(1), max_lots_per_symbol=Decimal(1))


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
    await streams.join_orders(client, KEYS, ACCOUNT)
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


async def remembered(redis: Redis, owed: str, *links: tuple[str, bytes]) -> None:
    """Make the account believe in links, and that one of them is to be closed; it reads them when it begins anew."""
    now = datetime.now(UTC)
    debt = Debt(link=owed, fact="made-up", entry="", target=Decimal(0), since=now, captured=now)
    names = {part: KEYS.account(part, ACCOUNT) for part in ("links", "debts", "state", "lease")}
    await redis.hset(names["links"], mapping=cast(Any, dict(links)))
    await redis.hset(names["debts"], owed, cast(Any, msgspec.json.encode(debt)))
    await redis.hset(names["state"], "mode", "active")
    await redis.delete(names["lease"])


async def settled(admin: Redis) -> None:
    """Return when nothing is owed any more."""
    async with asyncio.timeout(PATIENCE_S):
        while await admin.exists(KEYS.account("debts", ACCOUNT)):
            await asyncio.sleep(0.05)


async def test_who_writes_an_account_s_memory_closes_what_he_likes_also_what_was_opened_by_hand(
    guarded: Valkey, admin: Redis, tmp_path: Path
) -> None:
    async with terminal(tmp_path, "hedging") as simulator, thief(guarded, LANE) as redis:
        simulator.trade(action=1, symbol="EURUSD", volume=0.3, type=0)
        async with simulator.eyes() as eyes:
            (position,) = cast(Any, await eyes.positions())
        async with running(url(guarded, LANE), simulator, account(mode="shadow")):
            key, content = link("a", "buy", "0.3", position.ticket)
            await remembered(redis, key, (key, content))
            await settled(admin)
            assert await simulator.volumes() == []


@pytest.mark.parametrize(("mode", "opened"), [("live", [("EURUSD", 1, 7.0)]), ("shadow", [])])
async def test_on_a_netting_account_he_opens_what_he_likes_past_its_limits_but_nothing_on_one_in_shadow(
    guarded: Valkey, admin: Redis, tmp_path: Path, mode: Any, opened: list[Any]
) -> None:
    async with (
        terminal(tmp_path, "netting") as simulator,
        thief(guarded, LANE) as redis,
        running(url(guarded, LANE), simulator, account(mode=mode, limits=SMALL)),
    ):
        one, other = link("a", "buy", "7", 1), link("b", "sell", "7", 1)
        await remembered(redis, one[0], one, other)
        await settled(admin)
        assert await simulator.volumes() == opened


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
        await redis.hset(KEYS.account("place", ACCOUNT), mapping={"entry": "0-0", "seq:rig": "0"})
        await redis.xgroup_create(KEYS.orders, ACCOUNT, "0")
        await told(admin, 4)
        assert len(await simulator.deals()) == 2


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
