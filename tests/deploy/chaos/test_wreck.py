"""Each fault hits the process, connection, server or terminal that it names, and what lasts comes to its end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from deploy.chaos import evidence, faults
from deploy.chaos.faults import Fault
from deploy.chaos.part import Part
from deploy.chaos.pipeline import HEDGING, SERVER, Pipeline, Servers
from deploy.chaos.timing import Timing
from deploy.chaos.wreck import SERVICES, TERMINAL, Wreck
from deploy.directory import HOST
from tests.executor.mt5.simulated import SimulatorProcess

PATIENCE_S = 30
WAITS = ["-c", "import sys; sys.stdin.read()"]
HAS_A_CHILD = ["-c", "import subprocess; subprocess.run(['sleep', '60'])"]
TIMING = Timing(lease=0.1, window=0.05, deadline=0.3, grace=0.45)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():
            await asyncio.sleep(0.01)


@pytest.fixture
async def pipeline(pair: Servers, tmp_path: Path) -> AsyncIterator[Pipeline]:
    """A pipeline of processes that do nothing, which nobody starts again; its gates are open to the real Valkey."""
    found = Pipeline(tmp_path, pair, "wreck", TIMING, HEDGING)
    for name in (*SERVICES, *HEDGING):
        found.parts[name] = part = Part(name, WAITS, {}, tmp_path / name, piped=True)
        part.start()
    yield found
    await found.stop()


@pytest.fixture
def wreck(pipeline: Pipeline) -> Wreck:
    return Wreck(pipeline, TIMING)


def fault(kind: str, nth: int = 1) -> Fault:
    return Fault(at=0, kind=kind, account="second", nth=nth)


def test_every_fault_of_a_terminal_is_one_that_the_simulator_has() -> None:
    assert set(TERMINAL) == set(faults.TERMINAL)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("kill-executor", "executor"),
        ("kill-archiver", "archiver"),
        ("kill-ingest", "ingest"),
        ("kill-terminal", "second"),
    ],
)
async def test_a_kill_ends_the_process_it_names_and_no_other(
    pipeline: Pipeline, wreck: Wreck, kind: str, name: str
) -> None:
    await wreck.happen(fault(kind))

    await until(lambda: not pipeline.parts[name].alive)
    assert {n for n, part in pipeline.parts.items() if not part.alive} == {name}


async def test_an_executors_child_can_be_killed_alone(pipeline: Pipeline, wreck: Wreck, tmp_path: Path) -> None:
    await pipeline.parts["executor"].end()
    pipeline.parts["executor"] = parent = Part("executor", HAS_A_CHILD, {}, tmp_path / "parent")
    parent.start()
    await until(lambda: len(parent.children()) == 1)

    await wreck.happen(fault("kill-child"))

    await until(lambda: not parent.alive)
    assert not parent.expected, "the parent ended by itself, when its child had"


async def test_a_paused_executor_stands_still_and_goes_on_by_itself(pipeline: Pipeline, wreck: Wreck) -> None:
    await wreck.happen(fault("pause-executor", nth=2))
    part = pipeline.parts["standby"]
    await until(lambda: part.standing)

    await wreck.heal()

    await until(lambda: not part.standing)
    assert part.alive


async def test_an_executor_that_is_to_die_at_a_point_works_alone_until_it_did(pipeline: Pipeline, wreck: Wreck) -> None:
    executor, standby = pipeline.parts["executor"], pipeline.parts["standby"]

    await wreck.happen(fault("die-at-called", nth=2))
    await until(lambda: not executor.alive and not standby.alive)
    assert executor.armed == ("--die-at", "called:2")
    assert pipeline.held == {"standby"}
    assert wreck.armed

    executor.start()
    assert executor.running is not None
    executor.running.kill()
    await wreck.heal()
    assert pipeline.held == set()
    assert not wreck.armed


Connected = Callable[[int], Awaitable[asyncio.StreamReader]]


@pytest.fixture
async def connected(pipeline: Pipeline) -> AsyncIterator[Connected]:
    """Connections to Valkey that have had their first answer; they end before the pipeline does."""
    assert pipeline.gates
    writers: list[asyncio.StreamWriter] = []

    async def to(port: int) -> asyncio.StreamReader:
        reader, writer = await asyncio.open_connection(HOST, port)
        writers.append(writer)
        writer.write(b"PING\r\n")
        async with asyncio.timeout(PATIENCE_S):
            assert await reader.readline()
        return reader

    yield to
    for writer in writers:
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)


async def ended(reader: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await reader.read(1) == b""
    except ConnectionError:
        return True


async def test_a_cut_breaks_the_connections_that_it_names(
    pipeline: Pipeline, wreck: Wreck, connected: Connected
) -> None:
    ports = {name: await gate.open(pipeline.servers.valkey.port) for name, gate in pipeline.gates.items()}
    readers = {name: await connected(port) for name, port in ports.items()}

    await wreck.happen(fault("cut-redis-executor"))

    assert await ended(readers["executor"])
    assert await ended(readers["standby"])
    assert not readers["ingest"].at_eof()
    await wreck.happen(fault("cut-redis-ingest"))
    assert await ended(readers["ingest"])
    assert not readers["archiver"].at_eof()
    assert not readers["postgres"].at_eof()


async def test_redis_is_out_of_reach_for_a_while(pipeline: Pipeline, wreck: Wreck, connected: Connected) -> None:
    ports = {name: await gate.open(pipeline.servers.valkey.port) for name, gate in pipeline.gates.items()}
    reader = await connected(ports["ingest"])

    await wreck.happen(fault("redis-unreachable"))
    assert await ended(reader)
    assert {name for name, gate in pipeline.gates.items() if gate.shut} == set(ports) - {"postgres"}

    await wreck.heal()
    await connected(ports["ingest"])


@pytest.mark.parametrize("name", ["redis", "postgres"])
async def test_a_killed_server_is_another_process_afterwards(pipeline: Pipeline, wreck: Wreck, name: str) -> None:
    before = pipeline.server(name).pid

    await wreck.happen(fault(f"kill-{name}"))
    await wreck.heal()

    after = pipeline.server(name).pid
    assert before is not None
    assert after is not None
    assert after != before


async def test_what_lasts_is_left_as_it_is_when_a_trial_is_stopped(pipeline: Pipeline, wreck: Wreck) -> None:
    await wreck.happen(fault("redis-unreachable"))
    await wreck.happen(fault("die-at-called"))
    assert len(asyncio.all_tasks()) > 1

    await wreck.stop()

    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_spoiled_terminal_is_as_before_when_it_is_healed(
    pipeline: Pipeline, wreck: Wreck, tmp_path: Path
) -> None:
    broker = await asyncio.to_thread(SimulatorProcess, tmp_path / "terminal", login=2, server=SERVER)
    try:
        pipeline.addresses["second"] = broker.address
        await wreck.happen(fault("no-positions-answer"))
        with pytest.raises(OSError, match="does not say"):
            await asyncio.to_thread(evidence.terminal, broker.address, 2, SERVER)

        await wreck.heal()

        assert (await asyncio.to_thread(evidence.terminal, broker.address, 2, SERVER)).open == {}
    finally:
        broker.stop()
