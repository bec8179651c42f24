"""The stories of a trading day, told by what passes the proxy, become exactly the right facts."""

import json
from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from ingest.exchange import plain
from ingest.picture import Stamp, accounts, interpret, new_picture, restarted
from ingest.source import Source
from shared.facts import Levels, OrderEnded, OrderFilled, OrderPlaced, PositionChanged, PositionClosed
from tests.ingest.story import BROKER, NETTING, PAPER, Story, bracket, order, position
from tests.ingest.world import World

D = Decimal
FILLED = order("1", "filled", filledQty=0.1, avgPrice=1.08513)


def opened(source: Source = BROKER, **levels: object) -> Story:
    """A story in which order 1 has become position 55, shown by both polls."""
    story = Story(source)
    story.orders()
    story.positions()
    story.place("1", **levels)
    story.orders(FILLED)
    story.positions(position("55"))
    return story


def totals(story: Story, name: str) -> list[str]:
    """What the facts say a position will be, one after the other."""
    return [str(plain(f.exposure.after.total)) for f in story.facts if f.exposure.position == name]


def changes(story: Story) -> int:
    return len(story.facts)


def test_a_market_order_is_coming_when_accepted_and_held_when_filled() -> None:
    story = Story()
    (placed,) = story.place("1", stopLoss="1.083", takeProfit="1.09", currentAsk="1.08512", currentBid="1.08504")
    assert isinstance(placed, OrderPlaced)
    assert (placed.id, placed.exposure.position, placed.exposure.revision) == ("fusion/10001/order:1/1", "o1", 1)
    assert (placed.exposure.before.total, placed.exposure.after.coming) == (D(0), D("0.1"))
    assert placed.levels == Levels(stop_loss=D("1.083"), take_profit=D("1.09"), trailing=None)
    assert (placed.price, placed.evidence, placed.contract and placed.contract.unit) == (D("1.08512"), "call", "lots")
    (filled,) = story.orders(FILLED)
    assert isinstance(filled, OrderFilled)
    assert (filled.exposure.after.held, filled.exposure.after.coming) == (D("0.1"), D(0))
    assert (filled.price, filled.evidence, filled.seq) == (D("1.08513"), "poll", 2)


@pytest.mark.parametrize("first", ["orders", "positions"])
def test_whichever_poll_shows_a_fill_first_the_end_is_the_same(first: str) -> None:
    story = Story()
    story.orders()
    story.positions()
    story.place("1")
    polls: list[Callable[[], object]] = [lambda: story.orders(FILLED), lambda: story.positions(position("55"))]
    for poll in polls if first == "orders" else polls[::-1]:
        poll()
    assert story.kinds() == ["order.placed", "order.filled"]
    assert story.picture.positions["o1"].position_id == "55"
    assert totals(story, "o1") == ["0.1", "0.1"]


def test_closes_state_what_remains() -> None:
    story = opened()
    (part,) = story.call("DELETE", "/positions/55", amount="0.04")
    assert isinstance(part, PositionChanged)
    assert (part.exposure.after.held, part.exposure.after.coming) == (D("0.1"), D("-0.04"))
    assert part.exposure.position_id == "55"
    story.positions(position("55", 0.06))
    (whole,) = story.call("DELETE", "/positions/55")
    assert isinstance(whole, PositionClosed)
    assert whole.exposure.after.total == 0
    story.positions()
    assert totals(story, "o1") == ["0.1", "0.1", "0.06", "0.06", "0", "0"]
    assert story.kinds()[-1] == "position.closed"


def test_two_partial_closes_within_one_poll_interval_are_both_counted() -> None:
    story = opened()
    story.call("DELETE", "/positions/55", amount="0.04")
    story.call("DELETE", "/positions/55", amount="0.03")
    assert totals(story, "o1")[-2:] == ["0.06", "0.03"]
    story.positions(position("55", 0.06))
    story.positions(position("55", 0.03))
    assert totals(story, "o1")[-1] == "0.03"
    assert story.picture.positions["o1"].held == D("0.03")


def test_a_close_never_takes_a_position_through_zero() -> None:
    story = opened()
    story.call("DELETE", "/positions/55", amount="0.5")
    assert totals(story, "o1")[-1] == "0"
    assert story.call("DELETE", "/positions/55") == []


def test_a_poll_in_flight_while_a_position_is_closed_does_not_open_it_again() -> None:
    story = opened()
    story.call("DELETE", "/positions/55")
    story.positions()
    before = changes(story)
    story.positions(position("55"), left=3, after=0.2)
    story.positions(position("55"), left=2.5, after=0.2)
    story.positions()
    assert changes(story) == before
    assert totals(story, "o1")[-1] == "0"


