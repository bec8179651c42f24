"""One reading is shared by all who look; nobody believes by it what it cannot know."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor import marks, search
from executor.attempt import Attempt, Grace
from executor.book import Book
from executor.bookkeeping import Bookkeeper
from executor.change import Work
from executor.looks import LEAST_S, LISTEN_S, LOOKS, REST, Before, Look, Looks, due
from executor.marks import Traces
from executor.mt5.api import TradeDeal
from executor.results import Done
from executor.search import Search
from executor.steps import Open
from tests.shared.samples import placed

GRACE = 10.0
OPENING = Open(name="open", link="l", symbol="EURUSD", side="buy", volume=Decimal("0.1"))


def deal(magic: int, ticket: int = 7) -> Any:
    """A bought deal, as far as a search looks at it."""
    fields = {"magic": magic, "ticket": ticket, "order": ticket, "position_id": ticket, "symbol": "EURUSD"}
    return mock.Mock(spec=TradeDeal, type=0, volume=0.1, price=1.1, **fields)


def traces(deals: Iterable[Any] = ()) -> Traces:
    return Traces(positions=(), orders=(), history_orders=(), deals=tuple(deals))


@dataclass
class Terminal:
    """A terminal in a time of its own, in which each reading takes `slow` seconds and shows what was there at first."""

    now: float = 100.0
    slow: float = 0.0
    linked: bool = True
    cut: bool = False
    breaks: int = 0
    deals: list[Any] = field(default_factory=list)
    readings: list[float] = field(default_factory=list)
    asked: int = 0
    book: Any = field(default_factory=lambda: mock.Mock(spec=Book, identity="1@Demo", margin="hedging"))

    def time(self) -> float:
        return self.now

    async def traces(self) -> Traces:
        self.readings.append(self.now)
        shown = traces(self.deals)
        self.now += self.slow
        self.linked = self.linked and not self.cut
        return shown

    async def connected(self) -> bool:
        self.asked += 1
        self.breaks += not self.linked
        return self.linked

    async def reread(self) -> None:
        """Nothing that a test looks at."""

    def looks(self) -> Looks:
        return Looks(cast(Bookkeeper, self), self.time)


def sought(number: int = 0, grace: float = GRACE) -> Attempt:
    return Attempt(
        work=Work(fact=f"f{number}"), meaning=f"m{number}", fact=placed(), link="l", steps=[OPENING],
        grace=Grace(grace), read=datetime.now(UTC), suspect=True,
    )  # fmt: skip


def mark(number: int, salt: int = 2) -> int:
    return marks.candidates("1@Demo", f"m{number}", "open")[salt]


def searching(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> Search:
    monkeypatch.setattr(search, "monotonic", terminal.time)
    found = Search(cast(Bookkeeper, terminal))
    found._looks = terminal.looks()
    return found


async def test_all_who_look_share_one_reading() -> None:
    terminal = Terminal()
    shared = terminal.looks()

    seen = {id(await shared.look(f"m{number}", Grace(GRACE))) for number in range(200)}

    assert len(seen) == len(terminal.readings) == 1
    terminal.now += GRACE / LOOKS
    await shared.look("m", Grace(GRACE))
    assert len(terminal.readings) == 2


async def test_a_reading_says_nothing_about_what_was_sent_after_it_and_the_next_one_is_not_sooner_for_it() -> None:
    terminal = Terminal()
    shared = terminal.looks()
    first = await shared.look("m1", Grace(GRACE))

    shared.sending("m1")

    assert await shared.look("m1", Grace(GRACE)) is None
    assert await shared.look("m2", Grace(GRACE)) is first
    assert await shared.look("m1", Grace(GRACE), at_once=True) is not first


async def test_a_reading_from_before_the_link_was_lost_says_nothing() -> None:
    terminal = Terminal()
    shared = terminal.looks()
    await shared.look("m", Grace(GRACE))

    terminal.breaks += 1

    assert await shared.look("m", Grace(GRACE)) is None


async def test_the_terminal_is_asked_for_its_link_now_and_then_and_when_something_broke() -> None:
    terminal = Terminal()
    shared = terminal.looks()

    assert [await shared.connected() for _ in range(200)] == [True] * 200
    assert terminal.asked == 1

    terminal.linked, terminal.now = False, terminal.now + LISTEN_S
    assert not await shared.connected()
    terminal.linked, terminal.breaks = True, terminal.breaks + 1
    assert await shared.connected()


@pytest.mark.parametrize(
    ("began", "took", "now", "rest"),
    [
        (None, 2.0, 1010.0, REST * 2.0),
        (None, 0.001, 1010.0, 60.0 / LOOKS),
        (960.0, 2.0, 1010.0, REST * 2.0),
        (945.0, 2.0, 1006.0, 2.0),
        (940.0, 2.0, 1006.0, REST * 2.0),
    ],
    ids=["no grace runs", "a quick look", "in the middle of a grace", "a grace is over since", "it decided already"],
)
def test_a_long_look_is_followed_by_a_long_rest_but_for_the_one_that_decides(
    began: float | None, took: float, now: float, rest: float
) -> None:
    last = Look(traces(), 1000.0, 1000.0 + took, 0)

    assert due(last, Grace(60.0, began), now) == pytest.approx(1000.0 + took + rest)


def test_a_short_grace_is_no_reason_to_read_without_a_rest() -> None:
    assert due(Look(traces(), 10.0, 10.0, 0), Grace(0.5), 10.0) == 10.0 + LEAST_S


def test_what_bears_one_of_several_marks_keeps_the_order_of_the_terminal() -> None:
    deals = [deal(mark(1, salt), ticket) for ticket, salt in enumerate((3, 0, 3, 1))] + [deal(mark(2), 9), deal(0, 10)]
    look = Look(traces(deals), 0.0, 0.0, 0)

    assert [d.ticket for d in look.bearing(marks.candidates("1@Demo", "m1", "open")).deals] == [0, 1, 2, 3]
    assert [d.ticket for d in look.bearing(marks.candidates("1@Demo", "m2", "open")).deals] == [9]
    assert look.bearing((0,)).deals == ()


async def test_a_reading_that_began_in_a_grace_and_ended_after_it_decides_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal, attempt = Terminal(slow=0.0), sought()
    seeking = searching(terminal, monkeypatch)
    await seeking.search(attempt, OPENING)

    terminal.slow, terminal.now = 2.0, terminal.now + GRACE - 1.0
    await seeking.search(attempt, OPENING)

    assert terminal.now > 100.0 + GRACE
    assert "open" in attempt.unknown


async def test_a_reading_during_which_the_link_was_lost_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, attempt = Terminal(), sought()
    seeking = searching(terminal, monkeypatch)
    await seeking.search(attempt, OPENING)

    terminal.now, terminal.cut = terminal.now + GRACE, True
    await seeking.search(attempt, OPENING)

    assert terminal.readings[-1] == 100.0 + GRACE
    assert "open" in attempt.unknown


async def test_two_hundred_are_decided_by_one_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, attempts = Terminal(slow=0.5), [sought(n) for n in range(200)]
    terminal.deals = [deal(mark(n)) for n in range(0, 200, 2)]
    seeking = searching(terminal, monkeypatch)

    first = [await seeking.search(a, OPENING) for a in attempts]
    terminal.now += GRACE
    second = [await seeking.search(a, OPENING) for a in attempts[1::2]]

    assert [isinstance(r, Done) for r in first] == [n % 2 == 0 for n in range(200)]
    assert second == [None] * 100
    assert all(a.absent == {"open"} and not a.unknown for a in attempts[1::2])
    assert len(terminal.readings) == 2


async def test_thousands_that_were_sent_before_a_lane_began_are_decided_by_one_reading_however_late_they_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also while the link is away by then, which says nothing of the past."""
    terminal = Terminal(slow=0.5)
    terminal.deals = [deal(mark(n)) for n in range(0, 1000, 100)]
    seeking = searching(terminal, monkeypatch)
    seeking.begin(GRACE)
    first = sought(-1)
    first.grace = seeking.grace(first.meaning) or first.grace
    await seeking.search(first, OPENING)
    terminal.now += GRACE
    await seeking.search(first, OPENING)
    readings = len(terminal.readings)

    found = []
    for number in range(1000):
        attempt = sought(number)
        attempt.grace = seeking.grace(attempt.meaning) or attempt.grace
        terminal.now += 0.01
        terminal.linked = number < 990
        found.append((await seeking.search(attempt, OPENING), attempt.absent))

    assert [isinstance(result, Done) for result, _ in found] == [n % 100 == 0 for n in range(1000)]
    assert [absent == {"open"} for _, absent in found] == [n % 100 != 0 for n in range(1000)]
    assert len(terminal.readings) <= readings + 10


