"""All that `up` starts works with users of few rights, and no secret stands where another user of the machine looks."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from deploy import settings
from deploy.directory import free_port
from deploy.fleet import Fleet
from shared import keyfile, streams
from shared.outcomes import Outcome
from shared.process import Stop
from shared.wire import Codec, Keyring
from tests.deploy.onlookers import KEY
from tests.e2e.processes import belonging_to, run
from tests.executor import rig
from tests.executor.rig import ACCOUNT, KEYS, NAMESPACE, PATIENCE_S, Source, ended

pytestmark = pytest.mark.timeout(180)

TERMINAL, PROXY = "PLANTEDterminal7c", "PLANTEDproxy7c"


def written(folder: Path) -> Path:
    """Settings with secrets in them."""
    key, path = folder / "signing.key", folder / "tradecopier.toml"
    for file, text in ((key, KEY), (path, SETTINGS)):
        file.touch(0o600)
        file.write_text(text.format(NAMESPACE=NAMESPACE, ACCOUNT=ACCOUNT, key=key, one=free_port(), two=free_port()))
    return path


SETTINGS = f"""
[redis]
namespace = "{{NAMESPACE}}"
[security]
signing-key-file = "{{key}}"
[ingest]
listen = "127.0.0.1:{{one}}"
metrics = "127.0.0.1:{{two}}"
proxy-auth = "desk:{PROXY}"
[ingest.sources.demo]
host = "localhost:1"
account = "10001"
[executor.accounts.{{ACCOUNT}}]
sources = ["demo"]
[executor.accounts.{{ACCOUNT}}.terminal]
kind = "simulated"
login = 7
password = "{TERMINAL}"
prices = {{{{ EURUSD = 1.085 }}}}
"""


PERSON = (
    ("resume", ACCOUNT),
    ("prepare",),
    ("account", "list"),
    ("reconcile", "--account", ACCOUNT),
    ("replay", "--account", ACCOUNT, "--denied", "any", "--dry-run"),
    ("resolve", "--account", ACCOUNT, "--id", "nothing/of/this/name", "--as", "dead", "--yes"),
    ("restore", "--dry-run"),
    ("key", "list"),
)
"""What an operator may want; nothing of it may need a right that he has not."""


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    stop = Stop()
    fleet = Fleet(settings.load(written(tmp_path), None, {}), stop, ("--log-level", "debug"))
    try:
        await fleet.start()
        yield fleet
    finally:
        await fleet.stop()
    assert stop.failure is None


@pytest.fixture
async def redis(fleet: Fleet) -> AsyncIterator[Redis]:
    """As the one who may do everything."""
    client = streams.connect(fleet.redis.reveal())
    yield client
    await client.aclose()


async def test_every_service_of_up_works_with_its_own_user_and_shows_no_secret(
    fleet: Fleet, redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = cast(bytes, await redis.get(KEYS.source("lease", "demo")))
    monkeypatch.setattr(rig, "OWNER", owner.decode())
    source = Source(redis)
    await source.buy("o1")
    await source.close("o1")
    assert [outcome.result for outcome in await ended(redis, 2)] == ["filled", "closed"]
    await archived(redis)

    clients: Any = await redis.client_list()
    users = {client["user"] for client in clients} - {"default"}
    assert users == {f"{NAMESPACE}.{service}" for service in ("ingest", "executor", "archiver")}

    told = run_as(fleet, "status", "status", "--json") + run_as(fleet, "status", "doctor")
    assert '"colour"' in told
    assert "not told to this user" in told
    assert "close-only" in run_as(fleet, "operator", "close-only", ACCOUNT)
    for words in PERSON:
        told += run_as(fleet, "operator", *words)
    assert "ready: the groups of" in told
    await redis.flushall()
    told += run_as(fleet, "operator", "restore", "--yes")
    assert await redis.exists(KEYS.account("place", ACCOUNT))
    assert "removed" in run_as(fleet, "operator", "account", "remove", ACCOUNT, "--yes", ACCOUNT)
    refused: Any = await redis.acl_log()
    hidden = {(f"{NAMESPACE}.status", "config|get"), (f"{NAMESPACE}.status", "acl|dryrun")}
    assert {(r["username"], r["object"]) for r in refused} <= hidden, "an onlooker may not ask for either"

    secrets = dict(planted(fleet))
    assert len(secrets) > 8
    seen = dict(places(tmp_path)) | {"what the commands said": told}
    assert [(name, place) for name, secret in secrets.items() for place, text in seen.items() if secret in text] == []


async def test_the_signing_key_is_exchanged_while_everything_runs(
    fleet: Fleet, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = cast(bytes, await redis.get(KEYS.source("lease", "demo")))
    monkeypatch.setattr(rig, "OWNER", owner.decode())
    config, ring = ("--config", str(fleet.machine.config)), Keyring(current="k1", keys={"k1": b"1" * 32})
    following = asyncio.create_task(keyfile.follow(own := read_again(fleet, ring), every=0.05))
    codec, source = Codec(NAMESPACE, own), Source(redis)
    source.signs_with(codec)
    await source.buy("o1")
    await results(redis, codec, ["filled"])

    assert "`tradecopier key use k2`" in run(*config, "key", "add").stdout
    await known_to(fleet, "the keys are now k1, k2, k1 signs")
    assert run(*config, "key", "use", "k2").returncode == 0
    await known_to(fleet, "the keys are now k1, k2, k2 signs")
    await source.close("o1")
    await results(redis, codec, ["filled", "closed"])
    told: Any = await redis.xrange(KEYS.outcomes)
    assert {fields[b"k"] for _, fields in (told[0], told[-1])} == {b"k1", b"k2"}

    refused = run(*config, "key", "retire", "k1")
    assert "entries in the streams still bear k1" in refused.stderr
    assert run(*config, "key", "retire", "k1", "--now").returncode == 0
    await known_to(fleet, "the keys are now k2, k2 signs")
    entries: Any = await redis.xrange(KEYS.orders, count=1)
    await redis.xadd(KEYS.orders, entries[0][1])
    async with asyncio.timeout(PATIENCE_S):
        while await redis.xlen(KEYS.dead) < 2:  # the account's, and the archive's
            await asyncio.sleep(0.05)
    dead: Any = await redis.xrange(KEYS.dead)
    assert {fields[b"reason"] for _, fields in dead} == {b"retired-key"}
    await source.buy("o2")
    await results(redis, codec, ["closed", "filled"])
    await archived(redis)
    following.cancel()


def read_again(fleet: Fleet, ring: Keyring) -> Keyring:
    """The same keys, to be kept as the machine's key file is."""
    return Keyring(current=ring.current, keys=ring.keys, file=str(fleet.machine.security.signing_key_file))


