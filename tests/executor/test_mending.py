"""What ends each kind of disagreement, and that all of them can be ended without touching what is not ours."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from executor.book import Margin, Resting
from executor.drift import OF_SOURCE, OF_TERMINAL
from executor.instruments import other, side_of
from executor.mending import Mending, ToOpen, key_of_stray, mending
from executor.steps import Close, Open, Reduce
from shared.facts import Levels, Model
from tests.executor.accounts import holding, settings
from tests.executor.mends import NOW, Market, Mended, foreign, mark, sight
from tests.executor.sources import key
from tests.executor.test_reconcile import trading

D = Decimal
ZERO = D(0)
O1 = key("o1")


def mended(account: Mended, shown: Any) -> list[Mending | ToOpen]:
    """Mend everything once, in the order in which it was found."""
    return [account.mend(finding, shown) for _, finding in account.found(shown).values()]


def test_what_the_source_has_closed_is_closed_as_a_debt() -> None:
    account, _ = trading()
    ((_, finding),) = account.found(sight()).values()

    way = mending(finding, account.book, sight(), account.account, NOW)

    assert isinstance(way, Mending)
    assert (way.debts[O1].target, way.debts[O1].owing) == (ZERO, ())
    account.mend(finding, sight())
    assert (account.net(), account.book.links) == (ZERO, {})


def test_a_missed_part_close_is_made_up_for() -> None:
    account, market = trading()
    market.told(market.close("o1", "0.4"))

    mended(account, market.sight())

    assert (account.net(), account.own(O1)) == (D("0.60"), D("0.60"))
    assert account.book.links[O1].followed == D("0.6")


def test_a_missed_reversal_is_closed_first_and_then_opened() -> None:
    account, market = Mended("netting"), Market("netting")
    for fact in market.told(market.market("EURUSD", "1")):
        account.follow(fact)
    market.told(market.market("EURUSD", "-3"))

    mended(account, market.sight())
    assert account.net() == ZERO
    assert mended(account, market.sight()) == [ToOpen(key("EURUSD"))]
    assert account.net() == D("-2.00")


def test_a_missed_increase_is_only_asked_for() -> None:
    account, market = trading()
    market.told(market.market("o1", "0.5"))

    assert mended(account, market.sight()) == [ToOpen(O1)]
    assert account.own(O1) == D("1.50")


def test_an_increase_that_is_not_sized_by_quantity_counts_as_followed() -> None:
    sizing = replace(settings().sizing, mode="fixed", lots=D("0.1"))
    account, market = Mended(account=settings(sources=("s",), sizing=sizing)), Market()
    for fact in market.told(market.market("o1", "1")):
        account.follow(fact)
    market.told(market.market("o1", "1"))

    assert account.mend_all(market.sight()) == []
    assert (account.own(O1), account.book.links[O1].followed) == (D("0.10"), D(2))


def test_missed_levels_are_set() -> None:
    account, market = trading()
    market.told(market.levels("o1", Levels(stop_loss=D("1.08"))))

    mended(account, market.sight())

    assert [h.stop_loss for h in account.book.holdings.values()] == [D("1.08")]


def test_levels_that_the_position_does_not_have_are_set() -> None:
    account, market = trading()
    account.shows({1001: holding(1001)})

    mended(account, market.sight())

    assert [h.stop_loss for h in account.book.holdings.values()] == [D("1.05")]
    assert account.own(O1) == D("1.00")


def test_what_is_gone_is_forgotten_and_the_position_stays_closed() -> None:
    account, market = trading()
    account.shows({})

    mended(account, market.sight())

    assert account.book.links[O1].tombstone
    assert account.found(market.sight()) == {}


def test_a_double_is_closed_and_the_first_one_stays() -> None:
    account, market = trading()
    link = account.book.links[O1]
    marked = replace(link, parts=tuple(replace(p, mark=mark("o1")) for p in link.parts))
    account.book = replace(account.book, links={O1: marked})
    account.holds(holding(77, magic=mark("o1")))

    (way,) = mended(account, market.sight())

    assert isinstance(way, Mending)
    assert list(way.links) == [key_of_stray(77)]
    assert list(account.book.holdings) == [1001]
    assert list(account.book.links) == [O1]


def test_on_a_netting_account_only_what_our_deals_gave_twice_is_taken_off() -> None:
    account, market = trading("netting")
    account.shows({1001: holding(1001, volume="2.7", stop_loss=D("1.05"))})
    account.traded = D(2)

    assert account.mend_all(market.sight()) == []
    assert (account.net(), account.own(O1)) == (D("1.70"), D("1.00"))


def test_a_stray_order_is_removed() -> None:
    account = Mended()
    order = Resting(ticket=88, symbol="EURUSD", type="limit", side="buy", volume=D(1), price=D(1), magic=mark())
    account.book = replace(account.book, restings={88: order, 89: replace(order, ticket=89, magic=5)})

    assert account.mend_all(sight()) == []
    assert list(account.book.restings) == [89]
    assert account.book.links == {}


def test_an_order_that_is_over_at_the_source_is_removed() -> None:
    account, market = Mended(), Market()
    for fact in market.told(market.rest("o1", "L", "1")):
        account.follow(fact)
    market.end("o1", "L")

    assert account.mend_all(market.sight()) == []
    assert account.book.restings == {}
    assert account.book.links == {}


def test_an_order_that_filled_here_and_ended_at_the_source_is_closed() -> None:
    account, market = Mended(), Market()
    for fact in market.told(market.rest("o1", "L", "1")):
        account.follow(fact)
    account.fill(O1, "L")
    market.end("o1", "L")

    assert account.mend_all(market.sight()) == []
    assert (account.net(), account.book.links) == (ZERO, {})


def test_what_a_mirror_gave_ahead_stays_when_the_rest_of_its_position_is_closed() -> None:
    account, market = Mended(), Market()
    for fact in (*market.told(market.market("o1", "1")), *market.told(market.rest("o1", "L", "0.5"))):
        account.follow(fact)
    account.fill(O1, "L")
    market.told(market.close("o1"))

    mended(account, market.sight())

    assert account.own(O1) == D("0.50")
    assert account.found(market.sight()) == {}


def test_an_order_that_is_missing_here_is_asked_for() -> None:
    account, market = Mended(), Market()
    market.told(market.rest("o1", "L", "1"))

    assert mended(account, market.sight()) == [ToOpen(O1, "L")]
    assert len(account.book.restings) == 1


def test_an_order_that_was_removed_here_is_placed_again() -> None:
    account, market = Mended(), Market()
    for fact in market.told(market.rest("o1", "L", "1")):
        account.follow(fact)
    account.book = replace(account.book, restings={})

    assert account.mend_all(market.sight()) == []
    assert len(account.book.restings) == 1


def test_what_is_left_of_a_source_that_is_not_followed_any_more_is_closed() -> None:
    account, market = trading()
    for fact in market.told(market.rest("o1", "L", "1")):
        account.follow(fact)

    assert account.mend_all(sight(followed=frozenset({"other"}))) == []
    assert (account.net(), account.book.restings, account.book.links) == (ZERO, {}, {})


# -- all of it, in any mixture

POSITIONS = ("a", "b")
Act = Callable[[Mended, Market, D], None]


def _trades(account: Mended, market: Market, size: D, *, missed: bool) -> None:
    instrument = "EURUSD" if market.model == "netting" else POSITIONS[int(size * 100) % 2]
    held = market.total(instrument)
    opposite = held and market.model == "hedging" and held * size < 0
    stop = Levels(stop_loss=D("1.05") if size > 0 else D("1.15"))
    facts = market.close(instrument, min(abs(size), abs(held))) if opposite else market.market(instrument, size, stop)
    for fact in market.told(facts):
        if not missed:
            account.follow(fact)


def followed(account: Mended, market: Market, size: D) -> None:
    _trades(account, market, size, missed=False)


def missed(account: Mended, market: Market, size: D) -> None:
    _trades(account, market, size, missed=True)


def rests(account: Mended, market: Market, size: D) -> None:
    name = f"L{len(market.resting)}"
    position = "EURUSD" if market.model == "netting" else name
    for fact in market.told(market.rest(position, name, size, "1.0" if size > 0 else "1.2")):
        if abs(size) > D("0.5"):
            account.follow(fact)


def ends(account: Mended, market: Market, size: D) -> None:
    for name in list(market.orders)[:1]:
        market.end("EURUSD" if market.model == "netting" else name, name)


def by_hand(account: Mended, market: Market, size: D) -> None:
    """Somebody takes off from a position, ours or not."""
    for ticket, held in list(account.book.holdings.items())[:1]:
        left = held.volume - abs(size)
        kept = {t: h for t, h in account.book.holdings.items() if t != ticket}
        account.shows(kept | ({ticket: replace(held, volume=left)} if left > 0 else {}))
        _lacks(account)


def bare(account: Mended, market: Market, size: D) -> None:
    account.shows({t: replace(h, stop_loss=size and abs(size)) for t, h in account.book.holdings.items()})


def twice(account: Mended, market: Market, size: D) -> None:
    """An opening of ours is done a second time, or one that nobody remembers."""
    side = side_of(size)
    if account.book.margin == "netting":
        before = account.traded
        account.take(Open(name="open", link="-", symbol="EURUSD", side=side, volume=abs(size)))
        if before * size < 0:  # it would have been an exit of ours: not what is meant here
            account.take(Open(name="open", link="-", symbol="EURUSD", side=other(side), volume=abs(size)))
        return
    ticket = 5000 + len(account.book.holdings)
    account.holds(holding(ticket, side, str(abs(size)), magic=mark(str(ticket))))


def grown(account: Mended, market: Market, size: D) -> None:
    """An order of ours gives more after it seemed to be done."""
    parts = [p for link in account.book.links.values() for p in link.parts if p.identifier in account.book.holdings]
    if account.book.margin == "hedging" and parts:
        held = account.book.holdings[parts[0].identifier]
        account.holds(replace(held, volume=held.volume + abs(size)))


def others(account: Mended, market: Market, size: D) -> None:
    """Somebody else trades: on a netting account never against us, which MT5 would take off ours."""
    if account.book.margin == "hedging":
        ticket = 9000 + len(account.book.holdings)
        account.holds(holding(ticket, side_of(size), str(abs(size)), magic=12345))
        return
    held = next(iter(account.book.holdings.values()), None)
    if held is not None:
        account.shows({held.ticket: replace(held, volume=held.volume + abs(size))})


def removed(account: Mended, market: Market, size: D) -> None:
    account.book = replace(account.book, restings=dict(list(account.book.restings.items())[1:]))


def _lacks(account: Mended) -> None:
    """On a netting account what somebody took off was first of all not ours; our deals' volume is what is left."""
    held = next(iter(account.book.holdings.values()), None)
    there = ZERO if held is None else held.volume if held.side == "buy" else -held.volume
    if abs(account.traded) > abs(there) or account.traded * there < 0:
        account.traded = there if account.traded * there > 0 else ZERO


