"""A fact refuses what no source can mean, and says which objects it is the newest word about."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from shared import facts
from tests.shared.samples import FACTS, amount, exposure, header, order, placed

BAD: dict[str, dict[str, Any]] = {
    "a quantity of zero": {"order": {"id": "1", "type": "market", "side": "buy", "quantity": "0"}},
    "a quantity that is no number": {"order": {"id": "1", "type": "market", "side": "buy", "quantity": "NaN"}},
    "an infinite quantity": {"order": {"id": "1", "type": "market", "side": "buy", "quantity": "Infinity"}},
    "a limit order without a price": {"order": {"id": "1", "type": "limit", "side": "buy", "quantity": "1"}},
    "a stop order without a price": {"order": {"id": "1", "type": "stop", "side": "buy", "quantity": "1"}},
    "a stop-limit order with one price": {
        "order": {"id": "1", "type": "stoplimit", "side": "buy", "quantity": "1", "limit_price": "1"}
    },
    "more filled than ordered": {"order": {"id": "1", "type": "market", "side": "buy", "quantity": "1", "filled": "2"}},
    "an unknown side": {"order": {"id": "1", "type": "market", "side": "hold", "quantity": "1"}},
    "a level that is no number": {"levels": {"stop_loss": "NaN"}},
    "a level of zero": {"levels": {"take_profit": "0"}},
    "a sequence before the first": {"seq": 0},
    "a time without a zone": {"captured": "2026-11-25T13:30:00"},
    "a held amount that is no number": {
        "exposure": {
            "position": "o1",
            "revision": 1,
            "before": {"held": "NaN", "coming": "0"},
            "after": {"held": "0", "coming": "0"},
        }
    },
    "a revision before the first": {
        "exposure": {
            "position": "o1",
            "revision": 0,
            "before": {"held": "0", "coming": "0"},
            "after": {"held": "0", "coming": "0"},
        }
    },
}


@pytest.mark.parametrize("changes", BAD.values(), ids=BAD)
def test_refuses(changes: dict[str, Any]) -> None:
    sound = msgspec.json.decode(msgspec.json.encode(placed()))

    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**sound, **changes}, facts.Fact)


@pytest.mark.parametrize("fact", FACTS, ids=lambda f: type(f).__name__)
def test_reads_back_as_it_was_written(fact: facts.Fact) -> None:
    assert msgspec.json.decode(msgspec.json.encode(fact), type=facts.Fact) == fact


def test_a_level_that_is_absent_is_not_one_that_was_removed() -> None:
    kept = facts.Levels(stop_loss=Decimal("1.07"), take_profit=Decimal("1.10"))

    said = msgspec.json.decode(b'{"take_profit": null}', type=facts.Levels)

    assert said.over(kept) == facts.Levels(stop_loss=Decimal("1.07"), take_profit=None)


def test_a_field_that_a_newer_version_writes_is_passed_over() -> None:
    newer = {**msgspec.json.decode(msgspec.json.encode(placed())), "mood": "calm"}

    assert msgspec.convert(newer, facts.Fact) == placed()


def test_a_closed_position_and_a_filled_order_live_no_longer() -> None:
    closing = exposure(amount("0.1"), amount())
    fact = facts.OrderFilled(**header(order=order(filled=Decimal("0.1")), exposure=closing))

    assert list(facts.objects(fact)) == [("position:o1", False), ("order:1", False)]


def test_a_position_whose_close_was_only_accepted_still_lives() -> None:
    accepted = exposure(amount("0.1"), amount("0.1", "-0.1"))

    assert list(facts.objects(facts.PositionClosed(**header(exposure=accepted)))) == [("position:o1", True)]
