"""Each rule is needed: without it the checker finds a counterexample, and its trace can be read.

Where two rules guard the same thing, both are named: each alone is enough, without both it breaks.
"""

import pytest

from tests.model import story as stories
from tests.model.checker import Counterexample, explore
from tests.model.state import Config, Rules
from tests.model.test_protocol import EVERY_FAULT, NO_FAILOVER
from tests.model.world import Protocol, proven

DOUBLE = "two deals for one opening"
PAUSE_AND_SILENCE = frozenset({"pause", "unknown"})
LOST_REPLY = frozenset({"reply"})

MUTATIONS = [
    ("no search by the mark", DOUBLE, {"search"}, Config(stories.OPEN, 1, NO_FAILOVER)),
    ("no grace before an absent mark counts as not sent", DOUBLE, {"grace"}, Config(stories.OPEN, 1, NO_FAILOVER)),
    ("no not-after time on a call", DOUBLE, {"not_after"}, Config(stories.OPEN, 1, NO_FAILOVER)),
    ("fence without the lease", DOUBLE, {"fence_checks_lease"}, Config(stories.OPEN, 2, PAUSE_AND_SILENCE)),
    (
        "fence and commit without the version",
        DOUBLE,
        {"version", "passed_is_suspect"},
        Config(stories.OPEN, 2, EVERY_FAULT),
    ),
    (
        "commit of an entry that is not pending",
        DOUBLE,
        {"commit_checks_pending", "passed_is_suspect"},
        Config(stories.OPEN, 2, EVERY_FAULT),
    ),
    ("the new server goes unnoticed", DOUBLE, {"notice_new_server"}, Config(stories.OPEN, 2, EVERY_FAULT)),
    (
        "the new server is trusted when the version agrees",
        DOUBLE,
        {"suspect_even_if_the_version_agrees"},
        Config(stories.OPEN, 1, frozenset({"failover"})),
    ),
    (
        "a successor that does not know the account counts as new",
        DOUBLE,
        {"successor_is_suspect"},
        Config(stories.OPEN, 1, frozenset({"failover"}), begun=False),
    ),
    (
        "commit looks at no earlier end",
        "two final outcomes",
        {"commit_checks_end", "version", "commit_checks_pending"},
        Config(stories.OPEN, 1, LOST_REPLY),
    ),
    (
        "commit looks at no earlier end of what is stated again",
        "two final outcomes",
        {"commit_checks_end"},
        Config(stories.STATED_AGAIN_PART, 2, NO_FAILOVER, preloaded=3),
    ),
    (
        "what has ended is acknowledged, and the place not moved: the next fact finds a gap",
        "never settles",
        {"asks_when_stated_again", "done_writes_nothing"},
        Config(stories.STATED_AGAIN_PART, 2, NO_FAILOVER, preloaded=3),
    ),
    (
        "an idle lane does not compare the version",
        "no final outcome",
        {"renewal_checks_version"},
        Config(stories.OPEN_PART, 2, frozenset({"unknown", "failover"}), preloaded=2),
    ),
    (
        "the outbox does not return to a gap",
        "no final outcome",
        {"return_to_gap"},
        Config(stories.OPEN, 1, EVERY_FAULT),
    ),
    ("deltas in place of totals", "holds 4, should 2", {"totals"}, Config(stories.RETOLD, 0, NO_FAILOVER)),
    (
        "guards before the search",
        "ended denied, opened 2",
        {"search_before_guards"},
        Config(stories.OPEN, 1, NO_FAILOVER, may_close_only=True),
    ),
    (
        "what is left to close is remembered, not read",
        "closed more than any total",
        {"amount_from_terminal"},
        Config(stories.OPEN_PART_PART, 2, frozenset({"unknown", "failover"}), preloaded=3),
    ),
    (
        "exits wait behind unknown openings",
        "«close» has no final outcome",
        {"exits_pass_parks"},
        Config(stories.TWO_LINKS, 1, NO_FAILOVER, preloaded=3, grace_ends=False),
    ),
    (
        "unknown openings hold back every instrument",
        "openings of 2 instruments wait",
        {"parks_all_instruments"},
        Config(stories.TWO_INSTRUMENTS, 1, frozenset({"unknown"}), preloaded=3, grace_ends=False),
    ),
    (
        "openings overtake an unknown one",
        "openings out of order",
        {"openings_wait"},
        Config(stories.TWO_LINKS, 1, NO_FAILOVER, preloaded=3),
    ),
    (
        "a gap in the sequence is taken as the next",
        "ended ignored, opened 2",
        {"claim_on_gap", "probes"},
        Config(stories.OPEN_CLOSE, 2, frozenset({"pause", "failover"}), preloaded=2),
    ),
]


