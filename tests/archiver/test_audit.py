"""`archiver verify` on a real archive: after somebody changed, removed or added one fact it names that one."""

from collections.abc import Sequence
from datetime import timedelta

import psycopg
import pytest
from redis.asyncio import Redis

from archiver.audit import Audit, behind, findings, published
from archiver.migrate import migrate
from archiver.store import Store
from deploy.embedded import Valkey
from shared import streams
from shared.facts import Fact
from shared.streams import Keys
from tests.archiver.entries import KEYRING, fact, later, outcome, rows, signed, step
from tests.conftest import Database
from tests.shared.samples import FACTS, OUTCOMES

KEYS = Keys("main")


async def archived(database: Database, facts: Sequence[Fact]) -> Audit:
    migrate(database.dsn)
    async with Store(database.dsn) as store:
        assert await store.save(rows([*facts, *(outcome(f, step(deal=f.seq)) for f in facts), *OUTCOMES])) == []
    return Audit(dsn=database.dsn, namespace="main", keyring=KEYRING)


def told(audit: Audit) -> list[str]:
    return [finding.line() for finding in findings(audit, lambda _: None)]


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
    assert seen[-1] == 1205


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
        ("update outcomes set lots_opened = 9 where fact like '%/77'", "changed: outcomes one demo/10001/"),
        ("update observations set profit = 1000 where kind = 'deal'", "changed: observations a deal 1:"),
    ],
    ids=["column", "message", "jsonb", "delete", "insert", "double", "outcome", "deal"],
)  # fmt: skip
def test_what_was_done_to_one_row_is_named(whole: Audit, any_postgres: Database, text: str, named: str) -> None:
    tamper(any_postgres, text)
    found = told(whole)
    assert any(line.startswith(named) for line in found), found
    assert len(found) <= 2, found


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
        await streams.join_archive(redis, KEYS.orders, "archiver")
        await redis.hset(KEYS.producers, mapping={"outbox-1": "5 1-0 abc"})
        known = await published(valkey.url, "main")
        assert known == {"outbox-1": 5}
        assert [f.line() for f in behind(audit, known)] == [
            "missing: facts outbox-1 5: this fact is not in the archive"
        ]
        await redis.xadd(KEYS.orders, signed(FACTS[0]))
        assert await published(valkey.url, "main") is None, "the archive has not read everything yet"
    finally:
        await redis.aclose()
