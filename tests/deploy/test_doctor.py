"""What doctor looks at with its own eyes: settings, files, ports and the archive, each from well to not well."""

import asyncio
from collections.abc import AsyncIterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from msgspec.structs import replace

from archiver.migrate import migrate
from deploy import doctor
from deploy.checks import Check
from deploy.directory import HOST, free_port
from deploy.surroundings import Surroundings, found
from ingest import slate
from ingest.proxy import Proxy
from ingest.segments import Directory
from shared.metrics import new_registry, served
from shared.settings import Postgres, Redis, Secret
from tests.conftest import Database
from tests.deploy.onlookers import settings
from tests.e2e.replicated import LOOK_S, PASSWORD, Server, asked
from tests.ingest.wire import through


def here(folder: Path) -> Surroundings:
    """A machine that has its settings and its key, and an empty data folder."""
    (folder / "data").mkdir()
    return found(settings(folder), {})


def archived(folder: Path, dsn: str) -> list[Check]:
    """What is said of an archive at this address."""
    surroundings = here(folder)
    return list(
        doctor.database(Surroundings(machine=replace(surroundings.machine, postgres=Postgres(dsn=Secret(dsn)))))
    )


def level(checks: list[Check], what: str) -> str:
    (check,) = [each for each in checks if each.what == what]
    return check.level


def test_with_wrong_settings_nothing_else_is_looked_at_and_the_exit_code_is_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = settings(tmp_path)
    config.write_text(config.read_text().replace("sources", "sauces"))

    (check,) = doctor.examine(config)
    code = doctor.show(config, None)

    assert (check.level, check.what) == ("fail", "settings")
    assert "sauces" in check.found
    assert code == 1
    assert "0 ok, 0 to look at, 1 to mend" in capsys.readouterr().out


def test_a_password_or_a_key_that_others_can_read_is_to_be_mended(tmp_path: Path) -> None:
    surroundings = here(tmp_path)
    password = tmp_path / "data" / "valkey" / "password"
    password.parent.mkdir()
    password.write_text("hidden")
    password.chmod(0o600)
    well = list(doctor.files(surroundings))
    password.chmod(0o640)
    (tmp_path / "signing.key").chmod(0o644)
    open_to_all = list(doctor.files(surroundings))

    assert (level(well, "signing key"), level(well, "file modes")) == ("ok", "ok")
    assert (level(open_to_all, "signing key"), level(open_to_all, "file modes")) == ("fail", "fail")
    assert not any("hidden" in check.found + check.advice for check in open_to_all)


def listening(surroundings: Surroundings, **at: str) -> Surroundings:
    """The same machine, with its ingest at these addresses."""
    machine = surroundings.machine
    return Surroundings(machine=replace(machine, ingest=replace(machine.ingest, **at)))


@pytest.mark.parametrize("auth", [None, Secret("trader:hush")], ids=["open to all here", "with a password"])
async def test_the_proxy_is_known_by_what_it_says(tmp_path: Path, auth: Secret | None) -> None:
    surroundings = here(tmp_path)
    before = level(list(doctor.proxy(surroundings)), "certificate")
    async with through(Proxy(("127.0.0.1", 0), tmp_path / "data" / "proxy", object(), auth=auth), []) as at:
        surroundings = listening(surroundings, listen=f"127.0.0.1:{at[1]}")
        running = await asyncio.to_thread(lambda: list(doctor.proxy(surroundings)))
    stopped = list(doctor.proxy(surroundings))

    assert (level(running, "proxy"), level(stopped, "proxy")) == ("ok", "fail")
    assert (before, level(running, "certificate")) == ("fail", "warn"), "it is made when the proxy first runs"


def test_what_a_proxy_that_was_killed_has_left_in_memory_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    surroundings = listening(here(tmp_path), listen=f"127.0.0.1:{free_port()}")
    monkeypatch.setattr(slate, "MEMORY", tmp_path)
    directory = Directory(tmp_path / "data" / "outbox")
    left = slate.begun(directory)
    directory.close()
    assert left is not None
    (where,) = tmp_path.glob("*.slate")
    (found,) = [check for check in doctor.proxy(surroundings) if check.what == "outbox"]
    left.close(remove=True)

    assert (found.level, str(where) in found.found) == ("warn", True)
    assert str(tmp_path / "data" / "outbox") in found.advice
    assert "outbox" not in [check.what for check in doctor.proxy(surroundings)]


