"""The stories that cost others money, each with the process killed at every moment of it: the journal is read again,
what was asked is settled by the polls, and the end is the same."""

from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from ingest.album import Album
from ingest.exchange import Exchange, Frame
from ingest.intake import Intake
from ingest.metrics import Metrics
from ingest.outbox import Outbox
from shared.facts import Fact
from tests.ingest.story import BROKER, Story, bracket, order, position

D = Decimal


class Diary(Story):
    """A story that is heard by an intake with its outbox on disk; `killed_at` is the moment at which that dies."""

    def __init__(self, path: Path, killed_at: int | None) -> None:
        super().__init__(BROKER)
        self._path = path
        self._killed_at = killed_at
        self._begin()
        self.moments = -1000  # what was there before anybody looked is another story
        self.orders()
        self.positions()
        self.moments = 0

    def _begin(self) -> None:
        self.outbox = Outbox(self._path, [BROKER.name], fresh=lambda name: f"{name}-1")
        self.outbox.own(BROKER.name, "token")
        self.album = Album(self.outbox.pictures)
        metrics = Metrics(CollectorRegistry())
        self.intake = Intake([BROKER], self.outbox, self.album, metrics, clock=lambda: self.now)
        self.intake.resume()

    def _is_killed(self) -> bool:
        self.moments += 1
        if self.moments - 1 != self._killed_at:
            return False
        self.outbox.close()
        self._begin()
        return True

    def hear(self, heard: Exchange | Frame) -> list[Fact]:
        """The request, then the reply, which never comes when we are killed between them."""
        assert isinstance(heard, Exchange)
        before = len(self.facts)
        if not self._is_killed():
            self.intake.asked(replace(heard, status=None, answer=None, answered=None, error=""))
            if not self._is_killed():
                self.intake.answered(heard)
                self._is_killed()
        self.facts = list(self.outbox.producers[BROKER.name].waiting)
        return self.facts[before:]

    def rest(self, *positions: dict[str, object], orders: tuple[dict[str, object], ...] = ()) -> None:
        """The polls have all the time they need."""
        for pause in (1, 1, 1, 1, 31, 1, 1, 1):
            self.orders(*orders, after=pause)
            self.positions(*positions)


FILLED = order("1", "filled", filledQty=0.1, avgPrice=1.08513)
Tale = Callable[[Diary], None]


def opened(story: Story, **levels: object) -> None:
    """Long enough for what no call tells of, since the process was dead, to be told by the polls."""
    story.place("1", **levels)
    for _ in range(4):
        story.orders(FILLED)
        story.positions(position("55"))


def reply_lost_after_the_broker_executed(story: Diary) -> None:
    form = {"instrument": "EURUSD", "qty": "0.1", "side": "buy", "type": "market"}
    story.wait(1)
    story.hear(story.exchange("POST", "/accounts/10001/orders", form, error="cut"))
    story.rest(position("55"), orders=(FILLED,))


def a_poll_in_flight_while_a_position_is_closed(story: Diary) -> None:
    opened(story)
    story.wait(5)
    flying = story.exchange(
        "GET", "/accounts/10001/positions", answer={"s": "ok", "d": [position("55")]}, left=0
    )  # fmt: skip
    story.call("DELETE", "/positions/55")
    story.wait(0.2)
    story.hear(replace(flying, answered=story.now))
    story.rest(orders=(FILLED,))


def a_stop_dragged_there_and_back_on_the_phone(story: Diary) -> None:
    opened(story, stopLoss="1.08")
    story.wait(5)
    for price in (1.08, 1.07, 1.07, 1.07, 1.08, 1.08):
        story.orders(FILLED, bracket("1.SL.1", price, "SL", "55"))
        story.positions(position("55"))
    story.rest(position("55"), orders=(FILLED, bracket("1.SL.1", 1.08, "SL", "55")))


def two_partial_closes_within_one_poll_interval(story: Diary) -> None:
    opened(story)
    story.call("DELETE", "/positions/55", amount="0.03")
    story.call("DELETE", "/positions/55", amount="0.02")
    story.rest(position("55", 0.05), orders=(FILLED,))


def the_same_position_id_closed_on_two_days(story: Diary) -> None:
    opened(story)
    story.call("DELETE", "/positions/55")
    story.rest(orders=(FILLED,))
    story.wait(86_400)
    story.rest(position("55", 0.2))
    story.call("DELETE", "/positions/55")
    story.rest()


def an_order_id_reused(story: Diary) -> None:
    opened(story)
    story.wait(60)
    story.place("1", qty="0.2")
    again = order("1", "filled", qty=0.2, filledQty=0.2, avgPrice=1.09)
    story.rest(position("55"), position("66", 0.2), orders=(again,))


TALES: list[tuple[Tale, list[str], list[str]]] = [
    (reply_lost_after_the_broker_executed, ["0.1"], ["0.1"]),
    (a_poll_in_flight_while_a_position_is_closed, ["0.1"], []),
    (a_stop_dragged_there_and_back_on_the_phone, ["0.1"], ["0.1"]),
    (two_partial_closes_within_one_poll_interval, ["0.1"], ["0.05"]),
    (the_same_position_id_closed_on_two_days, ["0.1", "0.2"], []),
    (an_order_id_reused, ["0.1", "0.2"], ["0.1", "0.2"]),
]
"""Each with the sizes of the positions that are opened in all, and of those that are left."""


def check(story: Diary, largest: list[str], left: list[str]) -> None:
    by_position: dict[str, list[Fact]] = {}
    for fact in story.facts:
        by_position.setdefault(fact.exposure.position, []).append(fact)
    assert sorted(max(f.exposure.after.total for f in facts) for facts in by_position.values()) == [
        D(size) for size in largest
    ]
    ends = [facts[-1].exposure.after for facts in by_position.values()]
    assert sorted(end.total for end in ends if end.total) == [D(size) for size in left]
    assert all(end.held == end.total for end in ends)
    for facts in by_position.values():
        totals = [f.exposure.after.total for f in facts]
        grown = [b for a, b in pairwise(totals) if b > a]
        assert not grown, f"{totals}: opened again"
        assert all(b.exposure.before == a.exposure.after for a, b in pairwise(facts))
    assert len({f.id for f in story.facts}) == len(story.facts)
    assert [f.seq for f in story.facts] == list(range(1, len(story.facts) + 1))


@pytest.mark.parametrize(("tale", "largest", "left"), TALES, ids=[tale.__name__ for tale, *_ in TALES])
def test_it_ends_the_same_whenever_the_process_is_killed(
    tmp_path: Path, tale: Tale, largest: list[str], left: list[str]
) -> None:
    undisturbed = Diary(tmp_path / "undisturbed", None)
    tale(undisturbed)
    undisturbed.outbox.close()
    check(undisturbed, largest, left)
    for moment in range(undisturbed.moments):
        story = Diary(tmp_path / str(moment), moment)
        tale(story)
        story.outbox.close()
        check(story, largest, left)
        assert story.moments >= moment
        if tale is a_stop_dragged_there_and_back_on_the_phone:
            (held,) = (p for p in story.album.of(BROKER.name)[0].positions.values() if p.held)
            assert held.levels.stop_loss == D("1.08")
