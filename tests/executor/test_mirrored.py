"""Resting orders of the source and our mirrors of them, where they disagree."""

from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from executor.mirrored import OrderGone, OrderLeft, OrderMissing, order_name, orders, settled, stands
from executor.settings import Account
from tests.executor.accounts import settings
from tests.executor.mends import NOW, Market, Mended, sight
from tests.executor.sources import key

D = Decimal
O1 = key("o1")


def mirroring(account: Account | None = None) -> tuple[Mended, Market]:
    """An account with a mirror of the source's limit order of 1 lot."""
    mended, market = Mended(account=account), Market()
    for fact in market.told(market.rest("o1", "L", "1")):
        mended.follow(fact)
    return mended, market


def found(account: Mended, shown: Any, left: tuple[str, ...] = ()) -> list[OrderGone | OrderLeft | OrderMissing]:
    return list(orders(account.book, shown, account.account, left, NOW))


def test_a_mirror_of_what_rests_at_the_source_disagrees_in_nothing() -> None:
    account, market = mirroring()

    assert found(account, market.sight()) == []


def test_an_order_of_ours_that_vanished() -> None:
    account, market = mirroring()
    account.book = replace(account.book, restings={})

    assert found(account, market.sight()) == [OrderGone(O1, "L")]


def test_an_order_that_is_over_at_the_source_and_not_here() -> None:
    account, market = mirroring()
    market.end("o1", "L")

    assert found(account, market.sight()) == [OrderLeft(O1, "L")]
    assert found(account, market.sight(readable=frozenset())) == [], "a picture with a hole proves nothing"


def test_an_order_of_a_source_that_is_not_followed_any_more_is_left() -> None:
    account, _ = mirroring()

    assert found(account, sight(followed=frozenset({"other"}))) == [OrderLeft(O1, "L")]


def test_an_order_of_the_source_that_has_none_here() -> None:
    account, market = Mended(), Market()
    market.told(market.rest("o1", "L", "-1", price="1.2"))

    (missing,) = found(account, market.sight())
    assert isinstance(missing, OrderMissing)
    assert (missing.step.side, missing.step.volume, missing.step.price) == ("sell", D("1.00"), D("1.2"))
    assert found(account, market.sight(), (order_name(O1, "L"),)) == [], "it was there before the account joined"


def test_where_orders_are_followed_on_their_fill_none_is_missing() -> None:
    account, market = Mended(account=settings(sources=("s",), pending_orders="on-fill")), Market()
    market.told(market.rest("o1", "L", "1"))

    assert found(account, market.sight()) == []


def test_what_ours_gave_counts_as_the_sources_fill_as_far_as_the_source_has_it() -> None:
    account, _ = mirroring()
    account.fill(O1, "L")
    link = account.book.links[O1]

    followed, target = settled(link, "L", D(1))
    assert (followed.followed, followed.pendings, target) == (D(1), {}, D("1.00"))
    followed, target = settled(link, "L", D("0.4"))
    assert (followed.followed, target) == (D("0.4"), D("0.40"))
    followed, target = settled(link, "L", D(0))
    assert (followed.followed, target) == (D(0), D(0)), "it ended without a fill"


def test_an_order_that_still_rests_here_is_to_be_removed() -> None:
    account, _ = mirroring()

    left, target = settled(account.book.links[O1], "L", D(1))

    assert left.pendings["L"].quantity == 0
    assert (left.followed, target) == (D(0), D(0)), "what the source filled is still to be opened"


def test_an_order_that_was_removed_here_stands_for_what_it_gave() -> None:
    account, _ = mirroring()
    link = account.book.links[O1]
    assert stands(link, "L").pendings == {}

    half = replace(link, pendings={"L": replace(link.pendings["L"], filled=D("0.5"))})
    assert stands(half, "L").pendings["L"].volume == D("0.5")
