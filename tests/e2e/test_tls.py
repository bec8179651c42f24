"""Redis and PostgreSQL with a private authority, end to end on loopback; what is wrong is one line that says what."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import msgspec
import psycopg
import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from archiver import migrate
from archiver.patience import Away
from archiver.store import Store
from deploy import acl, aclfile
from deploy import settings as deploy_settings
from deploy.directory import free_port
from deploy.embedded import Postgres as Archive
from deploy.embedded import Valkey
from deploy.fleet import Fleet
from deploy.groundwork import join_groups
from shared import settings, streams
from shared.addresses import postgres_dsn, redis_url
from shared.connection import Client
from shared.plainly import HUNG_UP, UNTRUSTED, WANTS_OURS, WRONG_USER, plainly
from shared.process import Stop, UserError
from shared.settings import Postgres, Secret
from tests.conftest import Database
from tests.deploy.onlookers import KEY
from tests.e2e.encrypted import NAME, EncryptedRedis, encrypted_postgres
from tests.e2e.pki import Authority
from tests.e2e.processes import run
from tests.e2e.test_guarded import archived
from tests.executor import rig
from tests.executor.rig import ACCOUNT, CODEC, KEYS, NAMESPACE, Simulator, Source, ended, running

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"), "ours")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[EncryptedRedis]:
    folder = tmp_path_factory.mktemp("redis")
    users = acl.users(KEYS, ["demo"], [ACCOUNT])
    found = EncryptedRedis(folder, authority, users=aclfile.embedded(folder / "users", users))
    found.start()
    yield found
    found.stop()


def told(server: EncryptedRedis, authority: Authority, user: str = "", **changes: object) -> settings.Redis:
    """The settings of a service that has everything it needs."""
    password = server.password
    if user:
        password = aclfile.password_file(server.directory / "users", user).read_text().strip()
    table = settings.Redis(
        url=Secret(f"rediss://{NAME}:{server.port}/0"),
        namespace=NAMESPACE,
        username=user or "default",
        password=Secret(password),
        ca_file=authority.file,
        cert_file=server.client[0],
        key_file=server.client[1],
    )
    return msgspec.structs.replace(table, **changes)


@asynccontextmanager
async def connected(table: settings.Redis) -> AsyncIterator[Redis]:
    client = streams.connect(redis_url(table))
    try:
        yield client
    finally:
        await client.aclose()


async def test_trades_are_copied_over_encrypted_lines_by_users_with_few_rights(
    server: EncryptedRedis, authority: Authority, tmp_path: Path
) -> None:
    await join_groups(Secret(redis_url(told(server, authority))), CODEC, [ACCOUNT])
    simulator = Simulator(tmp_path / "terminal")
    await simulator.start()
    simulator.price("EURUSD", "1.08504", "1.08512")
    lane_url = redis_url(told(server, authority, f"{NAMESPACE}.executor.{ACCOUNT}"))
    try:
        async with connected(told(server, authority)) as redis, running(lane_url, simulator) as lane:
            async with connected(told(server, authority, f"{NAMESPACE}.ingest")) as publishing:
                source = Source(publishing)
                await source.open()
                await source.buy("o1")
                await source.close("o1")
            assert [outcome.result for outcome in await ended(redis, 2)] == ["filled", "closed"]
            assert encrypted(lane._ledger._redis)
            assert encrypted(lane._reader._redis)
    finally:
        simulator.stop()


def encrypted(client: Redis) -> bool:
    """Whether the short way of a client goes over TLS."""
    assert isinstance(client, Client)
    assert client._line is not None
    return client._line._transport.get_extra_info("cipher") is not None


async def complaint(table: settings.Redis) -> str:
    """What somebody is told who cannot use the server."""
    with pytest.raises(UserError) as caught:
        await join_groups(Secret(redis_url(table)), CODEC, [ACCOUNT])
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("redis.url: the server does not serve us: ")
    return str(caught.value)


async def test_a_certificate_of_another_authority_is_one_line(
    server: EncryptedRedis, authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "stranger")

    assert UNTRUSTED in await complaint(told(server, authority, ca_file=stranger.file))
    assert UNTRUSTED in await complaint(told(server, authority, ca_file=None))


async def test_a_certificate_for_another_name_is_one_line(server: EncryptedRedis, authority: Authority) -> None:
    elsewhere = Secret(f"rediss://127.0.0.1:{server.port}/0")

    assert "another name than 127.0.0.1" in await complaint(told(server, authority, url=elsewhere))


async def test_an_old_certificate_is_one_line(tmp_path: Path, authority: Authority) -> None:
    old = EncryptedRedis(tmp_path, authority, days_ago=30)
    old.start()
    try:
        assert "not valid now" in await complaint(told(old, authority))
    finally:
        old.stop()


async def test_who_shows_no_certificate_is_one_line(server: EncryptedRedis, authority: Authority) -> None:
    said = await complaint(told(server, authority, cert_file=None, key_file=None))

    assert WANTS_OURS in said or HUNG_UP in said  # a server of TLS 1.3 may be gone before its reason has come


async def test_a_wrong_password_is_one_line_without_it(server: EncryptedRedis, authority: Authority) -> None:
    said = await complaint(told(server, authority, password=Secret("guessed")))

    assert WRONG_USER in said
    assert "guessed" not in said


async def test_the_embedded_server_has_no_encryption_and_says_so(valkey: Valkey, authority: Authority) -> None:
    table = settings.Redis(url=Secret(f"rediss://:{valkey.password}@{NAME}:{valkey.port}/0"), ca_file=authority.file)

    with pytest.raises(RedisError) as caught:
        async with connected(table) as redis:
            await redis.ping()

    assert "does it speak TLS" in plainly(caught.value)


def test_a_service_that_does_not_trust_the_server_ends_with_one_line(
    server: EncryptedRedis, authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path / "pki", "stranger")
    for name, text in (("signing.key", "k1:" + "ab" * 32), ("password", server.password)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    config = tmp_path / "tradecopier.toml"
    config.write_text(
        f"""
        [redis]
        url = "rediss://{NAME}:{server.port}/0"
        password = "file:{tmp_path / "password"}"
        ca-file = "{stranger.file}"
        cert-file = "{server.client[0]}"
        key-file = "{server.client[1]}"
        [security]
        signing-key-file = "{tmp_path / "signing.key"}"
        [executor.accounts.main.terminal]
        kind = "simulated"
        address = "127.0.0.1:1"
        """
    )

    done = run("--config", str(config), "executor", "run")

    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if line.startswith("executor:")]
    assert len(lines) == 1, done.stderr
    assert UNTRUSTED in lines[0]


async def test_the_archive_is_reached_over_a_verified_line_and_over_no_other(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = encrypted_postgres(tmp_path / "postgres", authority, monkeypatch)
    server.start()
    try:
        dsn = dsn_for(server.port, server.password, NAME, authority)
        migrate.migrate(dsn)
        async with Store(dsn) as store:
            await store.make_months({(2026, 11)})
        with psycopg.connect(dsn) as line:
            assert line.execute("select ssl from pg_stat_ssl where pid = pg_backend_pid()").fetchone() == (True,)
        stranger = Authority(tmp_path / "pki", "stranger")
        wrong = {
            dsn_for(server.port, server.password, NAME, stranger): "certificate verify failed",
            dsn_for(server.port, server.password, "127.0.0.1", authority): 'does not match host name "127.0.0.1"',
        }
        for address, words in wrong.items():
            with pytest.raises(UserError, match=words) as caught:
                migrate.migrate(address)
            assert "\n" not in str(caught.value)
            with pytest.raises(Away, match=words):
                async with Store(address) as store:
                    await store.make_months({(2026, 11)})
    finally:
        server.stop()


async def test_everything_that_up_starts_works_over_encrypted_lines(
    server: EncryptedRedis, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = encrypted_postgres(tmp_path / "postgres", authority, monkeypatch)
    archive.start()
    stop, table = Stop(), told(server, authority)
    fleet = Fleet(deploy_settings.load(written(tmp_path, server, archive, authority), None, {}), stop)
    try:
        async with connected(table) as redis:
            await redis.flushall()
            await fleet.start()
            owner = cast(bytes, await redis.get(KEYS.source("lease", "demo")))
            monkeypatch.setattr(rig, "OWNER", owner.decode())
            source = Source(redis)
            await source.buy("o1")
            assert [outcome.result for outcome in await ended(redis, 1)] == ["filled"]
            await archived(redis)
        dsn = dsn_for(archive.port, archive.password, NAME, authority)
        with psycopg.connect(dsn) as line:
            assert line.execute("select count(*) from facts").fetchone() == (1,)
            plain = (
                "select count(*) from pg_stat_ssl join pg_stat_activity using (pid) where not ssl and usename = user"
            )
            assert line.execute(plain).fetchone() == (0,)
    finally:
        await fleet.stop()
        await stop.end_tasks()
        archive.stop()
    assert stop.failure is None


def written(folder: Path, server: EncryptedRedis, archive: Archive, authority: Authority) -> Path:
    """The settings of a machine with servers of its own elsewhere."""
    secrets = {"signing.key": KEY, "redis.password": server.password, "postgres.password": archive.password}
    for name, text in secrets.items():
        (folder / name).touch(0o600)
        (folder / name).write_text(text)
    path = folder / "tradecopier.toml"
    path.write_text(
        f"""
        [redis]
        url = "rediss://{NAME}:{server.port}/0"
        namespace = "{NAMESPACE}"
        password = "file:{folder / "redis.password"}"
        ca-file = "{authority.file}"
        cert-file = "{server.client[0]}"
        key-file = "{server.client[1]}"
        [postgres]
        dsn = "host={NAME} port={archive.port} user=tradecopier sslmode=verify-full sslrootcert={authority.file}"
        password = "file:{folder / "postgres.password"}"
        [security]
        signing-key-file = "{folder / "signing.key"}"
        [ingest]
        listen = "127.0.0.1:{free_port()}"
        metrics = "127.0.0.1:{free_port()}"
        [ingest.sources.demo]
        host = "localhost:1"
        account = "10001"
        [executor.accounts.{ACCOUNT}]
        sources = ["demo"]
        [executor.accounts.{ACCOUNT}.terminal]
        kind = "simulated"
        prices = {{ EURUSD = 1.085 }}
        """
    )
    return path


def dsn_for(port: int, password: str, host: str, authority: Authority) -> str:
    where = f"postgresql://tradecopier@{host}:{port}/tradecopier"
    checked = f"{where}?sslmode=verify-full&sslrootcert={authority.file}"
    return postgres_dsn(Postgres(dsn=Secret(checked), password=Secret(password)))


def test_the_embedded_archive_has_no_encryption_and_says_so(postgres: Database, authority: Authority) -> None:
    asked = f"{postgres.dsn}?sslmode=verify-full&sslrootcert={authority.file}"

    with pytest.raises(UserError, match="server does not support SSL, but SSL was required") as caught:
        migrate.migrate(asked)

    assert "\n" not in str(caught.value)
