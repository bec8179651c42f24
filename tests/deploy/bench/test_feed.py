"""The facts of a feed follow each other as ingest's do, and what is open stays few."""

from collections import Counter
from datetime import UTC, datetime

from deploy.bench.feed import LOTS, OPEN_AT_MOST, Feed
from shared.facts import OrderPlaced, PositionClosed

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def test_facts_are_numbered_without_a_gap_and_each_follows_the_one_before() -> None:
    facts = list(Feed("p").many(50, NOW))

    assert [fact.seq for fact in facts] == list(range(1, 51))
    assert len({fact.id for fact in facts}) == 50
    total: Counter[str] = Counter()
    for fact in facts:
        exposure = fact.exposure
        assert exposure.before.total == total[exposure.position]
        total[exposure.position] = exposure.after.total  # type: ignore[assignment]
        assert sum(1 for lots in total.values() if lots) <= OPEN_AT_MOST


def test_openings_and_closes_take_turns_once_enough_is_open() -> None:
    kinds = [type(fact) for fact in Feed("p").many(20, NOW)][OPEN_AT_MOST:]

    assert kinds == [PositionClosed, OrderPlaced] * (len(kinds) // 2)


def test_the_oldest_is_closed_whole_on_its_own_instrument() -> None:
    facts = list(Feed("p", open_at_most=1).many(2, NOW))

    assert [fact.instrument for fact in facts] == [facts[0].instrument] * 2
    assert [fact.exposure.after.total for fact in facts] == [LOTS, LOTS - LOTS]