SOURCES: tuple[Act, ...] = (followed, missed, rests, ends)
TERMINALS: tuple[Act, ...] = (by_hand, bare, twice, grown, others, removed, missed, ends)
SIZES = st.one_of(st.integers(1, 150), st.integers(-150, -1)).map(lambda n: D(n) / 100)


@given(
    st.sampled_from(["hedging", "netting"]),
    st.sampled_from(["hedging", "netting"]),
    st.lists(st.tuples(st.sampled_from(SOURCES), SIZES), min_size=1, max_size=6),
    st.lists(st.tuples(st.sampled_from(TERMINALS), SIZES), max_size=5),
)
def test_everything_that_disagrees_can_be_ended_and_what_is_not_ours_stays(
    margin: Margin, model: Model, story: list[tuple[Act, D]], mishaps: list[tuple[Act, D]]
) -> None:
    account, market = Mended(margin), Market(model)
    for act, size in (*story, *mishaps):
        act(account, market, size)
    not_ours = [h for h in account.book.holdings.values() if h.magic == 12345]
    spare = beyond(account)

    assert {told.what for told, _ in account.found(market.sight()).values()} <= OF_SOURCE | OF_TERMINAL
    assert account.mend_all(market.sight()) == []

    assert [h for h in account.book.holdings.values() if h.magic == 12345] == not_ours
    assert beyond(account) == spare
    assert not any(isinstance(s, Close | Reduce) and s.ticket in {h.ticket for h in not_ours} for s in account.asked)


def beyond(account: Mended) -> D:
    """Signed lots of the account that no deal of ours has made."""
    if account.book.margin == "hedging":
        theirs = {t: h for t, h in account.book.holdings.items() if h.magic == 12345}
        return foreign(replace(account.book, links={}, holdings=theirs))
    return account.net() - account.traded