async def test_a_reading_since_the_lane_began_is_looked_through_for_openings_and_made_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    terminal.deals = [deal(mark(1)), deal(marks.candidates("1@Demo", "m2", "rest")[0]), deal(7)]
    seeking = searching(terminal, monkeypatch)

    for _ in range(2):
        terminal.readings.clear()
        seeking.begin(GRACE)
        assert [await seeking.shows(f"m{n}") for n in range(4)] == [False, True, True, False]
        assert len(terminal.readings) == 1


async def test_there_is_news_of_an_attempt_once_a_reading_says_something_that_was_not_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal, other = Terminal(), sought(1)
    seeking = searching(terminal, monkeypatch)
    attempt = sought(0)

    assert await seeking.search(attempt, OPENING) is None
    assert not await seeking.has_news(attempt)
    await seeking.search(other, OPENING)
    terminal.now += GRACE / LOOKS
    assert not await seeking.has_news(attempt), "a new reading shows nothing of it"
    assert len(terminal.readings) == 2

    terminal.deals.append(deal(mark(0)))
    assert not await seeking.has_news(attempt), "nobody has read it"
    terminal.now += GRACE / LOOKS
    assert await seeking.has_news(attempt)
    assert not await seeking.has_news(other)
    terminal.now += GRACE
    assert await seeking.has_news(other), "its grace is over"


