"""The stand-in broker's account: what it accepts, refuses, fills and ends."""

from contextlib import suppress
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.demo.forms import Refusal
from deploy.demo.rows import Order
from deploy.demo.rules import FINAL, Rules
from tests.deploy.demo.conftest import Bench

MARKET_BUY = {"instrument": "EURUSD", "qty": "0.1", "side": "buy", "type": "market"}
BRACKETS = {"stopLoss": "1.083", "takeProfit": "1.09"}
NETTING = Rules(multiposition=False)


def statuses(orders: list[Order]) -> dict[str, str]:
    return {order.id: order.status for order in orders}


def children(book: Any) -> list[Order]:
    return [order for order in book.orders.values() if order.parent_id is not None]


def test_a_market_order_is_accepted_at_once_and_fills_after_the_delay(bench: Bench) -> None:
    book = bench.book()
    order = book.place(MARKET_BUY, bench.now)
    book.advance(bench.now + 0.1)
    assert (order.status, book.positions) == ("working", {})
    bench.pass_time(book)
    assert (order.status, order.filled_qty, order.avg_price) == ("filled", D("0.1"), D("1.08512"))
    (position,) = book.shown_positions()
    assert (position.side, position.qty, position.unrealized_pl) == ("buy", D("0.1"), D("-0.80"))
    assert order.custom_fields[0].value == position.id
    (execution,) = book.executions
    assert (execution.order_id, execution.position_id, execution.is_close) == (order.id, position.id, False)


def test_brackets_wait_for_their_order_and_become_children_of_the_position(bench: Bench) -> None:
    book = bench.book()
    order = book.place(MARKET_BUY | BRACKETS, bench.now)
    assert [(c.status, c.parent_id, c.parent_type, c.side) for c in children(book)] == [
        ("inactive", order.id, "order", "sell")
    ] * 2
    bench.pass_time(book)
    (position,) = book.shown_positions()
    assert [(c.status, c.parent_id, c.parent_type) for c in children(book)] == [
        ("working", position.id, "position")
    ] * 2
    assert {c.id.split(".")[1]: c.limit_price or c.stop_price for c in children(book)} == {
        "TP": D("1.09"),
        "SL": D("1.083"),
    }


def test_without_position_brackets_the_order_stays_the_parent(bench: Bench) -> None:
    book = bench.book(Rules(position_brackets=False))
    order = book.place(MARKET_BUY | BRACKETS, bench.now)
    bench.pass_time(book)
    assert [(c.status, c.parent_id) for c in children(book)] == [("working", order.id)] * 2
    with pytest.raises(Refusal, match="not supported"):
        book.move(book.shown_positions()[0].id, BRACKETS, bench.now)
    bench.price("EURUSD", "1.08290", "1.08298")
    bench.pass_time(book)
    assert book.positions == {}
    assert sorted(c.status for c in children(book)) == ["cancelled", "filled"]


@pytest.mark.parametrize(
    ("bid", "ask", "filled"),
    [("1.09000", "1.09008", "TP"), ("1.08300", "1.08308", "SL"), ("1.08999", "1.09007", None)],
)
def test_a_bracket_fills_when_the_price_touches_it_and_ends_the_other(
    bench: Bench, bid: str, ask: str, filled: str | None
) -> None:
    book = bench.book()
    book.place(MARKET_BUY | BRACKETS, bench.now)
    bench.pass_time(book)
    bench.price("EURUSD", bid, ask)
    bench.pass_time(book)
    assert [c.id.split(".")[1] for c in children(book) if c.status == "filled"] == ([filled] if filled else [])
    assert bool(book.positions) == (filled is None)
    assert all(c.status in FINAL for c in children(book)) == (filled is not None)


def test_moving_levels_keeps_the_brackets_ids_and_removes_the_one_not_stated(bench: Bench) -> None:
    book = bench.book()
    book.place(MARKET_BUY | BRACKETS, bench.now)
    bench.pass_time(book)
    before = {c.id for c in children(book)}
    book.move(book.shown_positions()[0].id, {"stopLoss": "1.084"}, bench.now)
    assert {c.id for c in children(book)} == before
    assert [(c.status, c.stop_price or c.limit_price) for c in children(book)] == [
        ("cancelled", D("1.09")),
        ("working", D("1.084")),
    ]


def test_part_of_a_position_closes_and_the_brackets_shrink_with_it(bench: Bench) -> None:
    book = bench.book()
    book.place(MARKET_BUY | BRACKETS, bench.now)
    bench.pass_time(book)
    (position,) = book.shown_positions()
    book.close(position.id, {"amount": "0.04"}, bench.now)
    with pytest.raises(Refusal, match=r"only 0\.06"):
        book.close(position.id, {"amount": "0.07"}, bench.now)
    bench.pass_time(book)
    assert [c.qty for c in children(book)] == [D("0.06")] * 2
    book.close(position.id, {}, bench.now)
    bench.pass_time(book)
    assert book.shown_positions() == []
    assert {c.status for c in children(book)} == {"cancelled"}
    assert [(x.qty, x.is_close) for x in book.executions] == [(D("0.1"), False), (D("0.04"), True), (D("0.06"), True)]
    assert book.balance == D(100000) - D("0.80")