def test_another_program_on_a_port_of_ours_is_not_taken_for_ours(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as other:
        serving = Thread(target=other.serve_forever)
        serving.start()
        address = f"127.0.0.1:{other.server_address[1]}"
        surroundings = listening(here(tmp_path), listen=address, metrics=address)
        found = [*doctor.proxy(surroundings), *doctor.ports(surroundings)]
        other.shutdown()
        serving.join()

    assert (level(found, "proxy"), level(found, "metrics of ingest")) == ("fail", "fail")
    assert f"another program answers at {address}" in [check.found for check in found]


async def test_a_service_is_known_by_its_metrics(tmp_path: Path) -> None:
    async with served(new_registry("ingest"), "127.0.0.1:0") as address:
        surroundings = listening(here(tmp_path), metrics=address)
        found = await asyncio.to_thread(lambda: list(doctor.ports(surroundings)))
    gone = list(doctor.ports(surroundings))

    assert level(found, "metrics of ingest") == "ok"
    assert gone == [], "that it does not run is said elsewhere"


def test_an_archive_without_its_tables_is_to_be_mended_by_one_command(tmp_path: Path, postgres: Database) -> None:
    (before,) = archived(tmp_path, postgres.dsn)
    migrate(postgres.dsn)
    (after,) = doctor.database(
        Surroundings(
            machine=replace(
                found(tmp_path / "tradecopier.toml", {}).machine, postgres=Postgres(dsn=Secret(postgres.dsn))
            )
        )
    )

    assert (before.level, before.advice) == ("fail", "run `tradecopier archiver migrate`")
    assert after.level == "ok"


def test_an_archive_that_is_away_costs_no_trade_so_it_only_warns(tmp_path: Path) -> None:
    (check,) = archived(tmp_path, "postgresql://tradecopier@127.0.0.1:1/tradecopier")

    assert check.level == "warn"
    assert "trades are copied" in check.advice


async def test_a_redis_that_nobody_started_is_one_line_with_what_to_do(tmp_path: Path) -> None:
    checks = [check async for check in doctor.redis(here(tmp_path))]

    assert [(check.level, check.what) for check in checks] == [("fail", "redis")]
    assert "run `tradecopier up`" in checks[0].advice


async def test_a_redis_elsewhere_that_is_not_encrypted_is_named(tmp_path: Path) -> None:
    surroundings = here(tmp_path)
    elsewhere = Redis(url=Secret("redis://:hush@redis.invalid:1/0"), namespace=surroundings.machine.redis.namespace)
    machine = replace(surroundings.machine, redis=elsewhere)

    checks = [check async for check in doctor.redis(Surroundings(machine=machine))]

    assert [(c.level, c.what) for c in checks] == [("warn", "redis encryption"), ("fail", "redis")]
    assert "redis.invalid" in checks[0].found
    assert not any("hush" in c.found + c.advice for c in checks)


async def test_a_server_that_would_lose_trades_by_a_restart_is_named_to_whom_may_ask(tmp_path: Path) -> None:
    surroundings, server = here(tmp_path), Server(tmp_path / "alone", {})
    try:
        await server.serve()
        for user, rights in (("boss", "+@all"), ("onlooker", "-acl")):
            await asked(server, "ACL", "SETUSER", user, "on", f">{PASSWORD}", "~*", "+@all", rights)
        assert await told_of("restart", surroundings, server, "boss") == []
        await asked(server, "ACL", "SETUSER", "default", "resetkeys")
        assert [check.level for check in await told_of("restart", surroundings, server, "boss")] == ["fail"]
        assert await told_of("restart", surroundings, server, "onlooker") == []
    finally:
        await server.close()


@pytest.fixture
async def followed(tmp_path: Path) -> AsyncIterator[Server]:
    """A server with a replica, which writes without it, too."""
    primary = Server(tmp_path / "primary", {})
    replica = Server(tmp_path / "replica", {})
    try:
        await primary.serve()
        replica.more = {"replicaof": f"{HOST} {primary.door.port}"}
        await replica.serve()
        while (await asked(primary, "INFO", "replication"))["connected_slaves"] != 1:
            await asyncio.sleep(LOOK_S)
        yield primary
    finally:
        for server in (replica, primary):
            await server.close()


async def told_of(what: str, surroundings: Surroundings, server: Server, user: str = "default") -> list[Check]:
    """What is said about something of a server."""
    url = Secret(f"redis://{user}:{PASSWORD}@{HOST}:{server.port}/0")
    machine = replace(surroundings.machine, redis=replace(surroundings.machine.redis, url=url))
    found = [check async for check in doctor.redis(Surroundings(machine=machine))]
    assert found[-1].what != "redis", found
    return [check for check in found if what in check.what]


@pytest.mark.timeout(120)
async def test_a_server_that_writes_without_its_replica_is_named_whoever_asks(tmp_path: Path, followed: Server) -> None:
    surroundings = here(tmp_path)
    onlooker = ("on", f">{PASSWORD}", "~*", "+@all", "-config")
    await asked(followed, "ACL", "SETUSER", "onlooker", *onlooker)

    for user in ("default", "onlooker"):
        (check,) = await told_of("replicas", surroundings, followed, user)
        assert check.level == "warn"
        assert "min-replicas-to-write 1" in check.advice

    await asked(followed, "CONFIG", "SET", "min-replicas-to-write", "1", "min-replicas-max-lag", "5")
    while not (await asked(followed, "INFO", "replication"))["min_slaves_good_slaves"]:
        await asyncio.sleep(LOOK_S)
    for user in ("default", "onlooker"):
        assert [check.level for check in await told_of("replicas", surroundings, followed, user)] == ["ok"]

    await asked(followed, "CONFIG", "SET", "min-replicas-max-lag", "60")
    (check,) = await told_of("replicas", surroundings, followed)
    assert (check.level, "below executor.lease" in check.advice) == ("warn", True)


@pytest.mark.timeout(120)
async def test_a_provider_that_lets_nobody_ask_for_settings_hinders_no_other_check(tmp_path: Path) -> None:
    managed = Server(tmp_path / "managed", {"rename-command": 'CONFIG ""'})
    try:
        await managed.serve()
        assert await told_of("replicas", here(tmp_path), managed) == []
    finally:
        await managed.close()
