"""What the executor relies on in a MetaTrader 5, over the simulator inside this process and through its socket."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from executor.mt5.simulator.faults import Fault, FaultKind
from executor.mt5.vocabulary import (
    DealEntry,
    DealReason,
    OrderFilling,
    OrderState,
    OrderTime,
    OrderType,
    Retcode,
    TradeAction,
)
from tests.executor.mt5.simulated import Bench, StartBench

BID, ASK = 1.1, 1.1001
FAR = 2_000_000_000


def deal(symbol: str = "EURUSD", **fields: Any) -> dict[str, Any]:
    base = {"action": int(TradeAction.DEAL), "symbol": symbol, "volume": 0.1, "type": 0, "type_filling": 0}
    return base | fields


def pending(kind: OrderType, price: float, **fields: Any) -> dict[str, Any]:
    base = {"action": int(TradeAction.PENDING), "symbol": "EURUSD", "volume": 0.1, "type": int(kind), "price": price}
    return base | {"type_filling": int(OrderFilling.RETURN)} | fields


def quoted(bench: Bench) -> Bench:
    bench.remote.price("EURUSD", str(BID), str(ASK))
    return bench


@pytest.fixture
def hedging(bench: StartBench) -> Bench:
    return quoted(bench())


@pytest.fixture
def netting(bench: StartBench) -> Bench:
    return quoted(bench(margin_mode="netting"))


def done(bench: Bench, request: dict[str, Any]) -> Any:
    result = bench.mt5.order_send(request)
    assert result is not None, bench.mt5.last_error()
    assert result.retcode == Retcode.DONE, result
    return result


def deals(bench: Bench, **which: int) -> list[Any]:
    found = bench.mt5.history_deals_get(**which) if which else bench.mt5.history_deals_get(0, FAR)
    assert found is not None
    return list(found)


def test_an_opening_makes_an_order_a_deal_and_a_position_with_one_ticket(hedging: Bench) -> None:
    result = done(hedging, deal(magic=42, comment="mine", sl=1.09, tp=1.12))
    assert (result.volume, result.price, result.bid, result.ask) == (0.1, ASK, 0.0, 0.0)
    assert result.comment == "Request executed"
    (position,) = hedging.mt5.positions_get()
    assert position.ticket == position.identifier == result.order
    assert (position.magic, position.comment, position.sl, position.tp) == (42, "mine", 1.09, 1.12)
    (opened,) = deals(hedging, ticket=result.order)
    assert (opened.ticket, opened.position_id, opened.entry) == (result.deal, result.order, DealEntry.IN)
    (order,) = hedging.mt5.history_orders_get(ticket=result.order)
    assert (order.state, order.position_id, order.magic) == (OrderState.FILLED, result.order, 42)


def test_a_partial_close_keeps_the_position_and_its_own_magic_goes_to_the_deal(hedging: Bench) -> None:
    ticket = done(hedging, deal(magic=42, sl=1.09)).order
    closing = done(hedging, deal(type=1, volume=0.04, position=ticket, magic=7, comment="part"))
    (position,) = hedging.mt5.positions_get(ticket=ticket)
    assert (position.volume, position.price_open, position.magic, position.sl) == (0.06, ASK, 42, 1.09)
    (out,) = deals(hedging, ticket=closing.order)
    assert (out.entry, out.magic, out.comment, out.position_id) == (DealEntry.OUT, 7, "part", ticket)


def test_a_whole_close_ends_the_position_and_books_its_profit(hedging: Bench) -> None:
    ticket = done(hedging, deal()).order
    hedging.remote.price("EURUSD", "1.1101", "1.1102")
    done(hedging, deal(type=1, position=ticket))
    assert hedging.mt5.positions_get() == ()
    assert hedging.mt5.last_error() == (1, "Success")
    history = deals(hedging, position=ticket)
    assert [each.profit for each in history] == [0.0, 100.0]
    moved = sum(each.profit + each.swap + each.commission + each.fee for each in history)
    assert hedging.mt5.account_info().balance == pytest.approx(10_000 + moved)


def test_an_opposite_deal_without_position_opens_a_second_one_on_a_hedging_account(hedging: Bench) -> None:
    done(hedging, deal())
    done(hedging, deal(type=1))
    assert [each.type for each in hedging.mt5.positions_get()] == [0, 1]


def test_netting_adds_at_the_average_price_reduces_and_reverses(netting: Bench) -> None:
    first = done(netting, deal()).order
    netting.remote.price("EURUSD", "1.1020", "1.1021")
    done(netting, deal())
    (position,) = netting.mt5.positions_get()
    assert (position.ticket, position.volume, position.price_open) == (first, 0.2, pytest.approx(1.1011))
    done(netting, deal(type=1, volume=0.05))
    assert netting.mt5.positions_get()[0].volume == pytest.approx(0.15)
    turning = done(netting, deal(type=1, volume=0.25, magic=9))
    (turned,) = netting.mt5.positions_get()
    assert (turned.ticket, turned.identifier, turned.type) == (turning.order, first, 1)
    assert (turned.volume, turned.magic) == (pytest.approx(0.1), 9)
    (both,) = deals(netting, ticket=turning.order)
    assert (both.entry, both.volume, both.position_id) == (DealEntry.INOUT, 0.25, first)


def test_close_by_settles_opposite_positions_and_leaves_the_larger_ones_rest(hedging: Bench) -> None:
    long = done(hedging, deal(volume=0.3)).order
    short = done(hedging, deal(type=1, volume=0.1)).order
    done(hedging, {"action": int(TradeAction.CLOSE_BY), "position": long, "position_by": short})
    (left,) = hedging.mt5.positions_get()
    assert (left.ticket, left.volume) == (long, pytest.approx(0.2))
    entries = [each.entry for each in deals(hedging) if each.entry == DealEntry.OUT_BY]
    assert len(entries) == 2


def test_levels_are_set_moved_and_removed_as_a_pair(hedging: Bench) -> None:
    ticket = done(hedging, deal(sl=1.09)).order
    levels = {"action": int(TradeAction.SLTP), "symbol": "EURUSD", "position": ticket}
    result = done(hedging, levels | {"sl": 1.095, "tp": 1.12})
    assert (result.deal, result.order, result.volume, result.price) == (0, 0, 0.0, 0.0)
    done(hedging, levels | {"tp": 1.12})
    (position,) = hedging.mt5.positions_get()
    assert (position.sl, position.tp) == (0.0, 1.12)
    assert hedging.mt5.order_send(levels | {"tp": 1.12}).retcode == Retcode.NO_CHANGES


@pytest.mark.parametrize(
    ("bid", "reason", "comment"),
    [("1.08990", DealReason.SL, "[sl 1.09000]"), ("1.12010", DealReason.TP, "[tp 1.12000]")],
)
def test_a_level_that_is_reached_closes_with_the_positions_magic(
    hedging: Bench, bid: str, reason: DealReason, comment: str
) -> None:
    ticket = done(hedging, deal(magic=42, sl=1.09, tp=1.12)).order
    hedging.remote.price("EURUSD", bid, str(float(bid) + 0.0001))
    assert hedging.mt5.positions_get() == ()
    closing = deals(hedging, position=ticket)[-1]
    assert (closing.reason, closing.comment, closing.magic) == (reason, comment, 42)


@pytest.mark.parametrize(
    ("kind", "price", "bid", "ask"),
    [
        (OrderType.BUY_LIMIT, 1.09, "1.0899", "1.09"),
        (OrderType.SELL_LIMIT, 1.11, "1.11", "1.1101"),
        (OrderType.BUY_STOP, 1.11, "1.1099", "1.11"),
        (OrderType.SELL_STOP, 1.09, "1.09", "1.0901"),
    ],
)
def test_a_pending_order_fills_when_its_price_is_reached(
    hedging: Bench, kind: OrderType, price: float, bid: str, ask: str
) -> None:
    filling = OrderFilling.RETURN if kind in (OrderType.BUY_LIMIT, OrderType.SELL_LIMIT) else OrderFilling.FOK
    ticket = done(hedging, pending(kind, price, type_filling=int(filling), magic=5)).order
    assert [each.ticket for each in hedging.mt5.orders_get(symbol="EURUSD")] == [ticket]
    assert hedging.mt5.positions_get() == ()
    hedging.remote.price("EURUSD", bid, ask)
    assert hedging.mt5.orders_get() == ()
    (position,) = hedging.mt5.positions_get()
    assert (position.ticket, position.magic, position.type) == (ticket, 5, 0 if kind.is_buy else 1)


def test_a_stop_limit_becomes_a_limit_when_its_stop_is_reached(hedging: Bench) -> None:
    wanted = pending(OrderType.BUY_STOP_LIMIT, 1.11, stoplimit=1.105)
    done(hedging, wanted)
    hedging.remote.price("EURUSD", "1.1099", "1.11")
    assert len(hedging.mt5.orders_get()) == 1
    hedging.remote.price("EURUSD", "1.1049", "1.105")
    assert hedging.mt5.positions_get()[0].price_open == 1.105


def test_a_pending_order_is_modified_and_removed(hedging: Bench) -> None:
    ticket = done(hedging, pending(OrderType.BUY_LIMIT, 1.09)).order
    change = {"action": int(TradeAction.MODIFY), "order": ticket, "price": 1.08, "sl": 1.07, "tp": 1.1}
    done(hedging, change)
    (order,) = hedging.mt5.orders_get(ticket=ticket)
    assert (order.price_open, order.sl, order.tp) == (1.08, 1.07, 1.1)
    assert hedging.mt5.order_send(change).retcode == Retcode.NO_CHANGES
    done(hedging, {"action": int(TradeAction.REMOVE), "order": ticket})
    assert hedging.mt5.orders_get() == ()
    assert hedging.mt5.history_orders_get(ticket=ticket)[0].state == OrderState.CANCELED


def test_a_pending_order_expires_on_the_brokers_clock(hedging: Bench) -> None:
    soon = hedging.mt5.symbol_info_tick("EURUSD").time + 2
    wanted = pending(OrderType.BUY_LIMIT, 1.09, type_time=int(OrderTime.SPECIFIED), expiration=soon)
    ticket = done(hedging, wanted).order
    hedging.until(lambda: hedging.mt5.orders_get() == ())
    assert hedging.mt5.history_orders_get(ticket=ticket)[0].state == OrderState.EXPIRED


def test_a_delayed_market_order_is_placed_first_and_filled_later(hedging: Bench) -> None:
    hedging.remote.settings(fill_delay=300)
    result = hedging.mt5.order_send(deal(magic=4))
    assert (result.retcode, result.deal) == (Retcode.PLACED, 0)
    removal = {"action": int(TradeAction.REMOVE), "order": result.order}
    assert hedging.mt5.order_send(removal).retcode == Retcode.LOCKED
    hedging.until(hedging.mt5.positions_get)
    assert hedging.mt5.positions_get()[0].ticket == result.order


def test_history_may_lag_behind_the_fill(hedging: Bench) -> None:
    hedging.remote.settings(history_lag=400)
    ticket = done(hedging, deal()).order
    assert deals(hedging, ticket=ticket) == []
    assert hedging.mt5.history_orders_get(ticket=ticket) is None
    assert len(hedging.mt5.positions_get()) == 1
    hedging.until(lambda: deals(hedging, ticket=ticket))


def test_a_partial_fill_says_so_and_drops_or_works_the_rest(hedging: Bench) -> None:
    hedging.remote.symbol("EURUSD", liquidity="0.06")
    result = hedging.mt5.order_send(deal(type_filling=int(OrderFilling.IOC)))
    assert (result.retcode, result.volume) == (Retcode.DONE_PARTIAL, 0.06)
    assert hedging.mt5.orders_get() == ()
    assert hedging.mt5.order_send(deal()).retcode == Retcode.REJECT
    hedging.remote.symbol("EURUSD", execution=3)
    working = hedging.mt5.order_send(deal(type_filling=int(OrderFilling.RETURN)))
    assert working.retcode == Retcode.DONE_PARTIAL
    hedging.until(lambda: hedging.mt5.orders_get() == ())
    assert hedging.mt5.positions_get(ticket=working.order)[0].volume == pytest.approx(0.1)


def test_a_close_order_that_still_works_excludes_another(hedging: Bench) -> None:
    ticket = done(hedging, deal()).order
    hedging.remote.settings(fill_delay=60_000)
    assert hedging.mt5.order_send(deal(type=1, position=ticket)).retcode == Retcode.PLACED
    assert hedging.mt5.order_send(deal(type=1, position=ticket)).retcode == Retcode.CLOSE_ORDER_EXIST


def test_the_position_with_the_largest_loss_is_closed_when_the_margin_is_gone(bench: StartBench) -> None:
    account = quoted(bench(balance="1000"))
    small = done(account, deal(volume=0.1)).order
    large = done(account, deal(volume=0.7)).order
    account.remote.price("EURUSD", "1.0925", "1.0926")
    (left,) = account.mt5.positions_get()
    assert left.ticket == small
    closing = deals(account, position=large)[-1]
    assert closing.reason == DealReason.SO
    assert closing.comment.startswith("[so ")


def test_a_trade_by_hand_is_known_by_its_reason(hedging: Bench) -> None:
    ticket = done(hedging, deal(magic=42)).order
    hedging.remote.settings(algo_trading=False)
    by_hand = hedging.remote.trade(**deal(type=1, position=ticket))
    assert by_hand["retcode"] == Retcode.DONE
    closing = deals(hedging, position=ticket)[-1]
    assert (closing.reason, closing.magic) == (DealReason.CLIENT, 0)


def test_a_broker_may_write_its_own_comment(hedging: Bench) -> None:
    hedging.remote.settings(comment="house")
    ticket = done(hedging, deal(comment="mine", magic=42)).order
    (position,) = hedging.mt5.positions_get()
    assert (position.comment, position.magic) == ("house", 42)
    assert deals(hedging, ticket=ticket)[0].comment == "house"


def test_times_are_the_brokers_wall_clock(hedging: Bench) -> None:
    done(hedging, deal())
    tick, (position,) = hedging.mt5.symbol_info_tick("EURUSD"), hedging.mt5.positions_get()
    assert position.time_msc // 1000 == position.time
    assert 0 <= position.time - tick.time < 3600
    if hedging.path != "here":
        ahead = position.time - time.time()
        assert any(abs(ahead - hours * 3600) < 60 for hours in (2, 3))


def test_profit_is_in_the_accounts_currency(bench: StartBench) -> None:
    account = bench(currency="EUR")
    account.remote.price("EURUSD", "1.25", "1.25")
    account.remote.price("USDJPY", "160", "160")
    ticket = done(account, deal("USDJPY", volume=1.0)).order
    account.remote.price("USDJPY", "162", "162")
    expected = 2 * 100_000 / 162 / 1.25
    assert account.mt5.positions_get(ticket=ticket)[0].profit == pytest.approx(expected, abs=0.01)
    assert account.mt5.account_info().equity == pytest.approx(10_000 - 3.5 + expected, abs=0.01)


def test_unknown_is_none_and_nothing_is_an_empty_tuple(hedging: Bench) -> None:
    assert hedging.mt5.positions_get() == () == hedging.mt5.orders_get()
    assert hedging.mt5.history_orders_get(ticket=1) is None
    assert hedging.mt5.symbol_info("NOPE") is None
    assert hedging.mt5.last_error() == (-4, "Terminal: Not found")
    assert hedging.mt5.symbol_select("NOPE") is False


def test_a_group_filters_by_pattern(hedging: Bench) -> None:
    names = {each.name for each in hedging.mt5.symbols_get("*USD*,!XAU*,!BTC*")}
    assert names == {"EURUSD", "GBPUSD", "USDJPY"}
    assert len(hedging.mt5.symbols_get()) == hedging.mt5.symbols_total()


def test_order_check_judges_without_trading(hedging: Bench) -> None:
    good = hedging.mt5.order_check(deal())
    assert (good.retcode, good.comment) == (0, "Done")
    assert hedging.mt5.order_check(deal(sl=2.0)).retcode == Retcode.INVALID_STOPS
    assert hedging.mt5.positions_get() == ()
    assert hedging.mt5.order_calc_margin(0, "EURUSD", 1.0, ASK) == pytest.approx(100_000 * (BID + ASK) / 2 / 100)
    assert hedging.mt5.order_calc_profit(0, "EURUSD", 1, 1.1, 1.2) == 10_000.0


def _rule(bench: Bench, **rules: Any) -> None:
    bench.remote.symbol("EURUSD", **rules)


REFUSALS: list[tuple[Retcode, dict[str, Any], Any]] = [
    (Retcode.INVALID, {}, lambda b: None),
    (Retcode.INVALID, deal("NOPE"), lambda b: None),
    (Retcode.INVALID, deal(volume=math.nan), lambda b: None),
    (Retcode.INVALID, {"action": int(TradeAction.REMOVE), "order": 1}, lambda b: None),
    (Retcode.INVALID_ORDER, deal(type=2), lambda b: None),
    (Retcode.INVALID_ORDER, deal(), lambda b: _rule(b, orders=126)),
    (Retcode.INVALID_VOLUME, deal(volume=0.015), lambda b: None),
    (Retcode.INVALID_VOLUME, deal(volume=0.0), lambda b: None),
    (Retcode.INVALID_VOLUME, deal(volume=500.0), lambda b: None),
    (Retcode.INVALID_PRICE, deal(), lambda b: _rule(b, execution=1)),
    (Retcode.INVALID_PRICE, pending(OrderType.BUY_LIMIT, 1.2), lambda b: None),
    (Retcode.INVALID_STOPS, deal(sl=1.11), lambda b: None),
    (Retcode.INVALID_STOPS, deal(sl=1.0995), lambda b: _rule(b, stops_level=100)),
    (Retcode.INVALID_STOPS, pending(OrderType.BUY_LIMIT, 1.0998), lambda b: _rule(b, stops_level=100)),
    (Retcode.TRADE_DISABLED, deal(), lambda b: _rule(b, trade_mode=0)),
    (Retcode.MARKET_CLOSED, deal(), lambda b: _rule(b, open=False)),
    (Retcode.NO_MONEY, deal(volume=20.0), lambda b: None),
    (Retcode.REQUOTE, deal(price=1.2, deviation=5), lambda b: _rule(b, execution=1)),
    (Retcode.PRICE_CHANGED, deal(price=1.2, deviation=5), lambda b: _rule(b, execution=0)),
    (Retcode.PRICE_OFF, deal(), lambda b: b.remote.price("EURUSD", 0, 0)),
    (
        Retcode.INVALID_EXPIRATION,
        pending(OrderType.BUY_LIMIT, 1.09, type_time=2, expiration=1_000_000),
        lambda b: None,
    ),
    (Retcode.INVALID_EXPIRATION, pending(OrderType.BUY_LIMIT, 1.09, type_time=1), lambda b: _rule(b, expiration=1)),
    (Retcode.SERVER_DISABLES_AT, deal(), lambda b: b.remote.account(trade_expert=False)),
    (Retcode.CLIENT_DISABLES_AT, deal(), lambda b: b.remote.settings(algo_trading=False)),
    (Retcode.TRADE_DISABLED, deal(), lambda b: b.remote.account(trade_allowed=False)),
    (Retcode.INVALID_FILL, deal(type_filling=2), lambda b: None),
    (Retcode.INVALID_FILL, deal("XAUUSD"), lambda b: None),
    (Retcode.CONNECTION, deal(), lambda b: b.remote.settings(connected=False)),
    (Retcode.LIMIT_VOLUME, deal(), lambda b: _rule(b, volume_limit="0.05")),
    (Retcode.POSITION_CLOSED, deal(position=12), lambda b: None),
    (Retcode.LONG_ONLY, deal(type=1), lambda b: _rule(b, trade_mode=1)),
    (Retcode.SHORT_ONLY, deal(), lambda b: _rule(b, trade_mode=2)),
    (Retcode.CLOSE_ONLY, deal(), lambda b: _rule(b, trade_mode=3)),
]


@pytest.mark.parametrize(("code", "request_fields", "arrange"), REFUSALS)
def test_a_refusal_has_its_cause(hedging: Bench, code: Retcode, request_fields: dict[str, Any], arrange: Any) -> None:
    arrange(hedging)
    result = hedging.mt5.order_send({"type_filling": 0, **request_fields})
    assert result is not None
    assert result.retcode == code, result
    assert (result.deal, result.order) == (0, 0)
    assert hedging.mt5.last_error() == (1, "Success")


def after_two(bench: Bench) -> tuple[int, int]:
    return done(bench, deal()).order, done(bench, deal()).order


def test_refusals_that_need_a_history_have_their_cause(hedging: Bench) -> None:
    older, newer = after_two(hedging)
    close = deal(type=1, position=newer)
    assert hedging.mt5.order_send(close | {"volume": 0.5}).retcode == Retcode.INVALID_CLOSE_VOLUME
    assert hedging.mt5.order_send(deal(type=0, position=newer)).retcode == Retcode.INVALID
    hedging.remote.account(fifo_close=True)
    assert hedging.mt5.order_send(close).retcode == Retcode.FIFO_CLOSE
    hedging.remote.account(fifo_close=False, hedge_prohibited=True)
    assert hedging.mt5.order_send(deal(type=1)).retcode == Retcode.HEDGE_PROHIBITED
    hedging.remote.account(limit_positions=2)
    assert hedging.mt5.order_send(deal()).retcode == Retcode.LIMIT_POSITIONS
    done(hedging, {"action": int(TradeAction.SLTP), "symbol": "EURUSD", "position": older, "sl": 1.0995})
    _rule(hedging, freeze_level=100)
    assert hedging.mt5.order_send(deal(type=1, position=older)).retcode == Retcode.FROZEN


def test_refusals_of_orders_have_their_cause(hedging: Bench) -> None:
    ticket = done(hedging, pending(OrderType.BUY_LIMIT, 1.09)).order
    hedging.remote.account(limit_orders=1)
    assert hedging.mt5.order_send(pending(OrderType.BUY_LIMIT, 1.09)).retcode == Retcode.LIMIT_ORDERS
    remove = {"action": int(TradeAction.REMOVE), "order": ticket}
    done(hedging, remove)
    assert hedging.mt5.order_send(remove).retcode == Retcode.ORDER_CHANGED
    hedging.remote.account(limit_rate=1)
    codes = [hedging.mt5.order_send(deal()).retcode for _ in range(8)]
    assert Retcode.TOO_MANY_REQUESTS in codes


def test_a_refusal_by_the_terminal_itself_has_no_request_id(hedging: Bench) -> None:
    hedging.remote.settings(algo_trading=False)
    refused = hedging.mt5.order_send(deal())
    assert (refused.request_id, refused.comment) == (0, "AutoTrading disabled by client")


def test_reading_goes_on_while_the_broker_is_away(hedging: Bench) -> None:
    hedging.remote.settings(connected=False)
    assert hedging.mt5.terminal_info().connected is False
    assert hedging.mt5.positions_get() == ()


@pytest.mark.parametrize("executed", [False, True])
def test_a_broken_answer_is_the_same_whether_it_was_done_or_not(hedging: Bench, executed: bool) -> None:
    hedging.remote.fault(Fault(kind=FaultKind.DROP, execute=executed))
    assert hedging.mt5.order_send(deal(magic=3)) is None
    assert hedging.mt5.last_error() == (-10002, "IPC recv failed")
    assert hedging.mt5.positions_get() is None
    assert hedging.mt5.last_error() == (-10004, "No IPC connection")
    assert hedging.mt5.initialize(hedging.path)
    assert len(hedging.mt5.positions_get()) == int(executed)


@pytest.mark.parametrize("code", [Retcode.TIMEOUT, Retcode.ERROR, Retcode.CONNECTION])
@pytest.mark.parametrize("executed", [False, True])
def test_an_ambiguous_retcode_may_hide_a_trade(hedging: Bench, code: Retcode, executed: bool) -> None:
    hedging.remote.fault(Fault(kind=FaultKind.RETCODE, code=int(code), execute=executed))
    assert hedging.mt5.order_send(deal()).retcode == code
    assert len(hedging.mt5.positions_get()) == int(executed)
    done(hedging, deal())


def test_a_fault_can_spare_some_calls_and_hit_another_function(hedging: Bench) -> None:
    hedging.remote.fault(Fault(kind=FaultKind.NONE, function="positions_get", skip=1, times=2))
    answers = [hedging.mt5.positions_get() for _ in range(4)]
    assert answers == [(), None, None, ()]
    hedging.remote.fault(Fault(kind=FaultKind.NONE, code=-8, times=0))
    assert hedging.mt5.order_send(deal()) is None
    assert hedging.mt5.last_error() == (-8, "Auto-Trading using Python API disabled in Terminal")
    hedging.remote.clear_faults()
    done(hedging, deal())


@pytest.mark.parametrize("executed", [False, True])
def test_latency_delays_an_answer_or_the_trade(hedging: Bench, executed: bool) -> None:
    hedging.remote.fault(Fault(kind=FaultKind.LATENCY, delay=50, execute=executed))
    done(hedging, deal())
    assert len(hedging.mt5.positions_get()) == 1


@pytest.mark.parametrize(
    "wrong", [{"login": 78}, {"password": "guess"}, {"server": "Elsewhere"}], ids=["login", "password", "server"]
)
def test_wrong_credentials_are_refused(hedging: Bench, wrong: dict[str, Any]) -> None:
    right = {"login": 77, "password": "secret", "server": "Simulator-Demo"}
    assert hedging.mt5.initialize(hedging.path, **(right | wrong)) is False
    assert hedging.mt5.last_error() == (-6, "Terminal: Authorization failed")


def test_a_terminal_without_its_broker_is_not_initialized(hedging: Bench) -> None:
    hedging.remote.settings(connected=False)
    assert hedging.mt5.initialize(hedging.path, login=77, password="secret") is False
    assert hedging.mt5.last_error() == (-10005, "IPC timeout")


def test_the_investors_password_may_look_and_not_trade(bench: StartBench) -> None:
    account = quoted(bench(investor="watcher"))
    assert account.mt5.initialize(account.path, login=77, password="watcher")
    assert account.mt5.account_info().trade_allowed is False
    assert account.mt5.order_send(deal()).retcode == Retcode.TRADE_DISABLED


def test_a_symbol_in_use_stays_selected(hedging: Bench) -> None:
    done(hedging, deal())
    assert hedging.mt5.symbol_select("EURUSD", False) is False
    assert hedging.mt5.symbol_select("GBPUSD", False) is True
    assert hedging.mt5.symbol_info_tick("GBPUSD").bid == 0.0
    assert hedging.mt5.symbol_select("GBPUSD") is True
    assert hedging.mt5.symbol_info_tick("GBPUSD").bid > 0
