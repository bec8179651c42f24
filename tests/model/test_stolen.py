"""Whatever a thief with an executor's password does, nothing is opened twice, and nothing more than was asked for."""

from typing import Any

import pytest

from tests.model import story as stories
from tests.model.checker import Counterexample, explore
from tests.model.state import Config
from tests.model.stolen import Stolen
from tests.model.story import Story
from tests.model.test_mutations import _turned

DOUBLE = "two deals for one opening"
MORE = "4 were opened, 3 asked for"


def stolen(story: Story, faults: int, allowed: str, executors: int = 1, **more: Any) -> Config:
    """A configuration in which all was published, where nothing else is said."""
    return Config(story, faults, frozenset(allowed.split()), executors=executors, **{"preloaded": len(story), **more})


PROVEN = [
    ("one opening, two executors", 58405, stolen(stories.OPEN, 4, "first claim acknowledge pause", executors=2)),
    ("one opening", 16537, stolen(stories.OPEN, 3, "old claim acknowledge forge crash late unknown refuse")),
    ("growth, ends made up and taken away", 38738, stolen(stories.GROWN_AGAIN, 2, "old acknowledge forge")),
    ("growth, trimmed meanwhile", 37842, stolen(stories.GROWN_AGAIN, 2, "old trim")),
    ("growth, claimed", 32683, stolen(stories.GROWN_AGAIN, 2, "old claim unknown")),
    ("open, part-close, close", 39948, stolen(stories.OPEN_PART_CLOSE, 2, "old claim unknown")),
    ("reversal and close", 43552, stolen(stories.REVERSAL_CLOSE, 2, "old claim unknown")),
    ("two positions of one instrument", 32776, stolen(stories.TWO_LINKS, 2, "old acknowledge unknown")),
    ("the operator's password", 6032, stolen(stories.OPEN, 3, "old rewind crash")),
    ("the operator's password, growth", 17869, stolen(stories.GROWN_AGAIN, 2, "old rewind")),
]

TRIM = "old unknown trim"
NEEDED = [
    (
        "what is above the place is not made pending again",
        "opened",
        {"takes_back", "stop_is_sealed"},
        stolen(stories.GROWN_AGAIN, 2, "old"),
    ),
    ("what was parked is not under the seal", MORE, {"remembers_parks"}, stolen(stories.GROWN_AGAIN, 2, "old unknown")),
    (
        "ends are believed that the memory does not know",
        MORE,
        {"ends_by_memory"},
        stolen(stories.GROWN_AGAIN, 1, "old"),
    ),
    (
        "what is claimed before it was delivered is followed",
        DOUBLE,
        {"takes_delivered"},
        stolen(stories.OPEN, 4, "first claim acknowledge pause", executors=2),
    ),
    (
        "the same, and nobody looks for what was there before",
        DOUBLE,
        {"takes_delivered", "looks_back"},
        stolen(stories.OPEN, 2, "first claim"),
    ),
    ("nobody looks for what was there before", DOUBLE, {"looks_back"}, stolen(stories.OPEN, 3, "old rewind crash")),
    ("a stop for what was removed is not sealed", MORE, {"stop_is_sealed"}, stolen(stories.GROWN_AGAIN, 2, TRIM)),
]

LIMITS = [
    (
        "set back while a call is under way",
        DOUBLE,
        stolen(stories.OPEN, 4, "first rewind acknowledge pause", executors=2),
    ),
    ("resumed without a restore", MORE, stolen(stories.GROWN_AGAIN, 1, "old trim resume")),
    (
        "tried again, and the first attempt forgotten",
        "4 were opened, 2 asked for",
        stolen(stories.OPEN, 2, "old refuse", replays=1),
    ),
    (
        "tried again, and that forgotten",
        "3 were opened, 2 asked for",
        stolen(stories.GROWN, 2, "old refuse", replays=1, preloaded=1),
    ),
]


@pytest.mark.parametrize(("states", "config"), [row[1:] for row in PROVEN], ids=[row[0] for row in PROVEN])
def test_nothing_is_opened_twice(states: int, config: Config) -> None:
    assert explore(Stolen(config)).states == states


@pytest.mark.parametrize(("why", "rules", "config"), [row[1:] for row in NEEDED], ids=[row[0] for row in NEEDED])
def test_without_the_rule_the_checker_finds_a_counterexample(why: str, rules: set[str], config: Config) -> None:
    with pytest.raises(Counterexample, match=why) as found:
        explore(Stolen(config._replace(rules=_turned(rules))))
    print(found.value)


@pytest.mark.parametrize(("why", "config"), [row[1:] for row in LIMITS], ids=[row[0] for row in LIMITS])
def test_what_is_left_to_him(why: str, config: Config) -> None:
    """The honest exceptions; each needs more than his password, or that somebody acts in between."""
    with pytest.raises(Counterexample, match=why) as found:
        explore(Stolen(config))
    print(found.value)
