"""From the trader's request to the stream: two ingests, one owner, and a reader that ends at the broker's total."""

import pytest

from tests.model.checker import Counterexample, explore
from tests.model.outbox import Outbox


@pytest.mark.parametrize(
    ("totals", "faults", "ingests", "states"),
    [((2, 1, 0), 2, 1, 3745), ((2, 1, 0), 1, 2, 3707), ((2, 0), 2, 2, 8851), ((2, 1, 0), 2, 2, 59594)],
)
def test_a_reader_ends_at_the_brokers_total_and_is_never_led_back(
    totals: tuple[int, ...], faults: int, ingests: int, states: int
) -> None:
    report = explore(Outbox(totals, faults, ingests=ingests))
    print(report)
    assert report.states == states


@pytest.mark.parametrize(
    ("switched_off", "totals", "why"),
    [
        ("return_to_gap", (2, 0), "lost: the broker shows 0, a reader follows 2"),
        ("overtaken", (2, 1, 0), "a reader goes back"),
        ("restate", (2, 0), "lost: the broker shows 0, a reader follows 2"),
    ],
)
def test_without_the_rule_the_checker_finds_a_counterexample(
    switched_off: str, totals: tuple[int, ...], why: str
) -> None:
    with pytest.raises(Counterexample, match=why) as found:
        explore(Outbox(totals, 2, **{switched_off: False}))
    print(found.value)
    assert len(found.value.trace) <= 15
