"""Links, terminal and source compared."""

from decimal import Decimal

from msgspec.structs import replace

from executor.book import Margin
from executor.marks import candidates
from executor.parts import adopt_fill
from executor.reconcile import Adopt, Drift, Finding, Gone, Resolve, Stray, reconcile, without
from shared.facts import Fact
from tests.executor.accounts import PerfectAccount, holding
from tests.executor.sources import Source, key

D = Decimal
O1 = key("o1")


def trading(margin: Margin = "hedging") -> tuple[PerfectAccount, Source, list[Fact]]:
    """An account that follows one position of 1 lot; and the source's picture."""
    account, source = PerfectAccount(margin), Source()
    facts = source.market("o1", "1")
    for fact in facts:
        account.follow(fact)
    return account, source, facts[-1:]


def findings(account: PerfectAccount, picture: list[Fact], fills: dict[int, Decimal] | None = None) -> list[Finding]:
    return list(reconcile(account.book, picture, account.account, fills or {}, set()))


def test_where_all_agree_there_is_nothing_to_find() -> None:
    for margin in ("hedging", "netting"):
        account, _, picture = trading(margin)
        assert findings(account, picture) == []


def test_a_position_closed_by_hand_is_gone_and_stays_closed() -> None:
    account, _, picture = trading()
    account.book = replace(account.book, holdings={})
    (gone,) = findings(account, picture)
    assert gone == Gone(O1, 1001, D("1.00"))
    closed = without(account.book.links[O1], gone)
    assert closed.tombstone
    assert closed.parts == ()


def test_a_position_cut_by_hand_is_gone_in_part_and_goes_on() -> None:
    account, _, picture = trading()
    account.book = replace(account.book, holdings={1001: holding(1001, volume="0.4")})
    (gone,) = findings(account, picture)
    assert isinstance(gone, Gone)
    cut = without(account.book.links[O1], gone)
    assert (cut.own, cut.tombstone) == (D("0.40"), False)


def test_a_netting_position_that_turned_by_hand_is_gone() -> None:
    account, _, picture = trading("netting")
    account.book = replace(account.book, holdings={1001: holding(1001, "sell", "2")})
    assert findings(account, picture) == [Gone(O1, 1001, D("1.00"))]


def test_foreign_volume_on_top_of_ours_is_no_disagreement() -> None:
    account, _, picture = trading("netting")
    account.book = replace(account.book, holdings={1001: holding(1001, volume="5")})
    assert findings(account, picture) == []


def test_what_netting_lacks_is_taken_from_the_oldest_link() -> None:
    account, source, picture = trading("netting")
    second = source.market("o2", "1")
    for fact in second:
        account.follow(fact)
    account.book = replace(account.book, holdings={1001: holding(1001, volume="0.7")})
    found = findings(account, [*picture, second[-1]])
    assert found == [Gone(O1, 1001, D("1.00")), Gone(key("o2"), 1001, D("0.30"))]


def test_a_mirror_that_filled_is_adopted() -> None:
    account, source = PerfectAccount(), Source()
    fact = source.rest("o1", "L", "1")[0]
    account.follow(fact)
    account.book = replace(account.book, restings={}, holdings={1001: holding(1001)})
    found = findings(account, [fact])
    assert found == [Adopt(O1, "L", D(1), 1001)]
    adopted = adopt_fill(account.book.links[O1], "L", D(1), 1001)
    account.book = replace(account.book, links={O1: adopted})
    assert findings(account, [fact]) == []


def test_on_a_netting_account_the_history_says_what_a_mirror_gave() -> None:
    account, source = PerfectAccount("netting"), Source()
    fact = source.rest("o1", "L", "1")[0]
    account.follow(fact)
    account.book = replace(account.book, restings={}, holdings={50: holding(50)})
    assert findings(account, [fact], {1001: D(1)}) == [Adopt(O1, "L", D(1), 50)]


def test_a_mirror_that_vanished_without_a_fill_is_drift() -> None:
    account, source = PerfectAccount(), Source()
    fact = source.rest("o1", "L", "1")[0]
    account.follow(fact)
    account.book = replace(account.book, restings={})
    (drift,) = findings(account, [fact])
    assert isinstance(drift, Drift)
    assert (drift.expected, drift.actual) == (D("1.00"), D(0))


def test_a_source_that_moved_on_is_to_be_followed() -> None:
    account, source, _ = trading()
    missed = source.close("o1", "0.5")[-1]
    assert findings(account, [missed]) == [Resolve(O1, missed)]


def test_a_source_that_closed_is_to_be_closed_here() -> None:
    account, _, _ = trading()
    assert findings(account, []) == [Resolve(O1, None)]


def test_an_older_picture_than_was_followed_says_nothing() -> None:
    account, source, picture = trading()
    account.follow(source.close("o1", "0.5")[0])
    assert findings(account, picture) == []


def test_a_position_of_the_source_that_is_not_followed_is_drift() -> None:
    fact = Source().market("o9", "-1")[-1]
    (drift,) = findings(PerfectAccount(), [fact])
    assert isinstance(drift, Drift)
    assert (drift.position, drift.expected, drift.actual) == (key("o9"), D("-1.00"), D(0))


def test_our_mark_on_something_that_no_link_knows_is_a_stray() -> None:
    account, _, picture = trading()
    mark = candidates("1@Server", "elsewhere", "open")[0]
    stray = holding(77, magic=mark)
    account.book = replace(account.book, holdings={**account.book.holdings, 77: stray})
    assert findings(account, picture) == [Stray(77, "EURUSD", mark)]
    assert list(reconcile(account.book, picture, account.account, {}, {mark})) == []


def test_a_hand_made_position_is_nobodys_business() -> None:
    account, _, picture = trading()
    account.book = replace(account.book, holdings={**account.book.holdings, 77: holding(77, magic=12345)})
    assert findings(account, picture) == []
