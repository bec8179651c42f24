"""What a commit changes in an account's memory is told with it, and by what was told the memory can be made again."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from msgspec import Raw
from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor.book import Link
from executor.change import Change
from executor.ledger import Ledger
from executor.remembering import remembering, whole
from shared.lease import Lease
from shared.outcomes import Kept, Memory, Notice, Outcome, Pending
from shared.wire import Place
from tests.executor.rig import ACCOUNT, CODEC, KEYS, Simulator, Source, ended, running, told

NOW = datetime(2026, 11, 25, 13, 0, tzinfo=UTC)
END = Outcome(fact="f", account="a", result="filled", captured=NOW, read=NOW, committed=NOW)
STATE = Pending(fact="f", account="a", state="owed", since=NOW)
NOTICE = Notice(account="a", reason="r", text="t", seen=NOW)
PLACE = Place(entry="1-1", seqs={"p": 7})
LINKS = {"x": b'{"key":"x"}', "y": None}
MEMORY = Memory(links={"x": Raw(b'{"key":"x"}'), "y": Raw(b"null")}, passed={"p": 7})


@pytest.mark.parametrize("message", [END, STATE])
def test_it_goes_with_the_end_or_state_that_the_commit_writes(message: Outcome | Pending) -> None:
    told = remembering("a", [message, NOTICE], LINKS, {}, PLACE, NOW)
    assert told == [msgspec.structs.replace(message, memory=MEMORY), NOTICE]
    assert msgspec.json.decode(msgspec.json.encode(told[0]), type=Outcome | Pending) == told[0]


def test_it_goes_by_itself_where_nothing_else_is_told() -> None:
    assert remembering("a", [NOTICE], LINKS, {}, PLACE, NOW) == [NOTICE, Kept(account="a", seen=NOW, memory=MEMORY)]


def test_a_commit_that_changes_nothing_but_the_place_of_an_entry_says_nothing() -> None:
    assert remembering("a", [], {}, {}, PLACE, NOW) == []
    assert remembering("a", [END], {}, {}, None, NOW) == [END]


def test_the_whole_has_what_only_redis_has_of_the_state() -> None:
    kept = whole("a", LINKS, {"x": b"{}"}, PLACE, {"identity": "1@D", "mode": "active", "server": "s"}, NOW)
    assert (kept.whole, kept.state) == (True, {"identity": "1@D"})
    assert kept.memory == msgspec.structs.replace(MEMORY, debts={"x": Raw(b"{}")})


async def test_the_whole_is_told_once_for_as_long_as_the_lane_knows_that_nothing_was_lost(redis: Redis) -> None:
    lease = Lease(redis, KEYS.account("lease", ACCOUNT), duration=30, owner="lane")
    ledger = Ledger(redis, KEYS, CODEC, ACCOUNT, lease)
    await lease.acquire()
    for _ in range(2):
        await ledger.tell(await ledger.begin(), NOW)
    await ledger.commit(Change(links={"x": Link(key="x", instrument="EURUSD", symbol="EURUSD")}), NOW)
    await ledger.tell(await ledger.begin(), NOW)
    assert [isinstance(m, Kept) and m.whole for m in await told(redis)] == [True, False]

    await redis.hincrby(KEYS.account("place", ACCOUNT), "version", 1)
    await ledger.tell(await ledger.begin(), NOW)
    newest: Any = (await told(redis))[-1]
    assert (newest.whole, list(newest.memory.links)) == (True, ["x"])


async def test_a_lane_s_memory_can_be_made_again_from_what_it_told(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    from archiver.originals import Original
    from deploy.memory import entries
    from deploy.recollection import begun

    async with running(valkey.url, simulator):
        await source.buy("a", "0.2")
        await source.limit("c", "0.1", "1.05")
        await source.close("a", "0.1")
        await source.buy("b", "0.1")
        await source.close("b")
        await ended(redis, 5)
    originals: list[Original] = await entries(redis, KEYS.outcomes)
    first: Any = CODEC.outcome(originals[0].fields)
    found = begun(ACCOUNT, ["demo"], originals[0].entry, first)
    for original in originals:
        message: Any = CODEC.outcome(original.fields)
        found.take(original.entry, message)

    kept: Any = await redis.hgetall(KEYS.account("links", ACCOUNT))
    assert found.links == {name.decode(): link for name, link in kept.items()}
    assert len(found.links) == 2
    assert found.passed == {"rig": 5}
