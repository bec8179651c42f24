"""The executor as a process of its own: killed at each point of the protocol, every fact still takes effect once."""

import asyncio
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor.cli import POINTS
from executor.service import anyones, plan
from executor.settings import Settings
from shared import process
from shared.settings import SettingsError, section
from tests.executor.rig import ACCOUNT, KEYS, NAMESPACE, PATIENCE_S, Simulator, Source, ended

KEY = "k1:" + (b"1" * 32).hex()


def settings_file(folder: Path, simulator_address: str) -> Path:
    key = folder / "signing.key"
    key.write_text(KEY)
    key.chmod(0o600)
    path = folder / "tradecopier.toml"
    path.write_text(f"""
        [redis]
        namespace = "{NAMESPACE}"
        [security]
        signing-key-file = "{key}"
        [executor]
        lease = 1.0
        [executor.accounts.{ACCOUNT}]
        sources = ["demo"]
        window = 0.2
        deadline = 0.5
        grace = 1.0
        [executor.accounts.{ACCOUNT}.terminal]
        kind = "simulated"
        address = "{simulator_address}"
        login = 1
        server = "Demo"
        [executor.accounts.{ACCOUNT}.limits]
        max-age = 60
        max-drift-percent = 100
        max-spread-percent = 100
    """)
    return path


def executor(config: Path, valkey: Valkey, *more: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "deploy", "--config", str(config), "executor", "run", *more]
    return process.spawn(command, env={**os.environ, "TRADECOPIER_REDIS__URL": valkey.url})


async def gone(child: "subprocess.Popen[bytes]") -> int:
    async with asyncio.timeout(PATIENCE_S):
        return await asyncio.to_thread(child.wait)


@pytest.mark.parametrize("point", POINTS)
async def test_a_kill_at(point: str, valkey: Valkey, redis: Redis, simulator: Simulator, tmp_path: Path) -> None:
    """One position and one final outcome, whether it died before the call, after it, or after the commit."""
    config = settings_file(tmp_path, simulator.address)
    source = Source(redis)
    await source.open()
    dying = executor(config, valkey, "--die-at", point)
    await source.buy("o1")
    assert await gone(dying) == -signal.SIGKILL

    living = executor(config, valkey)
    try:
        await ended(redis, 1)
        await source.close("o1", "0.04")
        found = await ended(redis, 2)
    finally:
        process.end(living, [signal.SIGTERM])

    assert [o.result for o in found] == ["filled", "closed"]
    assert await simulator.volumes() == [("EURUSD", 0, 0.06)]
    assert len(await simulator.deals()) == 2
    pending: Any = await redis.xpending(KEYS.orders, ACCOUNT)
    assert pending["pending"] == 0


async def test_it_says_when_every_lane_works(
    valkey: Valkey, redis: Redis, simulator: Simulator, tmp_path: Path
) -> None:
    ready = tmp_path / "ready"
    child = executor(settings_file(tmp_path, simulator.address), valkey, "--ready-file", str(ready))
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not ready.exists():
                assert child.poll() is None
                await asyncio.sleep(0.02)
        assert ready.read_text().strip() == str(child.pid)
    finally:
        assert process.end(child, [signal.SIGTERM]) == 0


def test_a_redis_that_may_lose_trades_is_refused_in_one_line(valkey: Valkey, tmp_path: Path) -> None:
    config = settings_file(tmp_path, "127.0.0.1:1")
    host, port = "127.0.0.1", 1

    child = subprocess.run(
        [sys.executable, "-m", "deploy", "--config", str(config), "executor", "run"],
        env={**os.environ, "TRADECOPIER_REDIS__URL": f"redis://{host}:{port}/0"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )

    assert child.returncode == 2
    assert child.stderr.count("\n") == 1
    assert "Redis does not answer" in child.stderr


MISTAKES = {
    "no account": ("", (), r"add a table \[executor.accounts.NAME\]"),
    "an account that is not there": (
        '[executor.accounts.a.terminal]\nkind = "simulated"\n',
        ("b",),
        r"there is no \[executor.accounts.b\]; there are: a",
    ),
}


@pytest.mark.parametrize(("text", "accounts", "line"), MISTAKES.values(), ids=MISTAKES)
def test_names_the_mistake(tmp_path: Path, text: str, accounts: tuple[str, ...], line: str) -> None:
    path = tmp_path / "t.toml"
    path.write_text(text)

    with pytest.raises(SettingsError, match=line):
        plan(path, {"TRADECOPIER_REDIS__URL": "redis://x"}, accounts)


BOTH = """
    [executor.accounts.real]
    [executor.accounts.real.terminal]
    kind = "metatrader5"
    path = "terminal64.exe"
    login = 1
    server = "Broker-Demo"
    password = "hush"
    [executor.accounts.paper]
    [executor.accounts.paper.terminal]
    kind = "simulated"
    address = "terminal:1"
"""


def test_anyone_can_work_for_simulated_accounts_only() -> None:
    own = section(tomllib.loads(BOTH), "executor", Settings)
    assert anyones(own) == ["paper"]
    with pytest.raises(SettingsError, match="--account"):
        anyones(Settings(accounts={"real": own.accounts["real"]}))


async def test_of_two_that_take_any_account_the_second_takes_over(
    valkey: Valkey, redis: Redis, simulator: Simulator, tmp_path: Path
) -> None:
    config = settings_file(tmp_path, simulator.address)
    source = Source(redis)
    await source.open()
    first = executor(config, valkey, "--any")
    await source.buy("o1")
    await ended(redis, 1)
    second = executor(config, valkey, "--any")
    try:
        first.kill()
        await gone(first)
        await source.close("o1", "0.04")
        await ended(redis, 2)
        assert await simulator.volumes() == [("EURUSD", 0, 0.06)]
    finally:
        process.end(second, [signal.SIGTERM])


REAL_MONEY = """
[ingest.sources.demo]
host = "broker.example"
account = "*"
[executor.accounts.main]
sources = ["demo"]
mode = "live"
[executor.accounts.main.terminal]
kind = "metatrader5"
path = "terminal64.exe"
login = 1
server = "Real"
password = "p"
"""


def test_a_live_account_that_follows_whatever_account_comes_next_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "tradecopier.toml"
    config.touch(0o600)
    config.write_text(REAL_MONEY)
    with pytest.raises(SettingsError, match=r'account is "\*", and executor\.accounts\.main is live: name the one'):
        plan(config, {"TRADECOPIER_REDIS__URL": "redis://127.0.0.1:1"}, [])
