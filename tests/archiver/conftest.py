"""Databases with the archive's tables in them, on the embedded PostgreSQL and, where it is installed, on Debian's; and
a client of Redis.
"""

from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from redis.asyncio import Redis

from archiver.migrate import migrate
from deploy import embedded
from deploy.directory import HOST
from deploy.embedded import Postgres, Valkey
from shared import streams
from tests.conftest import Database

DEBIAN = Path("/usr/lib/postgresql/15/bin/postgres")

numbers = count(1)


@pytest.fixture(scope="session")
def debian_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """PostgreSQL 15 as Debian 12 has it."""
    if not DEBIAN.exists():
        pytest.skip("Debian's PostgreSQL 15 is not installed (apt-get install postgresql-15)")
    server = Postgres(tmp_path_factory.mktemp("postgres-15"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded, "wheel_file", lambda *_: DEBIAN)
        server.start()
    yield server
    server.stop()


@pytest.fixture
def archive(postgres: Database) -> Database:
    """An empty archive on the embedded server."""
    migrate(postgres.dsn)
    return postgres


@pytest.fixture(params=["embedded", "debian"])
def any_postgres(request: pytest.FixtureRequest) -> Iterator[Database]:
    """An empty database, once on each server."""
    server = request.getfixturevalue("postgres_server" if request.param == "embedded" else "debian_server")
    name = f"any_{next(numbers)}"
    with psycopg.connect(server.dsn, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        yield Database(f"postgresql://tradecopier:{server.password}@{HOST}:{server.port}/{name}")
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator[Redis]:
    """A client of an empty server."""
    client = streams.connect(valkey.url)
    yield client
    await client.aclose()
