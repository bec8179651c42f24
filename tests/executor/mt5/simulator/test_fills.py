"""Orders become deals, deals become positions."""

from __future__ import annotations

from msgspec.structs import replace

from executor.mt5.simulator import fills
from executor.mt5.simulator.store import Order
from executor.mt5.vocabulary import DealEntry, DealType, OrderState
from tests.executor.mt5.engines import D, deal, engine, floor, send
from tests.executor.mt5.simulated import NOON


def order(**fields: object) -> Order:
    base = Order(ticket=9, symbol="EURUSD", type=0, volume=D("0.3"), left=D("0.3"), state=1, setup=NOON, magic=5)
    return replace(base, **fields)


def test_a_partly_filled_order_lives_beside_its_position_under_one_ticket() -> None:
    account = engine()
    first = fills.fill(floor(account), order(), D("0.1"), D("1.1"))
    working = account.store.orders[9]
    assert (working.left, working.state, working.position) == (D("0.2"), OrderState.PARTIAL, 9)
    second = fills.fill(floor(account), working, D("0.2"), D("1.2"))
    (position,) = account.store.positions.values()
    assert (position.ticket, position.volume) == (9, D("0.3"))
    assert round(position.price, 5) == D("1.16667")
    assert {first.position, second.position} == {9}
    assert account.store.history[9].state == OrderState.FILLED


def test_commission_is_paid_on_the_way_in_and_out() -> None:
    account = engine()
    ticket = send(account, deal(0, "0.2")).order
    send(account, deal(1, "0.2", position=ticket))
    assert [each.commission for each in account.store.deals.values()] == [D("-0.70"), D("-0.70")]


def test_a_partial_close_takes_its_share_of_the_swap() -> None:
    account = engine()
    ticket = send(account, deal(0, "0.3")).order
    account.store.put("positions", ticket, replace(account.store.positions[ticket], swap=D("-3.00")))
    send(account, deal(1, "0.1", position=ticket))
    assert account.store.positions[ticket].swap == D("-2.00")
    assert [each.swap for each in account.store.deals.values()] == [D(0), D("-1.00")]


def test_close_by_settles_at_the_price_of_the_other_position() -> None:
    account = engine()
    long = send(account, deal(0, "0.1")).order
    short = send(account, deal(1, "0.1")).order
    positions = account.store.positions
    closing = order(type=8, volume=D("0.1"), left=D("0.1"))
    first = fills.close_by(floor(account), closing, positions[long], positions[short])
    assert (first.entry, first.price, first.profit) == (DealEntry.OUT_BY, D("1.1"), D("-1.00"))
    assert first.type == DealType.SELL
    assert not positions


def test_a_deposit_changes_the_balance_by_a_deal() -> None:
    account = engine()
    made = fills.balance_deal(floor(account), D("250.5"), "Deposit")
    assert (made.type, made.profit, account.store.account.balance) == (DealType.BALANCE, D("250.50"), D("10250.50"))
