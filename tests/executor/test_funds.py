"""Money that is paid in or out is neither loss nor profit, whichever of account and history shows it first."""

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from executor import funds
from executor.book import Figures
from executor.funds import LAG, MOVED, earned, measured, rearmed
from executor.guards import breach
from executor.mt5.api import DealType
from executor.settings import Limits
from tests.executor.records import deal

D = Decimal
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
LIMITS = Limits()
SECOND = timedelta(seconds=1)


def read(balance: int, floating: int = 0, credit: int = 0) -> Figures:
    equity = D(balance + floating + credit)
    return Figures(currency="USD", balance=D(balance), equity=equity, margin_free=equity, credit=D(credit))


def begun(balance: int = 10_000) -> Figures:
    return measured(read(balance), None, NOW)


def paid(money: float, kind: DealType = DealType.BALANCE, ticket: int = 1) -> Any:
    return deal(ticket=ticket, type=int(kind), profit=float(money))


def accounted(figures: Figures, deals: Sequence[Any]) -> Figures | None:
    """The figures when all deals explain what has changed."""
    told, used = funds.accounted(figures, deals)
    return told if len(used) == len(deals) else None


def marks(figures: Figures | None) -> tuple[Decimal | None, Decimal | None, Decimal]:
    assert figures is not None
    return figures.day_start, figures.peak, figures.counted


def test_the_first_figures_begin_everything() -> None:
    first = begun()

    assert (first.day, marks(first)) == (NOW.date(), (D(10_000), D(10_000), D(10_000)))
    assert first.explained == D(10_000)


def test_the_peak_of_equity_is_carried_on() -> None:
    higher = measured(read(10_000, 500), begun(), NOW)
    lower = measured(read(10_000, -500), higher, NOW)

    assert marks(lower) == (D(10_000), D(10_500), D(9_500))


def test_a_day_begins_at_the_brokers_midnight_and_never_comes_back() -> None:
    first = replace(begun(), day_start=D(100))
    evening, midnight, athens = (
        measured(read(10_000), first, NOW + timedelta(hours=hours), offset)
        for hours, offset in ((11.99, 0), (12, 0), (10, 7200))
    )
    back = measured(read(10_000), midnight, NOW + timedelta(hours=11))

    assert (evening.day, evening.day_start) == (NOW.date(), D(100))
    assert (midnight.day, midnight.day_start) == (date(2026, 11, 26), D(10_000))
    assert (athens.day, athens.day_start) == (midnight.day, midnight.day_start)
    assert (back.day, back.day_start) == (midnight.day, midnight.day_start)


@pytest.mark.parametrize("kind", sorted(MOVED))
@pytest.mark.parametrize("money", [-5_000, 5_000])
def test_money_that_is_moved_moves_the_marks_and_is_no_loss_in_between(kind: DealType, money: int) -> None:
    now = read(10_000, credit=money) if kind == DealType.CREDIT else read(10_000 + money)
    waiting = measured(now, begun(), NOW + SECOND)
    told = accounted(waiting, [paid(money, kind)])

    assert marks(waiting) == (D(10_000), D(10_000), D(10_000))
    assert marks(told) == (D(10_000 + money),) * 3
    assert breach(waiting, LIMITS) is None
    assert told is not None
    assert breach(told, LIMITS) is None
    assert told.since is None
    assert not told.unexplained


@pytest.mark.parametrize("kind", [kind for kind in DealType if kind not in MOVED])
def test_what_trading_costs_is_a_loss(kind: DealType) -> None:
    told = accounted(measured(read(8_000), begun(), NOW + SECOND), [paid(-2_000, kind)])

    assert marks(told) == (D(10_000), D(10_000), D(8_000))
    assert told is not None
    assert breach(told, LIMITS) is not None


def test_a_loss_that_floats_counts_at_once() -> None:
    assert breach(measured(read(10_000, -2_000), begun(), NOW), LIMITS) is not None


def test_a_withdrawal_and_a_loss_at_once_are_told_apart() -> None:
    both = measured(read(4_000), begun(), NOW)
    first = accounted(both, [paid(-1_000, DealType.SELL)])
    assert first is not None
    second = accounted(measured(read(4_000), first, NOW + SECOND), [paid(-5_000)])

    assert marks(first) == (D(10_000), D(10_000), D(9_000))
    assert marks(second) == (D(5_000), D(5_000), D(4_000))


def test_less_money_of_which_no_deal_says_why_is_a_loss_in_the_end() -> None:
    waiting = measured(read(5_000), begun(), NOW)
    nearly, ended = (measured(read(5_000), waiting, NOW + LAG - gap) for gap in (SECOND, timedelta(0)))

    assert breach(nearly, LIMITS) is None
    assert marks(ended) == (D(10_000), D(10_000), D(5_000))


def test_more_money_of_which_no_deal_says_why_is_no_profit() -> None:
    waiting = measured(read(15_000), begun(), NOW)
    ended = measured(read(15_000), waiting, NOW + LAG)

    assert marks(waiting) == (D(10_000), D(10_000), D(10_000))
    assert marks(ended) == (D(15_000),) * 3


