"""A deal is told with what it did, what it earned, and who made it."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from executor import marks
from executor.deals import is_trade, not_ours, observation
from executor.mt5.api import DealEntry, DealReason, DealType
from tests.executor.records import deal

NOW = datetime(2026, 11, 25, tzinfo=UTC)
MARK = marks.candidates("1@Demo", "m", "open")[0]


def test_money_is_exact_and_a_fee_is_commission() -> None:
    told = observation(deal(profit=-12.3, swap=-0.1, commission=-0.7, fee=-0.2, volume=0.1, time_msc=1500), "a", NOW)

    assert (told.profit, told.swap, told.commission) == (Decimal("-12.3"), Decimal("-0.1"), Decimal("-0.9"))
    assert told.time == datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)


MAKERS = {
    "a stop under our mark": (DealReason.SL, MARK, "stop_loss", True),
    "a target": (DealReason.TP, 0, "take_profit", True),
    "a stop-out": (DealReason.SO, MARK, "stop_out", True),
    "us": (DealReason.EXPERT, MARK, "copier", False),
    "a person": (DealReason.CLIENT, 0, "hand", True),
    "another robot": (DealReason.EXPERT, 12345, "hand", True),
}


@pytest.mark.parametrize(("reason", "magic", "told", "foreign"), MAKERS.values(), ids=MAKERS)
def test_says_who_made_it(reason: int, magic: int, told: str, foreign: bool) -> None:
    made = deal(reason=int(reason), magic=magic)

    assert observation(made, "a", NOW).reason == told
    assert not_ours(made) == foreign


@pytest.mark.parametrize(
    ("entry", "told"),
    [(DealEntry.IN, "in"), (DealEntry.OUT, "out"), (DealEntry.INOUT, "inout"), (DealEntry.OUT_BY, "out_by")],
)
def test_says_whether_it_opened_or_closed(entry: int, told: str) -> None:
    assert observation(deal(entry=int(entry)), "a", NOW).entry == told


def test_a_deposit_is_no_trade() -> None:
    assert [is_trade(deal(type=int(kind))) for kind in (DealType.BUY, DealType.SELL, DealType.BALANCE)] == [
        True, True, False,
    ]  # fmt: skip
