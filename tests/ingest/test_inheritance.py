import json
from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ingest.inheritance import adopted, in_order, memory, restated
from ingest.picture import Stamp, new_picture, restarted
from ingest.source import Source
from ingest.state import Picture
from shared.facts import Amount, Fact, objects
from tests.ingest.samples import fact
from tests.ingest.story import BROKER, NETTING, PAPER, START, Story, order, position
from tests.ingest.test_paper import pushed
from tests.ingest.test_renaming import CLOSED, filled, held, told
from tests.ingest.world import World

D = Decimal


def living(facts: list[Fact]) -> list[Fact]:
    """What the publish script keeps of facts: the newest of each object that lives."""
    kept: dict[str, Fact] = {}
    for one in facts:
        for name, lives in objects(one):
            if lives:
                kept[name] = one
            else:
                kept.pop(name, None)
    return list({f.id: f for f in kept.values()}.values())


def succeed(story: Story, remembered: Picture, facts: list[Fact] | None = None) -> None:
    """Another ingest goes on with what the first has left."""
    base = msgspec.json.decode(msgspec.json.encode(remembered), type=Picture)
    base = replace(base, instruments=story.picture.instruments)
    found = adopted(base, story.facts if facts is None else facts, story.now)
    stamp = Stamp(producer="p2", seq=1, captured=story.now)
    story.picture = restarted(found, story.source, stamp).picture


STEPS = st.lists(st.integers(0, 48_000), max_size=25)


@pytest.mark.parametrize("source", [BROKER, NETTING], ids=["hedging", "netting"])
@settings(max_examples=60, deadline=None)
@given(STEPS, STEPS)
def test_a_successor_goes_on_as_if_nothing_had_happened(source: Source, before: list[int], after: list[int]) -> None:
    world = World(source)
    for step in before:
        world.step(step)
    succeed(world.story, memory(world.story.picture))
    world.polls(3)
    for step in after:
        world.step(step)
    world.rest()
    world.check_facts()
    world.check_end()


def opened(story: Story) -> None:
    story.orders()
    story.positions()
    story.place("1", stopLoss="1.07")
    story.orders(order("1", "filled", filledQty=0.1, avgPrice=1.08513))
    story.positions(position("55"))


def test_what_the_one_before_has_told_is_known_without_its_memory_too() -> None:
    story = Story()
    opened(story)
    (told,) = story.picture.positions.values()
    succeed(story, new_picture(story.source, "10001"))
    (known,) = story.picture.positions.values()
    assert (known.key, known.revision, known.amount, known.levels) == ("o1", told.revision, told.amount, told.levels)
    story.positions(position("55"))
    (closed,) = story.call("DELETE", "/positions/55")
    assert (closed.exposure.position, closed.exposure.revision) == ("o1", told.revision + 1)


def test_what_happened_while_nobody_was_owner_is_told_by_the_next_polls() -> None:
    story = Story()
    opened(story)
    count = len(story.facts)
    succeed(story, memory(story.picture))
    story.wait(60)
    for _ in range(4):
        story.orders(order("1", "filled", filledQty=0.1))
        story.positions(position("77", 0.3))
    after = {f.exposure.position: f.exposure.after.total for f in story.facts[count:]}
    assert after == {"o1": D(0), "p77": D("0.3")}


def test_what_was_open_before_anybody_looked_is_stated_as_it_is_by_a_successor_that_was_told_nothing_of_it() -> None:
    story = Story()
    opened(story)
    count = len(story.facts)
    succeed(story, new_picture(story.source, "10001"))
    for _ in range(4):
        story.orders()
        story.positions(position("55"), position("66", 5))
    assert [f.exposure.before == f.exposure.after for f in story.facts[count:]] == [True]
    assert "baseline" in story.noted()


def test_what_was_open_before_anybody_looked_is_remembered() -> None:
    story = Story()
    story.orders()
    story.positions(position("66", 5))
    opened_before = memory(story.picture)
    succeed(story, opened_before)
    for _ in range(4):
        story.orders()
        story.positions(position("66", 5))
    assert [f.exposure.before for f in story.facts] == [Amount(held=D(5))]
    (closed,) = story.call("DELETE", "/positions/66")
    assert closed.exposure.before == Amount(held=D(5))


def test_a_close_that_is_under_way_is_taken_over() -> None:
    story = Story()
    opened(story)
    story.call("DELETE", "/positions/55", amount="0.04")
    succeed(story, new_picture(story.source, "10001"))
    (known,) = story.picture.positions.values()
    assert (known.held, known.opening, known.closing) == (D("0.1"), D(0), D("-0.04"))


def test_an_order_id_that_the_one_before_has_used_gets_a_name_of_its_own() -> None:
    story = Story()
    opened(story)
    succeed(story, new_picture(story.source, "10001"))
    story.wait(60)
    (again,) = story.place("1", qty="0.2")
    assert again.exposure.position == "o1#2"


def test_the_unit_is_known_from_the_facts() -> None:
    story = Story(replace(BROKER, quantity_unit="auto"))
    story.source = BROKER
    opened(story)
    succeed(story, new_picture(BROKER, "10001"))
    assert story.picture.instruments["EURUSD"].unit == "lots"


