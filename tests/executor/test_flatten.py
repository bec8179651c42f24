"""Closing everything that is ours: who gets a debt, what a debt that is there keeps, and what becomes of orders."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any

from msgspec.structs import replace

from executor.book import Debt, Link, Owing, Part, Pending
from executor.flatten import flattening

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
PART = Part(ticket=1, identifier=1, volume=D("0.1"), side="buy")
PENDING = Pending(ticket=2, type="limit", side="buy", volume=D("0.2"), price=D("1.08"), quantity=D("0.2"))


def link(key: str, **fields: Any) -> Link:
    return Link(key=key, instrument="EURUSD", symbol="EURUSD", **fields)


def debt(there: Link, **fields: Any) -> Debt:
    since = NOW - timedelta(minutes=1)
    return Debt(
        link=there.key, **{"fact": "", "entry": "", "target": D(0), "since": since, "captured": since, **fields}
    )


def test_every_position_and_every_resting_order_of_ours_is_owed_and_nothing_else() -> None:
    held, resting = link("held", parts=(PART,)), link("resting", pendings={"o1": PENDING})
    gone, by_hand = link("gone"), link("by-hand", followed=D("0.3"), tombstone=True)

    found = flattening([held, resting, gone, by_hand], {}, "operator", NOW)

    assert found.debts.keys() == found.links.keys() == {"held", "resting"}
    assert {(d.target, d.reason, d.since, d.owing) for d in found.debts.values()} == {(D(0), "operator", NOW, ())}


def test_a_debt_that_is_there_goes_all_the_way_and_the_facts_that_wait_for_it_go_on_waiting() -> None:
    held = link("held", parts=(PART,))
    later = Owing(fact="f2", entry="2-0", captured=NOW)
    there = debt(held, fact="f1", entry="1-0", target=D("0.05"), meaning="f1", sought=("f1/0",), also=(later,))

    after = flattening([held], {held.key: there}, "daily-loss", NOW).debts[held.key]

    assert after == replace(there, target=D(0), reason="daily-loss")
    assert [owing.fact for owing in after.owing] == ["f1", "f2"]


def test_orders_are_given_up_and_still_known_so_that_they_can_be_removed() -> None:
    both = link("both", parts=(PART,), pendings={"o1": PENDING})

    after = flattening([both], {}, "operator", NOW).links["both"]

    assert after == replace(both, pendings={"o1": replace(PENDING, quantity=D(0))})


def test_the_steps_of_two_flattenings_are_told_apart_by_what_was_followed_between_them() -> None:
    def meaning(revision: int) -> str:
        held = link("held", parts=(PART,), revision=revision)
        return flattening([held], {}, "operator", NOW).debts["held"].meaning

    assert meaning(1) == meaning(1)
    assert meaning(1) != meaning(2)