def test_a_poll_that_is_answered_while_a_close_waits_for_its_reply_says_nothing() -> None:
    story = opened()
    before = changes(story)
    story.hear(story.exchange("DELETE", "/accounts/10001/positions/55", {}, status=None, left=0, flow="c"))
    story.positions()
    story.positions()
    assert changes(story) == before
    story.wait(1)
    (closed,) = story.hear(story.exchange("DELETE", "/accounts/10001/positions/55", {}, {"s": "ok"}, flow="c", left=3))
    assert isinstance(closed, PositionClosed)
    assert closed.evidence == "call"


@pytest.mark.parametrize("restart", [False, True])
def test_a_reply_lost_after_the_broker_executed_is_settled_by_the_polls(restart: bool) -> None:
    story = Story()
    story.orders()
    story.positions()
    form = {"instrument": "EURUSD", "qty": "0.1", "side": "buy", "type": "market", "stopLoss": "1.08"}
    waiting = story.exchange("POST", "/accounts/10001/orders", form, status=None, left=0, flow="c")
    story.hear(waiting)
    story.wait(1)
    if restart:
        stamp = Stamp(producer="p1", seq=1, captured=story.now)
        story.picture = restarted(story.picture, story.source, stamp).picture
    else:
        story.hear(replace(waiting, error="client disconnected"))
    placed, filled = story.orders(FILLED)
    story.positions(position("55"))
    assert isinstance(placed, OrderPlaced)
    assert isinstance(filled, OrderFilled)
    assert (placed.evidence, placed.levels.stop_loss, placed.asked is not None) == ("poll", D("1.08"), True)
    assert story.kinds() == ["order.placed", "order.filled"]


def test_a_reply_lost_before_the_broker_executed_leaves_no_trace() -> None:
    story = Story()
    story.orders()
    story.positions()
    form = {"instrument": "EURUSD", "qty": "0.1", "side": "buy", "type": "market"}
    story.hear(story.exchange("POST", "/accounts/10001/orders", form, error="cut"))
    for _ in range(5):
        story.orders()
        story.positions()
    assert story.facts == []
    assert "unanswered" in story.noted()


def test_a_request_without_a_reply_is_given_up_after_half_a_minute() -> None:
    story = opened()
    story.hear(story.exchange("DELETE", "/accounts/10001/positions/55", {}, status=None, left=0, flow="c"))
    story.wait(31)
    story.positions()
    story.positions()
    story.positions()
    assert totals(story, "o1")[-1] == "0"


def test_a_stop_dragged_there_and_back_on_the_phone_ends_where_it_was() -> None:
    story = opened(stopLoss="1.08")
    story.wait(5)
    levels = (1.08, 1.07, 1.08, 1.08)
    before = changes(story)
    for price in levels:
        story.orders(FILLED, bracket("1.SL.1", price, "SL", "55"))
    assert changes(story) == before
    for price in (1.07, 1.07, 1.08, 1.08):
        story.orders(FILLED, bracket("1.SL.1", price, "SL", "55"))
    assert [f.levels.stop_loss for f in story.facts[before:]] == [D("1.07"), D("1.08")]


def test_a_position_id_that_comes_back_another_day_is_another_position() -> None:
    story = opened()
    story.call("DELETE", "/positions/55")
    story.positions()
    story.wait(86_400)
    for _ in range(3):
        story.positions(position("55", 0.2))
    story.wait(5)
    story.positions()
    story.positions()
    story.wait(86_400)
    for _ in range(3):
        story.positions(position("55", 0.3))
    assert totals(story, "p55") == ["0.2", "0"]
    assert totals(story, "p55#2") == ["0.3"]


def test_an_order_id_that_is_used_again_is_another_order() -> None:
    story = opened()
    story.wait(60)
    (again,) = story.place("1", qty="0.2")
    assert isinstance(again, OrderPlaced)
    assert (again.order.id, again.exposure.position) == ("1#2", "o1#2")
    assert "reused-id" in story.noted()
    assert story.picture.positions["o1"].held == D("0.1")


def test_the_same_exchange_twice_changes_nothing() -> None:
    story = Story()
    form = {"instrument": "EURUSD", "qty": "0.1", "side": "buy", "type": "market"}
    placed = story.exchange("POST", "/accounts/10001/orders", form, {"s": "ok", "d": {"orderId": "1"}})
    assert len(story.hear(placed)) == 1
    assert story.hear(placed) == []
    assert "duplicate" in story.noted()