def _turned(rules: set[str]) -> Rules:
    return Rules()._replace(**{name: not getattr(Rules(), name) for name in rules})


@pytest.mark.parametrize(("why", "rules", "config"), [row[1:] for row in MUTATIONS], ids=[row[0] for row in MUTATIONS])
def test_without_the_rule_the_checker_finds_a_counterexample(why: str, rules: set[str], config: Config) -> None:
    with pytest.raises(Counterexample, match=why) as found:
        explore(Protocol(config._replace(rules=_turned(rules))))
    print(found.value)
    assert len(found.value.trace) <= 22


@pytest.mark.parametrize(("why", "rules", "config"), [row[1:] for row in MUTATIONS], ids=[row[0] for row in MUTATIONS])
def test_with_the_rule_the_same_configuration_holds(why: str, rules: set[str], config: Config) -> None:
    assert proven(config).settled > 0, (why, rules)


@pytest.mark.parametrize("kept", ["commit_checks_end", "version", "commit_checks_pending"])
def test_a_lost_reply_of_a_commit_is_caught_by_any_one_of_three_checks(kept: str) -> None:
    others = {"commit_checks_end", "version", "commit_checks_pending"} - {kept}
    explore(Protocol(Config(stories.OPEN_CLOSE, 2, LOST_REPLY, rules=_turned(others))))


def test_a_lane_that_does_not_ask_how_a_fact_has_ended_learns_it_from_the_commit_and_ends_the_entry_then() -> None:
    rules = _turned({"asks_when_stated_again"})
    explore(Protocol(Config(stories.STATED_AGAIN, 2, EVERY_FAULT, preloaded=1, rules=rules)))
    explore(Protocol(Config(stories.STATED_AGAIN_PART, 2, NO_FAILOVER, preloaded=3, rules=rules)))


def test_a_call_that_runs_after_the_grace_can_double_an_opening() -> None:
    """The honest exception: a terminal (or a pause inside the vendor's call) that outlasts lease and grace."""
    with pytest.raises(Counterexample, match=DOUBLE):
        explore(Protocol(Config(stories.OPEN, 1, frozenset({"late"}), late_beyond_grace=True)))


WITHOUT_THE_LEASE = Rules(fence_checks_lease=False, taking_writes=True)


def test_a_take_over_that_writes_is_seen_by_the_version_where_the_fence_does_not_look_at_the_lease() -> None:
    """As the executor's does: it tells the archive what it has found."""
    assert explore(Protocol(Config(stories.OPEN, 2, NO_FAILOVER, rules=WITHOUT_THE_LEASE))).settled > 0


def test_but_a_failover_can_forget_that_write_and_then_the_lease_alone_tells() -> None:
    config = Config(stories.OPEN, 2, frozenset({"pause", "failover"}), rules=WITHOUT_THE_LEASE)
    with pytest.raises(Counterexample, match=DOUBLE) as found:
        explore(Protocol(config))
    print(found.value)
    assert explore(Protocol(config._replace(rules=Rules(taking_writes=True)))).settled > 0
