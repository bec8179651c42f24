"""Rows are stored once, in any batch, on any server; a row that cannot be stored is found and keeps nobody waiting."""

import asyncio
import os
import random
import signal
from datetime import datetime
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from archiver.audit import Audit, findings
from archiver.journal import Question, trades
from archiver.migrate import migrate
from archiver.patience import Away
from archiver.store import COPY_ABOVE, Store
from archiver.tables import FactRow, Row
from deploy.embedded import Postgres
from shared import facts
from tests.archiver.entries import KEYRING, fact, outcome, rows, select, step
from tests.conftest import Database
from tests.processes import wait_until_gone
from tests.shared.samples import FACTS, OUTCOMES

EVERYTHING = rows([*FACTS, *OUTCOMES, outcome(fact(1), step(ticket=1, deal=2**40, mark=2**53 - 1))])


def kept(dsn: str, kind: type[Row]) -> set[Any]:
    names = ", ".join(f'"{name}"' for name in kind.__struct_fields__ if name != "body")
    found = select(dsn, f"select {names}, convert_from(m, 'utf8')::jsonb = body from {kind.table}")
    return {tuple(map(str, values)) for values in found}


def expected(many: list[Row], kind: type[Row]) -> set[Any]:
    mine = [msgspec.structs.asdict(row) for row in many if isinstance(row, kind)]
    return {(*(str(v) for k, v in values.items() if k != "body"), "True") for values in mine}


async def test_every_kind_of_row_comes_out_as_it_went_in(any_postgres: Database) -> None:
    migrate(any_postgres.dsn)
    distinct = [row for row in EVERYTHING if not isinstance(row, FactRow)] + rows([fact(n) for n in range(1, 4)])
    async with Store(any_postgres.dsn) as store:
        assert await store.save(distinct) == []
    for kind in {type(row) for row in distinct}:
        assert kept(any_postgres.dsn, kind) == expected(distinct, kind)


@pytest.mark.parametrize("size", [1, 7, COPY_ABOVE + 100])
async def test_what_comes_again_changes_nothing(archive: Database, size: int) -> None:
    many = rows([fact(n) for n in range(1, size + 1)])
    again = [msgspec.structs.replace(row, entry=f"9-{n}") for n, row in enumerate(many)]
    async with Store(archive.dsn) as store:
        assert await store.save(many + many[:3]) == []
        assert select(archive.dsn, "select count(distinct xmin::text) from facts") == [(1,)], "in one transaction"
        assert await store.save(again) == []
    assert select(archive.dsn, "select count(*), max(length(entry)) > 5 from facts") == [(size, True)]


async def test_a_month_is_made_when_a_row_needs_it(archive: Database) -> None:
    times = ["1999-12-31T23:59:59.999999+00:00", "2026-11-30T23:30:00-05:00", "2040-01-01T00:00:00+00:00"]
    many = rows([fact(n, captured=datetime.fromisoformat(text)) for n, text in enumerate(times, 1)])
    async with Store(archive.dsn) as store:
        assert await store.save(many) == []
    found = select(archive.dsn, "select tableoid::regclass::text from facts order by captured")
    assert found == [("facts_1999_12",), ("facts_2026_12",), ("facts_2040_01",)]


async def test_the_same_fact_under_its_id_is_one_row_and_a_second_statement_of_it_another(archive: Database) -> None:
    restated = fact(1, producer="outbox-2", captured=datetime.fromisoformat("2026-12-01T00:00:00+00:00"))
    async with Store(archive.dsn) as store:
        await store.save(rows([fact(1), fact(1), restated]))
    assert select(archive.dsn, "select producer from facts order by captured") == [("outbox-1",), ("outbox-2",)]


def poison(seq: int, text: str = "\x00") -> facts.Fact:
    return fact(seq, instrument=f"EUR{text}USD")


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (poison(250), "NUL"),
        (fact(250, id="x" * 9000 + "".join(random.Random(7).choices("abcdefghij", k=30_000))), "index row"),
        (fact(250, price=D("1e200000")), "overflow"),
    ],
    ids=["driver", "limit", "data"],
)
@pytest.mark.parametrize("size", [2, 500, COPY_ABOVE + 100])
async def test_a_row_that_postgres_refuses_is_found_and_the_rest_is_stored_in_order(
    archive: Database, bad: facts.Fact, words: str, size: int
) -> None:
    good = [fact(n) for n in range(1, size + 1) if n != 250]
    many = rows([*good[:249], bad, *good[249:]])
    async with Store(archive.dsn) as store:
        poisoned = await store.save(many)
    assert [(p.row.m, words in p.text) for p in poisoned] == [(next(r.m for r in rows([bad])), True)]
    stored = [seq for (seq,) in select(archive.dsn, "select seq from facts order by archived, ctid")]
    assert stored == [f.seq for f in good]


