"""A day with everything as a user runs it: what is broken is mended by itself, and all books agree at the end.

Days whose faults are chance are among the 25 seeds of `tradecopier chaos` that the checks run.
"""

from collections import Counter
from pathlib import Path

import pytest

from deploy.chaos.day import DAY_FAULTS, ROLLING, day, rolling, schedule
from deploy.chaos.faults import PROXY_CRASHES, Fault
from deploy.chaos.timing import SCALE, shipped
from deploy.fleet import folder_mode

ACTIONS = 30
FAULTS = [
    Fault(at=at, kind=kind, account="", nth=1)
    for at, kind in ((5, "cut-reply"), (10, "kill-ingest"), (20, "kill-supervisor"))
]


@pytest.fixture
def passable(tmp_path: Path) -> Path:
    """A folder that PostgreSQL can pass, whoever it runs as."""
    tmp_path.chmod(folder_mode())
    return tmp_path


def test_a_handful_of_days_has_every_fault_and_each_day_comes_again() -> None:
    days = [schedule(seed, 100) for seed in range(3, 28, 5)]

    assert {fault.kind for faults in days for fault in faults} == set(DAY_FAULTS)
    assert schedule(8, 100) == schedule(8, 100) != schedule(9, 100)
    assert all(0 < fault.at < 100 for faults in days for fault in faults)


def test_in_a_rolling_restart_readers_come_before_writers_and_servers_last() -> None:
    order = [fault.kind.removeprefix("restart-") for fault in rolling(500)]

    assert order == list(ROLLING)
    assert order.index("archiver") < order.index("executor") < order.index("ingest") < order.index("redis")


@pytest.mark.slow
async def test_nothing_is_found_when_replies_are_cut_and_the_proxy_and_the_supervisor_are_killed(
    passable: Path,
) -> None:
    result = await day(2, passable / "day", shipped().over(SCALE), ACTIONS, FAULTS)

    assert result.findings == ()
    assert result.actions == ACTIONS
    assert result.faults == Counter(fault.kind for fault in FAULTS)
    assert sum(result.ends.values()) >= 2 * ACTIONS * 0.9, "nearly every action has an end on both accounts"


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_nothing_is_found_when_the_proxy_ends_itself_at_each_point_of_a_calls_way(passable: Path) -> None:
    faults = [Fault(at=at, kind=kind, account="", nth=1) for at, kind in enumerate(PROXY_CRASHES, start=2)]
    result = await day(2, passable / "day", shipped().over(SCALE), 8, faults)

    assert result.findings == ()
    assert result.reached == dict.fromkeys(PROXY_CRASHES, 1)


async def test_nothing_is_found_when_every_service_is_restarted_in_turn(passable: Path) -> None:
    result = await day(1, passable / "day", shipped().over(SCALE), 35, rolling(35))

    assert result.findings == ()
    assert sum(result.faults.values()) == len(ROLLING)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_nothing_is_found_in_500_actions_while_every_service_is_restarted_in_turn(passable: Path) -> None:
    result = await day(0, passable / "day", shipped().over(SCALE), 500, rolling(500))

    assert result.findings == ()
    assert result.actions == 500
