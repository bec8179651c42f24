"""Disagreements in words and numbers, and what is none: what is on its way."""

from collections.abc import Mapping
from decimal import Decimal

from msgspec.structs import replace

from executor.drift import OF_SOURCE, OF_TERMINAL, Found, Under, judgeable, told
from shared.outcomes import Drift
from tests.executor.accounts import holding
from tests.executor.mends import LATER, NOW, Market, Mended, mark, sight
from tests.executor.sources import key
from tests.executor.test_reconcile import trading
from tests.processes import ROOT

D = Decimal
O1, O2 = key("o1"), key("o2")


def only(found: Mapping[str, tuple[Found, object]]) -> Found:
    ((one, _),) = found.values()
    return one


def lines(found: Mapping[str, tuple[Found, object]]) -> dict[str, str]:
    return {identity: one.line for identity, (one, _) in found.items()}


def test_where_both_agree_there_is_nothing_to_say() -> None:
    for margin in ("hedging", "netting"):
        account, market = trading(margin)
        assert account.found(market.sight()) == {}


def test_what_the_source_has_closed_and_we_still_hold() -> None:
    account, _ = trading()
    found = only(account.found(sight()))

    assert (found.what, found.position, found.expected, found.actual) == ("left-open", O1, D(0), D("1.00"))
    assert found.line == "EURUSD: +0 lots expected, +1 there (the source has none)"


def test_a_source_that_is_past_what_was_followed() -> None:
    account, market = trading()
    market.told(market.close("o1", "0.4"))
    found = only(account.found(market.sight()))

    assert (found.expected, found.actual, found.remedy) == (D("0.60"), D("1.00"), "close what is too much")
    assert "the source holds +0.6, and +1 was followed" in found.line


def test_a_position_that_is_missing_altogether() -> None:
    market = Market()
    market.told(market.market("o2", "2"))

    assert lines(Mended().found(market.sight())) == {
        f"not-followed:{O2}": "EURUSD: +2 lots expected, +0 there (the source holds it and this account has not "
        "followed it)"
    }


def test_a_position_without_its_stop_says_which() -> None:
    account, market = trading()
    account.shows({1001: holding(1001)})

    line = "EURUSD: position 1001 does not have its levels: stop 1.05000, target none"
    assert lines(account.found(market.sight())) == {f"levels:{O1}:1001": line}


def test_a_stray_and_a_double_are_told_apart() -> None:
    account, market = trading()
    link = account.book.links[O1]
    marked = replace(link, parts=tuple(replace(p, mark=mark("o1")) for p in link.parts))
    account.book = replace(account.book, links={O1: marked})
    account.holds(holding(98, magic=mark("o1")))
    account.holds(holding(99, magic=mark()))

    found = {identity: one for identity, (one, _) in account.found(market.sight()).items()}
    assert set(found) == {"double:98", "stray:99"}
    assert (found["double:98"].position, found["stray:99"].position) == (O1, "")
    assert "done twice" in found["double:98"].text
    assert "not known to us" in found["stray:99"].text


def test_what_is_under_way_is_no_disagreement() -> None:
    account, _ = trading()

    assert account.found(sight(), Under(links={O1})) == {}
    assert account.found(sight(), Under(links={O2})) != {}


def test_a_stray_may_be_what_is_unknown_in_its_symbol() -> None:
    account = Mended()
    account.holds(holding(99, magic=mark()))

    assert account.found(sight(), Under(symbols={"EURUSD"})) == {}
    assert account.found(sight(), Under(symbols={"XAUUSD"})) != {}


def test_a_source_with_facts_on_their_way_is_not_judged_but_the_terminal_is() -> None:
    account, market = trading()
    market.told(market.close("o1", "0.4"))
    account.shows({1001: holding(1001)})

    assert set(account.found(market.sight(judged=frozenset()))) == {f"levels:{O1}:1001"}


def test_a_leftover_of_a_link_without_volume_matters_to_nobody() -> None:
    account, _ = trading()
    link = account.book.links[O1]
    account.book = replace(account.book, links={O1: replace(link, parts=(), tombstone=True)}, holdings={})

    assert account.found(sight()) == {}


def test_it_is_told_with_its_beginning_and_its_end() -> None:
    account, _ = trading()
    found = only(account.found(sight()))

    begun, over = told("main", found, LATER), told("main", found, LATER, ended=True)
    assert begun == Drift(
        account="main", position=O1, symbol="EURUSD", expected=D(0), actual=D("1.00"), seen=LATER, since=NOW,
        text="the source has none", finding="left-open", identity=f"left-open:{O1}", remedy="close it",
    )  # fmt: skip
    assert over == replace(begun, ended=LATER)


def test_the_end_of_what_cannot_be_seen_now_is_not_seen_either() -> None:
    account, market = trading()
    market.told(market.close("o1", "0.4"))
    found = only(account.found(market.sight()))

    assert judgeable(found, market.sight(), Under())
    assert not judgeable(found, market.sight(judged=frozenset()), Under())
    assert not judgeable(found, market.sight(), Under(links={O1}))


def test_the_docs_say_what_each_code_means() -> None:
    rows = [row.split("|")[1] for row in (ROOT / "docs/drift.md").read_text().splitlines() if row.startswith("| `")]
    assert {code.strip(" `") for row in rows for code in row.split(",")} == OF_SOURCE | OF_TERMINAL