def test_the_same_part_close_twice_closes_one_part() -> None:
    story = opened()
    story.wait(1)
    closed = story.exchange("DELETE", "/accounts/10001/positions/55", {"amount": "0.04"}, {"s": "ok"})
    assert len(story.hear(closed)) == 1
    assert story.hear(closed) == []
    assert totals(story, "o1")[-1] == "0.06"


def test_a_late_rejection_takes_back_what_was_coming() -> None:
    story = Story()
    story.place("1")
    (ended,) = story.orders(order("1", "rejected", message={"text": "no money", "type": "error"}))
    assert isinstance(ended, OrderEnded)
    assert (ended.reason, ended.text, ended.exposure.after.total) == ("rejected", "no money", D(0))


def test_a_cancel_that_came_too_late_is_a_fill_after_all() -> None:
    story = Story()
    story.orders()
    story.positions()
    story.place("1", type="limit", limitPrice="1.07")
    story.call("DELETE", "/orders/1")
    (filled,) = story.orders(order("1", "filled", type="limit", limitPrice=1.07))
    assert isinstance(filled, OrderFilled)
    assert filled.exposure.after.held == D("0.1")
    story.positions(position("55"))
    assert totals(story, "o1") == ["0", "0", "0.1"]


def test_what_was_there_before_anybody_looked_is_stated_as_unchanged_until_it_changes() -> None:
    story = Story()
    story.orders(order("7", type="limit", limitPrice=1.05), bracket("k", 1.02, "SL", "66"))
    story.positions(position("66", 0.3))
    story.orders(order("7", type="limit", limitPrice=1.05), bracket("k", 1.02, "SL", "66"))
    assert [f.exposure.before == f.exposure.after for f in story.facts] == [True] * len(story.facts)
    assert "baseline" in story.noted()
    (part,) = story.call("DELETE", "/positions/66", amount="0.1")
    assert (part.exposure.before.total, part.exposure.after.total) == (D("0.3"), D("0.2"))
    assert part.levels.stop_loss == D("1.02")
    (canceled,) = story.call("DELETE", "/orders/7")
    assert isinstance(canceled, OrderEnded)


def test_a_position_missing_once_is_not_closed() -> None:
    story = opened()
    story.wait(5)
    story.positions()
    story.positions(position("55"))
    story.positions()
    assert totals(story, "o1")[-1] == "0.1"
    story.positions()
    assert totals(story, "o1")[-1] == "0"


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, {"s": "error", "errmsg": "x"}),
        (304, b""),
        (500, {"s": "ok", "d": []}),
        (200, b"{"),
        (200, {"s": "ok"}),
        (200, {"s": "ok", "d": {}}),
        (200, {"s": "ok", "d": [1]}),
        (401, b""),
    ],
)
def test_a_failed_poll_is_unknown_and_never_flat(status: int, answer: object) -> None:
    story = opened()
    story.wait(5)
    before = changes(story)
    for _ in range(4):
        story.wait(1)
        story.hear(story.exchange("GET", "/accounts/10001/positions", {}, answer, status=status))
    assert changes(story) == before
    assert "poll-failed" in story.noted()


def test_a_stop_loss_that_was_hit_needs_one_poll_of_each_kind() -> None:
    story = opened(stopLoss="1.08", takeProfit="1.2")
    story.wait(5)
    tp, sl = bracket("1.TP.1", 1.2, "TP", "55"), bracket("1.SL.1", 1.08, "SL", "55")
    story.orders(FILLED, tp, sl)
    before = changes(story)
    story.orders(FILLED, tp | {"status": "cancelled"}, sl | {"status": "filled", "filledQty": 0.1})
    story.positions()
    assert [f.exposure.after.total for f in story.facts[before:]] == [D(0)]


def test_two_equal_orders_are_told_apart_by_what_the_source_says_later() -> None:
    story = Story()
    story.orders()
    story.positions()
    story.place("1")
    story.place("2")
    story.positions(position("b"), position("a"))
    assert "first-in-first-out" in story.noted()
    link = {"customFields": [{"id": "PositionId", "value": "a_x"}]}
    story.orders(FILLED | link, order("2", "filled") | {"customFields": [{"id": "PositionId", "value": "b"}]})
    assert story.picture.positions["o1"].position_id == "a"
    assert story.picture.positions["o2"].position_id == "b"
    (closed,) = story.call("DELETE", "/positions/a")
    assert closed.exposure.position == "o1"


def test_executions_link_an_order_to_its_position() -> None:
    story = Story()
    story.orders()
    story.positions()
    story.place("1")
    story.place("2")
    fill = {"id": "e", "instrument": "EURUSD", "orderId": "2", "positionId": "a", "price": 1, "qty": 0.1, "side": "buy"}
    story.poll("executions", [fill])
    story.positions(position("a"))
    assert story.picture.positions["o2"].position_id == "a"


