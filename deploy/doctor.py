"""`tradecopier doctor`: looks at everything that copying needs, from file modes to the Algo Trading button, and says of
each whether it is well and what to do. It changes nothing; exit code 1 when something fails.
"""

import asyncio
import os
import shutil
import socket
import stat
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import time
from typing import Any

import click
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from archiver import migrate
from archiver.patience import Away
from deploy import acl, checks, scraping
from deploy.checks import Check, Replication, fail, ok, warn
from deploy.looking import look
from deploy.surroundings import Surroundings, found
from ingest import certificate, settings, slate
from shared import clock, streams
from shared.addresses import unencrypted
from shared.durability import unsafe
from shared.endpoints import understood
from shared.plainly import plainly
from shared.process import UserError
from shared.settings import SettingsError

MARKS = {
    "ok": click.style("ok  ", fg="green"),
    "warn": click.style("warn", fg="yellow"),
    "fail": click.style("FAIL", fg="red"),
}
CONNECT_S = 2.0
ANSWER = 1_000_000
"""Bytes of an answer that are read."""
NOT_WELL = 1


def show(config: Path, data: Path | None) -> int:
    """Show every check as it is made; returns the exit code, 1 when something fails."""
    levels = []
    for check in examine(config, data):
        click.echo(f"{MARKS[check.level]}  {check.what}: {check.found}")
        if check.advice:
            click.echo(f"      → {check.advice}")
        levels.append(check.level)
    click.echo(f"\n{levels.count('ok')} ok, {levels.count('warn')} to look at, {levels.count('fail')} to mend")
    return NOT_WELL if "fail" in levels else 0


def examine(config: Path, data: Path | None = None) -> Iterator[Check]:
    """Every check, in the order in which things depend on one another."""
    try:
        surroundings = found(config, os.environ, data)
    except SettingsError as error:
        yield fail("settings", str(error), "mend the settings file: deploy/tradecopier.toml explains every key")
        return
    yield ok("settings", str(config))
    yield from files(surroundings)
    yield from proxy(surroundings)
    yield from ports(surroundings)
    yield from asyncio.run(_served(surroundings))
    yield from database(surroundings)


def files(surroundings: Surroundings) -> Iterator[Check]:
    """The signing key and the data: there, and nobody else's to read."""
    machine = surroundings.machine
    key = machine.security.signing_key_file or machine.data / "signing.key"
    try:
        surroundings.codec()
        yield ok("signing key", str(key))
    except SettingsError as error:
        yield fail("signing key", str(error), "`tradecopier up` makes one; all machines need the same")
    if machine.data.exists():
        yield checks.disk(shutil.disk_usage(machine.data).free)
        others = [p.name for p in machine.data.glob("**/*password") if stat.S_IMODE(p.stat().st_mode) & 0o077]
        yield (
            fail("file modes", "others can read passwords", "run `chmod 600` on them")
            if others
            else ok("file modes", "keys and passwords are ours alone")
        )
    else:
        yield warn("data", f"{machine.data} is not there", "run `tradecopier up` once, or name it with --data")


def proxy(surroundings: Surroundings) -> Iterator[Check]:
    """The proxy's port and its certificate authority."""
    ingest = surroundings.machine.ingest
    host, port = settings.parse_listen(ingest.listen, "listen")
    if not reachable(host, port):
        yield fail("proxy", f"nobody answers at {ingest.listen}", "run `tradecopier up`, or see the log of ingest")
        yield from unwritten(ingest.outbox or surroundings.machine.data / "outbox")
    elif b"mitmproxy" in said(host, port, "/"):
        yield ok("proxy", f"answers at {ingest.listen}")
    else:
        yield fail("proxy", f"another program answers at {ingest.listen}", "end that, or set another ingest.listen")
    confdir = ingest.confdir or surroundings.machine.data / "proxy"
    if not (confdir / "mitmproxy-ca-cert.pem").exists():
        yield fail("certificate", "there is none yet", "the proxy makes it at its first start")
        return
    steps = certificate.show(certificate.authority(confdir), certificate.look())
    trusted = any(good for _, good in certificate.carry_out(steps, _quietly))
    yield (
        ok("certificate", "trusted on this computer")
        if trusted
        else warn("certificate", "not trusted on this computer", "run `tradecopier ingest certificate install`")
    )


def unwritten(outbox: Path) -> Iterator[Check]:
    """What a proxy has left in memory that was killed; looked at while none runs."""
    for path in slate.remaining(outbox):
        found = f"a proxy that was killed has left {path}: what the disk did not have yet is in memory alone"
        yield warn("outbox", found, f"start ingest before this machine is started anew: it puts that into {outbox}")


