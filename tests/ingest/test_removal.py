"""A level that is moved is never stated as removed on the way, and one that is removed is."""

from decimal import Decimal

from ingest.picture import elapsed
from ingest.stating import Stamp
from shared.facts import Fact
from tests.ingest.test_paper import MNQ, held


def child(number: int, price: float, label: str = "sl", **more: object) -> dict[str, object]:
    kind = "stop" if label == "sl" else "limit"
    own: dict[str, object] = {"id": number, "type": kind, "price": price, "label": label, "parent": 2169406222}
    return {"symbol": MNQ, "side": "sell", "qty": 1, **own, **more}


def test_levels_that_are_moved_by_other_children_are_never_stated_as_removed() -> None:
    story = held()
    for number, price, label in ((9, 30463.25, "sl"), (10, 30900, "tp")):
        story.push("order_update", status="working", **child(number, price, label))
    before = len(story.facts)
    for number, price, label in ((9, 30463.25, "sl"), (10, 30900, "tp")):
        story.push("order_update", status="cancelled", **child(number, price, label))
    for number, price, label in ((11, 30470, "sl"), (12, 30950, "tp")):
        story.push("order_update", status="working", **child(number, price, label))
    story.wait(30)
    story.push("position_update", symbol=MNQ, side="buy", qty=1)
    news = [(f.levels.stop_loss, f.levels.take_profit) for f in story.facts[before:]]
    assert news == [(Decimal(30470), Decimal(30900)), (Decimal(30470), Decimal(30950))]


def test_a_removal_that_nothing_follows_is_told_by_the_time_that_goes_by() -> None:
    story = held()
    story.push("order_update", status="working", **child(9, 30463.25))
    story.push("order_update", status="cancelled", **child(9, 30463.25))

    def look() -> tuple[Fact, ...]:
        stamp = Stamp(producer="p1", seq=len(story.facts) + 1, captured=story.now)
        found = elapsed(story.picture, story.source, stamp)
        story.picture = found.picture
        return found.facts

    assert look() == ()
    story.wait(1)
    (removed,) = look()
    assert removed.levels.stop_loss is None
    assert look() == ()