@settings(max_examples=50, deadline=None)
@given(STEPS, st.integers(0, 30))
def test_the_newest_fact_of_every_object_is_stated_again_unchanged(steps: list[int], young: int) -> None:
    world = World(BROKER)
    for step in steps:
        world.step(step)
    facts = world.story.facts
    recent = facts[max(0, len(facts) - young) :]
    found = restated(in_order(living(facts), recent))
    newest = {f.exposure.position: f for f in facts}
    for one in living(facts) + list({f.exposure.position: f for f in recent}.values()):
        key = one.exposure.position
        assert max(f.exposure.revision for f in found if f.exposure.position == key) == newest[key].exposure.revision
    by_id = {f.id: f for f in facts}
    assert all(f == replace(by_id[f.id], evidence="poll") for f in found)
    assert [f.id for f in found] == [f.id for f in facts if f.id in {g.id for g in found}]


def after_a_takeover(story: Story, remembered: Picture, *rows: object, orders: tuple[object, ...] = ()) -> Story:
    """What a successor sees, and tells, that goes on half a minute later."""
    count = len(story.facts)
    story.wait(30)
    succeed(story, remembered)
    for _ in range(6):
        story.orders(*filled(0.1), *orders)
        story.positions(*rows)
    del story.facts[:count]
    return story


@pytest.mark.parametrize("left", [0.06, 0.1])
def test_a_position_that_gets_another_id_as_a_successor_takes_over_stays_the_same(left: float) -> None:
    story = held(0.1)
    after_a_takeover(story, memory(story.picture), position("61", left))
    assert told(story) == ([("position.changed", "o1", "61", str(left))] if left < 0.1 else [])
    (closed,) = story.call("DELETE", "/positions/61")
    assert (closed.exposure.position, closed.exposure.after.total) == ("o1", D(0))


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (position("61", 0.06, avgPrice=1.09), "it was opened at another price"),
        (position("61", 0.06, "sell"), "it is on the other side"),
        (position("61", 0.06, instrument="GBPUSD"), "it is another instrument"),
        (position("61", 0.2), "it is more than there was"),
        (position("61", 0.06, avgPrice=None), "nobody knows its price"),
    ],
)
def test_what_a_successor_cannot_be_certain_of_it_tells_as_it_looks(row: dict[str, object], why: str) -> None:
    story = held(0.1)
    after_a_takeover(story, memory(story.picture), row)
    assert sorted(kind for kind, *_ in told(story)) == ["position.closed", "position.opened"], why


def test_a_successor_that_does_not_know_what_the_trader_saw_last_tells_what_it_sees() -> None:
    story = held(0.1)
    after_a_takeover(story, replace(memory(story.picture), panel={}), position("61", 0.06))
    assert sorted(kind for kind, *_ in told(story)) == ["position.closed", "position.opened"]
    assert "told-apart" in story.noted()


@pytest.mark.parametrize("seen_by", ["the one before", "the successor"])
def test_fills_say_so_too_where_the_one_before_has_seen_the_other_id_once(seen_by: str) -> None:
    """It had its doubts and ended; a successor has to see it twice itself, and the fills have their time again."""
    story, row = held(0.1), position("61", 0.06, avgPrice=1.085)
    story.orders(*filled(0.1), *((CLOSED,) if seen_by == "the one before" else ()))
    story.positions(row)
    after_a_takeover(story, memory(story.picture), row, orders=(CLOSED,))
    assert told(story) == [("position.changed", "o1", "61", "0.06")]


def test_an_id_that_was_told_just_before_is_known_beside_the_old_one_that_lagging_polls_show() -> None:
    story = held(0.1)
    remembered = memory(story.picture)
    story.positions(position("61", 0.06))
    story.positions(position("61", 0.06))
    assert told(story) == [("position.changed", "o1", "61", "0.06")]
    story.wait(10)
    succeed(story, remembered)
    count = len(story.facts)
    for name, size in (("51", 0.1), ("51", 0.1), ("51", 0.1), ("61", 0.06), ("61", 0.06), ("61", 0.06)):
        story.positions(position(name, size))
    assert {f.exposure.position for f in story.facts[count:]} == {"o1"}
    assert story.picture.positions["o1"].held == D("0.06")


def test_times_of_another_clock_silence_no_poll() -> None:
    story = Story()
    opened(story)
    remembered = memory(story.picture)
    story.now = START - timedelta(days=1)
    succeed(story, remembered)
    for _ in range(4):
        story.orders()
        story.positions()
    assert story.facts[-1].exposure.after.total == 0


def test_a_fact_that_is_in_both_lists_is_taken_once() -> None:
    one, two, three = fact(1), fact(2), fact(3)
    assert in_order([three, one], [two, three]) == [one, two, three]


def test_a_frame_that_waits_is_handed_over_unless_something_was_told_of_its_instrument_since() -> None:
    story = Story(replace(PAPER, quantity_unit="units"), "1234567")
    row = {"symbol": "OANDA:XAUUSD", "side": "buy", "qty": 3}
    story.hear(story.exchange("POST", "/trading/account/1234567", b"{}", {"balance": 1, "positions": []}))
    story.wait(1)
    body = json.dumps(row | {"type": "market"}).encode()
    story.hear(story.exchange("POST", "/trading/place/1234567", body, status=None, left=0, flow="c"))
    story.wait(0.1)
    story.hear(pushed("position_update", story, row))
    kept = memory(story.picture)
    story.wait(0.1)
    story.hear(story.exchange("POST", "/trading/place/1234567", body, {"id": 7, "status": "working"}, flow="c"))
    assert story.facts, "it was heard when the reply had come"
    assert len(adopted(kept, [], story.now).waiting) == 1
    assert adopted(kept, story.facts, story.now).waiting == ()
    assert adopted(kept, [], story.now + timedelta(seconds=61)).waiting == ()