def ports(surroundings: Surroundings) -> Iterator[Check]:
    """The ports for metrics: who has them."""
    for service, address in scraping.addresses_of(surroundings.machine).items():
        host, _, port = address.rpartition(":")
        if not address or not reachable(host.strip("[]"), int(port)):
            continue  # whether the service runs at all is seen elsewhere
        if f'service="{service}"'.encode() in said(host.strip("[]"), int(port), "/metrics"):
            yield ok(f"metrics of {service}", f"at {address}")
        else:
            found = f"another program answers at {address}"
            yield fail(f"metrics of {service}", found, f"end that, or set another {service}.metrics")


async def _served(surroundings: Surroundings) -> list[Check]:
    return [check async for check in redis(surroundings)]


async def redis(surroundings: Surroundings) -> AsyncIterator[Check]:
    """The Redis server, and through it every source and account."""
    try:
        client = streams.connect(surroundings.redis_url())
    except UserError as error:
        yield fail("redis", str(error), "run `tradecopier up`, or set redis.url")
        return
    if (open_to_all := unencrypted(surroundings.redis_url())) is not None:
        advice = "use rediss:// and redis.ca-file: whoever is on the way sees the password, and can trade with it"
        yield warn("redis encryption", f"none on the way to {open_to_all}", advice)
    try:
        for complaint in await unsafe(client):
            yield fail("redis", complaint, "nothing is copied until that is so")
        info, told = await client.info("everything"), await _told(client)
        followed, loaded = _followed(info, told, surroundings), await _loaded(client)
        kept = _kept(info, told)
        for check in (*checks.durability(kept), *checks.reloading(loaded), *checks.replication(followed)):
            yield check
        measured = await clock.measure(client)
        yield checks.clock(measured.ns / 1e9, measured.uncertainty_ns / 1e9)
        seen = await look(surroundings, datetime.fromtimestamp(time(), UTC))
        for source in seen.sources:
            for check in checks.source(source, seen):
                yield check
        for account in seen.accounts:
            for check in checks.account(account, seen):
                yield check
    except (RedisError, OSError) as error:
        yield fail(
            "redis", f"does not answer: {plainly(error)}", "start it, or mend redis.url; until then nothing is copied"
        )
    finally:
        await client.aclose()


async def _told(client: Redis) -> dict[str, str]:
    """Settings of the server. A user that only looks on may not ask for them, and many a provider lets nobody."""
    try:
        return _text(await client.config_get("appendfsync", "min-replicas-max-lag"))
    except ResponseError:
        return {}


async def _loaded(client: Redis) -> str | None:
    """Whether `default` may write: `OK`, or why not; None when we may not ask."""
    try:
        return _word(await client.acl_dryrun(acl.DEFAULT, "SET", "key", "value"))
    except ResponseError:
        return None


def _kept(info: Mapping[str, Any], told: Mapping[str, str]) -> dict[str, str]:
    """The settings that decide whether a trade can be lost."""
    return {
        "appendonly": "yes" if int(info.get("aof_enabled", 0)) else "no",
        "maxmemory-policy": str(info.get("maxmemory_policy", "not told")),
        "appendfsync": told.get("appendfsync", "not told to this user"),
    }


def _followed(info: Mapping[str, Any], told: Mapping[str, str], surroundings: Surroundings) -> Replication:
    """How the server is followed. It tells how many replicas are near enough only when it writes with some alone."""
    good, lag = info.get("min_slaves_good_slaves"), told.get("min-replicas-max-lag")
    return Replication(
        watched=understood(surroundings.redis_url()).kind != "one",
        replicas=int(info.get("connected_slaves", 0)),
        near=None if good is None else int(good),
        max_lag=None if lag is None else float(lag),
        lease=surroundings.machine.executor.lease,
    )


def database(surroundings: Surroundings) -> Iterator[Check]:
    """The archive's schema."""
    try:
        wrong = migrate.complaint(migrate.check(surroundings.dsn()))
    except (Away, UserError) as error:
        yield warn("postgres", f"does not answer: {error}", "start it: trades are copied, but not archived until then")
        return
    yield fail("postgres", wrong, "run `tradecopier archiver migrate`") if wrong else ok("postgres", "up to date")


def reachable(host: str, port: int) -> bool:
    """Whether somebody accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=CONNECT_S):
            return True
    except OSError:
        return False


def said(host: str, port: int, path: str) -> bytes:
    """What somebody answers to a plain question, which tells who it is; nothing when there is no answer."""
    try:
        with socket.create_connection((host, port), timeout=CONNECT_S) as peer, peer.makefile("rb") as answer:
            peer.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            return answer.read(ANSWER)
    except OSError:
        return b""


def _text(raw: object) -> dict[str, str]:
    found = raw if isinstance(raw, dict) else {}
    return {_word(name): _word(value) for name, value in found.items()}


def _word(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _quietly(argv: Sequence[str]) -> int:
    return subprocess.run(argv, check=False, capture_output=True).returncode