def test_a_resting_order_fills_at_its_price_or_better(bench: Bench) -> None:
    book = bench.book()
    limit = {"instrument": "EURUSD", "qty": "0.2", "side": "buy", "type": "limit", "limitPrice": "1.08"}
    order = book.place(limit, bench.now)
    bench.pass_time(book, 60)
    assert order.status == "working"
    bench.price("EURUSD", "1.07980", "1.07988")
    bench.pass_time(book)
    assert (order.status, order.avg_price) == ("filled", D("1.07988"))


def test_a_resting_order_is_modified_with_its_brackets_and_cancelled_with_them(bench: Bench) -> None:
    book = bench.book()
    limit = {"instrument": "EURUSD", "qty": "0.2", "side": "buy", "type": "limit", "limitPrice": "1.08"}
    order = book.place(limit | {"stopLoss": "1.07"}, bench.now)
    book.modify(order.id, {"qty": "0.3", "limitPrice": "1.079", "takeProfit": "1.1"}, bench.now)
    assert (order.qty, order.limit_price) == (D("0.3"), D("1.079"))
    assert [(c.status, c.qty) for c in children(book)] == [("cancelled", D("0.2")), ("inactive", D("0.3"))]
    book.cancel(order.id, bench.now)
    assert set(statuses(list(book.orders.values())).values()) == {"cancelled"}
    with pytest.raises(Refusal, match="Too late"):
        book.cancel(order.id, bench.now)


def test_cancelling_one_bracket_leaves_the_other_and_the_parent(bench: Bench) -> None:
    book = bench.book()
    order = book.place(MARKET_BUY | BRACKETS, bench.now)
    bench.pass_time(book)
    target, stop = children(book)
    book.cancel(target.id, bench.now)
    assert (target.status, stop.status, order.status) == ("cancelled", "working", "filled")
    assert len(book.positions) == 1


def test_a_trailing_stop_follows_the_price_and_never_goes_back(bench: Bench) -> None:
    book = bench.book()
    book.place(MARKET_BUY, bench.now)
    bench.pass_time(book)
    book.move(book.shown_positions()[0].id, {"trailingStopPips": "15"}, bench.now)
    levels = []
    for bid in ("1.08504", "1.08604", "1.08554"):
        bench.price("EURUSD", bid, str(D(bid) + D("0.00008")))
        bench.pass_time(book)
        levels.append(children(book)[0].stop_price)
    assert levels == [D("1.08354"), D("1.08454"), D("1.08454")]
    assert children(book)[0].is_trailing_stop


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ({"qty": "80"}, "Not enough money"),
        ({"qty": "0.015"}, "multiple of 0.01"),
        ({"qty": "-1"}, "above 0"),
        ({"qty": "NaN"}, "above 0"),
        ({"qty": ""}, "qty is missing"),
        ({"side": "long"}, "buy or sell"),
        ({"instrument": "NOPE"}, "no instrument"),
        ({"type": "limit"}, "limitPrice is missing"),
        ({"type": "stoplimit", "limitPrice": "1.1"}, "stopPrice is missing"),
        ({"type": "iceberg"}, "type must be"),
        ({"stopLoss": "1.09"}, "wrong side"),
        ({"takeProfit": "1.08"}, "wrong side"),
    ],
)
def test_what_cannot_be_done_is_refused_and_leaves_nothing(bench: Bench, form: dict[str, str], text: str) -> None:
    book = bench.book()
    with pytest.raises(Refusal, match=text):
        book.place(MARKET_BUY | form, bench.now)
    assert (book.orders, book.positions) == ({}, {})


def test_an_order_can_be_accepted_and_rejected_later(bench: Bench) -> None:
    book = bench.book(Rules(reject_above=D("0.05")))
    order = book.place(MARKET_BUY | BRACKETS, bench.now)
    bench.pass_time(book)
    assert order.status == "rejected"
    assert order.message is not None
    assert (book.positions, {c.status for c in children(book)}) == ({}, {"cancelled"})


def test_a_netting_account_averages_reduces_and_turns_round_its_only_position(bench: Bench) -> None:
    book = bench.book(NETTING)
    for side, qty, expected in (("buy", "0.1", D("0.1")), ("buy", "0.1", D("0.2")), ("sell", "0.05", D("0.15"))):
        book.place(MARKET_BUY | {"side": side, "qty": qty}, bench.now)
        bench.pass_time(book)
        assert sum(p.signed for p in book.shown_positions()) == expected
    book.place(MARKET_BUY | {"side": "sell", "qty": "0.25"} | {"stopLoss": "1.09"}, bench.now)
    bench.pass_time(book)
    (position,) = book.shown_positions()
    assert (position.signed, position.avg_price) == (D("-0.1"), D("1.08504"))
    assert [(c.qty, c.side, c.status) for c in children(book)] == [(D("0.1"), "buy", "working")]
    assert [x.is_close for x in book.executions] == [False, False, True, True, False]