def test_a_position_opened_elsewhere_counts_when_two_polls_agree() -> None:
    story = opened()
    story.wait(5)
    assert story.positions(position("55"), position("77", 0.5, "sell")) == []
    (fact,) = story.positions(position("55"), position("77", 0.5, "sell"))
    assert (fact.exposure.position, fact.exposure.after.held, fact.evidence) == ("p77", D("-0.5"), "poll")


def test_an_order_placed_elsewhere_counts_when_two_polls_agree() -> None:
    story = Story()
    story.orders()
    row = order("9", type="stop", stopPrice=1.2)
    child = bracket("k", 1.1, "SL", "9", "inactive", parentType="order")
    assert story.orders(row, child) == []
    (placed,) = story.orders(row, child)
    assert isinstance(placed, OrderPlaced)
    assert (placed.order.stop_price, placed.levels.stop_loss, placed.evidence) == (D("1.2"), D("1.1"), "poll")


def test_a_resting_order_whose_fill_positions_show_first_is_not_taken_for_a_stranger() -> None:
    story = Story()
    story.orders()
    story.positions()
    story.place("1", type="limit", limitPrice="1.07")
    story.wait(5)
    story.positions(position("55"))
    story.positions(position("55"))
    story.orders(order("1", "filled", type="limit", limitPrice=1.07))
    story.positions(position("55"))
    assert story.kinds() == ["order.placed", "order.filled"]
    assert totals(story, "o1") == ["0", "0.1"]


def test_a_change_of_one_level_leaves_the_other_unknown_until_the_next_poll() -> None:
    story = opened(stopLoss="1.08", takeProfit="1.2")
    tp, sl = bracket("1.TP.1", 1.2, "TP", "55"), bracket("1.SL.1", 1.08, "SL", "55")
    story.orders(FILLED, tp, sl)
    (put,) = story.call("PUT", "/positions/55", stopLoss="1.081")
    assert put.levels == Levels(stop_loss=D("1.081"), take_profit=UNSET, trailing=None)
    assert story.orders(FILLED, tp, sl | {"stopPrice": 1.081}) == []
    (put,) = story.call("PUT", "/positions/55", stopLoss="1.082")
    story.wait(4)
    gone = tp | {"status": "cancelled"}
    story.orders(FILLED, gone, sl | {"stopPrice": 1.082})
    (removed,) = story.orders(FILLED, gone, sl | {"stopPrice": 1.082})
    assert removed.levels == Levels(stop_loss=D("1.082"), take_profit=None, trailing=None)


def test_a_trailing_stop_states_its_distance_and_not_every_move() -> None:
    story = opened(stopLoss="1.08")
    story.poll("instruments", [{"name": "EURUSD", "pipSize": 0.0001, "lotSize": 100000, "minQty": 0.01}])
    (put,) = story.call("PUT", "/positions/55", trailingStopPips="15", takeProfit="1.2")
    assert (put.levels.trailing, put.levels.stop_loss) == (D("0.0015"), UNSET)
    before = changes(story)
    for n in range(6):
        story.orders(FILLED, bracket("s", 1.0841 + n / 1000, "SL", "55", isTrailingStop=True, trailingStopPips=15))
    assert [f.levels.stop_loss for f in story.facts[before:]] in ([], [D("1.0841")])


def test_a_bracket_is_moved_and_removed_by_its_own_id() -> None:
    story = opened(stopLoss="1.08", takeProfit="1.2")
    story.orders(FILLED, bracket("1.TP.1", 1.2, "TP", "55"), bracket("s", 1.08, "SL", "55"))
    (moved,) = story.call("PUT", "/orders/s", qty="0.1", stopPrice="1.085")
    assert (moved.exposure.position, moved.levels.stop_loss) == ("o1", D("1.085"))
    (gone,) = story.call("DELETE", "/orders/1.TP.1")
    assert gone.levels.take_profit is None


def test_a_native_reversal_goes_through_zero_in_one_fact() -> None:
    story = opened(stopLoss="1.08")
    (turned,) = story.call("PUT", "/positions/55", side="sell")
    assert story.kinds()[-1] == "position.reversed"
    assert (turned.exposure.before.total, turned.exposure.after.total) == (D("0.1"), D("-0.1"))
    assert turned.levels.stop_loss is UNSET
    story.positions()
    story.positions(position("56", 0.1, "sell"))
    assert totals(story, "o1")[-1] == "-0.1"
    assert story.picture.positions["o1"].position_id == "56"


