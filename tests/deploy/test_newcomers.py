"""Accounts that are written into the settings file while everything runs, or taken out of it."""

import asyncio
import json
import logging
import os
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from deploy import settings
from deploy.directory import free_port
from deploy.fleet import Fleet
from deploy.newcomers import Newcomers
from shared import streams
from shared.process import Stop
from tests.deploy.test_fleet import written
from tests.e2e.processes import belonging_to

pytestmark = pytest.mark.timeout(180)

TWO = """
[executor.accounts.two]
sources = ["demo"]
[executor.accounts.two.terminal]
kind = "simulated"
"""


@pytest.fixture
async def stop() -> AsyncIterator[Stop]:
    stop = Stop()
    yield stop
    await stop.end_tasks()


def pids(folder: Path) -> dict[int, str]:
    return {
        pid: words for pid, words in belonging_to(folder).items() if "executor run" in words or "simulator" in words
    }


def targets(folder: Path) -> dict[str, str]:
    """Where Prometheus finds the services, by their names."""
    listed = json.loads((folder / "data" / "prometheus" / "targets" / "tradecopier.json").read_text())
    return {each["labels"]["service"]: each["targets"][0] for each in listed}


def scraped(folder: Path, service: str) -> str:
    with urllib.request.urlopen(f"http://{targets(folder)[service]}/metrics", timeout=30) as reply:
        return str(reply.read().decode())


async def groups(fleet: Fleet) -> set[str]:
    redis = streams.connect(fleet.redis.reveal())
    found = await redis.xinfo_groups(streams.Keys("main").orders)
    await redis.aclose()
    return {group["name"].decode() for group in found}


async def test_a_new_account_is_served_and_a_gone_one_is_not_while_the_others_are_left_alone(
    tmp_path: Path, stop: Stop, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    file = written(tmp_path, f'[executor]\nmetrics = "127.0.0.1:{free_port()}"')
    one, logs = file.read_text(), list[Path]()
    fleet = Fleet(settings.load(file, None, {}), stop)
    newcomers = Newcomers(fleet, os.environ, logs.append)
    try:
        await fleet.start()
        before = pids(tmp_path)

        file.write_text(one + TWO)
        await newcomers.read()
        with_two = pids(tmp_path)
        assert await groups(fleet) == {"one", "two", "archiver"}
        assert set(with_two) > set(before)
        assert sorted(path.name for path in logs) == ["executor-two.log", "terminal-two.log"]
        assert any("--account two" in words for words in with_two.values())
        assert "two has its executor" in caplog.text
        assert "tradecopier_account_equity" in await asyncio.to_thread(scraped, tmp_path, "executor-two")

        file.write_text("not a settings file")
        await newcomers.read()
        assert (set(pids(tmp_path)), "the settings stay as they were" in caplog.text) == (set(with_two), True)

        file.write_text(one)
        await newcomers.read()
        assert set(pids(tmp_path)) == set(before)
        assert set(targets(tmp_path)) == {"ingest", "executor"}
        assert fleet.machine == settings.load(file, None, {})
    finally:
        await fleet.stop()
    assert belonging_to(tmp_path) == {}
    assert stop.failure is None


async def test_a_file_that_changes_is_read_and_what_else_is_new_in_it_waits(
    tmp_path: Path, stop: Stop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("deploy.newcomers.LOOK_S", 0.01)
    file = written(tmp_path)
    fleet = Fleet(settings.load(file, None, {}), stop)
    watching = asyncio.create_task(Newcomers(fleet, {}, lambda _path: None).watch())
    await asyncio.sleep(0.05)
    file.write_text(f"{file.read_text()}\n[archiver]\nretention = 3\n")
    async with asyncio.timeout(10):
        while "counts from the next start on" not in caplog.text:
            await asyncio.sleep(0.01)
    watching.cancel()
    assert fleet.machine.archiver.retention == 7


async def test_the_last_one_of_those_that_share_an_executor_is_served_until_the_next_start(
    tmp_path: Path, stop: Stop, caplog: pytest.LogCaptureFixture
) -> None:
    file = written(tmp_path, more="")
    file.write_text(file.read_text() + TWO)
    machine = settings.load(file, None, {})
    fleet = Fleet(machine, stop)
    less = {"one": machine.executor.accounts["one"]}
    assert not await fleet.let_go(replace(machine, executor=replace(machine.executor, accounts=less)), "two")
    file.write_text(file.read_text().replace(TWO, ""))
    fleet.machine = machine
    await Newcomers(fleet, {}, lambda _path: None).read()
    assert "two has left the settings; it is served until the next start" in caplog.text
