"""`archiver verify` on a real archive: after somebody changed, removed or added one fact it names that one."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any, cast

import psycopg
import pytest
from redis.asyncio import Redis

from archiver import verify
from archiver.audit import NOTHING, Audit, Published, findings, published
from archiver.migrate import migrate
from archiver.store import Store
from deploy.embedded import Valkey
from shared import groups, outcomes, streams
from shared.facts import Fact
from shared.streams import Keys
from tests.archiver.entries import FIRST_MS, KEYRING, Message, fact, later, outcome, rows, signed, step
from tests.conftest import Database
from tests.shared.samples import FACTS, OUTCOMES

KEYS = Keys("main")


async def archived(database: Database, facts: Sequence[Fact]) -> Audit:
    migrate(database.dsn)
    async with Store(database.dsn) as store:
        assert await store.save(rows([*facts, *(outcome(f, step(deal=f.seq)) for f in facts), *OUTCOMES])) == []
    return Audit(dsn=database.dsn, namespace="main", keyring=KEYRING)


def told(audit: Audit, known: Published = NOTHING) -> list[str]:
    return [finding.line() for finding in findings(audit, lambda _: None, known)]


def tamper(database: Database, text: str) -> None:
    """As one who may do anything: the triggers that keep the tables append-only are switched off."""
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")
        assert connection.execute(text.encode()).rowcount == 1


@pytest.fixture
async def whole(any_postgres: Database) -> Audit:
    return await archived(any_postgres, [fact(seq) for seq in range(1, 601)])


def test_an_archive_that_nobody_touched_passes(whole: Audit) -> None:
    seen: list[int] = []
    assert list(findings(whole, seen.append)) == []
    assert seen[-1] == 1200 + len(OUTCOMES)


COLUMNS = """id, captured, producer, entry, published, kind, source, source_account, instrument, model, evidence,
    position, revision, held_before, coming_before, held_after, coming_after, m, k, s, body, namespace"""
FORGED = COLUMNS.replace("id,", "'forged',", 1)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("update facts set price = 1.5 where seq = 300", "changed: facts outbox-1 300 "),
        ("update facts set m = convert_to(replace(convert_from(m, 'utf8'), '0.1', '0.9'), 'utf8') where seq = 7",
         "changed: facts outbox-1 7 "),
        ("update facts set body = body || '{\"price\": \"2\"}' where seq = 8", "changed: facts outbox-1 8 "),
        ("delete from facts where seq = 450", "missing: facts outbox-1 450:"),
        (f"insert into facts (seq, {COLUMNS}) select 601, {COLUMNS} from facts where seq = 5",
         "changed: facts outbox-1 601 "),
        (f"insert into facts (seq, {COLUMNS}) select seq, {FORGED} from facts where seq = 5",
         "changed: facts outbox-1 5 forged"),
        ("delete from outcomes where fact like '%/450'", "missing: outcomes one demo/10001/position:o1/450: "),
        ("update outcomes set lots_opened = 9 where fact like '%/77'", "changed: outcomes one demo/10001/"),
        ("update observations set profit = 1000 where kind = 'deal'", "changed: observations a deal 1:"),
    ],
    ids=["column", "message", "jsonb", "delete", "insert", "double", "no outcome", "outcome", "deal"],
)  # fmt: skip
def test_what_was_done_to_one_row_is_named(whole: Audit, any_postgres: Database, text: str, named: str) -> None:
    tamper(any_postgres, text)
    found = told(whole)
    assert any(line.startswith(named) for line in found), found
    assert len(found) <= 3, found


async def test_a_period_checks_its_own_signatures_and_all_numbers(any_postgres: Database) -> None:
    audit = await archived(any_postgres, [fact(n, captured=later(0) + timedelta(days=n)) for n in range(1, 11)])
    tamper(any_postgres, "update facts set price = 9 where seq = 2")
    tamper(any_postgres, "delete from facts where seq = 3")
    whole = Audit(dsn=audit.dsn, namespace="main", keyring=KEYRING, since=later(0) + timedelta(days=5))
    assert [line.split(":")[0] for line in told(whole)] == ["missing"]


async def test_a_fact_that_is_missing_at_the_end_is_seen_from_redis(archive: Database, valkey: Valkey) -> None:
    audit = await archived(archive, [fact(seq) for seq in range(1, 5)])
    redis: Redis = streams.connect(valkey.url)
    try:
        await groups.join_archive(redis, KEYS.orders, "archiver")
        await redis.hset(KEYS.producers, mapping={"outbox-1": "5 1-0 abc"})
        known = await published(valkey.url, "main")
        assert known is not None
        assert told(audit, known) == ["missing: facts outbox-1 5: this fact is not in the archive"]
        await redis.xadd(KEYS.orders, signed(FACTS[0]))
        assert await published(valkey.url, "main") is None, "the archive has not read everything yet"
    finally:
        await redis.aclose()


async def test_what_a_stranger_has_written_of_producers_and_groups_is_named(archive: Database, valkey: Valkey) -> None:
    audit = await archived(archive, [fact(seq) for seq in range(1, 5)])
    redis: Redis = streams.connect(valkey.url)
    try:
        for name in (b"archiver", b"\xff", b"a\0"):
            await redis.xgroup_create(KEYS.orders, cast(Any, name), id="$", mkstream=True)
            await redis.xgroup_create(KEYS.outcomes, cast(Any, name), id="$", mkstream=True)
        strange = {b"outbox-1": b"4 1-0 abc", b"\xff": b"5 1-0 abc", b"a": b"", b"b": b"x 1-0 abc", b"c": b"9" * 5000}
        await redis.hset(KEYS.producers, mapping=cast(Any, strange))
        known = await published(valkey.url, "main")
        assert known is not None
        assert known.done == ()
        lines = [line.split(": what Redis")[0] for line in told(audit, known)]
        assert lines == [f"not checked: facts {name}" for name in ("\\xff", "a", "b", "c")]
    finally:
        await redis.aclose()


async def stored(database: Database, *messages: Message) -> Audit:
    """An archive of these messages, in the order of their streams."""
    migrate(database.dsn)
    async with Store(database.dsn) as store:
        assert await store.save(rows(messages)) == []
    return Audit(dsn=database.dsn, namespace="main", keyring=KEYRING)


FACTS_OF_A_DAY = [fact(n, captured=later(n)) for n in range(1, 7)]


def ends(*numbers: int, **changes: Any) -> list[Message]:
    return [outcome(FACTS_OF_A_DAY[n - 1], **changes) for n in numbers]


def silent(audit: Audit, known: Published = NOTHING) -> list[str]:
    """The accounts and the numbers of the facts without an end."""
    lines = told(audit, known)
    assert all(line.startswith("missing: outcomes") for line in lines), lines
    return [line.split(":")[1].split()[1] + " " + line.split("/")[-1].split(":")[0] for line in lines]


@pytest.mark.parametrize(
    ("messages", "named"),
    [
        (ends(1, 2, 3, 4, 5, 6), []),
        (ends(2, 5), ["one 3", "one 4"]),
        ([*ends(1, 3), *ends(2, 3, account="two")], ["one 2"]),
        ([*ends(1, 4), outcomes.Pending(fact=FACTS_OF_A_DAY[1].id, account="one", state="owed", since=later(2))],
         ["one 3"]),
        ([*ends(1, 6), outcomes.Pending(fact=FACTS_OF_A_DAY[2].id, account="one", state="unresolved", since=later(2))],
         ["one 2"]),
    ],
    ids=["all", "joined later, behind at the end", "each account by itself", "owed", "waits behind what is unresolved"],
)  # fmt: skip
async def test_an_account_that_follows_a_source_has_an_end_of_each_of_its_facts(
    archive: Database, messages: list[Message], named: list[str]
) -> None:
    assert silent(await stored(archive, *FACTS_OF_A_DAY, *messages)) == named


async def test_a_fact_of_a_source_that_an_account_does_not_follow_needs_no_end(archive: Database) -> None:
    other = fact(1, source="other", id="other/1/x/1", producer="outbox-2")
    assert silent(await stored(archive, *FACTS_OF_A_DAY[:3], other, *FACTS_OF_A_DAY[3:], *ends(1, 2, 3, 4, 5, 6))) == []


async def test_the_last_end_of_an_account_that_has_finished_is_missed_too(archive: Database) -> None:
    audit = await stored(archive, *FACTS_OF_A_DAY, *ends(1, 2, 3, 4), *ends(1, 2, account="two"))
    asked_at = datetime.fromtimestamp(FIRST_MS / 1000, UTC)
    assert silent(audit) == []
    assert silent(audit, Published(lasts={}, done=("one",), as_of=asked_at)) == [], "it may be on its way since then"
    asked_at += timedelta(milliseconds=1)
    assert silent(audit, Published(lasts={}, done=("one",), as_of=asked_at)) == ["one 5", "one 6"]


async def test_redis_tells_who_has_finished(valkey: Valkey) -> None:
    redis: Redis = streams.connect(valkey.url)
    try:
        for stream in (KEYS.orders, KEYS.outcomes):
            await groups.join_archive(redis, stream, "archiver")
        for account in ("one", "two"):
            await groups.join_orders(redis, KEYS, account)
        await redis.xadd(KEYS.orders, signed(fact(1)))
        for group in ("archiver", "one"):
            ((_, entries),) = cast(Any, await redis.xreadgroup(group, "x", {KEYS.orders: ">"}))
            await redis.xack(KEYS.orders, group, entries[0][0])
        known = await published(valkey.url, "main")
        assert known is not None
        assert known.done == ("one",)
        await redis.xadd(KEYS.outcomes, signed(outcome(fact(1))))
        known = await published(valkey.url, "main")
        assert known is not None
        assert known.done == (), "its outcomes are not archived yet"
    finally:
        await redis.aclose()


async def test_a_deal_that_an_outcome_names_is_missed_once_later_ones_were_told(archive: Database) -> None:
    def deal(number: int, seconds: float) -> outcomes.Deal:
        return outcomes.Deal(
            account="one", deal=number, order=number, position=1, symbol="EURUSD", side="buy", entry="in",
            volume=D("0.1"), price=D("1.1"), time=later(seconds), seen=later(seconds),
        )  # fmt: skip

    ended = [outcome(f, step(deal=f.seq + 10)) for f in FACTS_OF_A_DAY[:3]]
    audit = await stored(archive, *FACTS_OF_A_DAY, *ended, deal(11, 1), deal(12, 2), deal(13, 3))
    assert untold(audit) == []
    tamper(archive, "delete from observations where deal = 12")
    assert untold(audit) == [], "it may still be told"
    await stored(archive, deal(99, 600))
    assert untold(audit) == [f"missing: observations one deal 12: the outcome of {FACTS_OF_A_DAY[1].id} names it"]


def untold(audit: Audit) -> list[str]:
    return [line for line in told(audit) if line.startswith("missing: observations")]


async def test_the_question_about_ends_stays_quick_with_many_facts(archive: Database) -> None:
    """Its plan joins; were it asked fact by fact, an archive of a million would take hours."""
    await stored(archive, *FACTS_OF_A_DAY, *ends(1, 2, 3))
    asked = {"namespace": "main", "done": [], "as_of": later(0)}
    with psycopg.connect(archive.dsn, autocommit=True) as connection:
        plan = connection.execute(b"explain " + verify.SILENT.encode(), asked).fetchall()
    assert any("Anti Join" in line for (line,) in plan), plan