def test_what_changes_again_is_waited_for_again() -> None:
    first = measured(read(9_000), begun(), NOW)
    second = measured(read(5_000), first, NOW + LAG - SECOND)
    third = measured(read(5_000), second, NOW + LAG + SECOND)

    assert third.since == NOW + LAG - SECOND
    assert breach(third, LIMITS) is None


def test_a_deal_that_the_account_does_not_show_yet_waits() -> None:
    early = begun()

    assert accounted(early, [paid(-5_000)]) is None
    assert marks(accounted(measured(read(5_000), early, NOW), [paid(-5_000)])) == (D(5_000),) * 3


def test_a_deal_that_does_not_go_with_the_account_keeps_no_other_from_explaining_it() -> None:
    """The first deposit comes into the history when the account has long been known with it."""
    told, used = funds.accounted(
        measured(read(3_999), begun(), NOW), [paid(10_000), paid(-1, DealType.SELL, 2), paid(-6_000, ticket=3)]
    )

    assert used == {2, 3}
    assert marks(told) == (D(4_000), D(4_000), D(3_999))


def test_a_deposit_that_covers_a_loss_hides_it_not() -> None:
    told = accounted(measured(read(10_000), begun(), NOW), [paid(2_000), paid(-2_000, DealType.SELL, 2)])

    assert marks(told) == (D(12_000), D(12_000), D(10_000))


def test_a_day_does_not_begin_with_money_that_is_not_explained() -> None:
    """A withdrawal just before midnight, of which the history tells just after it."""
    before = replace(begun(), day_start=D(9_000))
    waiting = measured(read(5_000), before, NOW + timedelta(hours=12))
    told = accounted(waiting, [paid(-5_000)])
    assert told is not None
    after = measured(read(5_000), told, NOW + timedelta(hours=12, seconds=1))

    assert (waiting.day, waiting.day_start) == (NOW.date(), D(9_000))
    assert (after.day, after.day_start, after.peak) == (date(2026, 11, 26), D(5_000), D(5_000))


def test_what_was_paid_out_between_two_processes_is_no_loss() -> None:
    kept = replace(begun(), balance=D(0), equity=D(0))  # as an account's state has it
    opened = measured(read(5_000), kept, NOW + timedelta(days=3))
    told = accounted(opened, [paid(-5_000)])

    assert breach(opened, LIMITS) is None
    assert marks(told) == (D(5_000),) * 3


def test_figures_of_an_older_version_begin_with_what_is_there() -> None:
    kept = replace(begun(), explained=None)

    assert marks(measured(read(5_000), kept, NOW)) == (D(10_000), D(10_000), D(5_000))


def test_limits_that_are_armed_again_count_from_what_is_there() -> None:
    armed = rearmed(measured(read(10_000, -3_000), begun(), NOW))

    assert marks(armed) == (D(7_000),) * 3


def test_limits_that_are_armed_while_money_is_on_its_way_out_see_no_loss_and_no_profit() -> None:
    armed = rearmed(measured(read(5_000), begun(), NOW))

    assert marks(accounted(armed, [paid(-5_000)])) == (D(5_000),) * 3


def test_numbers_that_are_none_keep_the_older_ones_and_breach_nothing() -> None:
    lost = measured(None, begun(), NOW)

    assert (lost.equity, lost.readable) == (D(10_000), False)
    assert breach(replace(lost, equity=D(1)), LIMITS) is None
    assert measured(None, None, NOW).readable is False
    assert marks(measured(read(9_000), measured(None, None, NOW), NOW)) == (D(9_000),) * 3


def test_a_deal_without_numbers_earns_nothing() -> None:
    assert earned(deal(profit=math.nan, swap=-1.5, commission=-0.5, fee=math.inf)) == D(-2)


EVENTS = st.lists(
    st.tuples(st.integers(-300, 300), st.sampled_from([DealType.BALANCE, DealType.SELL]), st.integers(0, 2)),
    min_size=1,
    max_size=12,
)


@given(EVENTS)
def test_with_a_history_that_lags_everything_ends_as_without_one(events: list[tuple[int, DealType, int]]) -> None:
    """An independent account: the marks move with what is paid, and the peak with what is won."""
    figures, balance, peak, start = begun(), 10_000, 10_000, 10_000
    waiting: list[Any] = []
    for ticket, (money, kind, lag) in enumerate(events, 1):
        balance += money
        start, peak = (start + money, peak + money) if kind in MOVED else (start, max(peak, balance))
        figures = measured(read(balance), figures, NOW + ticket * SECOND)
        waiting.append(paid(money, kind, ticket))
        if not lag:
            figures, waiting = _told(figures, waiting)
    figures, waiting = _told(figures, waiting)
    figures = measured(read(balance), figures, NOW + 20 * SECOND)

    assert (figures.day_start, figures.counted) == (D(start), D(balance))
    assert figures.peak is not None
    assert D(balance) <= figures.peak <= D(peak)
    if all(lag == 0 for _, _, lag in events):
        assert figures.peak == D(peak)


def _told(figures: Figures, waiting: list[Any]) -> tuple[Figures, list[Any]]:
    agreed = accounted(figures, waiting)
    assert agreed is not None
    return measured(replace(agreed), agreed, NOW), []
