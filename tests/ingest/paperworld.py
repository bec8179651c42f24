"""Paper Trading that can be trusted to know the truth, with a push channel that shuffles, doubles and loses frames."""

import json
import random
from decimal import Decimal
from itertools import pairwise
from typing import Any

from ingest.exchange import plain
from shared.facts import Fact
from tests.ingest.story import Story
from tests.ingest.test_paper import pushed

SYMBOL = "OANDA:EURUSD"
D = Decimal


class PaperWorld:
    """One symbol of one account. `story` hears what passes; sizes differ, so that a total tells its trade."""

    def __init__(self, story: Story, seed: int) -> None:
        self.story = story
        self.chance = random.Random(seed)
        self.held = D(0)
        self.history = [D(0)]
        self.resting: dict[int, tuple[str, Decimal]] = {}
        self.ids = 100
        self.size = D(1000)
        self.log: list[str] = []
        self.poll()

    # --- the broker --------------------------------------------------------------------------------------------------

    def trade(self, signed: Decimal) -> None:
        self.held += signed
        self.history.append(self.held)

    def position(self) -> dict[str, Any]:
        """The position as the source shows it: a short one has a negative quantity at times."""
        side = "buy" if self.held > 0 else "sell" if self.held < 0 else "empty"
        quantity = self.held if self.chance.random() < 0.5 else abs(self.held)
        return {"symbol": SYMBOL, "symboltype": "forex", "side": side, "qty": float(quantity), "avg_price": 1.1}

    def order(self, order_id: int, side: str, size: Decimal, kind: str, status: str) -> dict[str, Any]:
        shown: int | str = order_id if self.chance.random() < 0.5 else str(order_id)
        return {"id": shown, "symbol": SYMBOL, "symboltype": "forex", "side": side, "qty": float(size), "type": kind,
                "status": status, "price": 1.1}  # fmt: skip

    def new_size(self) -> Decimal:
        self.size += self.chance.randrange(1, 400)
        return self.size

    # --- what passes -------------------------------------------------------------------------------------------------

    def ask(self, action: str, body: dict[str, Any]) -> Any:
        """The request comes in; what it will have been when its reply comes."""
        self.story.wait(0.3)
        at = f"/trading/{action}/{self.story.account}"
        text = json.dumps(body).encode()
        flow = f"c{self.story.flows}"
        self.story.hear(self.story.exchange("POST", at, text, status=None, left=0, flow=flow))
        return at, text, flow

    def answer(self, asked: Any, answer: dict[str, Any]) -> None:
        at, text, flow = asked
        lost = self.chance.random() < 0.15
        error = "cut" if lost else ""
        self.story.hear(self.story.exchange("POST", at, text, answer, left=0.2, flow=flow, error=error))

    def push(self, name: str, said: dict[str, Any]) -> None:
        self.story.wait(0.05)
        self.story.hear(pushed(name, self.story, said, int(self.story.account)))

    def deliver(self, frames: list[tuple[str, dict[str, Any]]], reply: Any = None) -> None:
        """Frames and the reply, in any order; some frames twice, some not at all."""
        parcels: list[Any] = [f for f in frames for _ in range(self.chance.choice((1, 1, 1, 1, 2, 0)))]
        parcels += [None] if reply is not None else []
        self.chance.shuffle(parcels)
        for parcel in parcels:
            if parcel is None:
                self.story.wait(0.2)
                reply()
            else:
                self.push(*parcel)
        self.settle()

    def settle(self) -> None:
        """The page polls the account every few seconds."""
        for _ in range(6):
            self.story.wait(2)
            self.poll()

    def poll(self) -> None:
        self.story.wait(0.1)
        held = [self.position()] if self.held else []
        at = f"/trading/account/{self.story.account}"
        self.story.hear(self.story.exchange("POST", at, b"{}", {"balance": 1, "positions": held}))

    # --- the trader --------------------------------------------------------------------------------------------------

    def market(self, *, elsewhere: bool) -> None:
        side, size = self.chance.choice(("buy", "sell")), self.new_size()
        self.ids += 1
        name = self.ids
        self.log.append(f"market {side} {size} {'elsewhere' if elsewhere else ''}")
        body = {"symbol": SYMBOL, "type": "market", "qty": float(size), "side": side}
        asked = None if elsewhere else self.ask("place", body)
        self.trade(size if side == "buy" else -size)
        done = self.order(name, side, size, "market", "filled")
        frames = [("order_update", done), ("position_update", self.position())]
        self.deliver(frames, None if asked is None else lambda: self.answer(asked, done))

    def limit(self) -> None:
        side, size = self.chance.choice(("buy", "sell")), self.new_size()
        self.ids += 1
        name = self.ids
        self.log.append(f"limit {side} {size}")
        asked = self.ask("place", {"symbol": SYMBOL, "type": "limit", "qty": float(size), "side": side, "price": 1.1})
        self.resting[name] = (side, size)
        rests = self.order(name, side, size, "limit", "working")
        self.deliver([("order_update", rests)], lambda: self.answer(asked, rests))

    def fill(self) -> None:
        if self.resting:
            name = self.chance.choice(list(self.resting))
            side, size = self.resting.pop(name)
            self.log.append(f"fill {name}")
            self.trade(size if side == "buy" else -size)
            frames = [("order_update", self.order(name, side, size, "limit", "filled"))]
            self.deliver([*frames, ("position_update", self.position())])

    def cancel(self) -> None:
        if self.resting:
            name = self.chance.choice(list(self.resting))
            side, size = self.resting.pop(name)
            self.log.append(f"cancel {name}")
            asked = self.ask("cancel", {"id": name})
            gone = self.order(name, side, size, "limit", "cancelled")
            self.deliver([("order_update", gone)], lambda: self.answer(asked, {}))

    def close(self) -> None:
        if self.held:
            part = self.chance.random() < 0.5
            amount = plain((abs(self.held) / 3).quantize(D(1))) if part else abs(self.held)
            self.log.append(f"close {amount} of {self.held}")
            asked = self.ask("close_position", {"symbol": SYMBOL} | ({"qty": float(amount)} if part else {}))
            self.trade(-amount.copy_sign(self.held))
            self.deliver([("position_update", self.position())], lambda: self.answer(asked, {}))

    def step(self) -> None:
        """Do something."""
        self.chance.choice(
            (lambda: self.market(elsewhere=False), lambda: self.market(elsewhere=True), self.limit, self.fill,
             self.cancel, self.close, self.close, self.settle)
        )()  # fmt: skip

    # --- the truth ---------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Each fact follows the one before, each total has been the truth, in that order, and the end is the same."""
        self.settle()
        facts = self.story.facts
        assert len({fact.id for fact in facts}) == len(facts), self.log
        for before, after in pairwise(facts):
            assert after.exposure.before == before.exposure.after, (self.log, before, after)
        self.check_totals(facts)
        found = self.story.picture.positions.get(SYMBOL)
        assert found is None or (found.held, found.total) == (self.held, self.held), (self.log, found)
        assert found is not None or not self.held, self.log

    def check_totals(self, facts: list[Fact]) -> None:
        history = iter(self.history)
        current = next(history)
        for fact in facts:
            while current != fact.exposure.after.total:
                following = next(history, None)
                assert following is not None, (self.log, [f.exposure.after for f in facts], self.history)
                current = following
