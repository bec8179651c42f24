"""After a restore from an archive that had fallen behind anywhere, nothing is lost, doubled or silent."""

import pytest

from tests.model import story as stories
from tests.model.checker import Counterexample, explore
from tests.model.restore import Restored, Restoring
from tests.model.state import Config

AND_SILENCE = frozenset({"flush", "unknown"})
AND_MORE = frozenset({"flush", "pause", "unknown", "late"})

PROVEN = [
    ("one opening, two executors", 9333, Config(stories.OPEN, 2, AND_MORE)),
    ("open and close as they come", 13426, Config(stories.OPEN_CLOSE, 2, AND_SILENCE, executors=1)),
    ("open, part-close, close", 7942, Config(stories.OPEN_PART_CLOSE, 2, AND_SILENCE, executors=1, preloaded=3)),
    ("two part-closes", 7073, Config(stories.OPEN_PART_PART, 2, AND_SILENCE, executors=1, preloaded=3)),
    ("reversal", 2312, Config(stories.REVERSAL, 2, AND_SILENCE, executors=1, preloaded=2)),
    ("two positions of one instrument", 6182, Config(stories.TWO_LINKS, 2, AND_SILENCE, executors=1, preloaded=3)),
    ("two accounts", 2805, Config(stories.OPEN, 1, AND_SILENCE, accounts=2, executors=1)),
]

NEEDED = [
    ("what was captured before counts as new", "two deals for one opening", "suspects"),
    ("what was not read is not delivered", "no final outcome", "delivers_unread"),
    ("what was parked is not delivered", "no final outcome", "delivers_unended"),
    ("what has ended is forgotten", "two final outcomes", "remembers_ends"),
]


@pytest.mark.parametrize(("states", "config"), [row[1:] for row in PROVEN], ids=[row[0] for row in PROVEN])
def test_nothing_is_lost_doubled_or_silent(states: int, config: Config) -> None:
    assert explore(Restored(config)).states == states


@pytest.mark.parametrize(("why", "rule"), [row[1:] for row in NEEDED], ids=[row[0] for row in NEEDED])
def test_without_it_the_checker_finds_a_counterexample(why: str, rule: str) -> None:
    config = Config(stories.OPEN, 2, AND_SILENCE, executors=1, preloaded=1)
    explore(Restored(config))
    with pytest.raises(Counterexample, match=why):
        explore(Restored(config, Restoring()._replace(**{rule: False})))
