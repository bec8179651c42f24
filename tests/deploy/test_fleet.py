"""All processes of one machine: with servers of its own, and with servers that the settings name."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy import settings
from deploy.directory import free_port, lock_file
from deploy.embedded import Valkey
from deploy.fleet import Fleet, folder_mode
from executor.mt5.simulator.client import connect
from executor.mt5.simulator.surface import Surface
from shared import streams
from shared.process import Stop, UserError
from tests.conftest import Database
from tests.e2e.processes import belonging_to

pytestmark = pytest.mark.timeout(180)


def written(folder: Path, more: str = "", listen: int | None = None) -> Path:
    file = folder / "tradecopier.toml"
    file.touch(0o600)
    file.write_text(
        f"""{more}
[ingest]
listen = "127.0.0.1:{listen or free_port()}"
metrics = "127.0.0.1:{free_port()}"
[ingest.sources.demo]
host = "localhost:1"
account = "1"
[executor.accounts.one]
sources = ["demo"]
[executor.accounts.one.terminal]
kind = "simulated"
prices = {{ EURUSD = 1.25 }}
"""
    )
    return file


def open_files(pid: int) -> set[str]:
    return {str(descriptor.readlink()) for descriptor in Path(f"/proc/{pid}/fd").iterdir()}


@pytest.fixture
async def stop() -> AsyncIterator[Stop]:
    stop = Stop()
    yield stop
    await stop.end_tasks()


async def test_everything_is_started_restarted_and_stopped(tmp_path: Path, stop: Stop) -> None:
    fleet = Fleet(settings.load(written(tmp_path), None, {}), stop)
    try:
        await fleet.start()
        terminal = Surface(connect)
        terminal.initialize(fleet.addresses["one"])
        assert terminal.symbol_info_tick("EURUSD").ask == 1.25
        terminal.shutdown()
        executor = next(pid for pid, words in belonging_to(tmp_path).items() if "executor run" in words)
        held = open_files(executor)
        assert str(tmp_path / "data" / "lock") in held
        assert str(tmp_path / "data" / "supervisor.lock") not in held
        os.kill(executor, signal.SIGKILL)
        async with asyncio.timeout(30):
            while not any("executor run" in w for pid, w in belonging_to(tmp_path).items() if pid != executor):
                await asyncio.sleep(0.05)
        redis = streams.connect(fleet.redis.reveal())
        groups = await redis.xinfo_groups(streams.Keys("main").orders)
        assert {group["name"] for group in groups} == {b"one", b"archiver"}
        await redis.aclose()
    finally:
        await fleet.stop()
    assert belonging_to(tmp_path) == {}
    assert stop.failure is None


async def test_servers_that_the_settings_name_are_used_and_no_others_started(
    tmp_path: Path, stop: Stop, valkey: Valkey, postgres: Database
) -> None:
    named = f'[redis]\nurl = "{valkey.url}"\n[postgres]\ndsn = "{postgres.dsn}"'
    fleet = Fleet(settings.load(written(tmp_path, named), None, {}), stop)
    try:
        await fleet.start()
        words = " ".join(belonging_to(tmp_path).values())
        assert "archiver run" in words
        assert "valkey-server" not in words
        assert "postgres" not in words
        assert (valkey.password in words, "hush" in words) == (False, False)
    finally:
        await fleet.stop()
    assert not (tmp_path / "data" / "valkey").exists()


@pytest.mark.parametrize("broken", ["data", "data/lock", "data/terminals"])
async def test_a_folder_that_cannot_be_used_is_one_line(tmp_path: Path, stop: Stop, broken: str) -> None:
    (tmp_path / broken).parent.mkdir(exist_ok=True)
    (tmp_path / broken).symlink_to("/proc/nothing")
    fleet = Fleet(settings.load(written(tmp_path), None, {}), stop)
    try:
        with pytest.raises(UserError, match=r"the data cannot be kept in .*: .*; choose another --data"):
            await fleet.start()
    finally:
        await fleet.stop()


async def test_a_service_that_cannot_start_is_its_own_line_and_stops_the_rest(tmp_path: Path, stop: Stop) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        fleet = Fleet(settings.load(written(tmp_path, listen=port), None, {}), stop)
        try:
            with pytest.raises(UserError, match=rf"127.0.0.1:{port}.*in use") as raised:
                await fleet.start()
        finally:
            await fleet.stop()
    assert "\n" not in str(raised.value)
    assert belonging_to(tmp_path) == {}


async def test_data_belongs_to_one_supervisor_at_a_time(tmp_path: Path, stop: Stop) -> None:
    machine = settings.load(written(tmp_path), None, {})
    machine.data.mkdir()
    other = lock_file(machine.data / "supervisor.lock")
    assert other is not None
    with pytest.raises(UserError, match="in use by another `tradecopier up`"):
        await Fleet(machine, stop).start()
    os.close(other)


async def test_it_waits_for_processes_of_a_supervisor_that_was_killed(
    tmp_path: Path, stop: Stop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.fleet.LOCK_PATIENCE_S", 0.2)
    machine = settings.load(written(tmp_path), None, {})
    machine.data.mkdir()
    left = lock_file(machine.data / "lock")
    assert left is not None
    fleet = Fleet(machine, stop)
    with pytest.raises(UserError, match="of an earlier"):
        await fleet.start()
    await fleet.stop()
    os.close(left)


def test_only_root_lets_others_pass_through_its_folder() -> None:
    assert folder_mode() == (0o711 if os.geteuid() == 0 else 0o700)