async def test_a_partition_that_was_detached_meanwhile_is_no_fault_of_the_row(archive: Database) -> None:
    async with Store(archive.dsn) as store:
        await store.save(rows([fact(1)]))
        select(archive.dsn, "alter table facts detach partition facts_2026_11")
        select(archive.dsn, "alter table facts_2026_11 rename to facts_2026_11_old")
        assert await store.save(rows([fact(2), fact(3)])) == []
    assert select(archive.dsn, "select count(*) from facts") == [(2,)]


@pytest.mark.parametrize(
    "trouble",
    ["alter table facts rename to gone", "alter database {name} set default_transaction_read_only = on"],
    ids=["no table", "read only"],
)
async def test_what_is_no_fault_of_the_rows_is_away_and_nothing_is_poisoned(archive: Database, trouble: str) -> None:
    name = psycopg.conninfo.conninfo_to_dict(archive.dsn)["dbname"]
    select(archive.dsn, trouble.format(name=name))
    async with Store(archive.dsn) as store:
        with pytest.raises(Away):
            await store.save(rows([fact(1)]))


async def test_a_connection_that_was_cut_is_made_again(archive: Database) -> None:
    async with Store(archive.dsn) as store:
        await store.save(rows([fact(1)]))
        select(
            archive.dsn,
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name like %s",
            "%archiver",
        )
        with pytest.raises(Away):
            await store.save(rows([fact(2)]))
        assert await store.save(rows([fact(2)])) == []
    assert select(archive.dsn, "select count(*) from facts") == [(2,)]


async def test_several_archivers_may_store_the_same_rows_at_once(archive: Database) -> None:
    many = rows([fact(n) for n in range(1, 301)])

    async def saved(store: Store, order: list[Row]) -> str | None:
        try:
            assert await store.save(order) == []
        except Away as error:
            return str(error)
        return None

    async def save(order: list[Row]) -> None:
        async with Store(archive.dsn) as store:
            while await saved(store, order) is not None:
                pass

    await asyncio.gather(*(save(order) for order in (many, many[::-1], many[100:] + many[:100])))
    assert select(archive.dsn, "select count(*) from facts") == [(300,)]


async def test_what_was_saved_survives_the_death_of_the_server(tmp_path: Path) -> None:
    server = Postgres(tmp_path)
    server.start()
    try:
        migrate(server.dsn)
        async with Store(server.dsn) as store:
            await store.save(rows([fact(n) for n in range(1, 101)]))
        pid = server.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_until_gone(pid)
        server.start()
        assert select(server.dsn, "select count(*) from facts") == [(100,)]
    finally:
        server.stop()


@pytest.mark.parametrize(
    "default",
    ["client_encoding to 'LATIN1'", "datestyle to 'German'", "timezone to 'Asia/Kathmandu'", "bytea_output to 'escape'",
     "default_transaction_isolation to 'serializable'", "intervalstyle to 'sql_standard'"],
)  # fmt: skip
async def test_what_a_database_has_for_defaults_changes_nothing(archive: Database, default: str) -> None:
    name = psycopg.conninfo.conninfo_to_dict(archive.dsn)["dbname"]
    select(archive.dsn, f"alter database {name} set {default}")
    many = [*FACTS, *OUTCOMES, *(fact(n, instrument="黄金 €") for n in range(100, 101 + COPY_ABOVE))]
    migrate(archive.dsn)
    async with Store(archive.dsn) as store:
        assert await store.save(rows(many)) == []
    audit = Audit(dsn=archive.dsn, namespace="main", keyring=KEYRING)
    assert [f for f in findings(audit, lambda _: None) if f.verdict != "missing"] == []
    assert len(list(trades(archive.dsn, Question(namespace="main")))) == 0


async def test_a_schema_that_the_dsn_names_is_where_everything_goes(postgres: Database) -> None:
    select(postgres.dsn, "create schema trading")
    dsn = f"{postgres.dsn}?options=-csearch_path%3Dtrading"
    migrate(dsn)
    async with Store(dsn) as store:
        assert await store.save(rows([fact(1), outcome(fact(1))])) == []
    assert select(postgres.dsn, "select count(*) from trading.facts") == [(1,)]
    assert list(findings(Audit(dsn=dsn, namespace="main", keyring=KEYRING), lambda _: None)) == []
