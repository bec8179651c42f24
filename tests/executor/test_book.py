"""A link knows what is ours of it and when it is over; a debt knows who waits for it."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from executor.book import Debt, Link, Owing, Part, Pending, link_key

D = Decimal
NOW = datetime(2026, 11, 25, tzinfo=UTC)
BUY = Part(ticket=1, identifier=1, volume=D("0.3"), side="buy")
SELL = Part(ticket=2, identifier=2, volume=D("0.1"), side="sell")
MIRROR = Pending(ticket=3, type="limit", side="buy", volume=D(1), price=D(1))


def link(**changes: Any) -> Link:
    return Link(**{"key": "k", "instrument": "EURUSD", "symbol": "EURUSD", **changes})


@pytest.mark.parametrize(
    ("parts", "own"), [((), D(0)), ((BUY,), D("0.3")), ((SELL,), D("-0.1")), ((BUY, SELL), D("0.2"))]
)
def test_what_is_ours_is_signed(parts: tuple[Part, ...], own: Decimal) -> None:
    assert link(parts=parts).own == own


OPEN: dict[str, dict[str, Any]] = {
    "a part": {"parts": (BUY,)},
    "an order": {"pendings": {"o": MIRROR}},
    "something at the source": {"followed": D(1)},
}


@pytest.mark.parametrize("changes", OPEN.values(), ids=OPEN)
def test_a_link_is_not_over_with(changes: dict[str, Any]) -> None:
    assert not link(**changes).over
    assert link().over


def debt(fact: str, *also: str) -> Debt:
    others = tuple(Owing(fact=f, entry="2-2", captured=NOW) for f in also)
    return Debt(link="k", fact=fact, entry="1-1", target=D(0), since=NOW, captured=NOW, also=others)


def test_every_fact_that_moved_a_debt_waits_for_it() -> None:
    assert [o.fact for o in debt("a", "b", "c").owing] == ["a", "b", "c"]


def test_nobody_waits_for_what_an_operator_made_but_the_facts_that_came_later() -> None:
    assert debt("").owing == ()
    assert [o.fact for o in debt("", "b").owing] == ["b"]


def test_positions_of_two_sources_or_accounts_are_two_links() -> None:
    keys = {link_key("s", "1", "p"), link_key("t", "1", "p"), link_key("s", "2", "p"), link_key("s", "1", "q")}

    assert len(keys) == 4
