"""A small broker that can be trusted to know the truth, and a browser whose polls lag, get lost, double and overtake.

`World.step` takes one random number and does something with it; `World.check` compares every fact so far with the
truth. Hedging: every order opens a position of its own. Netting: one position per instrument, closed by its id.
"""

import copy
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from msgspec import UNSET

from ingest.source import Source
from shared.facts import OrderFact
from tests.ingest.story import Story, bracket, order, position

SIZES = ("0.13", "0.29", "0.53", "0.97", "1.51", "2.11", "3.07", "4.03")
D = Decimal


class Truth:
    """What the broker knows: orders and positions, and every total that each position has had."""

    def __init__(self) -> None:
        self.orders: dict[str, dict[str, Any]] = {}
        self.positions: dict[str, dict[str, Any]] = {}
        self.totals: dict[str, list[Decimal]] = {}


class World:
    """The broker, the trader and the copier's view of them. All sizes are signed and differ between orders."""

    def __init__(self, source: Source, story: Story | None = None) -> None:
        self.story = story or Story(source)
        self.netting = source.positions == "netting"
        self.truth = Truth()
        self.snapshots: list[tuple[Any, Truth]] = []
        self.ids = 100
        self.sizes = list(SIZES)
        self.asked: list[Callable[[], None]] = []
        self.in_flight: list[Any] = []
        self.shaken: datetime | None = None
        self.good_polls = {"orders": 0, "positions": 0}
        self.lost_replies = 0
        self.panel: set[str] = set()
        self.polls()

    # --- the broker ------------------------------------------------------------------------------------------------

    def new_id(self) -> str:
        self.ids += 1
        return str(self.ids)

    def price(self) -> float:
        """Where the market is: every trade has a price of its own."""
        return round(1.08 + self.ids / 100_000, 5)

    def record(self, key: str, total: Decimal) -> None:
        history = self.truth.totals.setdefault(key, [D(0)])
        if history[-1] != total:
            history.append(total)

    def carry_out(self, order_id: str) -> None:
        """A market or triggered order fills."""
        found = self.truth.orders[order_id]
        if found["status"] != "working":
            return
        found["status"] = "filled"
        signed = found["qty"] if found["side"] == "buy" else -found["qty"]
        key = found["instrument"] if self.netting else order_id
        held = self.truth.positions.setdefault(
            key, {"id": self.new_id(), "qty": D(0), "levels": {}, "order": order_id, "price": None}
        )
        held["qty"] += signed
        held["price"] = self.price()
        for name, price in found["levels"].items():
            held["levels"][name] = price
        if found["type"] != "market":
            self.record_total(key)

    def record_total(self, key: str) -> None:
        self.record(key, self.accepted(key))

    def accepted(self, key: str) -> Decimal:
        """What the position will be when what was accepted is carried out."""
        held: Decimal = self.truth.positions.get(key, {"qty": D(0)})["qty"]
        for name, found in self.truth.orders.items():
            mine = found["instrument"] == key if self.netting else name == key
            if mine and found["type"] == "market" and found["status"] == "working":
                held += found["qty"] if found["side"] == "buy" else -found["qty"]
        return held - sum((c for k, c in self.closing() if k == key), D(0))

    def closing(self) -> list[tuple[str, Decimal]]:
        return [(k, p["closing"]) for k, p in self.truth.positions.items() if p.get("closing")]

    def execute_closes(self) -> None:
        for held in self.truth.positions.values():
            held["qty"] -= held.pop("closing", D(0))

    # --- the trader ------------------------------------------------------------------------------------------------

    def place(self, n: int, *, kind: str = "market", lost: bool = False) -> None:
        """An order is asked for and accepted; its fill comes later. `lost`: the reply is not."""
        if not self.sizes or (self.netting and self.unsettled):
            return
        quantity, side = self.sizes.pop(), "sell" if n % 3 == 0 else "buy"
        order_id = self.new_id()
        form: dict[str, object] = {"instrument": "EURUSD", "qty": quantity, "side": side, "type": kind}
        if kind == "limit":
            form["limitPrice"] = "1.05"
        levels = {} if self.netting else {"SL": 1.01, "TP": 1.2} if n % 2 else {}
        form |= {k: v for k, v in (("stopLoss", levels.get("SL")), ("takeProfit", levels.get("TP"))) if v}
        self.truth.orders[order_id] = {
            "qty": D(quantity),
            "side": side,
            "type": kind,
            "status": "working",
            "instrument": "EURUSD",
            "levels": levels,
            "limit": 1.05,
        }
        if kind == "market":
            self.record_total("EURUSD" if self.netting else order_id)
        if lost:
            self.lost_replies += 1
            self.shake()
        self.call("POST", "/orders", form, {"s": "ok", "d": {"orderId": order_id}}, lost=lost)

    def call(
        self, method: str, path: str, form: dict[str, object], answer: object = None, *, lost: bool = False
    ) -> None:
        story = self.story
        story.wait(0.4)
        url = f"/accounts/{story.account}{path}?locale=en"
        waiting = story.exchange(method, url, form, None, status=None, left=0, flow=f"c{story.flows}")
        story.hear(waiting)
        story.wait(0.2)
        done = story.exchange(
            method, url, form, answer or {"s": "ok"}, error="cut" if lost else "", left=0.2, flow=waiting.flow
        )
        story.hear(done)

    def open_positions(self) -> list[tuple[str, dict[str, Any]]]:
        return [
            (k, p)
            for k, p in self.truth.positions.items()
            if self.accepted(k) and p["qty"] and not p.get("closing") and p["id"] in self.panel
        ]

    def close(self, n: int, *, part: bool) -> None:
        """A position is closed through TradingView; a trader can only close what the panel shows."""
        found = self.open_positions()
        if (
            not found
            or self.unsettled
            or any(o["status"] == "working" and o["type"] == "market" for o in self.truth.orders.values())
        ):
            return
        key, held = found[n % len(found)]
        amount = held["qty"] / 2 if part else held["qty"]
        held["closing"] = amount
        self.record_total(key)
        self.call("DELETE", f"/positions/{held['id']}", {"amount": abs(amount)} if part else {})

    def set_levels(self, n: int) -> None:
        found = self.open_positions()
        if not found or self.unsettled or self.netting:
            return
        _, held = found[n % len(found)]
        held["levels"]["SL"] = 1.02 + n % 7 / 1000
        form: dict[str, object] = {"stopLoss": held["levels"]["SL"]}
        if "TP" in held["levels"] and n % 2:
            form["takeProfit"] = held["levels"]["TP"]
        elif n % 5 == 0:
            held["levels"].pop("TP", None)
        self.call("PUT", f"/positions/{held['id']}", form)

    def cancel(self, n: int) -> None:
        resting = [k for k, o in self.truth.orders.items() if o["status"] == "working" and o["type"] == "limit"]
        if resting:
            name = resting[n % len(resting)]
            self.truth.orders[name]["status"] = "cancelled"
            self.call("DELETE", f"/orders/{name}", {})

    def refused(self) -> None:
        form: dict[str, object] = {"instrument": "EURUSD", "qty": "9", "side": "buy", "type": "market"}
        self.call("POST", "/orders", form, {"s": "error", "errmsg": "closed"})

    # --- elsewhere -------------------------------------------------------------------------------------------------

    def shake(self) -> None:
        """Something happens that only polls will show."""
        self.shaken, self.good_polls = self.story.now, {"orders": 0, "positions": 0}

    @property
    def unsettled(self) -> bool:
        """Whether the polls have not had the time to show it."""
        if self.shaken is None:
            return False
        return min(self.good_polls.values()) < 4 or (self.story.now - self.shaken).total_seconds() < 10

    def hidden(self) -> bool:
        """On a netting account two changes that nobody has seen yet cannot be told apart afterwards."""
        return self.netting and self.unsettled

    def elsewhere(self, n: int) -> None:
        """On the phone, or by the broker: a position is opened, closed or part closed."""
        if self.hidden() or (self.lost_replies and self.unsettled):
            return
        found = self.open_positions()
        self.shake()
        if n % 3 == 0 and self.sizes and not self.netting:
            key = f"phone{self.new_id()}"
            self.truth.positions[key] = {
                "id": self.new_id(),
                "qty": D(self.sizes.pop()),
                "levels": {},
                "order": "",
                "price": self.price(),
            }
        elif found:
            key, held = found[n % len(found)]
            held["qty"] = D(0) if n % 2 else held["qty"] / 2
        else:
            return
        self.record_total(key)

    def fill_all(self) -> None:
        for name in list(self.truth.orders):
            if self.truth.orders[name]["type"] == "market":
                self.carry_out(name)
        self.execute_closes()

    def trigger(self, n: int) -> None:
        resting = [k for k, o in self.truth.orders.items() if o["status"] == "working" and o["type"] == "limit"]
        if resting and not self.hidden():
            self.shake()
            self.carry_out(resting[n % len(resting)])

    def reject(self) -> None:
        """The exchange says no, long after the broker said yes."""
        if self.hidden():
            return
        for found in self.truth.orders.values():
            if found["status"] == "working" and found["type"] == "market":
                found["status"] = "rejected"
                self.shake()
                for key in list(self.truth.totals):
                    self.record_total(key)

    # --- the browser -----------------------------------------------------------------------------------------------

    def rows(self, kind: str, truth: Truth) -> list[object]:
        return self.order_rows(truth) if kind == "orders" else self.position_rows(truth)

    def position_rows(self, truth: Truth) -> list[object]:
        return [
            position(p["id"], float(abs(p["qty"])), "buy" if p["qty"] > 0 else "sell", avgPrice=p["price"])
            for p in truth.positions.values()
            if p["qty"]
        ]

    def order_rows(self, truth: Truth) -> list[object]:
        rows: list[object] = []
        for name, o in truth.orders.items():
            fields: dict[str, object] = {"qty": float(o["qty"]), "side": o["side"], "type": o["type"]}
            if o["type"] == "limit":
                fields["limitPrice"] = o["limit"]
            rows.append(order(name, o["status"], **fields))
            if o["status"] == "working":
                rows += [
                    bracket(f"{name}.{k}.1", v, k, name, "inactive", parentType="order") for k, v in o["levels"].items()
                ]
        for key, p in truth.positions.items():
            status = "working" if p["qty"] else "cancelled"
            base = p["order"] or key
            rows += [bracket(f"{base}.{k}.1", v, k, p["id"], status) for k, v in p["levels"].items()]
        return rows

    def poll(self, n: int, kind: str, fate: str = "good") -> None:
        """A poll leaves now; it is shown what was true up to a second ago, and may be lost, late or doubled."""
        story = self.story
        story.wait(0.3)
        self.snapshots.append((story.now, copy.deepcopy(self.truth)))
        old = [t for at, t in self.snapshots if (story.now - at).total_seconds() >= (n % 3) * 0.5] or [
            self.snapshots[0][1]
        ]
        answer = {"s": "ok", "d": self.rows(kind, old[-1])}
        if kind == "positions" and fate in ("good", "doubled"):
            self.panel = {p["id"] for p in old[-1].positions.values() if p["qty"]}
        flying = story.exchange("GET", f"/accounts/{story.account}/{kind}", {}, answer, left=0)
        if fate == "good":
            story.hear(flying)
            self.good_polls[kind] += 1
        elif fate == "doubled":
            story.hear(flying)
            story.hear(flying)
        elif fate == "late":
            self.in_flight.append(flying)
        elif fate == "failed":
            story.hear(story.exchange("GET", f"/accounts/{story.account}/{kind}", {}, {"s": "error"}, left=0))

    def arrive(self) -> None:
        """What was still on its way comes in, long after it had left."""
        flying, self.in_flight = self.in_flight, []
        for one in flying:
            self.story.hear(one)

    def polls(self, rounds: int = 1) -> None:
        for _ in range(rounds):
            for kind in ("orders", "positions"):
                self.poll(0, kind)
                self.story.wait(0.7)

    def a_while(self) -> None:
        """Nothing happens for some seconds, except that closes are carried out."""
        self.polls(2)
        self.execute_closes()
        self.polls(2)

    # --- play ------------------------------------------------------------------------------------------------------

    def step(self, n: int) -> None:
        """Do something; which is up to the number."""
        what, n = n % 20, n // 20
        kind = ("orders", "positions")[n % 2]
        fates = ("good", "good", "lost", "late", "doubled", "failed")
        actions: dict[int, Callable[[], None]] = {
            0: lambda: self.place(n),
            1: lambda: self.place(n),
            2: lambda: self.place(n, kind="limit"),
            3: lambda: self.close(n, part=False),
            4: lambda: self.close(n, part=True),
            5: lambda: self.set_levels(n),
            6: lambda: self.cancel(n),
            7: self.refused,
            8: lambda: self.elsewhere(n),
            9: self.fill_all,
            10: self.fill_all,
            11: lambda: self.trigger(n),
            12: self.reject,
            13: self.arrive,
            14: self.a_while,
            15: lambda: self.place(n, lost=True) if not self.netting else None,
        }
        actions.get(what, lambda: self.poll(n // 12, kind, fates[n // 2 % 6]))()

    def rest(self) -> None:
        """Everything is carried out and shown often enough."""
        self.fill_all()
        self.arrive()
        self.polls(8)
        self.story.wait(30)
        self.polls(4)

    # --- the truth -------------------------------------------------------------------------------------------------

    def key_of(self, name: str) -> str:
        """The truth's key of a position of ours."""
        if self.netting:
            return name
        plain = name[1:].partition("#")[0]
        if name.startswith("o"):
            return plain
        return next(k for k, p in self.truth.positions.items() if p["id"] == plain)

    def check_facts(self) -> None:
        """Facts follow one another without a gap, and each total has been the truth, in that order."""
        seen: dict[str, Any] = {}
        ids = set()
        for seq, fact in enumerate(self.story.facts, start=1):
            e = fact.exposure
            assert fact.seq == seq, "facts are numbered without gaps"
            assert fact.id not in ids, "a fact is named once"
            ids.add(fact.id)
            last = seen.get(e.position)
            if last is not None:
                assert e.before == last.after, f"{fact} does not follow {last}"
                assert e.revision >= last.revision, "revisions only rise"
                changed = e.before != e.after
                assert not changed or e.revision > last.revision, "a change has a revision of its own"
            seen[e.position] = e
        for name in seen:
            totals = [f.exposure.after.total for f in self.story.facts if f.exposure.position == name]
            self.check_totals(name, totals)

    def check_totals(self, name: str, totals: list[Decimal]) -> None:
        history = iter(self.truth.totals.get(self.key_of(name), [D(0)]))
        current = next(history)
        for total in totals:
            while current != total:
                found = next(history, None)
                assert found is not None, (
                    f"{name}: {totals} is not how it went: {self.truth.totals.get(self.key_of(name))}"
                )
                current = found

    def check_end(self) -> None:
        """What the facts leave is what the broker has."""
        ours = {self.key_of(p.key): p for p in self.story.picture.positions.values() if p.held or p.total}
        theirs = {k: p for k, p in self.truth.positions.items() if p["qty"]}
        assert {k: (p.held, p.total) for k, p in ours.items()} == {k: (p["qty"], p["qty"]) for k, p in theirs.items()}
        if not self.netting:
            for key, found in ours.items():
                assert found.position_id == theirs[key]["id"]
                self.check_levels(found.levels, theirs[key]["levels"])
        assert self.story.picture.missed == (), "everything was shown, so nothing is listed as untold"
        live = {o.source_id for o in self.story.picture.orders.values() if o.live}
        assert live == {k for k, o in self.truth.orders.items() if o["status"] == "working"}

    def check_levels(self, ours: Any, theirs: dict[str, float]) -> None:
        for name, level in (("SL", ours.stop_loss), ("TP", ours.take_profit)):
            expected = D(str(theirs[name])) if name in theirs else None
            assert level in (expected, UNSET if expected is None else expected), f"{name}: {level}, not {expected}"


def is_order(fact: object) -> bool:
    """Whether a fact is about an order."""
    return isinstance(fact, OrderFact)
