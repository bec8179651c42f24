"""Migrations go forward, once each, and an archive that is not exactly ours is refused with what to do."""

import threading
from pathlib import Path

import psycopg
import pytest

from archiver import migrate
from archiver.migrate import Ahead, Behind, Current, Edited, Migration, complaint, migrations, standing
from archiver.patience import Away
from archiver.store import Store
from shared.process import UserError
from tests.archiver.entries import fact, outcome, rows, select
from tests.conftest import Database

OURS = tuple(Migration(number=n, name=f"000{n}_x.sql", text=f"-- {n}") for n in (1, 2))
APPLIED = {m.number: (m.name, m.checksum) for m in OURS}
RELATIONS = """
    select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'public' and c.relkind in ('r', 'p', 'v') order by 1
"""


def test_all_is_applied_once_on_every_server(any_postgres: Database) -> None:
    names = [m.name for m in migrations()]
    assert migrate.check(any_postgres.dsn) == Behind(migrations())
    assert migrate.migrate(any_postgres.dsn) == names
    assert migrate.check(any_postgres.dsn) == Current()
    assert migrate.migrate(any_postgres.dsn) == []


def test_together_they_make_these_tables_and_views(archive: Database) -> None:
    assert [name for (name,) in select(archive.dsn, RELATIONS)] == [
        "deals", "denials", "drift", "ends", "facts", "latency", "migrations", "notices", "observations",
        "outcomes", "steps", "trades", "unfinished",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("applied", "expected", "words"),
    [
        (APPLIED, Current(), None),
        ({1: APPLIED[1]}, Behind((OURS[1],)), "lacks 0002_x.sql; run `tradecopier archiver migrate`"),
        ({**APPLIED, 3: ("0003_y.sql", "c")}, Ahead(("0003_y.sql",)), "newer version"),
        ({**APPLIED, 2: (OURS[1].name, "other")}, Edited("0002_x.sql"), "not the file that this archive was made with"),
        ({**APPLIED, 2: ("0002_renamed.sql", OURS[1].checksum)}, Edited("0002_x.sql"), "not the file"),
    ],
    ids=["current", "behind", "ahead", "edited", "renamed"],
)
def test_where_a_database_stands(
    applied: dict[int, tuple[str, str]], expected: migrate.Standing, words: str | None
) -> None:
    found = standing(OURS, applied)
    assert found == expected
    said = complaint(found)
    assert said is None if words is None else words in str(said)


def test_line_ends_of_a_checkout_do_not_count_as_an_edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "FOLDER", tmp_path)
    (tmp_path / "0001_a.sql").write_bytes(b"select 1;\nselect 2;\n")
    unix = migrations()
    (tmp_path / "0001_a.sql").write_bytes(b"select 1;\r\nselect 2;\r\n")
    assert migrations() == unix


def test_a_missing_number_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "FOLDER", tmp_path)
    for name in ("0001_a.sql", "0003_b.sql"):
        (tmp_path / name).write_text("select 1")
    with pytest.raises(ValueError, match="without gaps"):
        migrations()


def test_a_file_that_fails_leaves_nothing_behind(
    archive: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for migration in migrations():
        (tmp_path / migration.name).write_text(migration.text)
    (tmp_path / f"{len(migrations()) + 1:04d}_broken.sql").write_text("create table half (); select nonsense;")
    monkeypatch.setattr(migrate, "FOLDER", tmp_path)
    with pytest.raises(UserError, match="nonsense"):
        migrate.migrate(archive.dsn)
    assert select(archive.dsn, "select to_regclass('half')") == [(None,)]
    assert isinstance(migrate.check(archive.dsn), Behind)


def test_an_edited_file_is_refused(archive: Database) -> None:
    select(archive.dsn, "update migrations set checksum = 'other' where number = 1")
    with pytest.raises(UserError, match=migrations()[0].name):
        migrate.migrate(archive.dsn)


def test_two_that_migrate_at_once_do_it_once(postgres: Database) -> None:
    done: list[list[str]] = []
    both = [threading.Thread(target=lambda: done.append(migrate.migrate(postgres.dsn))) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert sorted(done, key=len) == [[], [m.name for m in migrations()]]


def test_a_server_that_is_away_is_said_so_and_no_password_with_it() -> None:
    with pytest.raises(Away):
        migrate.check("postgresql://me:hush@127.0.0.1:1/x")
    for wrong in ("postgresql://me:hush@127.0.0.1:1/x", "hush"):
        with pytest.raises(UserError) as raised:
            migrate.migrate(wrong)
        assert "hush" not in str(raised.value)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        ("update facts set seq = 2", "append-only"),
        ("delete from outcomes", "append-only"),
        ("truncate observations", "append-only"),
    ],
)
async def test_what_is_archived_is_not_changed(any_postgres: Database, statement: str, refusal: str) -> None:
    migrate.migrate(any_postgres.dsn)
    async with Store(any_postgres.dsn) as store:
        await store.save(rows([fact(1), outcome(fact(1))]))
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match=refusal):
        select(any_postgres.dsn, statement)


def test_roles_get_their_rights_where_they_exist(any_postgres: Database) -> None:
    migrate.migrate(any_postgres.dsn)
    for role in ("tradecopier_archiver", "tradecopier_reader"):
        select(any_postgres.dsn, f"create role {role}")
    try:
        migrate.migrate(any_postgres.dsn)
        rights = "select has_table_privilege(%s, %s, 'insert'), has_table_privilege(%s, %s, 'select')"
        expected = {
            ("tradecopier_archiver", "facts"): (True, True),
            ("tradecopier_archiver", "migrations"): (False, True),
            ("tradecopier_reader", "facts"): (False, False),
            ("tradecopier_reader", "trades"): (False, True),
        }
        found = {(who, what): select(any_postgres.dsn, rights, who, what, who, what)[0] for who, what in expected}
        assert found == expected
    finally:
        for role in ("tradecopier_archiver", "tradecopier_reader"):
            select(any_postgres.dsn, f"drop owned by {role}")
            select(any_postgres.dsn, f"drop role {role}")


def test_the_archivers_role_may_insert_and_make_months_and_nothing_else(archive: Database) -> None:
    select(archive.dsn, "create role tradecopier_archiver")
    try:
        migrate.migrate(archive.dsn)
        with psycopg.connect(archive.dsn, autocommit=True) as connection:
            connection.execute("set role tradecopier_archiver")
            connection.execute("select make_month('2031-01-01')")
            connection.execute("select count(*) from facts")
            for refused in ("delete from facts", "alter table facts disable trigger all", "create table mine ()"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(refused.encode())
    finally:
        select(archive.dsn, "drop owned by tradecopier_archiver")
        select(archive.dsn, "drop role tradecopier_archiver")
