import pytest

from ingest.calls import Call, CancelOrder, ClosePosition, ModifyOrder, ModifyPosition, PlaceOrder
from ingest.desk import ALL, Desk
from ingest.order_calls import place
from ingest.state import Bracket, Picture
from ingest.subject import instrument_of, waits
from tests.ingest.story import START
from tests.ingest.test_desk import market

ABOUT = {"account": "1", "flow": "f", "asked": START}


def desk() -> Desk:
    """An order 1 in X with a take profit, and a position 5 that it has opened."""
    found = Desk(Picture(source="s", account="1", model="hedging"))
    place(found, market("1"))
    (opened,) = found.positions.values()
    found.positions["5"] = type(opened)(key="5", instrument="X", since=START, position_id="5")
    found.brackets["1.TP.9"] = Bracket(id="1.TP.9", level="take_profit", parent="1")
    found.brackets["5.SL.9"] = Bracket(id="5.SL.9", level="stop_loss", parent="5")
    found.brackets["7.SL.9"] = Bracket(id="7.SL.9", level="stop_loss", parent="7")
    return found


@pytest.mark.parametrize(
    ("call", "instrument"),
    [
        (PlaceOrder(**ABOUT, instrument="Y", side="buy", type="market", quantity=1), "Y"),  # type: ignore[arg-type]
        (ModifyPosition(**ABOUT, position="5"), "X"),  # type: ignore[arg-type]
        (ClosePosition(**ABOUT, position="6"), ALL),  # type: ignore[arg-type]
        (CancelOrder(**ABOUT, order_id="1"), "X"),  # type: ignore[arg-type]
        (CancelOrder(**ABOUT, order_id="1.TP.9"), "X"),  # type: ignore[arg-type]
        (ModifyOrder(**ABOUT, order_id="5.SL.9"), "X"),  # type: ignore[arg-type]
        (ModifyOrder(**ABOUT, order_id="7.SL.9"), ALL),  # type: ignore[arg-type]
        (CancelOrder(**ABOUT, order_id="8"), ALL),  # type: ignore[arg-type]
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else value,
)
def test_a_call_is_about_an_instrument_or_nobody_knows(call: Call, instrument: str) -> None:
    assert instrument_of(desk(), call) == instrument


def test_a_call_that_was_applied_already_keeps_no_poll_waiting() -> None:
    it, call = desk(), CancelOrder(**ABOUT, order_id="1")  # type: ignore[arg-type]
    waits(it, call)
    assert it.busy("X")
    assert not it.busy("Y")
    it = desk()
    it.flows["f"] = True
    waits(it, call)
    assert not it.busy("X")
