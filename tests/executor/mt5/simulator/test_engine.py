"""Whatever a trader does, the simulated account's books agree with each other."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.mt5.simulator.ask import Ask
from executor.mt5.simulator.engine import Engine
from executor.mt5.simulator.market import catalogue
from executor.mt5.simulator.store import Change, Store
from executor.mt5.vocabulary import DealEntry, DealType, OrderFilling, Retcode, TradeAction
from tests.executor.mt5.engines import D, deal, engine, floor, price, send
from tests.executor.mt5.simulated import NOON

START = "10000"
DAY = 86_400_000

volumes = st.integers(1, 60).map(lambda n: Decimal(n) / 100)
levels = st.sampled_from([D(0), D("1.07"), D("1.09"), D("1.11"), D("1.13")])
choices = st.integers(0, 5)
steps = st.one_of(
    st.tuples(st.just("market"), st.integers(0, 1), volumes, levels, levels),
    st.tuples(st.just("close"), choices, volumes),
    st.tuples(st.just("levels"), choices, levels, levels),
    st.tuples(st.just("pending"), st.integers(2, 5), volumes, st.sampled_from([D("1.08"), D("1.095"), D("1.115")])),
    st.tuples(st.just("remove"), choices),
    st.tuples(st.just("close by"), choices, choices),
    st.tuples(st.just("price"), st.integers(10600, 11400)),
    st.tuples(st.just("sleep"), st.sampled_from([100, 1000, DAY])),
    st.tuples(st.just("habits"), st.sampled_from([0, 500]), st.sampled_from(["0", "0.2"])),
)


class Story:
    """An account and a clock that a list of steps moves."""

    def __init__(self, *, hedging: bool) -> None:
        self.engine, self.now = engine(hedging=hedging, balance=START), NOON
        self.copy = Store(self.engine.store.account, catalogue())
        self.copy.apply(msgspec.msgpack.decode(msgspec.msgpack.encode(self.engine.store.whole()), type=Change))
        self.answers: list[int] = []

    def take(self, step: tuple[Any, ...]) -> None:
        getattr(self, step[0].replace(" ", "_"))(*step[1:])
        change = self.engine.store.take_change()
        if change is not None:
            self.copy.apply(msgspec.msgpack.decode(msgspec.msgpack.encode(change), type=Change))

    def send(self, ask: Ask) -> None:
        self.engine.advance(self.now)
        self.answers.append(self.engine.send(ask, self.now).retcode)

    def ticket(self, table: dict[int, Any], choice: int) -> int:
        return sorted(table)[choice % len(table)] if table else 7

    def market(self, side: int, volume: Decimal, sl: Decimal, tp: Decimal) -> None:
        filling = int(OrderFilling.IOC)
        self.send(deal(side, str(volume), sl=sl, tp=tp, type_filling=filling, magic=len(self.answers)))

    def close(self, choice: int, volume: Decimal) -> None:
        ticket = self.ticket(self.engine.store.positions, choice)
        held = self.engine.store.positions.get(ticket)
        side = 1 - held.type if held else 0
        self.send(deal(side, str(volume), position=ticket, type_filling=int(OrderFilling.IOC)))

    def levels(self, choice: int, sl: Decimal, tp: Decimal) -> None:
        ticket = self.ticket(self.engine.store.positions, choice)
        self.send(Ask(action=int(TradeAction.SLTP), symbol="EURUSD", position=ticket, sl=sl, tp=tp))

    def pending(self, kind: int, volume: Decimal, at: Decimal) -> None:
        filling = int(OrderFilling.RETURN if kind in (2, 3) else OrderFilling.FOK)
        wanted: dict[str, Any] = {
            "action": int(TradeAction.PENDING),
            "symbol": "EURUSD",
            "type": kind,
            "type_filling": filling,
        }
        self.send(Ask(**wanted, volume=volume, price=at))

    def remove(self, choice: int) -> None:
        self.send(Ask(action=int(TradeAction.REMOVE), order=self.ticket(self.engine.store.orders, choice)))

    def close_by(self, one: int, other: int) -> None:
        tickets = (self.ticket(self.engine.store.positions, each) for each in (one, other))
        position, by = tickets
        self.send(Ask(action=int(TradeAction.CLOSE_BY), position=position, position_by=by))

    def price(self, points: int) -> None:
        bid = Decimal(points) / 10_000
        price(self.engine, "EURUSD", str(bid), str(bid + D("0.0001")))
        self.engine.advance(self.now, moved=True)

    def sleep(self, duration: int) -> None:
        self.now += duration
        self.engine.advance(self.now)

    def habits(self, delay: int, liquidity: str) -> None:
        store = self.engine.store
        store.set("settings", msgspec.structs.replace(store.settings, fill_delay=delay))
        symbol = msgspec.structs.replace(store.symbols["EURUSD"], liquidity=D(liquidity))
        store.put("symbols", "EURUSD", symbol)


def balance_is_the_sum_of_all_deals(of: Engine) -> None:
    moved = sum(each.profit + each.swap + each.commission for each in of.store.deals.values())
    assert of.store.account.balance == D(START) + moved
    assert moved == round(moved, 2)


def volumes_are_multiples_of_the_step(of: Engine) -> None:
    volumes = [each.volume for each in of.store.positions.values()] + [each.volume for each in of.store.deals.values()]
    assert all(volume > 0 and volume % D("0.01") == 0 for volume in volumes)
    for order in of.store.orders.values():
        assert 0 < order.left <= order.volume


def positions_are_the_sums_of_their_deals(of: Engine) -> None:
    sums: dict[int, Decimal] = defaultdict(Decimal)
    for each in of.store.deals.values():
        sums[each.position] += each.volume if each.type == DealType.BUY else -each.volume
    held = {each.identifier: each.volume * (1 - 2 * each.type) for each in of.store.positions.values()}
    assert {identifier: total for identifier, total in sums.items() if total} == held


def orders_are_working_or_past_and_never_both(of: Engine) -> None:
    assert not set(of.store.orders) & set(of.store.history)
    assert {each.order for each in of.store.deals.values()} <= set(of.store.orders) | set(of.store.history)


@given(st.booleans(), st.lists(steps, max_size=25))
@settings(max_examples=300)
def test_the_books_agree_after_every_step(hedging: bool, story: list[tuple[Any, ...]]) -> None:
    account = Story(hedging=hedging)
    for step in story:
        account.take(step)
        balance_is_the_sum_of_all_deals(account.engine)
        volumes_are_multiples_of_the_step(account.engine)
        positions_are_the_sums_of_their_deals(account.engine)
        orders_are_working_or_past_and_never_both(account.engine)
        if not hedging:
            assert len(account.engine.store.positions) <= 1
    assert all(code in iter(map(int, Retcode)) for code in account.answers)
    assert account.copy.whole() == account.engine.store.whole()


@given(st.lists(st.tuples(st.integers(0, 1), volumes), max_size=12))
def test_a_netting_position_is_the_sum_of_the_orders(orders: list[tuple[int, Decimal]]) -> None:
    account = engine(hedging=False, balance="1000000")
    total = D(0)
    for side, volume in orders:
        assert send(account, deal(side, str(volume))).retcode == Retcode.DONE
        total += volume if side == 0 else -volume
    held = floor(account).held("EURUSD")
    assert (held.volume * (1 - 2 * held.type) if held else 0) == total


def test_equity_is_balance_with_open_profit_and_swap() -> None:
    account = engine()
    account.advance(NOON)
    send(account, deal(0, "1"))
    price(account, "EURUSD", "1.105", "1.1051")
    account.advance(NOON + 3 * DAY)
    now = account.floor(NOON + 3 * DAY)
    (position,) = account.store.positions.values()
    assert position.swap < 0
    assert now.equity() == now.account.balance + D("490.00") + position.swap


def test_a_reversal_pays_the_old_positions_swap_and_profit() -> None:
    account = engine(hedging=False)
    account.advance(NOON)
    send(account, deal(0, "0.1"))
    account.advance(NOON + DAY)
    price(account, "EURUSD", "1.2", "1.2001")
    verdict = account.send(deal(1, "0.3"), NOON + DAY)
    turning = account.store.deals[verdict.deal]
    assert (turning.entry, turning.profit, turning.swap < 0) == (DealEntry.INOUT, D("999.00"), True)
    assert floor(account).held("EURUSD").volume == D("0.2")  # type: ignore[union-attr]


def test_requests_are_numbered_when_they_reach_the_server() -> None:
    account = engine()
    refused = send(account, Ask(action=99))
    assert (refused.retcode, refused.request_id) == (Retcode.INVALID, 0)
    assert [send(account, deal()).request_id for _ in range(2)] == [1, 2]
