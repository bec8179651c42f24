"""Trailing stops follow the price in the profitable direction, and nobody else moves them."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from executor.book import Book, Link, Part, Price
from executor.instruments import signed
from executor.levels import pair, protecting
from executor.trailing import moves, trails
from shared.facts import Levels, Side
from tests.executor import accounts
from tests.executor.accounts import EURUSD, holding

D = Decimal
NOW = datetime(2026, 3, 2, tzinfo=UTC)
DISTANCE = D("0.0010")


def link(side: Side = "buy", **levels: object) -> Link:
    part = Part(ticket=1, identifier=1, volume=D(1), side=side)
    asked = Levels(**({"trailing": DISTANCE} | levels))  # type: ignore[arg-type]
    return Link(key="k", instrument="EURUSD", symbol="EURUSD", parts=(part,), levels=asked, followed=D(1))


def book(of: Link, bid: str, stop: str | None, side: Side = "buy", **rules: object) -> Book:
    price = Price(bid=D(bid), ask=D(bid) + D("0.0001"), seen=NOW)
    held = holding(1, side, stop_loss=D(stop) if stop else None, take_profit=D("1.3") if side == "buy" else D("0.9"))
    plain = replace(accounts.book(links=[of]), holdings={1: held}, prices={"EURUSD": price})
    return replace(plain, specifications={"EURUSD": replace(EURUSD, **rules)})


@pytest.mark.parametrize(
    ("side", "bid", "stop", "moved"),
    [
        ("buy", "1.1050", "1.1000", "1.10400"),  # the price has gone up
        ("buy", "1.1009", "1.1000", None),  # the price has come back: never
        ("buy", "1.1010", "1.1000", None),  # nothing gained
        ("buy", "1.10101", "1.1000", None),  # less than what is worth a request
        ("buy", "1.10102", "1.1000", "1.10002"),
        ("buy", "1.1050", None, "1.10400"),  # no stop yet
        ("sell", "1.0950", "1.1000", "1.09610"),  # a sell is closed at the ask
        ("sell", "1.1050", "1.1000", None),
    ],
)
def test_a_stop_moves_towards_the_price_and_never_back(side: Side, bid: str, stop: str | None, moved: str) -> None:
    ours = link(side)
    steps = list(moves([ours], book(ours, bid, stop, side)))
    assert [s.stop_loss for s in steps] == ([D(moved)] if moved else [])
    assert all(s.take_profit == (D("1.3") if side == "buy" else D("0.9")) for s in steps)


@given(side=st.sampled_from(["buy", "sell"]), ticks=st.lists(st.integers(100_000, 120_000), min_size=1, max_size=30))
def test_whatever_the_price_does_the_stop_gives_up_less_and_less(side: Side, ticks: list[int]) -> None:
    ours, stop = link(side), None
    for tick in ticks:
        now = book(ours, f"{tick / 100_000:.5f}", str(stop) if stop else None, side)
        for step in moves([ours], now):
            assert step.stop_loss is not None
            assert stop is None or signed(side, step.stop_loss - stop) > 0
            assert step.stop_loss % EURUSD.tick_size == 0
            stop = step.stop_loss
            bid, ask = now.prices["EURUSD"].bid, now.prices["EURUSD"].ask
            assert abs((bid if side == "buy" else ask) - stop) >= DISTANCE


def test_the_brokers_least_distance_counts_more_than_a_shorter_one() -> None:
    ours = link()
    (step,) = moves([ours], book(ours, "1.1050", "1.1000", stops_level=300))
    assert step.stop_loss == D("1.10199")


def test_a_position_that_the_broker_has_frozen_is_left_until_it_is_not() -> None:
    ours = link()
    assert list(moves([ours], book(ours, "1.1050", "1.1000", freeze_level=600))) == []


@pytest.mark.parametrize("stop", [None, D("1.09")])
def test_without_a_distance_nothing_trails(stop: Decimal | None) -> None:
    ours = link(trailing=None, stop_loss=stop)
    assert not trails(ours)
    assert list(moves([ours], book(ours, "1.2", "1.09"))) == []


def test_what_is_not_known_moves_nothing() -> None:
    ours = link()
    whole = book(ours, "1.2", "1.1")
    for missing in ("prices", "specifications", "holdings"):
        assert list(moves([ours], replace(whole, **{missing: {}}))) == []


def test_a_fact_about_another_level_does_not_move_a_trailed_stop_back() -> None:
    ours = link(stop_loss=D("1.09"), take_profit=D("1.4"))
    (step,) = protecting(ours, book(ours, "1.1050", "1.1040"))
    assert (step.stop_loss, step.take_profit) == (D("1.1040"), D("1.4"))


def test_a_stop_of_the_source_that_is_nearer_counts() -> None:
    levels = Levels(stop_loss=D("1.1045"), trailing=DISTANCE)
    ours = link(stop_loss=D("1.1045"))
    (step,) = protecting(ours, book(ours, "1.1050", "1.1040"))
    assert step.stop_loss == pair(levels, D(0), EURUSD).stop_loss == D("1.10450")
