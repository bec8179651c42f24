"""What is pushed is pushed once: a proxy that is killed right after a frame has passed tells it all the same."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ingest.exchange import Exchange
from shared.facts import Levels, OrderPlaced
from tests.ingest.mortal import Mortal
from tests.ingest.story import PAPER
from tests.ingest.test_paper import MNQ, PLACED, D, frames_of_a_fill, pushed

ACCOUNT = "1234567"
SOURCE = replace(PAPER, quantity_unit="contracts")
BUY = {"symbol": MNQ, "type": "market", "qty": 1, "side": "buy", "sl": 30463.25}
RESTING = {"id": 7, "symbol": MNQ, "symboltype": "futures", "side": "buy", "qty": 1, "type": "limit", "price": 30000}


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Mortal]:
    story = Mortal(SOURCE, tmp_path, ACCOUNT)
    look(story)
    yield story
    story.end()


def look(story: Mortal, *positions: dict[str, object]) -> None:
    story.wait(2)
    said = {"balance": 100000, "positions": list(positions)}
    story.hear(story.exchange("POST", f"/trading/account/{ACCOUNT}", b"{}", said))


def ask(story: Mortal, body: dict[str, object]) -> Exchange:
    story.wait(1)
    text = json.dumps(body).encode()
    asked = story.exchange("POST", f"/trading/place/{ACCOUNT}", text, status=None, left=0, flow="c")
    story.hear(asked)
    return asked


def push(story: Mortal, name: str, **said: object) -> None:
    story.wait(0.1)
    story.hear(pushed(name, story, said))


def test_an_order_that_was_pushed_while_its_call_had_no_reply_is_known_after_a_restart(story: Mortal) -> None:
    """No poll of Paper Trading lists orders: a frame that is lost would never be made up for."""
    ask(story, {key: RESTING[key] for key in ("symbol", "type", "qty", "side", "price")})
    push(story, "order_update", status="working", **RESTING)
    assert story.facts == [], "it waits for the reply"
    story.die()
    (placed,) = story.facts
    assert isinstance(placed, OrderPlaced)
    assert (placed.order.id, placed.order.limit_price) == ("7", D(30000))
    push(story, "order_update", status="cancelled", **RESTING)
    assert story.kinds() == ["order.placed", "order.ended"]


def test_the_frames_of_a_fill_are_told_after_a_restart_with_their_levels(story: Mortal) -> None:
    ask(story, BUY)
    for frame in frames_of_a_fill(story, ["order", "child", "position"]):
        story.hear(frame)
    story.die()
    look(story, {"symbol": MNQ, "side": "buy", "qty": 1})
    assert story.facts[-1].exposure.after.held == 1
    assert story.picture.positions[MNQ].levels == Levels(stop_loss=D("30463.25"))
    assert {str(fact.exposure.after.total) for fact in story.facts} == {"1"}


def test_a_level_whose_removal_was_pushed_is_removed_after_a_restart(story: Mortal) -> None:
    """The end of a bracket is held for a moment, since another may take its place."""
    asked = ask(story, BUY)
    story.hear(story.exchange("POST", asked.path, asked.body, PLACED, left=0.2, flow=asked.flow))
    for frame in frames_of_a_fill(story, ["order", "position", "child"]):
        story.hear(frame)
    child = {"id": 3, "symbol": MNQ, "side": "sell", "qty": 1, "type": "stop", "price": 30463.25, "label": "sl"}
    push(story, "order_update", status="cancelled", parent=2169406222, **child)
    assert story.picture.positions[MNQ].levels.stop_loss == D("30463.25")
    story.die()
    story.wait(5)
    assert story.picture.positions[MNQ].levels.stop_loss is None
    assert story.facts[-1].levels.stop_loss is None


@given(
    order=st.permutations(["order", "position", "child"]), at=st.integers(0, 4), is_answered=st.booleans()
)  # fmt: skip
def test_it_ends_the_same_whenever_it_is_killed_amid_the_frames_of_a_fill(
    tmp_path_factory: pytest.TempPathFactory, order: list[str], at: int, *, is_answered: bool
) -> None:
    story = Mortal(SOURCE, tmp_path_factory.mktemp("outbox"), ACCOUNT)
    look(story)
    asked = ask(story, BUY)
    for moment, frame in enumerate(frames_of_a_fill(story, order)):
        if moment == at:
            story.die()
        story.hear(frame)
    if at == 3:
        story.die()
    if is_answered and not story.deaths:
        story.hear(story.exchange("POST", asked.path, asked.body, PLACED, left=0.2, flow=asked.flow))
    for _ in range(20):  # a reply that never comes is waited for
        look(story, {"symbol": MNQ, "side": "buy", "qty": 1})
    story.end()
    held = [fact.exposure.after.held for fact in story.facts]
    assert held[-1] == 1
    assert {fact.exposure.after.total for fact in story.facts} == {D(1)}, "never another size, never opened twice"
    assert held == sorted(held)
    assert len({fact.id for fact in story.facts}) == len(story.facts)
    assert story.picture.positions[MNQ].levels == Levels(stop_loss=D("30463.25"))
