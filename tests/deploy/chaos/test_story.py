"""A story is the same for the same seed, states totals that follow each other, and meets every kind of fault."""

import pytest

from deploy.chaos.faults import KINDS, PER_SEED, schedule
from deploy.chaos.story import SIDES, STEP, story
from deploy.chaos.timing import SCALE, shipped

ACTIONS = 100


@pytest.mark.parametrize("opposed", [True, False])
def test_a_seed_tells_the_same_story_again(opposed: bool) -> None:
    assert story(7, ACTIONS, opposed=opposed) == story(7, ACTIONS, opposed=opposed)
    assert story(7, ACTIONS, opposed=opposed) != story(8, ACTIONS, opposed=opposed)


@pytest.mark.parametrize("seed", range(20))
def test_revisions_rise_by_one_but_for_what_is_told_again(seed: int) -> None:
    newest: dict[str, int] = {}
    for statement in story(seed, ACTIONS, opposed=True):
        before = newest.get(statement.position, 0)
        assert statement.revision == (before if statement.again else before + 1)
        newest[statement.position] = statement.revision


@pytest.mark.parametrize("seed", range(20))
def test_without_opposed_positions_an_instrument_has_one_side(seed: int) -> None:
    for statement in story(seed, ACTIONS, opposed=False):
        assert statement.after.total == 0 or (statement.after.total > 0) == SIDES[statement.instrument]


@pytest.mark.parametrize("seed", range(60, 90))
def test_every_total_is_a_whole_number_of_steps(seed: int) -> None:
    assert [s.number for s in story(seed, ACTIONS, opposed=seed % 2 == 0) if s.after.total % STEP] == []


def test_a_handful_of_seeds_meets_every_kind_of_fault() -> None:
    seeds = range(-(-len(KINDS) // PER_SEED))

    assert {fault.kind for seed in seeds for fault in schedule(seed, ACTIONS, ("a", "b"))} == set(KINDS)


def test_the_ratios_are_those_of_the_shipped_defaults() -> None:
    defaults, scaled = shipped(), shipped().over(SCALE)

    assert (defaults.lease, defaults.window, defaults.deadline, defaults.grace) == (10.0, 5.0, 30.0, 45.0)
    for name in ("window", "deadline", "grace"):
        assert getattr(scaled, name) / scaled.lease == getattr(defaults, name) / defaults.lease
