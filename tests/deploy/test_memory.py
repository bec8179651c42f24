"""Archive and stream are looked at together, so that nothing depends on how far the archiver came."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

import msgspec
import pytest
from msgspec import Raw
from redis.asyncio import Redis

from archiver.originals import Archive, Original
from archiver.store import Store
from deploy.embedded import Valkey
from deploy.memory import Lookup, entries
from deploy.rebuilding import needing, restored
from executor.mt5.simulator.faults import FaultKind
from shared import streams
from shared.facts import Fact
from shared.outcomes import Kept, Memory, Message
from shared.wire import Codec, Keyring
from tests.archiver.entries import CODEC, FIRST_MS, entry, fact, later, outcome, rows
from tests.conftest import Database
from tests.deploy import archived
from tests.executor import rig
from tests.executor.seals import join
from tests.executor.test_operator import say

KEYS = streams.Keys("main")
MARKET_CLOSED = 10018
SINCE = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator[Redis]:
    client = streams.connect(valkey.url)
    yield client
    await client.aclose()


@pytest.fixture
def archive(postgres: Database) -> Database:
    from archiver.migrate import migrate

    migrate(postgres.dsn)
    return postgres


def lookup(dsn: str, refused: list[str], codec: Codec = CODEC) -> Lookup:
    where = Archive(dsn=dsn, namespace="main")
    return Lookup(archive=where, codec=codec, reader=CODEC, refused=refused.append, seen=lambda _count: None)


def kept(link: bytes, *, whole: bool = False, seconds: float = 0) -> Kept:
    memory = Memory(links={"x": Raw(link)}, passed={"outbox-1": int(seconds)})
    return Kept(account="one", seen=later(seconds), memory=memory, whole=whole)


def streamed(messages: Sequence[Message], first: int = 0) -> list[tuple[Original, Any]]:
    """Messages as they lie in the stream, numbered from `first`."""
    found = [(entry(message, n), message) for n, message in enumerate(messages, first)]
    return [(Original(each.id, "entry", dict(each.fields)), message) for each, message in found]


async def saved(dsn: str, messages: Sequence[Message | Fact]) -> None:
    async with Store(dsn) as store:
        assert await store.save(rows(messages)) == []


STORY = [kept(b"1", whole=True), kept(b"2", seconds=1), kept(b"3", seconds=2), kept(b"4", seconds=3)]


@pytest.mark.parametrize("archived", range(5))
async def test_it_does_not_matter_how_far_the_archive_is(archive: Database, archived: int) -> None:
    await saved(archive.dsn, STORY[:archived])
    found = lookup(archive.dsn, []).account("one", ["demo"], streamed(STORY), SINCE)
    assert found is not None
    assert (found.links, found.passed) == ({"x": b"4"}, {"outbox-1": 3})


async def test_an_old_stream_takes_nothing_back(archive: Database) -> None:
    await saved(archive.dsn, STORY)
    found = lookup(archive.dsn, []).account("one", ["demo"], streamed(STORY[:2]), SINCE)
    assert found is not None
    assert found.links == {"x": b"4"}


def copies(messages: Sequence[Message], *, ms: int) -> list[tuple[Original, Any]]:
    """The same messages, added by somebody else under ids of his choice."""
    return [
        (Original(f"{ms}-{n}", "entry", original.fields), message)
        for n, (original, message) in enumerate(streamed(messages))
    ]


NEVER_MS = 2**64 - 1
WHEN = {"later": FIRST_MS + 60_000, "at the end of time": NEVER_MS}


@pytest.mark.parametrize("left", range(5))
@pytest.mark.parametrize("archived", range(5))
async def test_a_copy_of_what_was_told_before_is_not_the_newest(archive: Database, archived: int, left: int) -> None:
    """However much the archive has read, and however much has left the stream since."""
    await saved(archive.dsn, STORY[:archived])
    stream = streamed(STORY)[min(left, archived) :]
    for copied in range(4):
        for when in WHEN.values():
            refused: list[str] = []
            taken = [*stream, *copies(STORY[copied : copied + 1], ms=when)]
            found = lookup(archive.dsn, refused).account("one", ["demo"], taken, SINCE)
            assert found is not None
            assert (found.links, found.passed) == ({"x": b"4"}, {"outbox-1": 3})
            assert refused == [f"entry: a copy of what was told with entry {FIRST_MS}-{copied}"]


async def test_what_is_archived_stands_where_it_stands_though_the_stream_was_written_anew(archive: Database) -> None:
    """As if the last thing that was told had come before all others."""
    await saved(archive.dsn, STORY)
    anew = copies([STORY[3], *STORY[:3]], ms=FIRST_MS - 60_000)
    found = lookup(archive.dsn, []).account("one", ["demo"], anew, SINCE)
    assert found is not None
    assert found.links == {"x": b"4"}


async def test_what_two_accounts_told_in_the_same_moment_are_two_messages(archive: Database) -> None:
    others = [msgspec.structs.replace(each, account="two") for each in STORY]
    told = [pair for each in zip(streamed(STORY), streamed(others), strict=True) for pair in each]
    await saved(archive.dsn, STORY)
    refused: list[str] = []
    for name in ("one", "two"):
        found = lookup(archive.dsn, refused).account(name, ["demo"], told, SINCE)
        assert found is not None
        assert found.links == {"x": b"4"}
    assert refused == []


async def test_of_an_account_of_which_nobody_told_nothing_is_known(archive: Database) -> None:
    await saved(archive.dsn, STORY)
    assert lookup(archive.dsn, []).account("two", ["demo"], streamed(STORY), SINCE) is None


async def test_ends_from_before_the_whole_count_for_as_long_as_their_facts_may_come_again(archive: Database) -> None:
    first = fact(1)
    await saved(archive.dsn, [first, outcome(first), kept(b"1", whole=True, seconds=1)])
    found = lookup(archive.dsn, []).account("one", ["demo"], [], SINCE)
    assert found is not None
    assert not found.wanting()(first)
    assert found.links == {"x": b"1"}


async def test_what_was_published_and_who_wants_it(archive: Database) -> None:
    facts = [fact(n) for n in range(1, 4)]
    await saved(archive.dsn, [*facts, kept(b"1", whole=True, seconds=2)])
    look = lookup(archive.dsn, [])
    account = look.account("one", ["demo"], [], SINCE)
    assert account is not None
    newer = fact(4)
    found = look.facts([account], [(Original("9-0", "entry", dict(entry(newer).fields)), newer)])
    assert list(found.wanted) == [facts[2].id]
    assert found.wanted[facts[2].id].accounts == {"one"}
    assert found.origin.lasts["outbox-1"][0] == 4


async def test_what_was_signed_with_a_key_that_counts_no_more_is_signed_anew(archive: Database) -> None:
    await saved(archive.dsn, [fact(1), kept(b"1", whole=True)])
    fresh = Codec("main", Keyring(current="k2", keys={"k2": b"2" * 32}))
    look = lookup(archive.dsn, [], fresh)
    account = look.account("one", ["demo"], [], SINCE)
    assert account is not None
    (wanted,) = look.facts([account], []).wanted.values()
    assert fresh.fact(wanted.original.fields) == fact(1)


async def owed(redis: Redis) -> bool:
    return bool(await redis.exists(rig.KEYS.account("debts", rig.ACCOUNT)))


async def until(found: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(rig.PATIENCE_S):
        while not await found():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("is_archived", [True, False])
async def test_an_exit_that_was_owed_once_is_not_owed_again_because_somebody_has_copied_what_said_so(
    archive: Database, redis: Redis, simulator: rig.Simulator, valkey: Valkey, is_archived: bool
) -> None:
    await join(redis)
    source = rig.Source(redis)
    await source.open()
    async with rig.running(valkey.url, simulator):
        await source.buy("a", "0.2")
        await rig.ended(redis, 1)
        simulator.goes_wrong(FaultKind.RETCODE, code=MARKET_CLOSED, times=0)
        await source.close("a", "0.1")
        await until(partial(owed, redis))
        told = len(await entries(redis, rig.KEYS.outcomes))
        simulator.heal()
        await rig.ended(redis, 2)
        await source.buy("a", "0.1")
        await rig.ended(redis, 3)
        for original in (await entries(redis, rig.KEYS.outcomes))[:told]:
            await redis.xadd(rig.KEYS.outcomes, cast(Any, original.fields))
        if is_archived:
            await archived.archive(redis, archive.dsn)
        refused: list[str] = []
        async with archived.at_work(valkey.url, archive.dsn, refused) as work:
            assert await needing(work, [rig.ACCOUNT]) == [rig.ACCOUNT]
            await restored(work, [rig.ACCOUNT])
        assert len(set(refused)) == told
        assert not await owed(redis)
        await say(redis, "resume")
        last = await source.buy("b", "0.3")
        await archived.ends_of(redis, last)
    assert sum(lots for _, _, lots in await simulator.volumes()) == pytest.approx(0.5)


async def test_all_of_a_stream_is_read_however_long_it_is(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.memory.PAGE", 2)
    for number in range(5):
        await redis.xadd(KEYS.orders, {"m": str(number)})
    assert [o.fields[b"m"] for o in await entries(redis, KEYS.orders)] == [b"0", b"1", b"2", b"3", b"4"]
    assert await entries(redis, KEYS.outcomes) == []
