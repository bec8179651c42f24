"""The lines that the demo prints."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

from deploy.demo import report
from deploy.demo.story import Deed
from shared.facts import Amount, Exposure, PositionClosed
from shared.outcomes import Outcome, StepReport

CAPTURED = datetime(2026, 1, 5, 12, tzinfo=UTC)


def after(milliseconds: float) -> datetime:
    return CAPTURED + timedelta(milliseconds=milliseconds)


FACT = PositionClosed(
    id="f", source="demo", account="1", instrument="EURUSD", model="hedging", producer="p", seq=1, captured=CAPTURED,
    exposure=Exposure(position="o1", revision=2, before=Amount(held=D(1)), after=Amount(held=D(1), coming=D(-1))),
)  # fmt: skip


def outcome(*steps: StepReport, result: str = "filled", text: str = "") -> Outcome:
    return Outcome(
        fact="f", account="one", result=result, captured=CAPTURED, read=CAPTURED, committed=CAPTURED, steps=steps,  # type: ignore[arg-type]
        text=text,
    )  # fmt: skip


OPENED = StepReport(
    name="open", kind="open", action="open", symbol="EURUSD", result="done", side="buy", volume=D("0.10"),
    price=D("1.08512"), ticket=77, stop_loss=D("1.083"), sent=after(2.44), answered=after(5.06),
)  # fmt: skip


def test_a_line_has_ticket_lots_price_and_both_times() -> None:
    (line,) = report.outcome_lines(FACT, {"one": outcome(OPENED)})
    for part in ("one", "filled", "open #77 0.1 lots at 1.08512 sl 1.083", "after 2.4 ms", "done after 5.1 ms"):
        assert part in line


def test_several_steps_count_from_the_first_sent_to_the_last_answered() -> None:
    second = StepReport(
        name="x", kind="set", action="set levels", symbol="EURUSD", result="rejected", text="invalid stops",
        sent=after(6), answered=after(9),
    )  # fmt: skip
    text = report.outcome_text(FACT, outcome(OPENED, second))
    assert "order_send after 2.4 ms" in text
    assert "done after 9.0 ms" in text
    assert "set levels (rejected: invalid stops)" in text
    assert report.waits(FACT, outcome(OPENED, second)) == [2.44]


def test_what_needed_no_request_says_why_and_has_no_times() -> None:
    text = report.outcome_text(FACT, outcome(result="ignored", text="already there"))
    assert text == "ignored   already there"
    assert report.waits(FACT, outcome(result="ignored")) == []


def test_a_refused_deed_has_the_brokers_words() -> None:
    assert report.deed_line(9, Deed("buy 80", "refused", "no money")) == '  9  buy 80   refused: "no money"'
    assert report.deed_line(1, Deed("buy 1")) == "  1  buy 1"


def test_a_fact_that_came_by_hand_says_what_and_how_much_there_is_now() -> None:
    assert report.fact_line(FACT) == "12:00:00  position.closed  EURUSD  now 0"


def test_latency_is_told_with_its_range() -> None:
    assert "median 2.0 ms, fastest 1.0 ms, slowest 9.0 ms" in report.latency_line([9.0, 1.0, 2.0])
    assert report.latency_line([]) == "no request was sent to MetaTrader 5"
