"""A short trial with faults loses, doubles and hides nothing, and leaves what it can be understood from."""

import asyncio
import json
from pathlib import Path

import pytest

from deploy.chaos.faults import Fault
from deploy.chaos.pipeline import Servers
from deploy.chaos.story import story
from deploy.chaos.timing import SCALE, shipped
from deploy.chaos.trial import Result, broken, trial

SEED, ACTIONS = 0, 8
FAULTS = [
    Fault(at=1, kind="none-after-execution", account="second", nth=1),
    Fault(at=2, kind="kill-ingest", account="first", nth=1),
    Fault(at=4, kind="cut-redis-executor", account="first", nth=1),
    Fault(at=5, kind="kill-executor", account="first", nth=1),
]


@pytest.fixture(scope="module")
def tried(pair: Servers, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    """The result of a trial, and the folder that it left."""
    folder = tmp_path_factory.mktemp("trial") / "short"
    result = asyncio.run(trial(SEED, pair, folder, shipped().over(SCALE), ACTIONS, FAULTS))
    return result, folder


def test_nothing_is_found_when_a_few_faults_happen_to_sound_services(tried: tuple[Result, Path]) -> None:
    result, _ = tried

    assert result.findings == ()
    assert result.good


def test_a_trial_counts_its_faults_its_actions_and_an_outcome_of_each_account_for_each(
    tried: tuple[Result, Path],
) -> None:
    result, _ = tried

    statements = story(SEED, ACTIONS, opposed=True)
    assert result.faults == {fault.kind: 1 for fault in FAULTS}
    assert result.actions == len(statements)
    assert sum(result.ends.values()) == 2 * len({(s.position, s.revision) for s in statements})


def test_a_trial_leaves_its_story_its_faults_and_every_side(tried: tuple[Result, Path]) -> None:
    _, folder = tried

    kept = {name: json.loads((folder / f"{name}.json").read_bytes()) for name in ("story", "faults", "sides", "deals")}
    assert [fault["kind"] for fault in kept["faults"]] == [fault.kind for fault in FAULTS]
    assert [s["number"] for s in kept["story"]] == list(range(1, len(kept["story"]) + 1))
    assert kept["sides"]["pending"] == {"first": 0, "second": 0}
    assert all(kept["deals"].values()), "both terminals traded"


def test_a_trial_that_could_not_be_judged_is_no_good_one() -> None:
    result = broken(3, "no end")

    assert not result.good
    assert [(f.fault, f.text) for f in result.findings] == [("unresolved", "no end")]
