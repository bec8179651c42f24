"""Where an account and its source disagree, and what is none: what is on its way, and what it never was to follow."""

from collections.abc import Collection

from msgspec.structs import replace

from executor.drift import disagreements
from executor.marks import candidates
from shared.facts import Fact
from tests.executor.accounts import PerfectAccount, holding
from tests.executor.sources import key
from tests.executor.test_reconcile import trading

O1, O2 = key("o1"), key("o2")
NOTHING: frozenset[str] = frozenset()


def found(
    account: PerfectAccount, picture: list[Fact], busy: Collection[str] = NOTHING, refused: Collection[str] = NOTHING
) -> dict[str, str]:
    return disagreements(account.book, picture, account.account, busy, refused)


def test_where_both_agree_there_is_nothing_to_say() -> None:
    for margin in ("hedging", "netting"):
        account, _, picture = trading(margin)
        assert found(account, picture) == {}


def test_what_the_source_has_closed_and_we_still_hold() -> None:
    account, _, _ = trading()

    assert found(account, [])[O1].endswith("+1 lots here, and the source has none")


def test_what_is_under_way_is_no_disagreement() -> None:
    account, _, _ = trading()

    assert found(account, [], busy={O1}) == {}


def test_a_source_that_is_past_what_was_followed() -> None:
    account, source, _ = trading()
    (*_, grown) = source.close("o1", "0.4")

    assert "the source holds +0.6, and +1 was followed" in found(account, [grown])[O1]


def test_a_refused_trade_differs_and_one_from_before_we_joined_does_not() -> None:
    account, source, picture = trading()
    other = source.market("o2", "2")[-1]

    assert found(account, [*picture, other]) == {}
    for refused in (other.id, O2):  # of its newest fact, or of one before it
        assert "+2 lots expected, +0 there" in found(account, [*picture, other], refused={refused})[O2]


def test_a_position_under_our_mark_that_nobody_knows() -> None:
    account, _, picture = trading()
    mark = candidates(account.book.identity, "another fact", "open")[0]
    stray = holding(99, magic=mark)
    account.book = replace(account.book, holdings={**account.book.holdings, 99: stray})

    assert [("99" in text and "not known to us" in text) for text in found(account, picture).values()] == [True]
