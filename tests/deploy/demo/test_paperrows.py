"""Orders and positions on paper, as they are shown."""

from decimal import Decimal as D

import pytest

from deploy.demo.paperrows import PaperOrder, PaperPosition

ORDER = PaperOrder(
    id=7, symbol="OANDA:EURUSD", symbol_type="forex", side="sell", qty=D(1000), type="limit", status="working",
    price=D("1.09"), take_profit=D("1.08"),
)  # fmt: skip


def test_an_order_shows_what_it_has_and_leaves_out_the_rest() -> None:
    assert ORDER.row() == {
        "id": 7, "symbol": "OANDA:EURUSD", "symboltype": "forex", "side": "sell", "qty": D(1000), "type": "limit",
        "status": "working", "price": D("1.09"), "tp": D("1.08"),
    }  # fmt: skip
    assert ORDER.signed == -1000


@pytest.mark.parametrize(
    ("qty", "signed", "side", "shown"),
    [(D(5), True, "buy", 5), (D(-5), True, "sell", -5), (D(-5), False, "sell", 5), (D(0), True, "empty", 0)],
)
def test_a_short_position_is_shown_below_zero_or_not(qty: D, signed: bool, side: str, shown: int) -> None:
    row = PaperPosition(symbol="A:B", symbol_type="forex", qty=qty, average=D(2)).row(signed=signed)
    assert (row["side"], row["qty"], row.get("avg_price")) == (side, shown, D(2) if qty else None)


def test_levels_are_those_of_the_brackets_and_may_be_left_out() -> None:
    position = PaperPosition(symbol="A:B", symbol_type="forex", qty=D(5), average=D(2), brackets={"tp": ORDER})
    assert position.row(signed=True)["tp"] == D("1.09")
    assert "tp" not in position.row(signed=True, levels=False)
