"""The protocol keeps its promises in every reachable state of these configurations.

Each configuration is explored to the end; the number of states is pinned, so that a change which makes the model
smaller (and the proof weaker) does not go unseen.
"""

import pytest

from tests.model import story as stories
from tests.model.checker import explore
from tests.model.state import Config, World
from tests.model.world import Closing, Protocol, Reconciled, proven

EVERY_FAULT = frozenset({"pause", "crash", "refuse", "unknown", "late", "reply", "failover"})
NO_FAILOVER = EVERY_FAULT - {"failover"}
REFUSAL_AND_FAILOVER = frozenset({"unknown", "refuse", "failover"})
BY_THE_TERMINAL = frozenset({"unknown", "late", "refuse"})

PROVEN = [
    ("one opening, any three faults", 60749, Config(stories.OPEN, 3, EVERY_FAULT)),
    ("open and close as they come, failover", 31343, Config(stories.OPEN_CLOSE, 2, frozenset({"crash", "failover"}))),
    ("open and part-close, any two faults", 56318, Config(stories.OPEN_PART, 2, EVERY_FAULT, preloaded=1)),
    ("open, part-close, close", 23346, Config(stories.OPEN_PART_CLOSE, 2, NO_FAILOVER, preloaded=3)),
    ("open, part-close, close, failover", 8180, Config(stories.OPEN_PART_CLOSE, 2, REFUSAL_AND_FAILOVER, preloaded=3)),
    ("three facts as they come, any one fault", 6602, Config(stories.OPEN_PART_CLOSE, 1, EVERY_FAULT)),
    ("two part-closes", 18644, Config(stories.OPEN_PART_PART, 2, NO_FAILOVER, preloaded=3)),
    ("two part-closes, failover", 8265, Config(stories.OPEN_PART_PART, 2, REFUSAL_AND_FAILOVER, preloaded=3)),
    ("reversal, any two faults", 34371, Config(stories.REVERSAL, 2, EVERY_FAULT, preloaded=2)),
    ("reversal and close", 27365, Config(stories.REVERSAL_CLOSE, 2, NO_FAILOVER, preloaded=3)),
    ("reversal and close, failover", 9186, Config(stories.REVERSAL_CLOSE, 2, REFUSAL_AND_FAILOVER, preloaded=3)),
    ("two links of one instrument", 21476, Config(stories.TWO_LINKS, 2, NO_FAILOVER, preloaded=3)),
    ("two links, failover", 10018, Config(stories.TWO_LINKS, 2, BY_THE_TERMINAL | {"failover"}, preloaded=3)),
    ("placed, filled, closed; by acceptance", 10326, Config(stories.PLACED_FILLED_CLOSED, 2, NO_FAILOVER, preloaded=3)),
    (
        "placed, filled, closed; by fill",
        6515,
        Config(stories.PLACED_FILLED_CLOSED, 2, NO_FAILOVER, preloaded=3, act_on="fill"),
    ),
    ("told by a call and by the polls", 11447, Config(stories.RETOLD, 2, EVERY_FAULT, preloaded=2)),
    ("stated again by a new owner", 31379, Config(stories.STATED_AGAIN, 2, EVERY_FAULT, preloaded=1)),
    ("stated again, then a part-close", 9123, Config(stories.STATED_AGAIN_PART, 2, NO_FAILOVER, preloaded=3)),
    ("wary, one opening", 2822, Config(stories.OPEN, 2, EVERY_FAULT, preloaded=1, wary=True)),
    ("wary, stated again", 2122, Config(stories.STATED_AGAIN, 2, EVERY_FAULT, preloaded=2, executors=1, wary=True)),
    ("wary, two links", 10018, Config(stories.TWO_LINKS, 2, BY_THE_TERMINAL | {"failover"}, preloaded=3, wary=True)),
    ("wary, three facts", 8180, Config(stories.OPEN_PART_CLOSE, 2, REFUSAL_AND_FAILOVER, preloaded=3, wary=True)),
    ("close-only at any moment", 20499, Config(stories.OPEN_CLOSE, 2, NO_FAILOVER, preloaded=2, may_close_only=True)),
    (
        "two accounts, one executor each",
        16044,
        Config(stories.OPEN_CLOSE, 1, EVERY_FAULT, accounts=2, executors=1, preloaded=2),
    ),
    ("two accounts, two executors each", 3524, Config(stories.OPEN, 1, EVERY_FAULT, accounts=2)),
    ("an account's first begin", 23799, Config(stories.OPEN, 2, EVERY_FAULT, begun=False)),
    (
        "an account's first begin, three facts",
        17548,
        Config(stories.OPEN_PART_CLOSE, 2, REFUSAL_AND_FAILOVER, begun=False, preloaded=3, executors=1),
    ),
    (
        "an account's first begin, two links",
        16798,
        Config(stories.TWO_LINKS, 2, BY_THE_TERMINAL | {"failover"}, begun=False, preloaded=3, executors=1),
    ),
    (
        "the first begin of two accounts",
        9278,
        Config(stories.OPEN, 1, EVERY_FAULT, begun=False, accounts=2, executors=1),
    ),
]

