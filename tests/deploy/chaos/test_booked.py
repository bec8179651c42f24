"""What the stream tells of a trader is compared with the broker's own book, by the newest fact of each position."""

from collections import Counter
from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from deploy.chaos.booked import Booked, booked, differences, statements
from deploy.chaos.checker import expected
from deploy.demo.book import Book
from deploy.demo.rules import Price, Rules

SIZE = Decimal("0.16")
HOLDS = Booked(held=Counter({("EURUSD", SIZE): 1}), resting=0)


def fact(position: str, revision: int, before: str, after: str, kind: str = "order.placed") -> dict[str, Any]:
    exposure = {"position": position, "revision": revision, "before": {"held": before}, "after": {"coming": after}}
    return {"id": f"s/1/{position}/{revision}", "kind": kind, "instrument": "EURUSD", "exposure": exposure}


OPENED = fact("p1", 1, "0", "0.16")
CLOSED = fact("p1", 2, "0.16", "0.0", "position.closed")


def test_a_stream_that_tells_what_the_broker_holds_is_right_whatever_came_before() -> None:
    assert list(differences([OPENED], HOLDS)) == []
    assert list(differences([fact("p2", 1, "0", "0.32"), OPENED, fact("p2", 2, "0.32", "0")], HOLDS)) == []
    assert list(differences([CLOSED, OPENED], Booked(held=Counter(), resting=0))) == [], "the revision counts"


@pytest.mark.parametrize(
    ("facts", "fault"),
    [
        ([], "lost"),
        ([OPENED, CLOSED], "lost"),
        ([fact("p1", 1, "0", "0.32")], "wrong"),
        ([fact("p1", 1, "0", "-0.16")], "wrong"),
        ([OPENED, fact("p2", 1, "0", "0.16")], "wrong"),
        ([OPENED, OPENED], "doubled"),
    ],
    ids=["untold", "told as closed", "another size", "the other side", "told under two names", "told twice"],
)
def test_what_differs_has_its_name(facts: list[dict[str, Any]], fault: str) -> None:
    assert fault in {finding.fault for finding in differences(facts, HOLDS)}


def test_the_facts_are_a_story_for_the_checker() -> None:
    story = statements([OPENED, OPENED, CLOSED])

    assert [(s.number, s.fact, s.before.total, s.after.total) for s in story] == [
        (1, "s/1/p1/1", Decimal(0), SIZE),
        (2, "s/1/p1/2", SIZE, Decimal(0)),
    ]
    assert expected(story, {"s/1/p1/1"}) == ({"p1": Decimal(0)}, set())


def test_the_broker_is_asked_for_positions_and_for_orders_that_rest() -> None:
    prices = {name: Price(Decimal(1), Decimal("1.1")) for name in ("EURUSD", "GBPUSD", "XAUUSD")}
    book = Book("1", Rules(fill_delay=0), count(1), prices)
    book.place({"instrument": "EURUSD", "side": "sell", "qty": "0.16", "type": "market"}, 1.0)
    limit = {"limitPrice": "0.9", "durationType": "GTC"}
    book.place({"instrument": "EURUSD", "side": "buy", "qty": "0.32", "type": "limit", **limit}, 1.0)
    book.advance(2.0)

    assert booked(book) == Booked(held=Counter({("EURUSD", -SIZE): 1}), resting=1)
