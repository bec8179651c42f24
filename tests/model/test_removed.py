"""What vanishes from the stream, read or not, is brought back by a restore and comes to one end, the right one."""

import pytest

from tests.model import story as stories
from tests.model.checker import Counterexample, explore
from tests.model.removed import Removed
from tests.model.state import Config, Rules

REMOVED = frozenset({"remove"})
AND_SILENCE = REMOVED | {"unknown"}
AND_MORE = REMOVED | {"pause", "crash", "unknown", "late"}

PROVEN = [
    ("one opening, two executors", 14206, Config(stories.OPEN, 2, AND_MORE)),
    ("one opening, removed twice", 4142, Config(stories.OPEN, 3, AND_SILENCE, executors=1)),
    ("open and close as they come", 23972, Config(stories.OPEN_CLOSE, 2, AND_SILENCE, executors=1)),
    ("open, part-close, close", 73722, Config(stories.OPEN_PART_CLOSE, 2, AND_SILENCE, executors=1, preloaded=3)),
    ("two positions of one instrument", 89429, Config(stories.TWO_LINKS, 2, AND_SILENCE, executors=1, preloaded=3)),
    ("two accounts", 5876, Config(stories.OPEN, 1, REMOVED, accounts=2, executors=1)),
]


@pytest.mark.parametrize(("states", "config"), [row[1:] for row in PROVEN], ids=[row[0] for row in PROVEN])
def test_nothing_is_lost_doubled_or_silent(states: int, config: Config) -> None:
    assert explore(Removed(config)).states == states


def test_what_is_not_put_back_stays_silent() -> None:
    config = Config(stories.OPEN, 1, REMOVED, executors=1, preloaded=1)
    with pytest.raises(Counterexample, match="no final outcome"):
        explore(Removed(config, puts_back=False))


def test_what_comes_back_behind_newer_facts_and_may_have_been_sent_has_to_be_searched() -> None:
    config = Config(stories.OPEN_CLOSE, 1, REMOVED, executors=1, preloaded=2)
    explore(Removed(config))
    with pytest.raises(Counterexample, match="ended ignored, opened 2"):
        explore(Removed(config._replace(rules=Rules()._replace(probes=False))))


def test_what_was_found_missing_has_to_be_told_or_it_is_forgotten_by_the_next_take_over() -> None:
    config = Config(stories.OPEN_CLOSE, 2, REMOVED | {"crash"}, executors=1, preloaded=2)
    explore(Removed(config))
    with pytest.raises(Counterexample, match="no final outcome"):
        explore(Removed(config._replace(rules=Rules()._replace(removal_remembered=False))))
