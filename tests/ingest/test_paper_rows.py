"""The objects of Paper Trading are read with all their oddities."""

import json
from decimal import Decimal
from typing import Any

import pytest
from msgspec import UNSET

from ingest.paper_rows import frame_content, level, order_update, position_update, read_positions, standing, unit_of
from tests.ingest.story import Story
from tests.ingest.test_paper import pushed

D = Decimal
FRAME = pushed("x", Story(), {})


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("pending", "live"),
        ("working", "live"),
        ("", "live"),
        ("filled", "filled"),
        ("cancelled", "canceled"),
        ("canceled", "canceled"),
        ("rejected", "rejected"),
        ("expired", "expired"),
        ("odd", None),
    ],
)
def test_status_words_are_matched_by_their_beginning(word: str, state: str | None) -> None:
    assert standing(word) == state


@pytest.mark.parametrize(
    ("said", "quantity"),
    [
        ({"side": "buy", "qty": 2}, 2),
        ({"side": "sell", "qty": 2}, -2),
        ({"side": "sell", "qty": -2}, -2),
        ({"side": "empty", "qty": 2}, 0),
        ({"side": "buy", "qty": 0}, 0),
        ({"qty": -2}, -2),
        ({"side": "empty"}, 0),
        ({"side": "buy"}, None),
        ({"side": "odd", "qty": 1}, None),
    ],
)
def test_positions_are_signed(said: dict[str, Any], quantity: int | None) -> None:
    found = position_update({"symbol": "A:B"} | said, "1", FRAME)
    assert (None if found is None else found.rows[0].quantity) == quantity


def test_a_child_order_is_a_level_of_its_parent() -> None:
    said = {
        "id": 2,
        "symbol": "A:B",
        "side": "sell",
        "qty": 1,
        "type": "stop",
        "status": "working",
        "price": 5,
        "label": "sl",
    }
    found = order_update(said | {"parent": 1}, "1", FRAME)
    assert found is not None
    assert (found.rows[0].level, found.rows[0].parent, found.rows[0].stop_price) == ("stop_loss", "1", D(5))
    assert (found.complete, found.firm) == (False, True)


@pytest.mark.parametrize(
    "text",
    [
        {"channel": "trading", "content": {"m": "x"}},
        json.dumps({"channel": "trading", "content": json.dumps({"m": "x"})}),
    ],
)
def test_content_may_be_nested_as_text(text: object) -> None:
    assert frame_content(json.dumps({"text": text}).encode()) == {"m": "x"}
    assert frame_content(b'{"text":{"channel":"alerts","content":{"m":"x"}}}') is None
    assert frame_content(b"~m~3~m~abc") is None


def test_a_level_of_nothing_says_nothing_and_no_price_is_refused() -> None:
    assert (level(1.5), level(0)) == (D("1.5"), UNSET)
    with pytest.raises(ValueError, match="price"):
        level("x")


def test_units_of_symbol_types() -> None:
    assert [unit_of(t) for t in ("futures", "forex", "crypto", "commodity", "")] == [
        "contracts",
        "units",
        "units",
        None,
        None,
    ]


def test_an_account_lists_its_positions() -> None:
    found, unreadable = read_positions([{"symbol": "A", "qty": -1}, {"symbol": "B"}])
    assert ([r.quantity for r in found], unreadable) == ([D(-1)], frozenset({"B"}))
