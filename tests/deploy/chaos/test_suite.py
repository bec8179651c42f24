"""Trials run side by side on servers that are there, each is told, and only what failed leaves its folder."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from deploy.chaos import suite
from deploy.chaos.day import ROLLING
from deploy.chaos.pipeline import Servers
from deploy.chaos.suite import Suite
from deploy.chaos.timing import SCALE, shipped
from deploy.chaos.trial import Result, broken
from deploy.fleet import folder_mode
from shared import streams
from tests.archiver.entries import select

TIMING = shipped().over(SCALE)
PATIENCE_S = 60
WIDTH = 2
LATE, BAD = 0, 2
"""A seed whose trial has no end, and one that finds something."""


@pytest.fixture
def passable(tmp_path: Path) -> Path:
    """A folder that PostgreSQL can pass, whoever it runs as."""
    tmp_path.chmod(folder_mode())
    return tmp_path


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("seed-*"))


class Trials:
    """In place of real trials: they see that they have servers, and wait until as many run as there are lanes."""

    def __init__(self) -> None:
        self._running = 0
        self._full = asyncio.Event()
        self.servers: list[Servers] = []

    async def trial(self, seed: int, servers: Servers, folder: Path, *_: Any) -> Result:
        await asyncio.to_thread(folder.mkdir)
        self._running += 1
        if self._running == WIDTH:
            self._full.set()
        async with asyncio.timeout(PATIENCE_S):
            await self._full.wait()
        redis = streams.connect(servers.valkey.url)
        assert await redis.ping()
        await redis.aclose()
        assert select(servers.postgres.dsn, "select count(*) from facts") == [(0,)]
        self.servers.append(servers)
        if seed == LATE:
            raise TimeoutError
        if seed == BAD:
            return broken(seed, "something was wrong")
        return Result(seed=seed, findings=(), faults={}, reached={}, actions=20, ends={}, seconds=1.0)


@pytest.fixture
async def ran(monkeypatch: pytest.MonkeyPatch, passable: Path) -> tuple[list[Result], list[str], Trials]:
    """Four seeds in two lanes: the results, what was told, and the trials."""
    trials, told = Trials(), list[str]()
    monkeypatch.setattr(suite, "trial", trials.trial)
    results = await Suite(passable, TIMING, 20, told.append).run([4, 2, 1, 0], WIDTH)
    return results, told, trials


async def test_all_seeds_run_in_lanes_that_keep_what_failed_and_stop_their_servers(
    ran: tuple[list[Result], list[str], Trials], tmp_path: Path
) -> None:
    results, told, trials = ran

    assert [(r.seed, r.good) for r in results] == [(0, False), (1, True), (2, False), (4, True)]
    assert "did not come to its end" in results[LATE].findings[0].text
    assert sorted(line.partition(",")[0] for line in told if line.startswith("seed ")) == [
        "seed 0: FAILED",
        "seed 1: ok",
        "seed 2: FAILED",
        "seed 4: ok",
    ]
    assert {f"again: tradecopier chaos --seed {seed}" for seed in (LATE, BAD)} <= {line.strip() for line in told}
    assert left_in(tmp_path) == ["seed-0", "seed-2"]
    lanes = {id(servers) for servers in trials.servers}
    assert len(lanes) == WIDTH
    assert all(s.valkey.pid is None and s.postgres.pid is None for s in trials.servers)


async def test_one_seed_in_five_is_a_day_and_a_rolling_restart_is_one_with_every_service_ended_once(
    monkeypatch: pytest.MonkeyPatch, passable: Path
) -> None:
    given: list[tuple[int, Any]] = []

    async def day(seed: int, _folder: Path, _timing: Any, actions: int, faults: Any = None) -> Result:
        given.append((seed, faults))
        return Result(seed=seed, findings=(), faults={}, reached={}, actions=actions, ends={}, seconds=1.0)

    monkeypatch.setattr(suite, "day", day)

    assert [seed for seed in range(10) if suite.is_day(seed)] == [3, 8]
    assert [seed for seed in range(50) if suite.is_twice(seed)] == [24, 49]
    assert not any(suite.is_day(seed) and suite.is_twice(seed) for seed in range(500))
    assert [r.seed for r in await Suite(passable, TIMING, 20, lambda _: None).run([3], 1)] == [3]
    (rolled,) = await Suite(passable, TIMING, 70, lambda _: None).rolling(0)

    assert rolled.good
    assert given[0] == (3, None)
    assert [(fault.at, fault.kind) for fault in given[1][1]] == [
        (10 * n, f"restart-{name}") for n, name in enumerate(ROLLING, start=1)
    ]


def test_every_seed_has_its_turn_and_what_takes_long_is_not_left_for_the_end() -> None:
    order = suite.in_turn(range(25))

    assert sorted(order) == list(range(25))
    assert order[:12] == [24, 0, 3, 1, 8, 2, 13, 4, 18, 5, 23, 6]
    assert order[12:] == sorted(order[12:])


async def test_servers_stop_when_a_trial_breaks_by_a_mistake_of_ours(
    monkeypatch: pytest.MonkeyPatch, passable: Path
) -> None:
    seen: list[Servers] = []

    async def mistaken(_seed: int, servers: Servers, *_: Any) -> Result:
        seen.append(servers)
        raise KeyError("a mistake")

    monkeypatch.setattr(suite, "trial", mistaken)

    with pytest.raises(KeyError):
        await Suite(passable, TIMING, 20, lambda _: None).run([0], 1)

    assert [(s.valkey.pid, s.postgres.pid) for s in seen] == [(None, None)]


async def test_a_server_that_a_trial_left_down_is_up_again_for_the_next_one(
    monkeypatch: pytest.MonkeyPatch, passable: Path
) -> None:
    async def trial(seed: int, servers: Servers, *_: Any) -> Result:
        redis = streams.connect(servers.valkey.url)
        assert await redis.ping()
        await redis.aclose()
        servers.valkey.stop()
        raise TimeoutError

    monkeypatch.setattr(suite, "trial", trial)

    results = await Suite(passable, TIMING, 20, lambda _: None).run([0, 1], 1)

    assert [len(result.findings) for result in results] == [1, 1], "each came to its own end"


async def test_stopped_it_waits_until_every_lane_has_cleared_away(
    monkeypatch: pytest.MonkeyPatch, passable: Path
) -> None:
    running, cleared = [asyncio.Event() for _ in range(WIDTH)], list[int]()

    async def trial(seed: int, *_: Any) -> Result:
        running[seed].set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(seed * 0.2)
            cleared.append(seed)
        return broken(seed, "never")

    monkeypatch.setattr(suite, "trial", trial)
    work = asyncio.create_task(Suite(passable, TIMING, 20, lambda _: None).run(list(range(WIDTH)), WIDTH))
    async with asyncio.timeout(PATIENCE_S):
        for each in running:
            await each.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work

    assert cleared == list(range(WIDTH))
