"""A picture stays small, and what is forgotten does no harm."""

from datetime import datetime

from msgspec.structs import replace

from ingest.desk import Desk
from ingest.forgetting import FRESH, MEMORY, NAMES, SLACK, prune
from ingest.order_calls import place
from ingest.state import Bracket, PositionState
from tests.ingest.story import START
from tests.ingest.test_desk import WHY, desk, market


def ended(it: Desk, count: int, first: int = 0, at: datetime = START, *, sure: bool = False) -> None:
    for n in range(first, first + count):
        order = place(it, market(str(n)))
        assert order is not None
        it.end(order, "rejected", replace(WHY, at=at), sure=sure)


def test_what_has_ended_long_ago_is_forgotten_and_what_lives_is_not() -> None:
    it = desk()
    place(it, market("live"))
    ended(it, MEMORY + 2 * SLACK)
    prune(it)
    assert len(it.orders) == MEMORY + 2 * SLACK + 1, "a poll may still be on its way"
    ended(it, 1, first=5000, at=START + 2 * FRESH)
    prune(it)
    assert len(it.orders) == MEMORY + 1
    assert it.order("live") is not None
    assert it.order("5000") is not None
    assert it.order("0") is None


def test_an_end_that_polls_have_confirmed_need_not_be_remembered_for_long() -> None:
    it = desk()
    ended(it, MEMORY + 2 * SLACK, sure=True)
    prune(it)
    assert len(it.orders) == MEMORY


def test_no_position_is_forgotten_before_its_order() -> None:
    it = desk()
    place(it, market("live"))
    ended(it, MEMORY)
    for n in range(4 * MEMORY):
        it.keep(PositionState(key=f"p{n}", instrument="X", since=START + n * FRESH, over=True))
    prune(it)
    assert len(it.positions) == 2 * MEMORY + 1
    assert all(order.position in it.positions for order in it.orders.values())


def test_a_name_is_remembered_longer_than_what_bore_it() -> None:
    it = desk()
    for n in range(2 * MEMORY):
        ended(it, 1, first=n, sure=True)
        prune(it)
    assert len(it.uses) <= MEMORY + SLACK
    assert it.uses_of("order", "0") == 1
    again = place(it, market("0"))
    assert again is not None
    assert (again.id, it.uses_of("order", "0")) == ("0#2", 2)


def test_names_set_aside_are_bounded_too() -> None:
    it = desk()
    it.used = {f"order:{n}": 1 for n in range(NAMES)}
    it.uses = {f"order:x{n}": 1 for n in range(MEMORY + SLACK + 1)}
    prune(it)
    assert (len(it.used), len(it.uses)) == (NAMES, MEMORY)
    assert it.uses_of("order", "x0") == 1
    assert it.uses_of("order", "0") == 0


def test_brackets_that_live_are_never_forgotten() -> None:
    it = desk()
    for n in range(2 * MEMORY):
        it.brackets[str(n)] = Bracket(id=str(n), level="stop_loss", parent="p", live=n == 0)
    prune(it)
    assert "0" in it.brackets
    assert len(it.brackets) == MEMORY + 1