async def known_to(fleet: Fleet, words: str) -> None:
    """Wait until every service has said so."""
    services = [log for log in fleet.logs if log.stem in ("ingest", "executor", "archiver")]
    assert len(services) == 3
    async with asyncio.timeout(PATIENCE_S):
        while not all(words in log.read_text() for log in services):
            await asyncio.sleep(0.05)


async def results(redis: Redis, codec: Codec, wanted: list[str]) -> None:
    """Wait until these are the results of the outcomes whose keys count now."""
    found: list[str] = []
    async with asyncio.timeout(PATIENCE_S):
        while found != wanted:
            await asyncio.sleep(0.05)
            raw: Any = await redis.xrange(KEYS.outcomes)
            read = [codec.outcome(fields) for _, fields in raw]
            found = [message.result for message in read if isinstance(message, Outcome)]


async def archived(redis: Redis) -> None:
    """Wait until the archiver has acknowledged everything."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            groups: Any = await redis.xinfo_groups(KEYS.outcomes)
            if groups and all(group["lag"] == 0 and not group["pending"] for group in groups):
                return
            await asyncio.sleep(0.05)


def run_as(fleet: Fleet, user: str, *words: str) -> str:
    """What a command says that has this user's password."""
    assert fleet._valkey is not None
    password = fleet._valkey.directory / "users" / f"{NAMESPACE}.{user}.password"
    told = {
        "TRADECOPIER_REDIS__URL": f"redis://127.0.0.1:{fleet._valkey.port}/0",
        "TRADECOPIER_REDIS__USERNAME": f"{NAMESPACE}.{user}",
        "TRADECOPIER_REDIS__PASSWORD": f"file:{password}",
        "TRADECOPIER_POSTGRES__DSN": fleet.postgres.reveal(),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in told.items():
            patch.setenv(name, value)
        done = run("--config", str(fleet.machine.config), *words)
    return done.stdout + done.stderr


def planted(fleet: Fleet) -> Iterator[tuple[str, str]]:
    """Every secret of this machine by its name."""
    yield from (("the terminal's", TERMINAL), ("the proxy's", PROXY), ("the signing key", KEY.partition(":")[2]))
    for file in fleet.machine.data.rglob("*password"):
        yield str(file), file.read_text().strip()


def places(folder: Path) -> Iterator[tuple[str, str]]:
    """Where others could find them: arguments of processes, logs, and every file that others may read."""
    for pid, words in belonging_to(folder).items():
        yield f"arguments of {pid}", words
    for file in folder.rglob("*"):
        if file.is_file() and (file.suffix == ".log" or file.name == "log" or file.stat().st_mode & 0o044):
            yield str(file), file.read_text(errors="replace")
