"""Which openings need not be made any more once newer facts were followed."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from executor.book import Link
from executor.overtaken import overtaken
from executor.steps import Open, Rest
from shared.facts import Amount, Fact
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


def fact_of(late: Fact, revision: int, total: str) -> Fact:
    """Another fact of the same position, after which that is its total."""
    after = Amount(held=D(total))
    return replace(late, exposure=replace(late.exposure, revision=revision, before=late.exposure.after, after=after))


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
    assert overtaken(STEP, late, link(revision + 1, newest), None, PerfectAccount().account) is over
    behind = fact_of(late, revision + 1, newest)
    turned = D(before) * D(after) < 0
    assert overtaken(STEP, late, None, behind, PerfectAccount().account) is (over and not turned)


def test_nothing_is_overtaken_by_what_is_not_newer() -> None:
    late = fact("0.2", "0.4")
    for known in (None, link(late.exposure.revision, "0.1"), link(late.exposure.revision - 1, "0.1")):
        assert not overtaken(STEP, late, known, None, PerfectAccount().account)
    for revision in (late.exposure.revision, late.exposure.revision - 1):
        assert not overtaken(STEP, late, None, fact_of(late, revision, "0.1"), PerfectAccount().account)


def test_an_order_that_is_to_rest_is_not_overtaken_by_a_fact_that_waits_behind_it() -> None:
    """The total of its position says nothing of it; what follows it is about the order, and waits for it."""
    late = fact("0.2", "0.4")
    rest = Rest(
        name="rest", link=key("p"), order="o", symbol="EURUSD", type="limit", side="buy", volume=D("0.1"), price=D(1)
    )
    assert not overtaken(rest, late, None, fact_of(late, late.exposure.revision + 1, "0"), PerfectAccount().account)
