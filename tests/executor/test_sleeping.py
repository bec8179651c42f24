"""A parked fact is left alone while nothing that it waits for has changed, and looked at again as soon as it has."""

from dataclasses import replace
from decimal import Decimal
from typing import Any, cast
from unittest import mock

import pytest
from msgspec.structs import replace as changed

from executor.book import Debt
from executor.bookkeeping import Bookkeeper
from executor.debts import Debts
from executor.parking import Parked, Parking
from executor.reasons import Denied, Reason
from executor.results import Done, StepResult
from executor.search import Search
from executor.sleeping import awake, standing
from tests.executor.test_parking import CHANGED, NOW, PART, closing, link, opening, parked, parking

OWED = Debt(link="b", fact="f", entry="1-1", target=Decimal(0), since=NOW, captured=NOW)


class Lane:
    """What is known of an account, as far as a parked fact may depend on it."""

    def __init__(self, *facts: Parked) -> None:
        self.parking = parking(*facts)
        self.links: dict[str, Any] = {}
        self.debts: dict[str, Debt] = {}
        self.news: set[str] = set()
        self.keeper = cast(Bookkeeper, mock.Mock(book=mock.Mock(links=self.links)))
        self.search = cast(Search, mock.AsyncMock(has_news=self._has_news))
        for fact in facts:
            fact.stood = self._standing(fact)

    def _standing(self, fact: Parked) -> Any:
        return standing(fact, self.keeper, cast(Debts, self.debts))

    async def _has_news(self, attempt: Any) -> bool:
        return attempt.entry in self.news

    async def awake(self) -> list[str]:
        debts = cast(Debts, self.debts)
        return [p.entry async for p in awake(self.parking, False, self.keeper, debts, self.search)]


def unknown(entry: str, key: str) -> Parked:
    fact = parked(entry, key, opening(key))
    fact.attempt.unknown.add("open")
    return fact


def exit_of(key: str, entry: str) -> Parked:
    return replace(parked(entry, key, closing(key)), fact=CHANGED)


async def test_facts_sleep_while_the_terminal_shows_nothing_new_and_an_older_opening_has_no_end() -> None:
    queued, denied = parked("3-1", "b", opening("b")), parked("4-1", "c", denied=Denied(Reason.FOREIGN_POSITION))
    lane = Lane(unknown("1-1", "a"), exit_of("a", "2-1"), queued, denied)

    assert await lane.awake() == []
    cast(Any, lane.search).listen.assert_awaited()

    lane.news.add("1-1")
    assert await lane.awake() == ["1-1"]


async def test_with_the_end_of_an_opening_those_wake_that_waited_for_it() -> None:
    lane = Lane(unknown("1-1", "a"), exit_of("a", "2-1"), parked("3-1", "b", opening("b")), unknown("4-1", "c"))

    lane.parking.drop("1-1")

    assert await lane.awake() == ["2-1", "3-1"]


async def test_an_opening_that_has_its_result_holds_up_nothing() -> None:
    first = unknown("1-1", "a")
    lane = Lane(first, exit_of("a", "2-1"))

    first.attempt.unknown.clear()
    first.attempt.results["open"] = StepResult(opening(), Done(ticket=1))

    assert await lane.awake() == ["1-1", "2-1"]


@pytest.mark.parametrize("what", ["link", "debt", "never parked before"])
async def test_a_fact_wakes_when_anything_else_has_changed_for_it(what: str) -> None:
    sleeper = parked("2-1", "b", opening("b"))
    lane = Lane(unknown("1-1", "a"), sleeper)
    match what:
        case "link":
            lane.links["b"] = link("b", PART)
        case "debt":
            lane.debts["b"] = OWED
        case _:
            sleeper.stood = None

    assert await lane.awake() == ["2-1"]


async def test_a_link_that_was_written_again_counts_as_changed() -> None:
    lane = Lane(unknown("1-1", "a"), parked("2-1", "b", opening("b")))
    lane.links["b"] = link("b", PART)
    for fact in lane.parking:
        fact.stood = lane._standing(fact)
    assert await lane.awake() == []

    lane.links["b"] = changed(link("b", PART))
    assert await lane.awake() == ["2-1"]


async def test_with_nothing_parked_the_terminal_is_asked_for_nothing() -> None:
    lane = Lane()

    assert await lane.awake() == []
    cast(Any, lane.search).listen.assert_not_awaited()
    assert isinstance(lane.parking, Parking)
