"""Frames that pass after the reply of a call, but were sent before it, neither open, close nor move anything."""

import json
import random
from collections.abc import Callable
from decimal import Decimal
from itertools import groupby
from typing import Any

import pytest

from ingest.exchange import Frame
from ingest.picture import elapsed
from ingest.stating import Stamp
from shared.facts import OrderFact
from tests.ingest.story import PAPER, Story
from tests.ingest.test_paper import pushed

D = Decimal
SYMBOL = "OANDA:EURUSD"


class Lagging(Story):
    """A paper account whose server acts at once; replies and frames travel by themselves, each kind in its order."""

    def __init__(self, seed: int, replies_fill: bool = True) -> None:
        super().__init__(PAPER, "1234567")
        self.chance = random.Random(seed)
        self.replies_fill = replies_fill
        self.frames: list[Frame] = []
        self.held, self.totals = 0, [D(0)]
        self.stop, self.stops = D(0), [D(0)]
        self.price, self.prices = D(0), list[Decimal]()
        self.names = 0
        self.hear(self.exchange("POST", "/trading/account/1234567", b"{}", {"positions": []}))

    def sent(self, name: str, **said: object) -> None:
        said = {"symbol": SYMBOL, "symboltype": "forex"} | said
        self.frames.append(pushed(name, self, said))

    def shown(self) -> None:
        levels = {"sl": float(self.stop)} if self.stop else {}
        side = "buy" if self.held > 0 else "sell" if self.held else "empty"
        self.sent("position_update", side=side, qty=abs(self.held), avg_price=1.1, **levels)

    def arrive(self, count: int) -> None:
        """The next frames come in."""
        for frame in self.frames[:count]:
            self.wait(0.01)
            self.hear(Frame(**{name: getattr(frame, name) for name in frame.__struct_fields__} | {"at": self.now}))
        del self.frames[:count]

    def some(self) -> None:
        self.arrive(self.chance.randrange(len(self.frames) + 1))

    def ask(self, action: str, body: dict[str, Any], does: Callable[[], dict[str, Any]]) -> None:
        """A call; frames come in before it, while it waits, and after it."""
        path, text = f"/trading/{action}/1234567", json.dumps(body).encode()
        flow = f"c{self.flows}"
        self.wait(0.1)
        self.hear(self.exchange("POST", path, text, status=None, left=0, flow=flow))
        self.some()
        answer = does()
        self.some()
        self.wait(0.1)
        self.hear(self.exchange("POST", path, text, answer, left=0.1, flow=flow))
        self.some()

    def market(self, signed: int) -> None:
        self.names += 1
        name, side = self.names, "buy" if signed > 0 else "sell"
        order = {"id": name, "type": "market", "side": side, "qty": abs(signed), "price": 1.1, "status": "filled"}

        def does() -> dict[str, Any]:
            self.held += signed
            self.totals.append(D(self.held))
            news = [lambda: self.sent("order_update", **order), self.shown]
            for each in self.chance.sample(news, 2):
                each()
            return order | {"symboltype": "forex"} | ({} if self.replies_fill else {"status": "placing"})

        self.ask("place", {"symbol": SYMBOL, "type": "market", "qty": abs(signed), "side": side}, does)

    def move_stop(self) -> None:
        self.stop = self.chance.choice([D("1.01"), D("1.02"), D("1.03")])

        def does() -> dict[str, Any]:
            self.stops.append(self.stop)
            self.shown()
            return {}

        self.ask("modify_position", {"symbol": SYMBOL, "sl": float(self.stop)}, does)

    def drag(self) -> None:
        """The one resting order is placed, or moved."""
        self.price = self.chance.choice([D("1.05"), D("1.06"), D("1.07")])
        order = {"id": 1000, "type": "limit", "side": "buy", "qty": 5, "price": float(self.price), "status": "working"}

        def does() -> dict[str, Any]:
            self.prices.append(self.price)
            self.sent("order_update", **order)
            return order | {"symboltype": "forex"}

        if self.prices:
            self.ask("modify", {"id": 1000, "price": float(self.price)}, does)
        else:
            self.ask("place", {"symbol": SYMBOL, **{k: order[k] for k in ("type", "qty", "side", "price")}}, does)

    def look(self) -> None:
        found = elapsed(self.picture, self.source, Stamp(producer="p1", seq=len(self.facts) + 1, captured=self.now))
        self.picture = found.picture
        self.facts += found.facts


def distinct(values: list[Any]) -> list[Any]:
    return [value for value, _ in groupby(values)]


@pytest.mark.parametrize("replies_fill", [True, False])
@pytest.mark.parametrize("seed", range(60))
def test_what_is_told_is_what_was_done_and_nothing_is_taken_back_by_frames_that_lag(
    seed: int, replies_fill: bool
) -> None:
    story = Lagging(seed, replies_fill)
    story.market(1000)
    for number in range(25):
        match story.chance.randrange(4):
            case 0:
                story.move_stop()
            case 1:
                story.drag()
            case _:
                story.market(story.chance.choice([1, -1]) * (2000 + number))
    story.arrive(len(story.frames))
    for _ in range(10):
        story.wait(1)
        story.look()
    totals = [fact.exposure.after.total for fact in story.facts]
    assert distinct([D(0), *totals]) == distinct(story.totals)
    stops = [f.levels.stop_loss for f in story.facts if f.levels.stop_loss and f.exposure.after.total]
    assert distinct(stops) == distinct(story.stops[1:])
    prices = [f.order.limit_price for f in story.facts if isinstance(f, OrderFact) and f.order.type == "limit"]
    assert distinct(prices) == distinct(story.prices)
    assert story.picture.late == {}


def moved() -> Lagging:
    """Long 1000; the stop was 1.01 and a call has moved it to 1.02; no frame has shown that."""
    story = Lagging(0)
    story.market(1000)
    for price in ("1.01", "1.02"):
        story.arrive(9)
        story.stop = D(price)
        story.ask("modify_position", {"symbol": SYMBOL, "sl": float(price)}, dict)
    return story


def test_a_stop_that_was_taken_back_on_the_phone_ends_there() -> None:
    story = moved()
    for price in (D("1.02"), D("1.01")):
        story.stop = price
        story.shown()
    story.arrive(2)
    assert story.facts[-1].levels.stop_loss == D("1.01"), "the call's own effect was shown, so this is no old frame"


def test_what_seems_outrun_and_stays_so_is_told_after_all() -> None:
    story = moved()
    story.stop = D("1.01")
    story.shown()
    story.arrive(1)
    assert story.facts[-1].levels.stop_loss == D("1.02")
    story.look()
    assert story.facts[-1].levels.stop_loss == D("1.02")
    story.wait(3)
    story.look()
    assert story.facts[-1].levels.stop_loss == D("1.01")


def test_a_frame_that_tells_something_old_and_something_new_is_believed_in_what_is_new() -> None:
    story = moved()
    story.stop, story.held = D("1.01"), 400
    story.shown()
    story.arrive(1)
    assert (story.facts[-1].exposure.after.held, story.facts[-1].levels.stop_loss) == (D(400), D("1.02"))