# -- whatever happens in whatever order

EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("time"), st.floats(0.01, GRACE * 0.7)),
        st.tuples(st.just("look"), st.integers(0, 2)),
        st.tuples(st.just("send"), st.integers(0, 2)),
        st.tuples(st.just("executed"), st.integers(0, 2)),
        st.tuples(st.just("lost"), st.just(0)),
        st.tuples(st.just("back"), st.just(0)),
        st.tuples(st.just("slow"), st.sampled_from([0.0, 0.3, 4.0])),
        st.tuples(st.sampled_from(["begin", "over"]), st.just(0)),
        st.tuples(st.just("anew"), st.integers(0, 2)),
    ),
    max_size=60,
)
"""Three openings are looked for while time passes, readings are quick and slow, the link comes and goes, a lane ends
and another one begins, nothing is left of what was sent before one, and a fact is planned anew.
"""


@dataclass
class History:
    """What really happened, kept apart from the code: when the link was away, and when each opening was sent last, by
    whatever lane: by one before the first at the latest when that began.
    """

    terminal: Terminal
    attempts: list[Attempt]
    seeking: Search
    began: float = 100.0
    away: list[tuple[float, float]] = field(default_factory=list)
    sent: dict[int, float] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)

    async def happens(self, event: str, value: Any) -> None:
        terminal = self.terminal
        match event:
            case "time":
                terminal.now += value
            case "slow":
                terminal.slow = value
            case "lost" if terminal.linked:
                self.away.append((terminal.now, float("inf")))
                terminal.linked, terminal.breaks = False, terminal.breaks + 1
            case "back" if not terminal.linked:
                self.away[-1] = (self.away[-1][0], terminal.now)
                terminal.linked = True
            case "send":
                self.seeking.sending(self.attempts[value])
                self.attempts[value].absent.discard("open")
                self.sent[value] = terminal.now
            case "executed" if value not in self.done and terminal.now < self.sent.get(value, 100.0) + GRACE:
                terminal.deals.append(deal(mark(value), value + 1))
                self.done.add(value)
            case "look" if "open" not in self.attempts[value].absent:
                await self.looks(value)
            case _:
                self.follows(event, value)

    def follows(self, event: str, value: int) -> None:
        """What a lane does."""
        match event:
            case "begin":
                self.began, self.terminal.breaks = self.terminal.now, self.terminal.breaks + 1
                self.seeking.begin(GRACE)
                self.attempts = [self.attempt(number) for number in range(3)]
            case "over":
                self.seeking.over()
            case "anew":
                known, self.attempts[value] = self.attempts[value], self.attempt(value)
                self.attempts[value].absent = known.absent
            case _:
                pass

    def attempt(self, number: int) -> Attempt:
        attempt = sought(number)
        attempt.grace = self.seeking.grace(attempt.meaning) or attempt.grace
        return attempt

    def decides(self, reading: float, number: int) -> bool:
        """Whether a whole grace was before a reading, all of it after the opening was sent and with the link there."""
        whole = reading - GRACE >= max(self.began, self.sent.get(number, self.began))
        return whole and not any(lost < reading and back > reading - GRACE for lost, back in self.away)

    async def looks(self, number: int) -> None:
        attempt, terminal = self.attempts[number], self.terminal
        read = len(terminal.readings)
        found = await self.seeking.search(attempt, OPENING)
        if isinstance(found, Done):
            assert number in self.done
            assert found.ticket == number + 1
        if "open" in attempt.absent:
            assert number not in self.done, "it is there"
            assert any(self.decides(reading, number) for reading in terminal.readings), "every reading was too early"
        if number in self.done and len(terminal.readings) > read:
            assert isinstance(found, Done), "it was read and not found"


