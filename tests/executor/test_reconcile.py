"""Links, terminal and sources compared."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from executor.book import Margin
from executor.reconcile import Resolve, Unfollowed, Unprotected
from executor.settings import Limits
from shared.facts import Fact, Levels
from tests.executor.accounts import holding, settings
from tests.executor.mends import Market, Mended, sight
from tests.executor.sources import key

D = Decimal
O1 = key("o1")
STOP = Levels(stop_loss=D("1.05"))


def trading(margin: Margin = "hedging", levels: Levels = STOP) -> tuple[Mended, Market]:
    """An account that follows one position of 1 lot with a stop."""
    account, market = Mended(margin), Market()
    for fact in market.told(market.market("o1", "1", levels)):
        account.follow(fact)
    return account, market


def of(kind: Any, account: Mended, shown: Any, left: tuple[str, ...] = ()) -> list[Any]:
    return [finding for finding in account.findings(shown, left) if isinstance(finding, kind)]


def test_where_all_agree_there_is_nothing_to_find() -> None:
    for margin in ("hedging", "netting"):
        account, market = trading(margin)
        assert account.findings(market.sight()) == ()


def test_a_source_that_moved_on_is_to_be_followed() -> None:
    account, market = trading()
    missed = market.told(market.close("o1", "0.5"))[-1]
    assert of(Resolve, account, market.sight()) == [Resolve(O1, missed)]


def test_a_source_that_closed_is_to_be_closed_here() -> None:
    account, _ = trading()
    assert of(Resolve, account, sight()) == [Resolve(O1, None)]


def test_a_picture_that_cannot_be_read_whole_closes_nothing() -> None:
    account, _ = trading()
    assert of(Resolve, account, sight(readable=frozenset())) == []


def test_an_older_picture_than_was_followed_says_nothing() -> None:
    account, market = trading()
    before = market.sight()
    account.follow(market.close("o1", "0.5")[0])
    assert account.findings(before) == ()


def test_new_levels_that_were_missed_are_to_be_followed() -> None:
    account, market = trading()
    moved = market.told(market.levels("o1", Levels(stop_loss=D("1.08"))))[-1]
    assert of(Resolve, account, market.sight()) == [Resolve(O1, moved)]


def test_a_position_of_ours_without_its_levels() -> None:
    account, market = trading()
    account.shows({1001: holding(1001)})
    (bare,) = of(Unprotected, account, market.sight())
    assert (bare.link, bare.step.ticket, bare.step.stop_loss) == (O1, 1001, D("1.05"))


def test_a_stop_that_trails_is_nobodys_mistake() -> None:
    account, market = trading(levels=Levels(stop_loss=D("1.05"), trailing=D("0.01")))
    for stop in (D("1.07"), D("1.05"), None):
        account.shows({1001: holding(1001, stop_loss=stop)})
        assert of(Unprotected, account, market.sight()) == []


def test_levels_of_a_netting_position_with_volume_of_others_are_left_alone() -> None:
    account, market = trading("netting")
    account.shows({1001: holding(1001, volume="5")})
    assert of(Unprotected, account, market.sight()) == []


def unfollowed(account: Mended, fact: Fact, left: tuple[str, ...] = ()) -> list[Unfollowed]:
    return of(Unfollowed, account, sight([fact]), left)


def test_a_position_of_the_source_that_is_not_followed() -> None:
    fact = Market().market("o9", "-1")[-1]
    (missing,) = unfollowed(Mended(), fact)
    assert (missing.link, missing.step.side, missing.step.volume) == (key("o9"), "sell", D("1.00"))


def test_what_the_account_was_never_to_follow_is_not_missing() -> None:
    fact = Market().market("o9", "-1")[-1]
    assert unfollowed(Mended(), fact, left=(key("o9"),)) == []


@pytest.mark.parametrize("limits", [Limits(symbols_denied=frozenset({"EURUSD"})), Limits(sides=frozenset({"buy"}))])
def test_what_the_settings_keep_out_is_not_missing(limits: Limits) -> None:
    account = Mended(account=settings(sources=("s",), limits=limits))
    assert unfollowed(account, Market().market("o9", "-1")[-1]) == []


def test_what_is_too_small_for_the_account_is_not_missing() -> None:
    assert unfollowed(Mended(), Market().market("o9", "0.001")[-1]) == []


def test_a_link_of_a_source_that_is_not_followed_any_more_is_to_be_closed() -> None:
    account, _ = trading()
    assert of(Resolve, account, sight(followed=frozenset({"other"}))) == [Resolve(O1, None)]


def test_a_mirror_ahead_of_the_source_is_no_disagreement() -> None:
    account, market = Mended(), Market()
    for fact in market.told(market.rest("o1", "L", "1")):
        account.follow(fact)
    account.fill(O1, "L")
    assert account.findings(market.sight()) == ()


def test_a_position_that_was_closed_by_hand_stays_closed_while_the_source_holds_it() -> None:
    account, market = trading()
    link = account.book.links[O1]
    account.book = replace(account.book, links={O1: replace(link, parts=(), tombstone=True)}, holdings={})
    market.told(market.close("o1", "0.5"))
    assert account.findings(market.sight()) == ()
