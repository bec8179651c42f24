"""Rows of polls are read exactly or not at all."""

from decimal import Decimal
from typing import Any

import pytest

from ingest.calls import Instrument
from ingest.rest_rows import (
    Unusable,
    bracket_id,
    flag,
    instrument,
    moment,
    names,
    order_row,
    order_type,
    position_row,
    positive,
    rows,
    side,
    standing,
    text,
    unit_of,
)
from tests.ingest.story import order, position

D = Decimal


@pytest.mark.parametrize(
    ("fields", "kind", "unit"),
    [
        ({"lot_size": 100000, "quantity_minimum": D("0.01")}, "forex", "lots"),
        ({"lot_size": 100000, "quantity_step": D(1000)}, "forex", "units"),
        ({"lot_size": 100000, "quantity_minimum": D(1)}, "forex", None),
        ({"lot_size": 1, "quantity_minimum": D("0.01")}, "crypto", None),
        ({}, "futures", "contracts"),
        ({}, "forex", None),
        ({"lot_size": 100}, "cfd", None),
    ],
)
def test_a_unit_is_told_only_where_the_row_allows_one_reading(
    fields: dict[str, Any], kind: str, unit: str | None
) -> None:
    assert unit_of(Instrument(name="X", **fields), kind, "") == unit


def test_the_rows_own_word_decides_the_unit() -> None:
    found = instrument({"name": "X", "units": "Lots", "lotSize": 1, "minQty": 1})
    assert found is not None
    assert found.unit == "lots"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("764986466.TP.173", ("764986466", "take_profit")),
        ("7.SL.1", ("7", "stop_loss")),
        ("7.XX.1", None),
        (".TP.1", None),
        ("7", None),
        ("a.b.TP.1", ("a.b", "take_profit")),
    ],
)
def test_bracket_ids_are_split_at_their_mark(name: str, expected: object) -> None:
    assert bracket_id(name) == expected


@pytest.mark.parametrize(
    ("word", "state"), [("Cancelled", "canceled"), ("canceled", "canceled"), ("placing", "live"), ("", None)]
)
def test_both_spellings_of_a_status_are_known(word: str, state: str | None) -> None:
    assert standing(word) == state


@pytest.mark.parametrize("missing", ["instrument", "qty", "side", "type", "status"])
def test_an_order_without_a_promised_field_cannot_be_read(missing: str) -> None:
    row = order("1", "working")
    del row[missing]
    assert order_row(row) is None


def test_a_living_order_needs_its_price_and_an_ended_one_does_not() -> None:
    assert order_row(order("1", "working", type="limit")) is None
    assert order_row(order("1", "cancelled", type="limit")) is not None


@pytest.mark.parametrize(
    ("filled", "status", "expected"),
    [(0.2, "working", "0.1"), (-1, "working", "0"), (1e-17, "working", "0"), (0, "filled", "0.1")],
)
def test_the_filled_quantity_lies_within_the_order(filled: float, status: str, expected: str) -> None:
    found = order_row(order("1", status, filledQty=filled))
    assert found is not None
    assert found.filled == D(expected)


def test_a_position_is_signed_by_its_side() -> None:
    long, short = position_row(position("1")), position_row(position("1", 0.1, "sell"))
    assert long is not None
    assert short is not None
    assert (long.quantity, short.quantity) == (D("0.1"), D("-0.1"))
    assert position_row(position("1", -1)) is None
    assert position_row(position("1", 1, "flat")) is None


@pytest.mark.parametrize("value", [None, {}, "x", [None], [{}], [{"id": ""}], [{"id": True}]])
def test_a_poll_that_is_no_list_of_named_rows_is_unusable(value: object) -> None:
    with pytest.raises(Unusable):
        rows(value, position_row)


def test_small_words() -> None:
    assert (side("BUY"), side("hold"), order_type("StopLimit"), order_type("")) == ("buy", None, "stoplimit", None)
    assert (text(7), text(True), text(None), text(" a ")) == ("7", "", "", "a")
    assert (positive("0"), positive("-1"), positive("1.50")) == (None, None, D("1.5"))
    assert names([{"id": "1"}, {"id": 2}, {}, 3]) == ("1", "2")
    assert flag({"config": {"a": True, "b": 1}}, "a") is True
    assert flag({"config": {"a": True, "b": 1}}, "b") is None


def test_moments_are_unix_seconds_or_their_thousandths() -> None:
    assert moment("1753620560") == moment(1753620560000)
    assert moment(-1) is None
    assert moment("soon") is None


@pytest.mark.parametrize("quantity", ["2.7755575615628914e-17", -1e-13, "0"])
def test_less_than_anybody_trades_is_nothing(quantity: object) -> None:
    found = position_row({"id": "1", "instrument": "EURUSD", "qty": quantity, "side": "buy"})
    assert found is not None
    assert found.quantity == 0
