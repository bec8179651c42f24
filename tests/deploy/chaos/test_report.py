"""A person reads what was broken, which points were met and which were not, and what was wrong."""

from deploy.chaos.checker import Finding
from deploy.chaos.faults import PROXY_CRASHES
from deploy.chaos.report import (
    ALL_POINTS,
    ENOUGH,
    ENOUGH_DAYS,
    POINTS,
    SHOWN,
    failure_lines,
    missed,
    summary,
    trial_line,
)
from deploy.chaos.trial import Result


def result(seed: int, *findings: Finding, faults: dict[str, int], reached: dict[str, int]) -> Result:
    return Result(
        seed=seed, findings=findings, faults=faults, reached=reached, actions=20, ends={"filled": 3}, seconds=4.4
    )


FINE = result(1, faults={"hang": 1, "kill-redis": 2}, reached={"die-at-called": 1})
BAD = result(2, Finding("doubled", "opened twice"), faults={"kill-redis": 1}, reached={"die-at-called": 2})


def test_faults_outcomes_and_findings_are_counted_over_all_trials() -> None:
    lines = list(summary([FINE, BAD]))

    assert "faults by kind: hang 1, kill-redis 3" in lines
    assert "outcomes: filled 6" in lines
    assert "2 seeds, 40 actions, 4 faults: lost 0, silent 0, doubled 1, unresolved 0, wrong 0" in lines


def test_every_crash_point_is_named_whether_it_was_hit_or_not() -> None:
    (line,) = (line for line in summary([FINE, BAD]) if line.startswith("points hit: "))

    told = dict(each.rsplit(" ", 1) for each in line.removeprefix("points hit: ").split(", "))
    assert told == {point.replace("-", " "): "3" if point == "die-at-called" else "0" for point in ALL_POINTS}


def test_a_point_that_many_trials_never_came_to_is_missed() -> None:
    everything = dict.fromkeys(POINTS, 1)
    some = {point: 1 for point in POINTS if point != "die-at-fenced"}

    assert missed([result(1, faults={}, reached=some)] * (ENOUGH - 1)) == []
    assert missed([result(1, faults={}, reached=some)] * ENOUGH) == ["die-at-fenced"]
    assert "NOT hit: die-at-fenced" in list(summary([result(1, faults={}, reached=some)] * ENOUGH))
    assert missed([result(1, faults={}, reached=everything)] * ENOUGH) == []


def test_the_proxys_own_points_want_more_trials_since_only_days_have_them() -> None:
    some = dict.fromkeys(POINTS, 1) | {PROXY_CRASHES[0]: 1}

    assert missed([result(1, faults={}, reached=some)] * (ENOUGH_DAYS - 1)) == []
    assert missed([result(1, faults={}, reached=some)] * ENOUGH_DAYS) == list(PROXY_CRASHES[1:])


def test_doubles_by_a_pause_in_the_call_are_counted_apart() -> None:
    twice = Result(seed=24, findings=(), faults={}, reached={}, actions=2, ends={}, seconds=30.0, doubles=4)

    assert any(line.startswith("apart from these: 4 doubles") for line in summary([FINE, twice]))
    assert not any("apart" in line for line in summary([FINE]))


def test_failed_seeds_are_named_only_when_there_are_some() -> None:
    assert list(summary([FINE, BAD]))[-1] == "FAILED seeds: 2"
    assert not any("FAILED" in line for line in summary([FINE]))


def test_a_trial_is_told_in_a_line() -> None:
    assert trial_line(FINE) == "seed 1: ok, 20 actions, 3 faults, 4 s"
    assert trial_line(BAD) == "seed 2: FAILED, 20 actions, 1 faults, 4 s"


def test_a_failure_says_how_to_see_it_again_and_how_much_it_leaves_out() -> None:
    many = result(9, *[Finding("lost", f"number {n}") for n in range(SHOWN + 3)], faults={}, reached={})

    lines = list(failure_lines(many))
    assert lines[0].strip() == "lost: number 0"
    assert lines[-2].strip() == "… and 3 more"
    assert lines[-1].strip() == "again: tradecopier chaos --seed 9"
    assert len(lines) == SHOWN + 2