NEVER_RESOLVED = [
    (
        "an exit passes the unknown opening of another link",
        10782,
        Config(stories.TWO_LINKS, 2, NO_FAILOVER, preloaded=3, grace_ends=False),
    ),
    (
        "another instrument opens and closes meanwhile",
        2111,
        Config(stories.TWO_INSTRUMENTS, 2, BY_THE_TERMINAL | {"crash"}, preloaded=3, grace_ends=False),
    ),
]

BEYOND = [
    ("one opening", 6676, 6911, Config(stories.OPEN, 2, EVERY_FAULT, late_beyond_grace=True)),
    ("part-close", 8554, 9574, Config(stories.OPEN_PART, 2, NO_FAILOVER, preloaded=2, late_beyond_grace=True)),
    (
        "open, part-close, close",
        9700,
        11719,
        Config(stories.OPEN_PART_CLOSE, 2, frozenset({"late", "crash"}), preloaded=3, late_beyond_grace=True),
    ),
]


@pytest.mark.parametrize(("states", "config"), [row[1:] for row in PROVEN], ids=[row[0] for row in PROVEN])
def test_nothing_is_lost_doubled_silent_or_out_of_order(states: int, config: Config) -> None:
    assert proven(config).states == states


@pytest.mark.parametrize(
    ("states", "config"), [row[1:] for row in NEVER_RESOLVED], ids=[row[0] for row in NEVER_RESOLVED]
)
def test_an_opening_that_stays_unknown_for_ever_blocks_only_openings_of_its_instrument(
    states: int, config: Config
) -> None:
    assert proven(config).states == states


@pytest.mark.parametrize(("told", "closed", "config"), [row[1:] for row in BEYOND], ids=[row[0] for row in BEYOND])
def test_what_a_call_that_runs_after_the_grace_brings_about_is_found_by_the_next_reconciliation(
    told: int, closed: int, config: Config
) -> None:
    assert explore(Reconciled(config)).states == told
    assert explore(Closing(config)).states == closed


class WithoutParkRecords(Protocol):
    """Broken where the pending list and the place alone would not tell what is parked."""

    def broken(self, state: World) -> str | None:
        for group in state.redis.groups:
            passed = tuple(entry for entry in group.pending if entry[1] < group.ledger.place)
            if passed != group.ledger.parks:
                return f"pending and passed: {passed}, parked: {group.ledger.parks}"
        return None


@pytest.mark.parametrize(
    "config",
    [
        Config(stories.OPEN, 2, EVERY_FAULT, preloaded=1),
        Config(stories.REVERSAL, 2, frozenset({"unknown", "refuse", "pause", "failover"}), preloaded=2),
    ],
)
def test_what_is_parked_is_what_is_pending_and_passed_so_that_a_park_needs_no_record(config: Config) -> None:
    explore(WithoutParkRecords(config))
