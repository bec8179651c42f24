"""The archive's tables: numbered files of plain SQL, applied in order, each once, never backwards.

A file that was applied is never changed: its checksum is kept in the database and compared. An archiver only starts on
a database that stands exactly where its own files end.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import psycopg
from msgspec import Struct
from psycopg import sql

from archiver.patience import UNREADABLE, Away, one_line
from shared.process import UserError

LOCK = 0x7472_6164_6563_6F70
"""The advisory lock that one migrating process holds."""
CONNECT_TIMEOUT_S = 5
FOLDER = Path(__file__).parent / "migrations"

_REGISTER = """
create table if not exists migrations (
    number   integer     primary key,
    name     text        not null,
    checksum text        not null,
    applied  timestamptz not null default now()
)
"""
_FILE = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


class Migration(Struct, frozen=True, kw_only=True):
    """One file; the checksum does not depend on how line ends were checked out."""

    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 in hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()


class Current(Struct, frozen=True):
    """The database stands where our files end."""


class Behind(Struct, frozen=True):
    """These files are still to be applied."""

    missing: tuple[Migration, ...]


class Ahead(Struct, frozen=True):
    """The database has migrations that this version does not know."""

    unknown: tuple[str, ...]


class Edited(Struct, frozen=True):
    """A file differs from what was applied under its number."""

    name: str


Standing = Current | Behind | Ahead | Edited


def migrations() -> tuple[Migration, ...]:
    """Our files in their order. Raises ValueError when their numbers are not 1, 2, 3 …"""
    found = sorted(file for file in FOLDER.iterdir() if _FILE.fullmatch(file.name))
    listed = tuple(Migration(number=int(f.name[:4]), name=f.name, text=_text(f.read_bytes())) for f in found)
    if [m.number for m in listed] != list(range(1, len(listed) + 1)):
        raise ValueError(f"migrations must be numbered without gaps: {', '.join(m.name for m in listed)}")
    return listed


def standing(ours: Sequence[Migration], applied: Mapping[int, tuple[str, str]]) -> Standing:
    """How our files relate to what a database has had applied: name and checksum by number."""
    for migration in ours:
        name, checksum = applied.get(migration.number, (migration.name, migration.checksum))
        if (name, checksum) != (migration.name, migration.checksum):
            return Edited(migration.name)
    unknown = sorted(set(applied) - {m.number for m in ours})
    if unknown:
        return Ahead(tuple(applied[number][0] for number in unknown))
    missing = tuple(m for m in ours if m.number not in applied)
    return Behind(missing) if missing else Current()


def check(dsn: str) -> Standing:
    """Where the database stands; it is only read. Raises Away, and UserError when the dsn itself is wrong."""
    try:
        with _connect(dsn) as connection:
            return standing(migrations(), _applied(connection))
    except psycopg.Error as error:
        raise Away(one_line(error)) from error


def migrate(dsn: str) -> list[str]:
    """Apply what is missing, each file in a transaction of its own; returns their names.

    Raises UserError when the database is ahead of us, a file was edited, or the server refuses.
    """
    try:
        with _connect(dsn) as connection:
            connection.execute("select pg_advisory_lock(%s)", [LOCK])
            connection.execute(_REGISTER)
            missing = _missing(standing(migrations(), _applied(connection)))
            for migration in missing:
                _apply(connection, migration)
            connection.execute("select grant_roles()")
    except psycopg.Error as error:
        raise UserError(f"postgres.dsn: the archive cannot be brought up to date: {one_line(error)}") from error
    return [m.name for m in missing]


def complaint(state: Standing) -> str | None:
    """What is wrong with a database that an archiver should write to, and what to do; None when nothing is."""
    match state:
        case Current():
            return None
        case Behind(missing):
            return f"the archive lacks {', '.join(m.name for m in missing)}; run `tradecopier archiver migrate`"
        case Ahead(unknown):
            return f"the archive was made by a newer version ({', '.join(unknown)}); run that one, or a newer one"
        case Edited(name):
            return f"{name} is not the file that this archive was made with; take the file as it was released"


def _missing(state: Standing) -> tuple[Migration, ...]:
    match state:
        case Current():
            return ()
        case Behind(missing):
            return missing
        case _:
            raise UserError(str(complaint(state)))


def _connect(dsn: str) -> psycopg.Connection:
    try:
        return psycopg.connect(
            dsn,
            autocommit=True,
            connect_timeout=CONNECT_TIMEOUT_S,
            application_name="tradecopier-migrate",
            client_encoding="utf-8",
        )
    except psycopg.ProgrammingError:
        raise UserError(UNREADABLE) from None


def _applied(connection: psycopg.Connection) -> dict[int, tuple[str, str]]:
    found = connection.execute("select to_regclass('migrations') is not null").fetchone()
    if found != (True,):
        return {}
    rows = connection.execute("select number, name, checksum from migrations").fetchall()
    return {number: (name, checksum) for number, name, checksum in rows}


def _apply(connection: psycopg.Connection, migration: Migration) -> None:
    with connection.transaction():
        connection.execute(sql.SQL(migration.text))
        connection.execute(
            "insert into migrations (number, name, checksum) values (%s, %s, %s)",
            [migration.number, migration.name, migration.checksum],
        )


def _text(raw: bytes) -> str:
    return raw.decode("utf-8").replace("\r\n", "\n")
