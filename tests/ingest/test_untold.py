import logging
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace

from ingest.source import Source
from ingest.untold import complaints
from shared.facts import Amount
from tests.ingest.samples import BROKER as SAMPLE
from tests.ingest.samples import market_buy
from tests.ingest.story import BROKER, NETTING, Story, order, position
from tests.ingest.test_intake import desk

NO_MODEL = replace(BROKER, positions="auto")
NO_UNIT = replace(BROKER, quantity_unit="auto")
EURUSD = {"name": "EURUSD", "lotSize": 100000, "minQty": 0.01, "minTick": 0.00001}
HELD = Amount(held=Decimal("0.1"))


def looked(source: Source = NO_MODEL, *held: object) -> Story:
    """A page that was open before we came: polls, and nothing else."""
    story = Story(source)
    story.orders()
    story.positions(*held)
    return story


def says(story: Story, *, hedging: bool) -> None:
    story.wait(1)
    row = {"id": "10001", "config": {"supportMultiposition": hedging}}
    story.hear(story.exchange("GET", "/accounts", {}, {"s": "ok", "d": [row]}))


def polls(story: Story, *held: object, count: int = 6) -> None:
    for _ in range(count):
        story.orders()
        story.positions(*held)


@pytest.mark.parametrize("hedging", [True, False])
def test_what_was_traded_before_the_model_was_known_is_told_by_the_polls_and_what_was_held_before_is_not(
    hedging: bool,
) -> None:
    before = position("44", instrument="GBPUSD")
    story = looked(NO_MODEL, before)
    story.place("1")
    story.wait(600)
    polls(story, before, position("55"))
    assert story.facts == []
    says(story, hedging=hedging)
    polls(story, before, position("55"))
    held, opened = story.facts
    assert (held.instrument, held.exposure.before) == ("GBPUSD", held.exposure.after)
    assert (story.kinds()[1], opened.instrument, opened.exposure.after) == ("position.opened", "EURUSD", HELD)
    assert opened.model == ("hedging" if hedging else "netting")


def test_one_poll_after_the_model_is_known_is_not_believed_yet() -> None:
    story = looked()
    story.place("1")
    says(story, hedging=True)
    story.wait(10)
    polls(story, position("55"), count=1)
    assert story.facts == []
    polls(story, count=3)
    assert story.facts == []


def test_a_trade_that_came_and_went_before_the_model_was_known_opens_nothing() -> None:
    story = looked()
    story.place("1")
    polls(story, position("55"))
    story.call("DELETE", "/positions/55")
    polls(story)
    says(story, hedging=True)
    polls(story)
    assert story.facts == []


def test_a_call_before_the_first_look_is_applied_when_the_model_is_known() -> None:
    story = Story(NO_MODEL)
    story.place("1")
    polls(story, position("44", instrument="GBPUSD"), position("55", customFields=[]))
    says(story, hedging=True)
    news = [f for f in story.facts if f.exposure.before != f.exposure.after]
    assert news
    assert {(f.instrument, f.exposure.after.total) for f in news} == {("EURUSD", Decimal("0.1"))}
    assert {f.instrument for f in story.facts} == {"EURUSD", "GBPUSD"}


def test_the_settings_may_say_the_model_after_a_restart() -> None:
    story = looked()
    story.place("1")
    story.source = BROKER
    polls(story, position("55"))
    assert story.kinds() == ["position.opened"]


def test_a_look_while_a_call_has_no_reply_is_no_baseline() -> None:
    story = Story(NO_MODEL)
    waiting = story.exchange("POST", "/accounts/10001/orders", {
        "instrument": "EURUSD", "qty": "0.1", "side": "buy", "type": "market"}, status=None, flow="c")  # fmt: skip
    story.hear(waiting)
    polls(story, position("55"), count=2)
    assert story.picture.early == ()


def test_a_resting_order_of_that_time_is_told_too() -> None:
    story = looked()
    story.place("7", type="limit", limitPrice="1.05")
    says(story, hedging=True)
    for _ in range(4):
        story.orders(order("7", type="limit", limitPrice=1.05))
        story.positions()
    assert story.kinds() == ["order.placed"]


def test_what_a_missing_unit_held_back_is_told_once_when_a_poll_still_shows_it() -> None:
    story = looked(NO_UNIT)
    story.place("1")
    story.orders(order("1", "filled", filledQty=0.1))
    story.positions(position("55"))
    assert [fact for fact in story.facts if fact.exposure.after.total] == []
    story.poll("instruments", [EURUSD])
    assert story.facts == []
    for _ in range(4):
        story.orders(order("1", "filled", filledQty=0.1))
        story.positions(position("55"))
    (opened,) = story.facts
    assert (story.kinds(), opened.exposure.before, opened.exposure.after) == (["position.opened"], Amount(), HELD)
    assert opened.contract is not None
    assert opened.contract.unit == "lots"
    assert story.picture.withheld == {}


