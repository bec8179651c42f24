"""Every reason to deny an opening, by its cause; and that nothing else is ever held back."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from executor.book import Book, Figures, Price
from executor.guards import GUARDS, breach, guard, within
from executor.reasons import Reason
from executor.settings import Limits, parse_hours
from executor.steps import Open, Rest, Step
from shared.facts import Fact
from tests.executor import accounts
from tests.executor.accounts import EURUSD, NOW, PerfectAccount, holding
from tests.executor.sources import Source
from tests.executor.test_classify import CLOSE, MOVE, PROTECT, REDUCE, WITHDRAW

D = Decimal
STEP = Open(name="open", link="k", symbol="EURUSD", side="buy", volume=D(1), reference=D("1.1"), stop_loss=D("1.09"))
LIMITS = Limits()
FACT: Fact = Source().accepted("o1", "1")[0]
BOOK = accounts.book()
SOON = NOW + timedelta(seconds=1)


def denied(
    step: Step = STEP,
    *,
    fact: Fact = FACT,
    book: Book = BOOK,
    limits: Limits = LIMITS,
    now: datetime = SOON,
    recent: tuple[datetime, ...] = (),
) -> Reason | None:
    found = guard(step, fact, book, limits, now, recent)
    assert found is None or "?" not in found.text, found.text
    return found.reason if found else None


def quoted(bid: str, ask: str) -> Book:
    return replace(BOOK, prices={"EURUSD": Price(bid=D(bid), ask=D(ask), seen=NOW)})


def having(*volumes: str) -> Book:
    return replace(BOOK, holdings={i: holding(i, volume=v) for i, v in enumerate(volumes, 1)})


def worth(equity: int, day_start: int | None = None, peak: int | None = None) -> Book:
    figures = replace(BOOK.figures, equity=D(equity))
    figures = replace(figures, day_start=D(day_start) if day_start else None, peak=D(peak) if peak else None)
    return replace(BOOK, figures=figures)


def test_an_ordinary_opening_passes_with_the_defaults() -> None:
    assert denied() is None


@pytest.mark.parametrize(
    ("reason", "how"),
    [
        (Reason.TOO_OLD, {"now": NOW + timedelta(seconds=11)}),
        (Reason.SYMBOL_DENIED, {"limits": replace(LIMITS, symbols_denied=frozenset({"EURUSD"}))}),
        (Reason.SYMBOL_DENIED, {"limits": replace(LIMITS, symbols_allowed=frozenset({"XAUUSD"}))}),
        (Reason.SIDE_DENIED, {"limits": replace(LIMITS, sides=frozenset({"sell"}))}),
        (Reason.OUTSIDE_HOURS, {"limits": replace(LIMITS, hours=("tue-fri 00:00-23:59",))}),
        (Reason.NO_PRICE, {"book": replace(BOOK, prices={})}),
        (Reason.NO_PRICE, {"now": NOW + timedelta(seconds=31), "limits": replace(LIMITS, max_age=D(60))}),
        (Reason.SIZE_UNKNOWN, {"book": replace(BOOK, figures=replace(BOOK.figures, readable=False))}),
        (Reason.PRICE_RAN_AWAY, {"book": quoted("1.1059", "1.106")}),
        (Reason.SPREAD, {"book": quoted("1.094", "1.1001")}),
        (Reason.LOTS_PER_ORDER, {"step": replace(STEP, volume=D("10.01"))}),
        (Reason.LOTS_PER_SYMBOL, {"book": having("20", "29.5")}),
        (Reason.LOTS, {"limits": replace(LIMITS, max_lots=D(5)), "book": having("4.5")}),
        (Reason.POSITIONS, {"limits": replace(LIMITS, max_positions=2), "book": having("0.1", "0.1")}),
        (Reason.ORDERS_PER_MINUTE, {"recent": (NOW,) * 60}),
        (Reason.RISK, {"limits": replace(LIMITS, max_risk_percent=D(5))}),
        (Reason.DAILY_LOSS, {"book": worth(8900, day_start=10000)}),
        (Reason.DRAWDOWN, {"book": worth(6900, peak=10000)}),
    ],
)
def test_each_reason_has_its_cause(reason: Reason, how: dict[str, Any]) -> None:
    assert denied(**how) is reason


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("open"), st.sampled_from(["1", "2", "-1", "-2"]).map(D)),
            st.tuples(st.just("close"), st.integers(0, 30)),
        ),
        max_size=30,
    )
)
def test_no_exit_on_a_netting_account_goes_past_the_limits_that_openings_have(
    story: list[tuple[str, Any]],
) -> None:
    """Openings against each other leave little, and closing those of one side brings the others out: unguarded."""
    limits, account, source = (
        replace(LIMITS, max_lots_per_symbol=D(3), max_lots=D(3)),
        PerfectAccount("netting"),
        Source(),
    )
    held: list[str] = []
    for number, (what, value) in enumerate(story):
        if what == "open":
            step = replace(STEP, side="buy" if value > 0 else "sell", volume=abs(value))
            if denied(step, book=account.book, limits=limits) is None:
                held.append(f"o{number}")
                account.follow(source.accepted(held[-1], value)[0])
        elif held:
            account.follow(source.close(held.pop(value % len(held)))[0])
        assert abs(account.net()) <= 3


def test_the_brokers_own_volume_limit_counts_one_direction() -> None:
    rules = {"EURUSD": replace(EURUSD, volume_limit=D(5))}
    full = replace(having("4.5"), specifications=rules)
    assert denied(book=full) is Reason.VOLUME_LIMIT
    assert denied(replace(STEP, side="sell"), book=full) is None


def test_risk_without_a_stop_is_denied_where_a_limit_is_set() -> None:
    bare = replace(STEP, stop_loss=None)
    assert denied(bare) is None
    assert denied(bare, limits=replace(LIMITS, max_risk_percent=D(5))) is Reason.NO_STOP_LOSS


@pytest.mark.parametrize(
    ("step", "book"),
    [
        (STEP, replace(BOOK, specifications={"EURUSD": replace(EURUSD, tick_value=D(0))})),
        (STEP, replace(BOOK, specifications={})),
        (STEP, worth(0)),
        (replace(STEP, stop_loss=D("1.10001")), BOOK),
        (replace(STEP, side="sell", stop_loss=D("1.1")), BOOK),
        (replace(STEP, stop_loss=D("1.0995")), quoted("1.099", "1.10001")),
    ],
    ids=[
        "a tick is worth nobody knows what",
        "no rules",
        "no equity",
        "the stop is passed",
        "passed by a sell",
        "within the spread",
    ],
)
def test_a_loss_that_nobody_knows_is_no_loss_within_the_limit(step: Open, book: Book) -> None:
    assert denied(step, book=book) is None
    assert denied(step, book=book, limits=replace(LIMITS, max_risk_percent=D(50))) is Reason.SIZE_UNKNOWN


def test_a_stop_limit_order_risks_what_lies_between_its_limit_and_its_stop() -> None:
    rest = Rest(
        name="rest", link="k", order="L", symbol="EURUSD", type="stoplimit", side="buy", volume=D(1), price=D("1.12"),
        stop_limit=D("1.101"), stop_loss=D("1.1"),
    )  # fmt: skip
    limits = replace(LIMITS, max_risk_percent=D(1))
    assert denied(rest, limits=limits) is None
    assert denied(replace(rest, stop_limit=D("1.11")), limits=limits) is Reason.RISK


def test_the_clocks_uncertainty_is_in_the_orders_favour() -> None:
    assert denied(now=NOW + timedelta(seconds=11), fact=replace(FACT, uncertainty=2.0)) is None


def test_openings_older_than_a_minute_are_not_counted() -> None:
    assert denied(recent=(NOW - timedelta(seconds=59),) * 60) is None


def test_a_resting_order_is_not_asked_for_the_price_it_waits_for() -> None:
    rest = Rest(
        name="rest", link="k", order="L", symbol="EURUSD", type="limit", side="buy", volume=D(1), price=D("0.9")
    )
    assert denied(rest, book=quoted("1.0", "1.1")) is None


def test_a_loss_limit_that_only_notifies_denies_nothing_and_is_told() -> None:
    limits, book = replace(LIMITS, on_breach="notify"), worth(8900, day_start=10000)
    assert denied(limits=limits, book=book) is None
    found = breach(book.figures, limits)
    assert found is not None
    assert (found.action, found.denied.reason) == ("notify", Reason.DAILY_LOSS)


def test_no_limit_is_passed_at_the_start() -> None:
    assert breach(BOOK.figures, LIMITS) is None


@pytest.mark.parametrize(
    ("text", "moment", "inside"),
    [
        ("mon-fri 07:00-21:00", datetime(2026, 3, 2, 7, 0, tzinfo=UTC), True),
        ("mon-fri 07:00-21:00", datetime(2026, 3, 2, 21, 0, tzinfo=UTC), False),
        ("mon-fri 07:00-21:00", datetime(2026, 3, 1, 12, 0, tzinfo=UTC), False),
        ("sun 22:00-02:00", datetime(2026, 3, 1, 23, 0, tzinfo=UTC), True),
        ("sun 22:00-02:00", datetime(2026, 3, 2, 1, 59, tzinfo=UTC), True),
        ("sun 22:00-02:00", datetime(2026, 3, 2, 2, 0, tzinfo=UTC), False),
        ("fri-mon 10:00-11:00", datetime(2026, 3, 1, 10, 30, tzinfo=UTC), True),
        ("10:00-11:00", datetime(2026, 3, 4, 10, 30, tzinfo=UTC), True),
        ("mon 00:00-24:00", datetime(2026, 3, 2, 0, 0, tzinfo=UTC), True),
        ("mon 00:00-24:00", datetime(2026, 3, 2, 23, 59, 59, 999999, tzinfo=UTC), True),
        ("mon 00:00-24:00", datetime(2026, 3, 3, 0, 0, tzinfo=UTC), False),
        ("mon 07:00-24:00", datetime(2026, 3, 3, 0, 0, tzinfo=UTC), False),
        ("mon 07:00-24:00", datetime(2026, 3, 2, 6, 59, tzinfo=UTC), False),
        ("mon 07:00-24:00", datetime(2026, 3, 2, 23, 59, tzinfo=UTC), True),
    ],
)
def test_hours(text: str, moment: datetime, inside: bool) -> None:
    assert within(parse_hours(text), moment) is inside


@given(
    step=st.sampled_from([CLOSE, REDUCE, PROTECT, MOVE, WITHDRAW]),
    now=st.timedeltas(timedelta(days=-9000), timedelta(days=9000)).map(lambda t: NOW + t),
    equity=st.decimals(-1000, 1000, places=2),
    limit=st.decimals(D("0.01"), 1, places=2),
    recent=st.integers(0, 200),
)
def test_nothing_but_an_opening_is_ever_held_back(
    step: Step, now: datetime, equity: Decimal, limit: Decimal, recent: int
) -> None:
    tight = Limits(
        max_age=limit,
        max_lots=limit,
        max_lots_per_order=limit,
        max_positions=1,
        max_orders_per_minute=1,
        sides=frozenset(),
    )
    poor = Figures(currency="USD", balance=equity, equity=equity, margin_free=equity, day_start=D(9000), peak=D(9000))
    book = replace(having("9", "9"), figures=poor, prices={}, specifications={})
    assert guard(step, FACT, book, tight, now, [now] * recent) is None


def test_what_no_deal_explains_yet_counts_against_an_opening_and_breaches_nothing() -> None:
    """A stop that was hit and whose deal is not in the history yet must not let another opening through."""
    book = worth(8000, day_start=10000, peak=10000)
    book = replace(book, figures=replace(book.figures, balance=D(8000), explained=D(10000), since=NOW))

    assert denied(book=book) == Reason.DAILY_LOSS
    assert breach(book.figures, LIMITS) is None


def test_every_guard_can_deny() -> None:
    assert len(GUARDS) == len(set(GUARDS)) == 16