def outcome_of(events: list[tuple[str, Any]]) -> None:
    async def all_of_it(patch: pytest.MonkeyPatch) -> None:
        terminal = Terminal()
        history = History(terminal, [sought(n) for n in range(3)], searching(terminal, patch))
        for event, value in events:
            await history.happens(event, value)

    with pytest.MonkeyPatch.context() as patch:
        asyncio.run(all_of_it(patch))


@settings(max_examples=200)
@given(EVENTS)
def test_absence_is_only_believed_by_a_reading_after_a_whole_uninterrupted_grace(events: list[tuple[str, Any]]) -> None:
    outcome_of(events)


def believes_early(self: Grace, began: float, breaks: int) -> bool:
    """As if the end of a reading counted."""
    return self.ends is not None and breaks == self.breaks and began + 4.0 >= self.ends


def runs_on(self: Grace, now: float, breaks: int) -> None:
    """As if nothing had happened to the link."""
    self.began, self.breaks = self.began or now, breaks


def goes_on(self: Looks, seconds: float) -> None:
    """As if it were one lane."""
    self.before = self.before or Before(seconds)


MUTATIONS: dict[str, tuple[Any, str, Any]] = {
    "a reading counts by when it ended": (Grace, "outlasted", believes_early),
    "a grace does not start over when the link is back": (Grace, "run", runs_on),
    "a grace goes on when something is sent": (Grace, "stop", lambda self: None),
    "a search takes what is not there for absent at once": (Grace, "outlasted", lambda self, began, breaks: True),
    "what a lane has sent itself counts as sent before it": (Before, "covers", lambda self, meaning: True),
    "any reading decides about what was sent before a lane": (
        Search,
        "_proven",
        lambda self, attempt: self._looks._last,
    ),
    "a lane goes on with the grace of the one before": (Looks, "begin", goes_on),
}
STORIES: list[list[tuple[str, Any]]] = [
    [("look", 0), ("time", 9.0), ("slow", 4.0), ("look", 0)],
    [("look", 0), ("time", 5.0), ("lost", 0), ("look", 0), ("back", 0), ("look", 0), ("time", 6.0), ("look", 0)],
    [("look", 0), ("time", 6.0), ("lost", 0), ("time", 1.0), ("back", 0), ("time", 4.0), ("look", 0)],
    [("look", 0), ("time", 6.0), ("send", 0), ("look", 0), ("time", 5.0), ("look", 0)],
    [("look", 0), ("executed", 0), ("send", 0), ("look", 0), ("time", 5.0), ("look", 0)],
    [("look", 0)],
    [("begin", 0), ("look", 0), ("time", 10.1), ("look", 1), ("send", 0), ("anew", 0), ("look", 0)],
    [("begin", 0), ("look", 0), ("time", 10.1), ("look", 0), ("begin", 0), ("look", 0), ("look", 1)],
    [("begin", 0), ("look", 0), ("time", 6.0), ("send", 1), ("anew", 1), ("time", 4.1), ("look", 0), ("look", 1)],
    [("begin", 0), ("look", 0), ("time", 10.1), ("look", 0), ("lost", 0), ("look", 1), ("time", 1.0), ("look", 2)],
]


def is_true(story: list[tuple[str, Any]]) -> bool:
    try:
        outcome_of(story)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize("story", STORIES)
def test_each_story_is_true(story: list[tuple[str, Any]]) -> None:
    outcome_of(story)


@pytest.mark.parametrize("mutation", MUTATIONS.values(), ids=MUTATIONS)
def test_without_the_rule_absence_is_believed_too_early(mutation: tuple[Any, str, Any]) -> None:
    where, attribute, wrong = mutation

    with mock.patch.object(where, attribute, wrong):
        assert not all(is_true(story) for story in STORIES)
