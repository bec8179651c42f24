"""Our requests, as the vendor's package wants them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.mt5 import api
from executor.mt5.simulator import arguments
from executor.mt5.simulator.ask import FLOATS

ONE, TWO = Decimal("1.1"), Decimal("1.2")

WANTED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"action": api.TradeAction.DEAL, "symbol": "EURUSD", "volume": Decimal("0.10"), "type": api.OrderType.SELL},
        {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 1, "type_filling": 0},
    ),
    (
        {
            "action": api.TradeAction.DEAL,
            "symbol": "EURUSD",
            "volume": ONE,
            "price": TWO,
            "deviation": 5,
            "sl": ONE,
            "tp": TWO,
            "magic": 7,
            "comment": "c",
            "position": 9,
            "type_filling": api.OrderFilling.IOC,
        },
        {
            "action": 1,
            "symbol": "EURUSD",
            "volume": 1.1,
            "type": 0,
            "type_filling": 1,
            "price": 1.2,
            "deviation": 5,
            "sl": 1.1,
            "tp": 1.2,
            "magic": 7,
            "comment": "c",
            "position": 9,
        },
    ),
    (
        {
            "action": api.TradeAction.PENDING,
            "symbol": "X",
            "volume": ONE,
            "type": api.OrderType.BUY_LIMIT,
            "price": ONE,
        },
        {"action": 5, "symbol": "X", "volume": 1.1, "type": 2, "price": 1.1, "type_filling": 0, "type_time": 0},
    ),
    (
        {"action": api.TradeAction.SLTP, "symbol": "X", "position": 3, "tp": ONE, "magic": 5, "comment": "not sent"},
        {"action": 6, "position": 3, "symbol": "X", "sl": 0.0, "tp": 1.1},
    ),
    (
        {"action": api.TradeAction.MODIFY, "order": 4, "price": ONE},
        {"action": 7, "order": 4, "price": 1.1, "sl": 0.0, "tp": 0.0, "type_time": 0, "expiration": 0},
    ),
    ({"action": api.TradeAction.REMOVE, "order": 4, "symbol": "X"}, {"action": 8, "order": 4}),
    (
        {"action": api.TradeAction.CLOSE_BY, "position": 1, "position_by": 2, "magic": 3},
        {"action": 10, "position": 1, "position_by": 2, "magic": 3},
    ),
]


@pytest.mark.parametrize(("fields", "wanted"), WANTED)
def test_a_request_has_what_its_action_wants_in_the_vendors_types(
    fields: dict[str, Any], wanted: dict[str, Any]
) -> None:
    made = api.TradeRequest(**fields).to_dict()
    assert made == wanted
    assert {name: type(value) for name, value in made.items()} == {name: type(value) for name, value in wanted.items()}


prices = st.decimals(min_value=0, max_value=10**6, places=5) | st.none()
requests = st.builds(
    api.TradeRequest,
    action=st.sampled_from(api.TradeAction),
    symbol=st.text(max_size=14),
    volume=st.decimals(min_value=0, max_value=1000, places=2),
    type=st.sampled_from(api.OrderType),
    price=prices,
    stoplimit=prices,
    sl=prices,
    tp=prices,
    deviation=st.integers(0, 1000),
    type_filling=st.sampled_from(api.OrderFilling),
    type_time=st.sampled_from(api.OrderTime),
    expiration=st.integers(0, 2**40),
    comment=st.text(max_size=14),
    magic=st.integers(0, api.MAX_MAGIC),
    order=st.integers(0, 2**63),
    position=st.integers(0, 2**63),
    position_by=st.integers(0, 2**63),
)


@given(requests)
def test_the_vendors_package_takes_every_request_that_can_be_made(request: api.TradeRequest) -> None:
    made = request.to_dict()
    assert arguments.request([made], {}, empty_mapping=False) == made
    assert {type(made[name]) for name in FLOATS if name in made} <= {float}


@pytest.mark.parametrize(
    "wrong",
    [
        {"comment": "c" * 30},
        {"symbol": "\N{GRINNING FACE}" * 15},
        {"volume": Decimal("NaN")},
        {"price": Decimal("Infinity")},
        {"sl": Decimal(-1)},
        {"magic": 2**53},
        {"magic": -1},
    ],
)
def test_a_request_that_the_vendor_would_refuse_or_misread_cannot_be_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must|longer"):
        api.TradeRequest(action=api.TradeAction.DEAL, **wrong)


def test_length_is_counted_as_windows_counts_it() -> None:
    assert [api.utf16_units(text) for text in ("", "abc", "\N{EURO SIGN}", "\N{GRINNING FACE}")] == [0, 3, 1, 2]
