"""After a restore from an archive that had fallen behind anywhere, nothing is lost, doubled or silent."""

import pytest

from tests.model import story as stories
from tests.model.checker import Counterexample, explore
from tests.model.restore import Restored, RestoredAfterFailover, Restoring
from tests.model.state import Config

AND_SILENCE = frozenset({"flush", "unknown"})
AND_MORE = frozenset({"flush", "pause", "unknown", "late"})

PROVEN = [
    ("one opening, two executors", 9349, Config(stories.OPEN, 2, AND_MORE)),
    ("open and close as they come", 13441, Config(stories.OPEN_CLOSE, 2, AND_SILENCE, executors=1)),
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

FAILOVER = frozenset({"failover", "flush"})
FAILOVER_AND_SILENCE = FAILOVER | {"unknown"}
FAILOVER_AND_MORE = FAILOVER | {"unknown", "late", "crash"}

AFTER_FAILOVER = [
    ("one opening", 3394, Config(stories.OPEN, 3, FAILOVER_AND_MORE, executors=1, preloaded=1)),
    ("one opening, two executors", 30390, Config(stories.OPEN, 3, FAILOVER | {"pause"}, preloaded=1)),
    ("open and close", 7596, Config(stories.OPEN_CLOSE, 3, FAILOVER_AND_SILENCE, executors=1, preloaded=2)),
    ("open, part-close, close", 2763, Config(stories.OPEN_PART_CLOSE, 2, FAILOVER, executors=1, preloaded=3)),
    ("two part-closes", 3144, Config(stories.OPEN_PART_PART, 2, FAILOVER, executors=1, preloaded=3)),
    ("reversal", 10257, Config(stories.REVERSAL, 3, FAILOVER_AND_SILENCE, executors=1, preloaded=2)),
    ("two positions of one instrument", 2192, Config(stories.TWO_LINKS, 2, FAILOVER, executors=1, preloaded=3)),
    ("two accounts", 2216, Config(stories.OPEN, 2, FAILOVER, accounts=2, executors=1, preloaded=1)),
]

NEEDED_AFTER_FAILOVER = [
    ("what was captured before counts as new", "two deals for one opening", "suspects"),
    ("what was not read is not delivered", "no final outcome", "delivers_unread"),
    ("what was parked is not delivered", "no final outcome", "delivers_unended"),
    ("what has ended is forgotten", "two final outcomes", "remembers_ends"),
    ("an end counts though the whole told since has not passed its fact", "ledger says 0", "drops_unpassed_ends"),
    ("an end counts though its fact is parked in the whole told since", "ledger says 0", "wholes_tell_parks"),
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


@pytest.mark.parametrize(
    ("states", "config"), [row[1:] for row in AFTER_FAILOVER], ids=[row[0] for row in AFTER_FAILOVER]
)
def test_also_where_the_server_has_failed_over_before_and_forgotten_ends(states: int, config: Config) -> None:
    assert explore(RestoredAfterFailover(config)).states == states


@pytest.mark.parametrize(
    ("why", "rule"), [row[1:] for row in NEEDED_AFTER_FAILOVER], ids=[row[0] for row in NEEDED_AFTER_FAILOVER]
)
def test_after_a_failover_each_of_them_is_needed_too(why: str, rule: str) -> None:
    config = Config(stories.OPEN, 3, FAILOVER_AND_SILENCE, executors=1, preloaded=1)
    explore(RestoredAfterFailover(config))
    with pytest.raises(Counterexample, match=why) as found:
        explore(RestoredAfterFailover(config, Restoring()._replace(**{rule: False})))
    print(found.value)
