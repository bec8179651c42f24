"""Requests wait for their replies, and what has none is said and left to the polls."""

from datetime import timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

from ingest.accepted import accept, expire, refuse, unanswered
from ingest.calls import Refused, Unanswered
from ingest.desk import PATIENCE, Desk
from ingest.subject import waits
from tests.ingest.story import START, Story, order, position
from tests.ingest.test_desk import desk, market


def kinds(it: Desk) -> list[str]:
    return [getattr(n, "kind", "") for n in it.said]


def test_a_reply_ends_the_wait_whatever_it_says() -> None:
    call = market("1")
    for reply in ("yes", "no", "none"):
        it = desk()
        waits(it, call)
        assert it.open
        if reply == "yes":
            accept(it, call)
        elif reply == "no":
            refuse(it, Refused(account="1", flow=call.flow, answered=START, text="no"))
        else:
            unanswered(it, Unanswered(account="1", flow=call.flow, at=START))
        assert not it.open


def test_a_refused_call_does_nothing_and_is_said() -> None:
    it = desk()
    waits(it, market("1"))
    refuse(it, Refused(account="1", flow="f1", answered=START, text="no money"))
    assert kinds(it) == ["refused"]
    assert not it.orders


def test_a_request_that_has_been_answered_does_not_wait_again() -> None:
    it = desk()
    accept(it, market("1"))
    waits(it, market("1"))
    assert not it.open
    unanswered(it, Unanswered(account="1", flow="f1", at=START, call=market("1")))
    assert not it.unsettled


def test_patience_ends_and_the_placement_may_still_turn_out_to_have_worked() -> None:
    it = desk()
    waits(it, market("1"))
    expire(it, START + PATIENCE)
    assert it.open
    expire(it, START + PATIENCE + timedelta(seconds=1))
    assert not it.open
    assert [o.call.flow for o in it.unsettled] == ["f1"]
    assert it.quiet["X"] == START + PATIENCE + timedelta(seconds=1)
    expire(it, START + 11 * PATIENCE)
    assert it.unsettled, "nobody has looked yet"
    it.polled = dict.fromkeys(("orders", "positions"), START + 3 * PATIENCE)
    expire(it, START + 11 * PATIENCE)
    assert not it.unsettled
    assert len(it.missed) == 1


def test_a_late_yes_after_patience_ended_still_counts_once() -> None:
    it = desk()
    waits(it, market("1"))
    expire(it, START + 2 * PATIENCE)
    late = replace(market("1"), answered=START + 2 * PATIENCE)
    accept(it, late)
    accept(it, late)
    assert kinds(it).count("order.placed") == 1


BUY = {"instrument": "EURUSD", "qty": "0.1", "side": "buy", "type": "market"}
SENT = "/accounts/10001/orders?locale=en&requestId=k3v9x0q2ab"


def cut() -> Story:
    """An order whose connection was cut; browsers send such a request again by themselves."""
    story = Story()
    story.orders()
    story.positions()
    story.hear(story.exchange("POST", SENT, BUY, None, status=None, left=0, flow="first"))
    story.wait(0.5)
    story.hear(story.exchange("POST", SENT, BUY, error="cut", flow="first"))
    return story


def again(story: Story, order_id: str) -> None:
    story.wait(0.2)
    story.hear(story.exchange("POST", SENT, BUY, {"s": "ok", "d": {"orderId": order_id}}, flow="second"))


@pytest.mark.parametrize("polls", [0, 4], ids=["at once", "when the polls have shown it"])
def test_a_request_that_is_sent_again_and_known_to_the_broker_is_one_order(polls: int) -> None:
    story, filled = cut(), order("1", "filled", filledQty=0.1)
    for _ in range(polls):
        story.orders(filled)
        story.positions(position("55"))
    again(story, "1")
    for _ in range(200):
        story.orders(filled, after=1)
        story.positions(position("55"), after=1)
    assert story.kinds() == ["order.placed", "order.filled"]
    assert story.picture.missed == ()


def test_a_request_that_is_sent_again_and_carried_out_twice_is_two_orders() -> None:
    story = cut()
    again(story, "2")
    for _ in range(5):
        story.orders(order("1", "filled", filledQty=0.1), order("2", "filled", filledQty=0.1))
        story.positions(position("55"), position("56"))
    assert sorted(story.kinds()) == ["order.filled", "order.filled", "order.placed", "order.placed"]
    assert sum(p.held for p in story.picture.positions.values()) == Decimal("0.2")
