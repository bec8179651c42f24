"""What an operator asks for, a fact again or its end by hand, keeps the protocol's promises at any moment.

The operator may ask at any time or never. The number of states is pinned, as in the other configurations.
"""

import pytest

from tests.model import story as stories
from tests.model.checker import Counterexample, explore
from tests.model.state import Config
from tests.model.test_mutations import _turned
from tests.model.test_protocol import BY_THE_TERMINAL, EVERY_FAULT, NO_FAILOVER
from tests.model.world import Protocol, Reconciled, proven

NO_CRASH = EVERY_FAULT - {"crash", "late", "pause"}
REFUSAL = frozenset({"refuse"})
CRASH = frozenset({"refuse", "unknown", "crash"})

REPLAYED = [
    ("one opening, any two faults", 5245, Config(stories.OPEN, 2, EVERY_FAULT, replays=1)),
    ("one opening, any three but failover", 3350, Config(stories.OPEN, 3, NO_FAILOVER, replays=1, preloaded=1)),
    ("one opening, failovers and silence", 2860, Config(stories.OPEN, 3, NO_CRASH, replays=1, preloaded=1)),
    ("open and close as they come", 7596, Config(stories.OPEN_CLOSE, 2, NO_FAILOVER, replays=1, preloaded=1)),
    (
        "open and close, failovers",
        8105,
        Config(stories.OPEN_CLOSE, 3, REFUSAL | {"failover"}, replays=1, preloaded=2, executors=1),
    ),
    (
        "open, part-close, close",
        10456,
        Config(stories.OPEN_PART_CLOSE, 3, CRASH, replays=1, preloaded=1, executors=1),
    ),
    (
        "two links of one instrument",
        14106,
        Config(stories.TWO_LINKS, 3, CRASH, replays=1, preloaded=2, executors=1),
    ),
]

RESOLVED = [
    ("one opening", 665, Config(stories.OPEN, 2, NO_FAILOVER, grace_ends=False, may_resolve=True, preloaded=1)),
    (
        "two links of one instrument",
        3991,
        Config(
            stories.TWO_LINKS, 2, NO_FAILOVER - {"late"}, grace_ends=False, may_resolve=True, preloaded=3, executors=1
        ),
    ),
]


@pytest.mark.parametrize(("states", "config"), [row[1:] for row in REPLAYED], ids=[row[0] for row in REPLAYED])
def test_a_fact_that_is_tried_again_has_one_effect_at_the_sources_present_size(states: int, config: Config) -> None:
    assert proven(config).states == states


@pytest.mark.parametrize(("states", "config"), [row[1:] for row in RESOLVED], ids=[row[0] for row in RESOLVED])
def test_an_end_by_hand_is_never_untrue(states: int, config: Config) -> None:
    assert proven(config).states == states


def test_a_request_lost_by_the_server_and_by_a_crash_at_once_is_found_by_the_next_reconciliation() -> None:
    config = Config(stories.OPEN, 3, EVERY_FAULT - {"late"}, replays=1, preloaded=1, executors=1)
    with pytest.raises(Counterexample, match="ended rejected, opened 2"):
        explore(Protocol(config))
    assert explore(Reconciled(config)).states == 5103


MUTATIONS = [
    (
        "tried again after an effect, and not by totals",
        "two attempts at «open 2» had an effect",
        {"replay_checks_end", "replay_at_present_size"},
        Config(stories.OPEN, 1, REFUSAL, replays=1, preloaded=1, executors=1),
    ),
    (
        "opened at the size of then",
        "the account holds 3, should 2",
        {"replay_at_present_size"},
        Config(stories.OPEN_PART, 1, REFUSAL, replays=1, preloaded=2, executors=1),
    ),
    (
        "what is to be sent is noted without raising the version",
        "ended rejected, opened 2",
        {"replay_note_raises_version", "replay_remembered"},
        Config(stories.OPEN, 2, REFUSAL | {"failover"}, replays=1, preloaded=1, executors=1),
    ),
    (
        "a lane does not remember what it noted",
        "ended rejected, opened 2",
        {"replay_remembered"},
        Config(stories.OPEN, 2, REFUSAL | {"failover"}, replays=1, preloaded=1, executors=1),
    ),
    (
        "an end by hand is believed against the terminal",
        "ended rejected, opened 2",
        {"resolve_looks"},
        Config(stories.OPEN, 1, BY_THE_TERMINAL, may_resolve=True, grace_ends=False, preloaded=1, executors=1),
    ),
    (
        "an end by hand while a call may still run",
        "ended rejected, opened 2",
        {"resolve_waits"},
        Config(stories.OPEN, 1, NO_FAILOVER, may_resolve=True, grace_ends=False, preloaded=1),
    ),
]


@pytest.mark.parametrize(("why", "rules", "config"), [row[1:] for row in MUTATIONS], ids=[row[0] for row in MUTATIONS])
def test_without_the_rule_the_checker_finds_a_counterexample(why: str, rules: set[str], config: Config) -> None:
    with pytest.raises(Counterexample, match=why) as found:
        explore(Protocol(config._replace(rules=_turned(rules))))
    assert len(found.value.trace) <= 14
    assert proven(config).settled > 0
