"""Archive and stream are looked at together, so that nothing depends on how far the archiver came."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec import Raw
from redis.asyncio import Redis

from archiver.originals import Archive, Original
from archiver.store import Store
from deploy.embedded import Valkey
from deploy.memory import Lookup, entries
from shared import streams
from shared.facts import Fact
from shared.outcomes import Kept, Memory, Message
from shared.wire import Codec, Keyring
from tests.archiver.entries import CODEC, entry, fact, later, outcome, rows
from tests.conftest import Database

KEYS = streams.Keys("main")
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


async def test_all_of_a_stream_is_read_however_long_it_is(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.memory.PAGE", 2)
    for number in range(5):
        await redis.xadd(KEYS.orders, {"m": str(number)})
    assert [o.fields[b"m"] for o in await entries(redis, KEYS.orders)] == [b"0", b"1", b"2", b"3", b"4"]
    assert await entries(redis, KEYS.outcomes) == []
