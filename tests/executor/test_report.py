"""Every step is told with what was asked of MT5, what is known of it, and when."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from msgspec.structs import replace

from executor import report
from executor.mt5.api import Lost, NoResult
from executor.reasons import Denied, Obstacle, Reason
from executor.results import Already, Done, Owed, Rejected, Result, Skipped
from executor.steps import Close, Move, Open, Protect, Reduce, Rest, Step, Withdraw
from shared.outcomes import StepReport
from tests.executor import accounts

D = Decimal
OPEN = Open(name="open", link="l", symbol="EURUSD", side="buy", volume=D(1), stop_loss=D("0.9"))
STEPS: list[tuple[Step, str, str]] = [
    (OPEN, "open", "open"),
    (
        Rest(name="r", link="l", order="o", symbol="E", type="stop", side="buy", volume=D(1), price=D(1)),
        "open",
        "place stop",
    ),
    (Close(name="c", link="l", ticket=1, symbol="E", side="buy", volume=D(1)), "reduce", "close"),
    (
        Reduce(name="r", link="l", ticket=1, symbol="E", side="buy", volume=D(1), floor=D(0)),
        "reduce",
        "part close",
    ),
    (Protect(name="p", link="l", ticket=1, symbol="E", stop_loss=None, take_profit=None), "set", "set levels"),
    (Move(name="m", link="l", order="o", ticket=1, symbol="E", price=D(1)), "set", "move order"),
    (Withdraw(name="w", link="l", order="o", ticket=1, symbol="E"), "set", "remove order"),
]


@pytest.mark.parametrize(("step", "kind", "action"), STEPS, ids=lambda x: x if isinstance(x, str) else "")
def test_says_what_was_asked(step: Step, kind: str, action: str) -> None:
    told = report.step_report(step, None, report.Call())

    assert (told.kind, told.action, told.result) == (kind, action, "unresolved")


RESULTS: dict[str, tuple[Result, dict[str, object]]] = {
    "done": (Done(ticket=7, deal=8, volume=D(1), price=D(2), retcode=10009), {"ticket": 7, "deal": 8, "price": D(2)}),
    "already": (Already(10036), {"retcode": 10036}),
    "denied": (Denied(Reason.STATE, {"state": "halted"}), {"reason": "state", "text": "the account is halted"}),
    "rejected": (Rejected(10019, Obstacle.NO_MONEY), {"retcode": 10019, "text": "there is not enough free margin"}),
    "owed": (Owed(Obstacle.MARKET_CLOSED, 10018), {"retcode": 10018, "reason": "market-closed"}),
    "skipped": (Skipped(shadow=True), {"reason": "shadow"}),
}


@pytest.mark.parametrize(("name", "case"), RESULTS.items(), ids=RESULTS)
def test_says_what_became_of_it(name: str, case: tuple[Result, dict[str, object]]) -> None:
    result, fields = case

    told = report.step_report(OPEN, result, report.Call())

    assert told.result == name
    assert {field: getattr(told, field) for field in fields} == fields


def test_what_was_filled_counts_and_not_what_was_asked() -> None:
    told = report.step_report(OPEN, Done(ticket=7, volume=D("0.4")), report.Call())

    assert told.volume == D("0.4")


def test_an_answer_tells_when_the_vendor_was_called() -> None:
    made = report.call(NoResult((-1, ""), called=1_000_000_000, returned=2_000_000_000), mark=5)

    assert made == report.Call(
        mark=5, sent=datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), answered=datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC)
    )


def test_a_lost_call_has_a_mark_and_no_times() -> None:
    assert report.call(Lost("killed"), mark=5) == report.Call(mark=5)


def test_the_mark_that_was_found_is_told_over_the_one_that_was_sent() -> None:
    told: StepReport = report.step_report(OPEN, Done(ticket=7, mark=6), report.Call(mark=5))

    assert told.mark == 6


RISKED: list[tuple[Step, Decimal | None]] = [
    (OPEN, D("20001.00")),  # 0.20001 away, a dollar for each hundred-thousandth
    (replace(OPEN, side="sell", stop_loss=D("1.2"), volume=D("0.1")), D("1000.00")),  # entered at the bid
    (replace(OPEN, stop_loss=None), None),
    (replace(OPEN, symbol="GBPUSD"), None),
    (STEPS[4][0], None),
]


@pytest.mark.parametrize(("step", "money"), RISKED)
def test_tells_what_an_opening_would_lose_at_its_stop(step: Step, money: Decimal | None) -> None:
    assert report.at_stop(step, accounts.book()) == money
    told = report.step_report(step, Done(ticket=7, mark=5), report.Call(at_stop=money))
    assert (told.at_stop, told.mark) == (money, 5)


def test_a_resting_order_risks_from_its_own_price() -> None:
    rest = Rest(
        name="r", link="l", order="o", symbol="EURUSD", type="limit", side="buy", volume=D(1), price=D("1.0"),
        stop_loss=D("0.99"),
    )  # fmt: skip
    assert report.at_stop(rest, accounts.book()) == D("1000.00")


def test_a_result_reads_as_words_in_a_log() -> None:
    assert report.said(Owed(Obstacle.FROZEN)).startswith("the price is too close")
    assert report.said(None) == "unresolved"
