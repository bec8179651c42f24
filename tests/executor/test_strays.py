"""What bears our mark and belongs to no link, on accounts of both kinds; what is somebody else's is never ours."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from executor.book import Resting
from executor.instruments import side_of, signed
from executor.mt5.api import DealReason, TradeDeal
from executor.strays import Excess, Stray, StrayOrder, claimed, strays, suspects
from tests.executor.accounts import holding
from tests.executor.mends import Mended, mark
from tests.executor.records import deal
from tests.executor.sources import Source, key

D = Decimal
O1 = key("o1")


def trading(margin: Any = "hedging") -> Mended:
    """An account that follows one position of 1 lot."""
    account = Mended(margin)
    for fact in Source().market("o1", "1"):
        account.follow(fact)
    link = account.book.links[O1]
    marked = replace(link, parts=tuple(replace(p, mark=mark("o1")) for p in link.parts))
    account.book = replace(account.book, links={O1: marked})
    return account


def found(account: Mended, **traced: Any) -> list[Stray | Excess | StrayOrder]:
    return list(strays(account.book, traced.get("ours", {}), traced.get("openings", {})))


# -- hedging


def test_our_mark_on_a_position_that_no_link_knows_is_a_stray() -> None:
    account = trading()
    account.holds(holding(77, magic=mark()))

    assert found(account) == [
        Stray(ticket=77, identifier=77, symbol="EURUSD", side="buy", volume=D(1), mark=mark(), double=False, link="")
    ]


def test_the_mark_of_a_link_on_a_second_position_is_a_double() -> None:
    account = trading()
    account.holds(holding(77, volume="0.5", magic=mark("o1")))

    (double,) = found(account)
    assert isinstance(double, Stray)
    assert (double.double, double.link, double.volume) == (True, O1, D("0.5"))


def test_a_mark_under_which_another_position_was_opened_makes_a_double_though_its_link_is_closed() -> None:
    account = Mended()
    account.holds(holding(77, magic=mark()))

    (double,) = found(account, openings={mark(): {77, 76}})
    assert isinstance(double, Stray)
    assert (double.double, double.link) == (True, "")
    (alone,) = found(account, openings={mark(): {77}})
    assert isinstance(alone, Stray)
    assert not alone.double


def test_a_position_of_a_link_that_has_grown_is_too_much() -> None:
    account = trading()
    account.holds(holding(1001, volume="1.3", magic=mark("o1")))

    assert found(account) == [Excess(link=O1, identifier=1001, symbol="EURUSD", side="buy", volume=D("0.3"))]


def test_what_a_mirror_has_given_is_no_stray() -> None:
    account, source = Mended(), Source()
    account.follow(source.rest("o1", "L", "1")[0])
    account.book = replace(account.book, restings={})
    account.holds(holding(1001, magic=mark()))

    assert found(account) == []


@pytest.mark.parametrize("magic", [0, 12345, 2**60])
def test_a_position_made_by_hand_or_by_another_program_is_nobodys_business(magic: int) -> None:
    account = trading()
    account.holds(holding(77, magic=magic))

    assert found(account) == []


def test_an_order_under_our_mark_that_mirrors_nothing() -> None:
    account = trading()
    order = Resting(ticket=88, symbol="EURUSD", type="limit", side="buy", volume=D(1), price=D("1.0"), magic=mark())
    account.book = replace(account.book, restings={88: order, 89: replace(order, ticket=89, magic=0)})

    assert found(account) == [StrayOrder(ticket=88, symbol="EURUSD", side="buy", volume=D(1), mark=mark())]


# -- netting


def test_on_a_netting_account_what_our_deals_gave_beyond_the_links_is_a_double() -> None:
    account = trading("netting")
    account.shows({1001: holding(1001, volume="2.0", magic=mark("o1"))})

    (double,) = found(account, ours={1001: D("2.0")})
    assert isinstance(double, Stray)
    assert (double.volume, double.double, double.link) == (D("1.00"), True, O1)


def test_of_a_double_that_somebody_has_closed_in_part_only_the_rest_is_ours() -> None:
    account = trading("netting")
    account.shows({1001: holding(1001, volume="1.3", magic=mark("o1"))})

    (rest,) = found(account, ours={1001: D("2.0")})
    assert isinstance(rest, Stray)
    assert rest.volume == D("0.30")


NOT_OURS = {"1.5": "1.0", "5": "1.0", "1.0": "2.0", "0.4": "2.0"}
"""The volume that is there, and what our deals left of ours."""


@pytest.mark.parametrize("there", NOT_OURS)
def test_foreign_volume_of_a_netting_position_is_never_ours(there: str) -> None:
    account = trading("netting")
    account.shows({1001: holding(1001, volume=there, magic=mark("o1"))})

    assert found(account, ours={1001: D(NOT_OURS[there])}) == []


def test_a_netting_position_whose_deals_were_not_looked_at_is_not_judged() -> None:
    account = trading("netting")
    account.shows({1001: holding(1001, volume="3", magic=mark("o1"))})

    assert [h.identifier for h in suspects(account.book)] == [1001]
    assert found(account) == []


def test_only_netting_positions_that_differ_are_looked_into() -> None:
    assert suspects(trading("netting").book) == []
    assert suspects(trading("hedging").book) == []


# -- what our deals have left of a netting position


def traded(*deals: str) -> list[TradeDeal]:
    """`+1` bought by us, `-h0.5` sold by hand, `-s1` sold by a stop that bears our mark."""
    made = []
    for number, text in enumerate(deals, start=1):
        who, volume = ("ours", text[1:]) if text[1].isdigit() else (text[1], text[2:])
        magic = 0 if who == "h" else mark("o1")
        reason = DealReason.SL if who == "s" else DealReason.EXPERT
        kind = 0 if text[0] == "+" else 1
        made.append(deal(ticket=number, time_msc=number, type=kind, volume=float(volume), magic=magic, reason=reason))
    return made


CLAIMED = {
    ("+1",): "1",
    ("+1", "+1", "-1"): "1",
    ("+1", "+h2"): "1",
    ("+1", "-h0.4"): "0.6",
    ("+1", "-h0.4", "+h0.4"): "0.6",
    ("+h2", "+1", "-h2"): "1",
    ("+h2", "+1", "-h2.5"): "0.5",
    ("+1", "-h3"): "0",
    ("-1", "+h3", "-h1"): "0",
    ("+1", "-s1"): "0",
    ("+1", "-2"): "-1",
}


@pytest.mark.parametrize("deals", CLAIMED, ids=" ".join)
def test_what_is_ours_of_a_netting_position(deals: tuple[str, ...]) -> None:
    assert claimed(reversed(traded(*deals))) == D(CLAIMED[deals])


@given(st.lists(st.tuples(st.booleans(), st.integers(-5, 5).filter(bool)), max_size=12))
def test_never_more_is_ours_than_is_there_or_than_we_traded_unless_somebody_stands_against_us(
    story: list[tuple[bool, int]],
) -> None:
    texts = [f"{'+' if lots > 0 else '-'}{'' if ours else 'h'}{abs(lots)}" for ours, lots in story if ours or lots]
    left, held = claimed(traded(*texts)), D(sum(lots for _, lots in story))
    if left and story and not story[-1][0]:
        assert held
        assert signed(side_of(left), held) >= abs(left)
