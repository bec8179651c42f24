"""Which openings need not be made any more once newer facts were followed."""

from decimal import Decimal

import pytest

from executor.book import Link
from executor.overtaken import overtaken
from executor.steps import Open
from shared.facts import Fact
from tests.executor.accounts import PerfectAccount
from tests.executor.sources import Source, key

D = Decimal
STEP = Open(name="open", link=key("p"), symbol="EURUSD", side="buy", volume=D("0.1"), reference=D("1.1"))


def fact(before: str, after: str) -> Fact:
    """The third fact about a position, which is held already or was."""
    source = Source()
    source.market("p", "0.1")
    if D(before) != D("0.1"):
        source.market("p", str(D(before) - D("0.1")))
    return source.accepted("p", str(D(after) - D(before)))[0]


def link(revision: int, followed: str) -> Link:
    return Link(key=key("p"), instrument="EURUSD", symbol="EURUSD", revision=revision, followed=D(followed))


@pytest.mark.parametrize(
    ("before", "after", "newest", "over"),
    [
        ("0.2", "0.4", "0", True),  # closed
        ("0.2", "0.4", "0.1", True),  # what it added is gone, and more
        ("0.2", "0.4", "0.2", True),  # just what it added is gone
        ("0.2", "0.4", "0.3", False),  # some of what it added is held
        ("0.2", "0.4", "0.5", False),
        ("0.2", "0.4", "-0.1", False),  # turned round: nothing is known of how
        ("-0.2", "-0.4", "-0.2", True),
        ("-0.2", "-0.4", "-0.3", False),
        ("0.2", "-0.2", "0.2", True),  # turned, and turned back
        ("0.2", "-0.2", "-0.1", False),
    ],
)
def test_an_addition_is_overtaken_when_the_newest_total_has_nothing_of_it(
    before: str, after: str, newest: str, over: bool
) -> None:
    late = fact(before, after)
    revision = late.exposure.revision
    assert overtaken(STEP, late, link(revision + 1, newest), PerfectAccount().account) is over


def test_nothing_is_overtaken_by_what_is_not_newer() -> None:
    late = fact("0.2", "0.4")
    for known in (None, link(late.exposure.revision, "0.1"), link(late.exposure.revision - 1, "0.1")):
        assert not overtaken(STEP, late, known, PerfectAccount().account)
