"""Stop loss and take profit in the account's prices, and on which positions they are set."""

from decimal import Decimal

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from executor.book import Link, Part
from executor.levels import Pair, pair, protecting, shift_of, unprotected
from shared.facts import Levels, Quote
from tests.executor import accounts
from tests.executor.accounts import EURUSD, holding
from tests.executor.sources import Source

D = Decimal
PART = Part(ticket=1, identifier=1, volume=D(1), side="buy")
LINK = Link(key="k", instrument="EURUSD", symbol="EURUSD", parts=(PART,), levels=Levels(stop_loss=D("1.05")))
BOOK = replace(accounts.book(links=[LINK]), holdings={1: holding(1, take_profit=D("1.3"))})


def test_levels_are_rounded_to_ticks() -> None:
    levels = Levels(stop_loss=D("1.0500049"), take_profit=None)
    assert pair(levels, D(0), EURUSD) == Pair(D("1.05000"), None)


def test_a_level_that_was_never_told_stays_as_the_position_has_it() -> None:
    (step,) = protecting(LINK, BOOK)
    assert (step.stop_loss, step.take_profit) == (D("1.05000"), D("1.3"))


def test_a_level_that_was_removed_is_removed() -> None:
    link = replace(LINK, levels=Levels(stop_loss=D("1.05"), take_profit=None))
    (step,) = protecting(link, BOOK)
    assert step.take_profit is None


@pytest.mark.parametrize(("side", "stop"), [("buy", "1.0990"), ("sell", "1.1010")])
def test_a_trailing_distance_gives_a_first_stop_behind_the_price(side: str, stop: str) -> None:
    levels = Levels(trailing=D("0.001"))
    assert pair(levels, D(0), EURUSD, base=D("1.1"), side=side).stop_loss == D(stop)  # type: ignore[arg-type]


def test_a_stop_that_is_told_counts_more_than_a_trailing_distance() -> None:
    levels = Levels(trailing=D("0.001"), stop_loss=D("1.05"))
    assert pair(levels, D(0), EURUSD, base=D("1.1")).stop_loss == D("1.05")


def test_absolute_levels_are_not_shifted() -> None:
    fact = Source(price="1.2").accepted("o1", "1")[0]
    assert shift_of(fact, "EURUSD", "buy", accounts.book(), accounts.settings()) == 0


def test_offset_levels_keep_their_distance_from_the_sources_price() -> None:
    fact = Source(price="1.2").accepted("o1", "1")[0]
    offset = accounts.settings(stops="offset")
    assert shift_of(fact, "EURUSD", "buy", accounts.book(), offset) == D("1.10001") - D("1.2")
    quoted = replace(fact, quote=Quote(bid=D("1.2"), ask=D("1.20001")))
    assert shift_of(quoted, "EURUSD", "buy", accounts.book(), offset) == D("-0.1")


def test_only_positions_that_do_not_show_their_levels_are_unprotected() -> None:
    assert len(unprotected(LINK, BOOK)) == 1
    shown = replace(BOOK, holdings={1: holding(1, stop_loss=D("1.05"), take_profit=D("1.3"))})
    assert unprotected(LINK, shown) == ()
    assert unprotected(replace(LINK, levels=Levels(stop_loss=UNSET)), BOOK) == ()


def test_levels_of_a_netting_position_with_other_volume_are_left_alone() -> None:
    netting = replace(accounts.book("netting", links=[LINK]), holdings={1: holding(1, volume="1.5")})
    assert list(protecting(LINK, netting)) == []
    alone = replace(netting, holdings={1: holding(1, volume="1")})
    assert [s.name for s in protecting(LINK, alone)] == ["protect"]
