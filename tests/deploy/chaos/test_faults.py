"""The schedule of faults follows from the seed alone and leaves no kind out."""

from collections import Counter

import pytest

from deploy.chaos.faults import KINDS, PER_SEED, schedule

ACTIONS = 60
ACCOUNTS = ("a", "b")


def test_a_seed_has_the_same_faults_each_time_and_another_seed_has_others() -> None:
    assert schedule(3, ACTIONS, ACCOUNTS) == schedule(3, ACTIONS, ACCOUNTS)
    assert schedule(3, ACTIONS, ACCOUNTS) != schedule(4, ACTIONS, ACCOUNTS)


def test_no_kind_comes_a_third_time_before_every_kind_came_once() -> None:
    seeds = range(-(-len(KINDS) // PER_SEED))
    times = Counter(fault.kind for seed in seeds for fault in schedule(seed, ACTIONS, ACCOUNTS))

    assert set(times) == set(KINDS)
    assert max(times.values()) <= 2


@pytest.mark.parametrize("seed", range(10))
def test_faults_come_in_order_after_the_first_actions_and_within_the_story(seed: int) -> None:
    faults = schedule(seed, ACTIONS, ACCOUNTS)

    times = [fault.at for fault in faults]
    assert len(faults) == PER_SEED
    assert times == sorted(times)
    assert min(times) >= 5
    assert max(times) < ACTIONS
    assert {fault.account for fault in faults} <= set(ACCOUNTS)
    assert all(fault.nth in (1, 2) for fault in faults)


def test_a_schedule_can_be_made_of_a_few_kinds_only() -> None:
    faults = schedule(0, ACTIONS, ACCOUNTS, kinds=("kill-redis", "hang"))

    assert Counter(fault.kind for fault in faults) == {"kill-redis": PER_SEED // 2, "hang": PER_SEED // 2}
