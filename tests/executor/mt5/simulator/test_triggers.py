"""What happens to the account without a request."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from executor.mt5.simulator import triggers
from executor.mt5.simulator.ask import Ask
from executor.mt5.simulator.engine import Engine
from executor.mt5.vocabulary import OrderFilling, OrderState, OrderTime, OrderType, Retcode, TradeAction
from tests.executor.mt5.engines import D, deal, engine, floor, price, send
from tests.executor.mt5.simulated import NOON

DAY = 86_400_000


def limit(of: Engine, at: str, **fields: Any) -> int:
    kind = int(OrderType.BUY_LIMIT)
    ask = Ask(action=int(TradeAction.PENDING), symbol="EURUSD", type=kind, volume=D("0.1"), price=D(at), **fields)
    verdict = send(of, msgspec.structs.replace(ask, type_filling=2))
    assert verdict.retcode == Retcode.DONE
    return verdict.order


def test_a_pending_order_without_money_is_rejected_when_it_triggers() -> None:
    account = engine(balance="1000")
    ticket = limit(account, "1.09")
    send(account, deal(0, "0.9"))
    price(account, "EURUSD", "1.0899", "1.09")
    triggers.advance(floor(account))
    assert account.store.history[ticket].state == OrderState.REJECTED


def test_a_closed_market_triggers_nothing() -> None:
    account = engine()
    ticket = limit(account, "1.09")
    send(account, deal(0, "0.1", sl=D("1.09")))
    account.store.put("symbols", "EURUSD", msgspec.structs.replace(account.store.symbols["EURUSD"], open=False))
    price(account, "EURUSD", "1.08", "1.0801")
    triggers.advance(floor(account))
    assert list(account.store.orders) == [ticket]
    assert len(account.store.positions) == 1


def test_a_day_order_ends_with_the_brokers_day() -> None:
    account = engine()
    ticket = limit(account, "1.09", type_time=int(OrderTime.DAY))
    account.advance(NOON + 3_600_000)
    assert ticket in account.store.orders
    account.advance(NOON + DAY)
    assert account.store.history[ticket].state == OrderState.EXPIRED


@pytest.mark.parametrize(("nights", "charges"), [(1, 1), (2, 2), (3, 5), (4, 6), (5, 7), (6, 7), (7, 7), (8, 8)])
def test_wednesday_pays_for_the_weekend(nights: int, charges: int) -> None:
    account = engine()
    account.advance(NOON)
    send(account, deal(0, "1"))
    for day in range(1, nights + 1):
        account.advance(NOON + day * DAY)
    (position,) = account.store.positions.values()
    assert position.swap == charges * D("-7.20")


def test_days_that_nobody_watched_are_charged_at_once() -> None:
    watched, unwatched = engine(), engine()
    for account in (watched, unwatched):
        account.advance(NOON)
        send(account, deal(1, "1"))
    for day in range(1, 12):
        watched.advance(NOON + day * DAY)
    unwatched.advance(NOON + 11 * DAY)
    swaps = [next(iter(each.store.positions.values())).swap for each in (watched, unwatched)]
    assert swaps[0] == swaps[1] > 0


def test_a_gap_through_the_stop_closes_at_the_market() -> None:
    account = engine()
    send(account, deal(0, "0.1", sl=D("1.09")))
    price(account, "EURUSD", "1.05", "1.0501")
    triggers.advance(floor(account))
    closing = list(account.store.deals.values())[-1]
    assert (closing.price, closing.comment) == (D("1.05"), "[sl 1.09000]")


def test_a_delayed_close_of_a_position_that_is_gone_is_canceled() -> None:
    account = engine()
    ticket = send(account, deal(0, "0.1", sl=D("1.09"))).order
    account.store.set("settings", msgspec.structs.replace(account.store.settings, fill_delay=500))
    closing = send(account, deal(1, "0.1", position=ticket)).order
    price(account, "EURUSD", "1.08", "1.0801")
    account.advance(NOON + 100, moved=True)
    account.advance(NOON + 600)
    assert account.store.history[closing].state == OrderState.CANCELED
    assert not account.store.positions


@pytest.mark.parametrize(
    ("filling", "state", "left"),
    [(OrderFilling.IOC, OrderState.CANCELED, []), (OrderFilling.FOK, OrderState.REJECTED, [D("0.2")])],
)
def test_a_delayed_close_never_closes_more_than_is_left(
    filling: OrderFilling, state: OrderState, left: list[Decimal]
) -> None:
    account = engine()
    long, short = send(account, deal(0, "0.3")).order, send(account, deal(1, "0.1")).order
    account.store.set("settings", msgspec.structs.replace(account.store.settings, fill_delay=500))
    closing = send(account, deal(1, "0.3", position=long, type_filling=int(filling))).order
    send(account, Ask(action=int(TradeAction.CLOSE_BY), position=long, position_by=short))
    account.advance(NOON + 600)
    assert account.store.history[closing].state == state
    assert [each.volume for each in account.store.positions.values()] == left
    assert all(each.type == 0 for each in account.store.positions.values())