def test_what_was_reduced_while_it_was_held_back_is_told_as_it_is() -> None:
    story = looked(NO_UNIT)
    story.place("1", qty="0.2")
    for size in (0.2, 0.1):
        story.wait(10)
        for _ in range(3):
            story.orders(order("1", "filled", qty=0.2, filledQty=0.2))
            story.positions(position("55", size))
    assert story.facts == []
    story.poll("instruments", [EURUSD])
    story.positions(position("55"))
    (opened,) = story.facts
    assert (opened.exposure.before, opened.exposure.after) == (Amount(), HELD)


def test_what_is_gone_when_the_unit_becomes_known_is_not_opened() -> None:
    story = looked(NO_UNIT)
    story.place("1")
    story.orders(order("1", "filled", filledQty=0.1))
    story.positions(position("55"))
    story.wait(60)
    story.poll("instruments", [EURUSD])
    polls(story)
    assert not [fact for fact in story.facts if fact.exposure.after.total]
    assert story.picture.withheld == {}


def test_a_resting_order_that_a_missing_unit_held_back_is_told_too() -> None:
    story = looked(NO_UNIT)
    story.place("7", type="limit", limitPrice="1.05")
    story.poll("instruments", [EURUSD])
    for _ in range(3):
        story.orders(order("7", type="limit", limitPrice=1.05))
    (placed,) = story.facts
    assert (story.kinds(), placed.exposure.after) == (["order.placed"], Amount())


def test_the_complaint_says_what_to_do_and_ends_when_it_is_done() -> None:
    story = looked()
    (said,) = complaints(story.picture)
    assert "reload the TradingView page" in said
    assert 'positions = "hedging" or "netting"' in said
    says(story, hedging=True)
    assert complaints(story.picture) == []
    story = looked(NO_UNIT)
    assert complaints(story.picture) == []
    story.place("1")
    (said,) = complaints(story.picture)
    assert "EURUSD" in said
    assert "quantity-unit" in said


def test_the_log_says_it_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ingest.intake")
    with desk(tmp_path, replace(SAMPLE, positions="auto")) as ours:
        for seconds in (0, 1, 2):
            ours.poll("orders", [], seconds)
            ours.poll("positions", [], seconds + 0.5)
        ours.answer(market_buy("f1", 3), {"s": "ok", "d": {"orderId": "77"}})
        assert [r.levelname for r in caplog.records] == ["ERROR"]
        assert "reload the TradingView page" in caplog.text


def test_what_was_seen_before_the_model_is_known_survives_a_crash(tmp_path: Path) -> None:
    source = replace(SAMPLE, positions="auto")
    row = {"id": "5", "instrument": "EURUSD", "qty": 0.1, "side": "buy", "avgPrice": 1.085}
    with desk(tmp_path, source) as ours:
        ours.poll("orders", [], 0)
        ours.poll("positions", [], 0.5)
        ours.answer(market_buy("f1", 1), {"s": "ok", "d": {"orderId": "77"}})
    with desk(tmp_path, replace(source, positions="hedging")) as ours:
        ours.intake.resume()
        for seconds in (5, 6, 7, 9):
            ours.poll("orders", [], seconds)
            ours.poll("positions", [row], seconds + 0.5)
        assert [fact.exposure.after.total for fact in ours.facts()] == [Decimal("0.1")]


def test_the_first_fact_that_can_be_told_begins_at_what_readers_know() -> None:
    """A reader takes what a fact begins at for followed already: an order must not hide what was held back."""
    story = looked(replace(NETTING, quantity_unit="auto"))
    polls(story, position("55", 2, instrument="MNQ"))
    assert story.facts == []
    story.wait(1)
    story.poll("instruments", [{"name": "MNQ", "type": "futures"}])
    (placed,) = story.place("7", instrument="MNQ", qty="1", type="limit", limitPrice="100")
    assert (placed.exposure.before, placed.exposure.after) == (Amount(), Amount(held=Decimal(2)))
    for _ in range(6):
        story.positions(position("55", 2, instrument="MNQ"))
    assert story.kinds() == ["order.placed"]
    assert story.picture.withheld == {}


def test_a_resting_order_that_was_held_back_is_placed_by_its_first_change_that_can_be_told() -> None:
    story = looked(NO_UNIT)
    story.place("7", type="limit", limitPrice="1.05")
    story.poll("instruments", [EURUSD])
    story.call("PUT", "/orders/7", qty="0.1", limitPrice="1.04")
    assert story.kinds() == ["order.placed"]
    assert story.picture.withheld == {}
