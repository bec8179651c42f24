"""What of ours is not there any more, and a link without it."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from executor.book import Margin
from executor.gone import Gone, closed_by_others, gone, without
from executor.marks import candidates
from executor.mt5.api import DealEntry, TradeDeal
from tests.executor.accounts import PerfectAccount, book, holding
from tests.executor.records import deal
from tests.executor.sources import Source, key

D = Decimal
O1 = key("o1")


def trading(margin: Margin = "hedging") -> tuple[PerfectAccount, Source]:
    """An account that follows one position of 1 lot."""
    account, source = PerfectAccount(margin), Source()
    for fact in source.market("o1", "1"):
        account.follow(fact)
    return account, source


def test_where_everything_is_there_nothing_is_gone() -> None:
    for margin in ("hedging", "netting"):
        assert list(gone(trading(margin)[0].book)) == []


def test_a_position_closed_by_hand_is_gone_and_stays_closed() -> None:
    account, _ = trading()
    account.book = replace(account.book, holdings={})
    (lost,) = gone(account.book)
    assert lost == Gone(O1, 1001, D("1.00"))
    closed = without(account.book.links[O1], lost)
    assert closed.tombstone
    assert closed.parts == ()


def test_a_position_cut_by_hand_is_gone_in_part_and_goes_on() -> None:
    account, _ = trading()
    account.book = replace(account.book, holdings={1001: holding(1001, volume="0.4")})
    (lost,) = gone(account.book)
    cut = without(account.book.links[O1], lost)
    assert (cut.own, cut.tombstone) == (D("0.40"), False)


def test_a_netting_position_that_turned_by_hand_is_gone() -> None:
    account, _ = trading("netting")
    account.book = replace(account.book, holdings={1001: holding(1001, "sell", "2")})
    assert list(gone(account.book)) == [Gone(O1, 1001, D("1.00"))]


OURS = candidates("1@Server", "m", "close")[0]


def history(*entries: tuple[float, int]) -> list[TradeDeal]:
    """The deals of position 1001: signed lots and the magic number; the first one opened it."""
    return [
        deal(
            ticket=n, position_id=1001, type=0 if lots > 0 else 1, volume=abs(lots), magic=magic,
            entry=DealEntry.OUT if n else DealEntry.IN,
        )
        for n, (lots, magic) in enumerate(entries)
    ]  # fmt: skip


HISTORIES: dict[str, tuple[list[TradeDeal], str, bool]] = {
    "closed by hand": (history((1, OURS), (-1, 0)), "", True),
    "cut by hand": (history((1, OURS), (-0.4, 0)), "0.6", True),
    "closed by us": (history((1, OURS), (-1, OURS)), "", False),
    "cut by hand and by us": (history((1, OURS), (-0.1, 0), (-0.9, OURS)), "", False),
    "not told yet": (history((1, OURS)), "", False),
    "nothing told at all": ([], "", False),
    "cut by hand long before, and not listed": (history((2, OURS), (-1, 0)), "", False),
}


@pytest.mark.parametrize(("deals", "left", "closed"), HISTORIES.values(), ids=HISTORIES)
def test_others_have_closed_it_only_if_the_history_says_so_and_agrees_with_what_is_listed(
    deals: list[TradeDeal], left: str, closed: bool
) -> None:
    held = {1001: holding(1001, volume=left)} if left else {}
    lost = Gone(O1, 1001, 1 - D(left or 0))

    assert closed_by_others(lost, [deals], replace(book(), holdings=held)) is closed
    assert closed_by_others(lost, [deals, history((5, 0))], replace(book(), holdings=held)) is False


def test_foreign_volume_on_top_of_ours_takes_nothing_away() -> None:
    account, _ = trading("netting")
    account.book = replace(account.book, holdings={1001: holding(1001, volume="5")})
    assert list(gone(account.book)) == []


def test_what_netting_lacks_is_taken_from_the_oldest_link() -> None:
    account, source = trading("netting")
    for fact in source.market("o2", "1"):
        account.follow(fact)
    account.book = replace(account.book, holdings={1001: holding(1001, volume="0.7")})
    assert list(gone(account.book)) == [Gone(O1, 1001, D("1.00")), Gone(key("o2"), 1001, D("0.30"))]