def test_a_native_reverse_turns_the_position_round(bench: Bench) -> None:
    book = bench.book()
    book.place(MARKET_BUY | BRACKETS, bench.now)
    bench.pass_time(book)
    (position,) = book.shown_positions()
    book.move(position.id, {"side": "sell"}, bench.now)
    bench.pass_time(book)
    assert [p.signed for p in book.shown_positions()] == [D("-0.1")]
    assert {c.status for c in children(book)} == {"cancelled"}
    with pytest.raises(Refusal):
        book.move(position.id, {"side": "sell"}, bench.now)


def test_a_reversal_of_a_position_that_closed_meanwhile_turns_nothing_round(bench: Bench) -> None:
    book = bench.book()
    book.place(MARKET_BUY, bench.now)
    bench.pass_time(book)
    (position,) = book.shown_positions()
    book.close(position.id, {}, bench.now)
    book.move(position.id, {"side": "sell"}, bench.now)
    bench.pass_time(book)

    assert book.shown_positions() == []
    assert len(book.executions) == 2


def test_finished_orders_are_shown_for_more_than_a_minute_and_then_forgotten(bench: Bench) -> None:
    book = bench.book()
    order = book.place(MARKET_BUY, bench.now)
    bench.pass_time(book)
    bench.pass_time(book, 61)
    assert order.id in book.orders
    bench.pass_time(book, 60)
    assert order.id not in book.orders


def test_a_broker_may_show_closing_orders_and_closed_positions(bench: Bench) -> None:
    book = bench.book(Rules(shows_closing_orders=True, keeps_closed=True))
    book.place(MARKET_BUY, bench.now)
    bench.pass_time(book)
    (position,) = book.shown_positions()
    book.close(position.id, {}, bench.now)
    bench.pass_time(book)
    assert [p.qty for p in book.shown_positions()] == [0]
    assert [(o.side, o.status, o.custom_fields[0].value) for o in book.orders.values()][1] == (
        "sell",
        "filled",
        position.id,
    )
    with pytest.raises(Refusal, match="not found"):
        book.close(position.id, {}, bench.now)


DEEDS = st.lists(
    st.tuples(
        st.sampled_from(["place", "close", "move", "cancel", "tick"]),
        st.sampled_from(["buy", "sell"]),
        st.integers(1, 30).map(lambda n: str(D(n) / 100)),
        st.integers(-40, 40),
    ),
    max_size=25,
)


@settings(max_examples=400)
@given(deeds=DEEDS, multiposition=st.booleans(), brackets=st.booleans())
def test_whatever_is_done_executions_add_up_to_positions_and_brackets_guard_only_what_is_open(
    deeds: list[tuple[str, str, str, int]], multiposition: bool, brackets: bool
) -> None:
    bench = Bench()
    book = bench.book(Rules(multiposition=multiposition, position_brackets=brackets))
    for deed, side, qty, shift in deeds:
        with suppress(Refusal):
            act(book, bench, deed, side, qty, shift)
        bench.pass_time(book)
        filled = sum((x.qty if x.side == "buy" else -x.qty for x in book.executions), D(0))
        assert filled == sum((p.signed for p in book.shown_positions()), D(0))
        assert all(p.qty > 0 for p in book.shown_positions())
        assert multiposition or len(book.shown_positions()) <= 1
        working = [c for c in children(book) if c.status == "working"]
        if brackets:
            assert {c.parent_id for c in working} <= set(book.positions)
            assert all(c.qty == book.positions[str(c.parent_id)].qty for c in working)


def act(book: Any, bench: Bench, deed: str, side: str, qty: str, shift: int) -> None:
    bid = bench.prices["EURUSD"].bid
    positions = list(book.positions)
    match deed:
        case "place":
            stop, target = (bid - 20 * D("0.0001"), bid + 20 * D("0.0001"))
            levels = {"stopLoss": stop, "takeProfit": target} if side == "buy" else {"stopLoss": target}
            book.place(MARKET_BUY | {"side": side, "qty": qty} | {k: str(v) for k, v in levels.items()}, bench.now)
        case "close" if positions:
            book.close(positions[shift % len(positions)], {"amount": qty}, bench.now)
        case "move" if positions:
            book.move(positions[shift % len(positions)], {"stopLoss": str(bid - 10 * D("0.0001"))}, bench.now)
        case "cancel" if book.orders:
            book.cancel(list(book.orders)[shift % len(book.orders)], bench.now)
        case "tick":
            moved = bid + shift * D("0.0001")
            bench.price("EURUSD", str(moved), str(moved + D("0.00008")))