def test_on_a_netting_account_an_opposite_order_carries_the_exposure_itself() -> None:
    story = Story(NETTING)
    story.orders()
    story.positions()
    story.place("1", qty="2")
    story.place("2", qty="3", side="sell")
    assert story.kinds() == ["order.placed", "order.placed"]
    assert totals(story, "EURUSD") == ["2", "-1"]
    story.positions(position("n", 1, "sell"))
    story.orders(order("1", "filled", qty=2), order("2", "filled", qty=3, side="sell"))
    story.positions(position("n", 1, "sell"))
    assert totals(story, "EURUSD")[-1] == "-1"
    assert story.picture.positions["EURUSD"].held == D(-1)
    (closed,) = story.call("DELETE", "/positions/n")
    assert isinstance(closed, PositionClosed)


def test_an_accepted_close_that_is_never_carried_out_is_taken_back() -> None:
    story = opened()
    story.call("DELETE", "/positions/55")
    for _ in range(33):
        story.positions(position("55"))
    assert totals(story, "o1")[-2:] == ["0", "0.1"]
    assert "unsettled" in story.noted()


def test_sizes_are_never_guessed() -> None:
    source = replace(BROKER, quantity_unit="auto")
    story = Story(source)
    assert story.place("1") == []
    assert "unit-unknown" in story.noted()
    story.poll("instruments", [{"name": "EURUSD", "lotSize": 100000, "minQty": 0.01, "minTick": 0.00001}])
    (placed,) = story.place("2")
    assert placed.contract is not None
    assert (placed.contract.unit, placed.contract.lot_size) == ("lots", D(100000))
    assert placed.seq == 1


@pytest.mark.parametrize(("flag", "model"), [(True, "hedging"), (False, "netting")])
def test_the_position_model_is_learnt_from_the_account(flag: bool, model: str) -> None:
    story = Story(replace(BROKER, positions="auto"))
    story.place("1")
    assert story.facts == []
    assert "model-unknown" in story.noted()
    story.wait(1)
    row = {"id": "10001", "name": "x", "config": {"supportMultiposition": flag}}
    story.hear(story.exchange("GET", "/accounts", {}, {"s": "ok", "d": [{"id": "9"}, row]}))
    (placed,) = story.place("2")
    assert placed.model == model


def test_trading_without_polls_is_said() -> None:
    story = Story()
    story.place("1")
    assert "blind" in story.noted()


def test_paper_trading_knows_one_model() -> None:
    assert new_picture(PAPER, "1").model == "netting"
    assert new_picture(replace(BROKER, positions="auto"), "1").model is None


STEPS = st.lists(st.integers(0, 48_000), max_size=40)


@pytest.mark.parametrize("source", [BROKER, NETTING], ids=["hedging", "netting"])
@settings(max_examples=250, deadline=None)
@given(STEPS)
def test_however_polls_lag_get_lost_double_and_overtake_the_facts_are_the_truth(
    source: Source, steps: list[int]
) -> None:
    world = World(source)
    for step in steps:
        world.step(step)
    world.rest()
    world.check_facts()
    world.check_end()


PATHS = st.one_of(
    st.text(max_size=40).map(lambda t: "/" + t),
    st.tuples(
        st.sampled_from(["/accounts/10001/", "/accounts/", "/trading/place/", "/trading/", "/quotes/"]),
        st.sampled_from(["orders", "positions", "executions", "instruments", "1234567", "previewOrder", ""]),
        st.sampled_from(["", "/1", "/1.TP.2", "/%00", "/a/b"]),
    ).map("".join),
)
BODIES = st.one_of(
    st.binary(max_size=120),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.integers(),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(["s", "d", "id", "qty", "side", "type", "instrument", "status", "error"]), inner
            )
        ),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode()),
)


@pytest.mark.parametrize("source", [BROKER, NETTING, PAPER], ids=["hedging", "netting", "paper"])
@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS", "BREW"]), PATHS, BODIES, BODIES, st.integers(100, 599)
)
def test_any_bytes_on_any_path_raise_nothing_and_invent_no_fact(
    source: Source, method: str, path: str, body: bytes, answer: bytes, status: int
) -> None:
    account = "1234567" if source is PAPER else "10001"
    story = Story(source, account)
    heard = story.exchange(method, "", body, answer, status=status)
    heard = replace(heard, path=path.partition("?")[0])
    accounts(heard, source)
    stamp = Stamp(producer="p", seq=1, captured=story.now)
    found = interpret(story.picture, heard, source, stamp)
    accepted = method in ("POST", "PUT", "DELETE") and 200 <= status < 300
    assert found.facts == () or accepted
