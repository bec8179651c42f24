"""On the desk held, coming and revisions cannot disagree, and nothing grows for ever."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ingest.calls import OrdersShown, PlaceOrder
from ingest.changes import Change, Why
from ingest.desk import GRACE, Desk, clip
from ingest.order_calls import place
from ingest.state import Picture, PositionState
from ingest.subject import waits
from shared.facts import Model
from tests.ingest.story import START

D = Decimal
WHY = Why(at=START)
SIZES = st.decimals(min_value=-100, max_value=100, places=2)


def desk(model: Model = "hedging") -> Desk:
    return Desk(Picture(source="s", account="1", model=model))


def market(name: str, quantity: str = "1", **fields: object) -> PlaceOrder:
    terms: dict[str, object] = {
        "account": "1",
        "flow": f"f{name}",
        "asked": START,
        "answered": START,
        "instrument": "X",
        "side": "buy",
        "type": "market",
        "quantity": D(quantity),
        "order_id": name,
    } | fields
    return PlaceOrder(**terms)  # type: ignore[arg-type]


@given(SIZES, SIZES)
def test_a_clipped_share_lies_between_zero_and_its_bound(share: Decimal, bound: Decimal) -> None:
    found = clip(share, bound)
    assert min(D(0), bound) <= found <= max(D(0), bound)
    assert abs(found) <= abs(share)
    assert found == share or found in (bound, 0)


@given(SIZES, SIZES)
def test_a_bounded_close_never_goes_through_zero(held: Decimal, closing: Decimal) -> None:
    found = desk().bounded(PositionState(key="p", instrument="X", since=START, held=held, closing=closing))
    assert found.total * held >= 0
    assert abs(found.total) <= abs(held)


def test_a_close_counts_the_orders_before_it_and_not_those_after_it() -> None:
    it = desk("netting")
    for name, at in (("1", 0), ("2", 20)):
        place(it, market(name, asked=START + timedelta(seconds=at), answered=START + timedelta(seconds=at)))
    closing = PositionState(
        key="X", instrument="X", since=START, opening=D(2), closing=D(-3), closing_since=START + timedelta(seconds=10)
    )
    assert it.bounded(closing).closing == -1
    assert it.bounded(closing, ended="1").closing == 0


def test_an_id_that_is_used_again_gets_a_number_and_kinds_do_not_mix() -> None:
    it = desk()
    assert [it.name("order", "7"), it.name("order", "7"), it.name("position", "7"), it.name("order", "7")] == [
        "7",
        "7#2",
        "7",
        "7#3",
    ]


def test_a_fill_moves_coming_to_held_in_steps_with_a_revision_each() -> None:
    it = desk()
    place(it, market("1"))
    for filled in ("0.4", "1"):
        found = it.order("1")
        assert found is not None
        it.fill(found, D(filled), WHY)
    changes = [c for c in it.said if isinstance(c, Change)]
    assert [(c.after.held, c.after.coming) for c in changes] == [(0, 1), (D("0.4"), D("0.6")), (1, 0)]
    assert [c.revision for c in changes] == [1, 2, 3]
    assert [c.object for c in changes] == ["order:1/1", "order:1/2", "order:1/3"]
    assert not it.orders["1"].live


def test_what_a_fill_explains_is_not_counted_twice() -> None:
    it = desk("netting")
    order = place(it, market("1", type="limit", limit_price=D(1)))
    assert order is not None
    position = it.positions["X"]
    it.keep(
        PositionState(
            **{f: getattr(position, f) for f in ("key", "instrument", "since", "revision")},
            held=D(1),
            surplus=D(1),
            suspects=("1",),
            suspected=START,
        )
    )
    it.fill(order, D(1), WHY)
    assert it.positions["X"].held == 1
    second = place(it, market("2", type="limit", limit_price=D(1)))
    assert second is not None
    it.fill(second, D(1), WHY)
    assert it.positions["X"].held == 2


def test_the_end_of_an_order_takes_back_only_what_had_not_filled() -> None:
    it = desk()
    order = place(it, market("1"))
    assert order is not None
    it.fill(order, D("0.4"), WHY)
    it.end(it.orders["1"], "canceled", WHY, sure=True)
    assert (it.positions["o1"].held, it.positions["o1"].opening, it.positions["o1"].over) == (D("0.4"), D(0), False)


@pytest.mark.parametrize(("left", "trusted", "calm"), [(-1, False, False), (0, True, False), (3, True, True)])
def test_a_poll_speaks_only_of_what_no_call_has_touched_since_it_left(left: int, trusted: bool, calm: bool) -> None:
    it = desk()
    it.hush("X", START)
    at = START + timedelta(seconds=left)
    poll = OrdersShown(account="1", flow="f", asked=at, answered=at, rows=())
    assert it.trusts(poll, "X") is trusted
    assert it.trusts(poll, "Y")
    assert it.calm(at, "X") is calm
    assert timedelta(seconds=3) == GRACE


def test_while_a_request_waits_no_poll_speaks_of_its_instrument() -> None:
    it = desk()
    waits(it, market("1"))
    poll = OrdersShown(account="1", flow="f", asked=START, answered=START, rows=())
    assert not it.trusts(poll, "X")
    assert it.trusts(poll, "Y")


def test_the_end_of_a_resting_order_leaves_a_close_that_is_coming_alone() -> None:
    it = desk("netting")
    order = place(it, market("1", type="limit", limit_price=D(1)))
    assert order is not None
    it.keep(replace(it.positions["X"], held=D(1), opening=D(2), closing=D("-2.5"), closing_since=START))
    it.end(order, "canceled", WHY, sure=True)
    assert it.positions["X"].closing == D("-2.5")
